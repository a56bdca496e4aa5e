"""Theorem 2's bound against the true worst risk, on three finite classes.

The paper's two Gaussian classes, discretised, with f = log pi^e, and all policies of Theorem 1's
instance with f = pi^e. Each with alpha from the best fit and with ten times that.
"""

import math

from pydantic import Field

from online_il.program.cli import main
from online_il.theory import gaussian, theorem2
from online_il.theory.checks import at_least
from online_il.theory.tables import Theorem2Table, TheoryOptions, finish
from online_il.theory.theorem1 import HardInstance

EXPERT = [-2.0, 2.0]  # Figure 4.
CLASSES = {"gaussian A": [0.0, 1.0], "gaussian B": [1.0, 1.0]}


class Options(TheoryOptions):
    epsilon: list[float] = Field(description="suboptimality")
    students: int = Field(81, description="students of a Gaussian class")
    reach: float = Field(4.0, description="their means reach this far")
    cells: int = Field(81, description="cells an axis of the actions")
    contexts: int = Field(8, description="l of the hard instance")
    coverage: float = Field(16.0, description="C of the hard instance")
    samples: int = Field(400, description="N, which sets zeta = C / N")


def instances(options: Options) -> dict[str, theorem2.FiniteClass]:
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


def run(options: Options) -> None:
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
    main(run, Options, __doc__)
