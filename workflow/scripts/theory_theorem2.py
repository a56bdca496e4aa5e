"""Theorem 2's bound against the true worst risk, on three finite classes.

The paper's two Gaussian classes, discretised, with f = log pi^e, and all policies of Theorem 1's
instance with f = pi^e. Each with alpha from the best fit and with ten times that.
"""

import argparse
import math

from online_il.program.cli import main, parser
from online_il.theory import gaussian, theorem2
from online_il.theory.checks import at_least
from online_il.theory.tables import Theorem2Table, add_output, finish
from online_il.theory.theorem1 import HardInstance

EXPERT = [-2.0, 2.0]  # Figure 4.
CLASSES = {"gaussian A": [0.0, 1.0], "gaussian B": [1.0, 1.0]}


def instances(options: argparse.Namespace) -> dict[str, theorem2.FiniteClass]:
    """Make the classes by name."""
    found = {
        name: theorem2.gaussian_class(
            gaussian.problem([EXPERT], None, [direction]),
            students=options.students,
            reach=options.reach,
            cells=options.cells,
        )
        for name, direction in CLASSES.items()
    }
    hard = HardInstance(options.contexts, options.coverage, options.samples)
    return found | {"hard instance": theorem2.hard_class(hard)}


def run(options: argparse.Namespace) -> None:
    at_least("students", [options.students], 2)
    at_least("cells", [options.cells], 3)
    at_least("reach", [options.reach], 0.1)
    at_least("epsilon", options.epsilon, 0)
    at_least("contexts", [options.contexts], 2)
    at_least("coverage", [options.coverage], 1)
    at_least("samples", [options.samples], 1)
    rows, headline = [], {}
    for name, bandit in instances(options).items():
        best = theorem2.best_fit(bandit)
        for fit_name, alpha in (("best", best.alpha), ("tenfold", 10 * best.alpha)):
            fit = theorem2.with_alpha(bandit, best, alpha)
            for epsilon in options.epsilon:
                rows.append(
                    {
                        "instance": name,
                        "fit": fit_name,
                        "epsilon": float(epsilon),
                        "alpha": alpha,
                        "delta": theorem2.delta(bandit, fit, epsilon),
                        "bound": theorem2.bound(bandit, fit, epsilon),
                        "worst_risk": theorem2.worst_risk(bandit, epsilon),
                        "policies": len(bandit.policies_K_X_Y),
                    }
                )
        # A bound that is infinite is null, which JSON can say.
        bound = theorem2.bound(bandit, best, options.epsilon[0])
        headline[name] = {
            "epsilon": options.epsilon[0],
            "alpha": best.alpha,
            "bound": bound if math.isfinite(bound) else None,
            "worst_risk": theorem2.worst_risk(bandit, options.epsilon[0]),
        }
    finish(rows, Theorem2Table, options, headline)


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--epsilon", type=float, nargs="+", required=True, help="suboptimality")
    arguments.add_argument("--students", type=int, default=81, help="students of a Gaussian class")
    arguments.add_argument("--reach", type=float, default=4.0, help="their means reach this far")
    arguments.add_argument("--cells", type=int, default=81, help="cells an axis of the actions")
    arguments.add_argument("--contexts", type=int, default=8, help="l of the hard instance")
    arguments.add_argument("--coverage", type=float, default=16.0, help="C of the hard instance")
    arguments.add_argument("--samples", type=int, default=400, help="N, which sets zeta = C / N")
    add_output(arguments)
    main(run, arguments)
