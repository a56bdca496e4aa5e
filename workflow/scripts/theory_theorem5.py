"""Risk of Equation 6's pessimistic learner against N and beta, on a second instance (Theorem 5).

Beside it: behaviour cloning on as many expert samples, and the theorem's bound without its
constant. The beta that balances the bound's two terms is added to the sweep for every N.
"""

from pydantic import Field

from online_il.program.cli import main
from online_il.theory import theorem5
from online_il.theory.tables import Theorem5Table, TheoryOptions, finish


class Options(TheoryOptions):
    samples: list[int] = Field(description="N")
    beta: list[float] = Field(description="pessimism")
    rare: int = Field(64, description="badly covered actions")
    coverage: float = Field(1000.0, description="C^e of the good action")
    signal_bad: float = Field(0.5, description="f of the bad actions")
    replicates: int = Field(10_000, description="data sets an N")
    seed: int = Field(1, description="seed of the data sets")


def run(options: Options) -> None:
    instance = theorem5.BanditInstance(options.rare, options.coverage, options.signal_bad)
    theorem5.check(instance, options.samples, options.beta, options.replicates)
    rows = []
    for samples in options.samples:
        betas = [*options.beta, theorem5.theory_beta(instance, samples)]
        risks, cloned = theorem5.risks(
            instance, samples, betas, replicates=options.replicates, seed=options.seed
        )
        learners = [("pessimistic", beta, risk) for beta, risk in zip(betas, risks, strict=True)]
        rows += [
            {
                "learner": learner,
                "samples": samples,
                "beta": beta,
                "is_theory_beta": index == len(options.beta),
                "risk": risk.estimate,
                "risk_stderr": risk.stderr,
                "bound": theorem5.bound(instance, samples),
            }
            for index, (learner, beta, risk) in enumerate(
                [*learners, ("behaviour_cloning", float("nan"), cloned)]
            )
        ]
    last = [row for row in rows if row["samples"] == options.samples[-1]]
    headline = {
        "samples": options.samples[-1],
        "policies": instance.policies,
        "coverage_expert": instance.coverage,
        "coverage_base_class": instance.coverage_class,
        "coverage_base_best": instance.coverage_best,
        "risk_behaviour_cloning": last[-1]["risk"],
        "risk_theory_beta": next(row["risk"] for row in last if row["is_theory_beta"]),
        "risk_first_beta": last[0]["risk"],
        "bound": last[0]["bound"],
    }
    finish(rows, Theorem5Table, options, headline)


if __name__ == "__main__":
    main(run, Options, __doc__)
