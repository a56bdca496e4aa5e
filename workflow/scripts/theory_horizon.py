"""Risk against the horizon for offline and on-policy imitation, realizable and misspecified.

Both cases have the same error a step: in the misspecified one, where the expert shows the good
action with probability 1/C, learners get as many more labels as behaviour cloning needs for that.
"""

import math

from pydantic import Field

from online_il.program.cli import main
from online_il.theory import horizon
from online_il.theory.horizon import PathInstance
from online_il.theory.tables import HorizonTable, TheoryOptions, finish


class Options(TheoryOptions):
    horizons: list[int] = Field(description="H")
    contexts: int = Field(16, description="contexts on the path")
    coverage: float = Field(16.0, description="C when misspecified")
    labels: int = Field(64, description="labels, realizable case")
    replicates: int = Field(4_000, description="learners a point")
    seed: int = Field(1, description="seed")


def cases(options: Options) -> dict[str, PathInstance]:
    """Make the realizable instance, and the misspecified one with cloning's same error a step."""
    horizon.check(
        PathInstance(options.contexts, options.coverage, options.labels),
        options.horizons,
        options.replicates,
    )
    realizable = PathInstance(options.contexts, 1.0, options.labels)
    if options.contexts == 1:  # One label settles it all: the error is 0 whatever the coverage.
        factor = options.coverage
    else:
        hidden = 1 / (options.contexts * options.coverage)
        factor = math.log1p(-1 / options.contexts) / math.log1p(-hidden)
    labels = max(1, round(options.labels * factor))
    return {
        "realizable": realizable,
        "misspecified": PathInstance(options.contexts, options.coverage, labels),
    }


def run(options: Options) -> None:
    rows = []
    for case, instance in cases(options).items():
        for learner in horizon.LEARNERS:
            for steps in options.horizons:
                found = horizon.risk(
                    learner, instance, steps, replicates=options.replicates, seed=options.seed
                )
                rows.append(
                    {
                        "case": case,
                        "coverage": instance.coverage,
                        "labels": instance.labels,
                        "learner": learner,
                        "horizon": steps,
                        "risk": found.risk,
                        "risk_stderr": found.stderr,
                        "step_error": found.step_error,
                    }
                )
    ends = {min(options.horizons), max(options.horizons)}
    headline = {
        f"risk_{row['case']}_{row['learner']}_h{row['horizon']}": row["risk"]
        for row in rows
        if row["horizon"] in ends
    }
    finish(rows, HorizonTable, options, headline)


if __name__ == "__main__":
    main(run, Options, __doc__)
