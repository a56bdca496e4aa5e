"""Risk of offline and online learners on Theorem 1's hard instance: exact and by Monte Carlo.

    theory_theorem1.py --contexts 8 --coverage 16 --samples 400 --replicates 20000 --seed 1 \\
        --out FILE

Several values of a parameter sweep it, with the others at their first value; the last line tells of
the first values. ipw_log is Equation 6 with f = log, clipped at --log-floor and not shifted;
ipw_log_shifted shifts it, so that f is never negative.
"""

import argparse

from online_il.program.cli import main, parser
from online_il.theory import theorem1
from online_il.theory.tables import Theorem1Table, add_output, finish
from online_il.theory.theorem1 import HardInstance, OfflineRisk

SWEPT = ("contexts", "coverage", "samples")


def planned(options: argparse.Namespace) -> list[tuple[str, HardInstance]]:
    """List the centre, then the instances of each sweep, the centre among them."""
    centre = HardInstance(options.contexts[0], options.coverage[0], options.samples[0])
    found = [("centre", centre)]
    for name in SWEPT:
        values = getattr(options, name)
        found += [(name, centre._replace(**{name: v})) for v in sorted(values) if len(values) > 1]
    return found


def run(options: argparse.Namespace) -> None:
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
    arguments = parser(__doc__)
    arguments.add_argument("--contexts", type=int, nargs="+", required=True, help="l; K = 2^l")
    arguments.add_argument("--coverage", type=float, nargs="+", required=True, help="C, at least 1")
    arguments.add_argument("--samples", type=int, nargs="+", required=True, help="N, at least 1")
    arguments.add_argument("--zeta", type=float, help="mass of a light context; C / N if left out")
    arguments.add_argument("--replicates", type=int, default=20_000, help="data sets an instance")
    arguments.add_argument("--seed", type=int, default=1, help="seed of the data sets")
    arguments.add_argument("--log-floor", type=float, default=1e-6, help="clip of the density")
    add_output(arguments)
    main(run, arguments)
