"""Risk of offline and online learners on Theorem 1's hard instance: exact and by Monte Carlo.

    theory_theorem1.py --contexts 8 --coverage 16 --samples 400 --replicates 20000 --seed 1 \\
        --out FILE

Several values of a parameter sweep it, with the others at their first value; the last line tells of
the first values. ipw_log is Equation 6 with f = log, clipped at --log-floor and not shifted;
ipw_log_shifted shifts it, so that f is never negative.
"""

from pydantic import Field

from online_il.program.cli import main
from online_il.theory import theorem1
from online_il.theory.tables import Theorem1Table, TheoryOptions, finish
from online_il.theory.theorem1 import HardInstance, OfflineRisk

SWEPT = ("contexts", "coverage", "samples")


class Options(TheoryOptions):
    contexts: list[int] = Field(description="l; K = 2^l")
    coverage: list[float] = Field(description="C, at least 1")
    samples: list[int] = Field(description="N, at least 1")
    zeta: float | None = Field(None, description="mass of a light context; C / N if left out")
    replicates: int = Field(20_000, description="data sets an instance")
    seed: int = Field(1, description="seed of the data sets")
    log_floor: float = Field(1e-6, description="clip of the density")


def planned(options: Options) -> list[tuple[str, HardInstance]]:
    """List the centre, then the instances of each sweep, the centre among them."""
    centre = HardInstance(options.contexts[0], options.coverage[0], options.samples[0])
    found = [("centre", centre)]
    for name in SWEPT:
        values = getattr(options, name)
        found += [(name, centre._replace(**{name: v})) for v in sorted(values) if len(values) > 1]
    return found


def run(options: Options) -> None:
    instances = planned(options)
    for _, instance in instances:
        theorem1.check(instance, options.replicates, options.log_floor)
        theorem1.light_mass(instance, options.zeta)
    done: dict[HardInstance, dict[str, OfflineRisk]] = {}
    rows = []
    for sweep, instance in instances:
        if instance not in done:
            done[instance] = theorem1.estimate(
                instance,
                replicates=options.replicates,
                seed=options.seed,
                log_floor=options.log_floor,
                zeta=options.zeta,
            )
        rows += [
            {
                "sweep": sweep,
                "learner": learner,
                **instance._asdict(),
                "zeta": theorem1.light_mass(instance, options.zeta),
                "rate": instance.rate,
                "risk_exact": risk.exact,
                "risk": risk.estimate,
                "risk_stderr": risk.stderr,
                "ratio": risk.exact / instance.rate,
            }
            for learner, risk in done[instance].items()
        ]
    headline: dict[str, float] = {"rate": instances[0][1].rate}
    for learner, risk in done[instances[0][1]].items():
        headline[f"risk_{learner}"] = risk.estimate
        headline[f"risk_{learner}_exact"] = risk.exact
        headline[f"risk_{learner}_stderr"] = risk.stderr
    finish(rows, Theorem1Table, options, headline)


if __name__ == "__main__":
    main(run, Options, __doc__)
