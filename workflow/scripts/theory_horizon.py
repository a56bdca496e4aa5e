"""Risk against the horizon for offline and on-policy imitation, realizable and misspecified.

Both cases have the same error a step: in the misspecified one, where the expert shows the good
action with probability 1/C, learners get as many more labels as behaviour cloning needs for that.
"""

import argparse
import math

from online_il.program.cli import main, parser
from online_il.theory import horizon
from online_il.theory.horizon import PathInstance
from online_il.theory.tables import HorizonTable, add_output, finish


def cases(options: argparse.Namespace) -> dict[str, PathInstance]:
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


def run(options: argparse.Namespace) -> None:
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
    arguments = parser(__doc__)
    arguments.add_argument("--horizons", type=int, nargs="+", required=True, help="H")
    arguments.add_argument("--contexts", type=int, default=16, help="contexts on the path")
    arguments.add_argument("--coverage", type=float, default=16.0, help="C when misspecified")
    arguments.add_argument("--labels", type=int, default=64, help="labels, realizable case")
    arguments.add_argument("--replicates", type=int, default=4_000, help="learners a point")
    arguments.add_argument("--seed", type=int, default=1, help="seed")
    add_output(arguments)
    main(run, arguments)
