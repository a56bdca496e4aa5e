"""Project an expert of Gaussians onto an affine class of Gaussians, both ways (Figure 4).

    theory_gaussian.py --expert-mean -2 2 --class-direction 0 1 --out FILE

Repeat --expert-mean, with --expert-weight, for a mixture, and --class-direction for a larger class.
"""

import json

from pydantic import Field

from online_il.program.cli import main
from online_il.theory import gaussian
from online_il.theory.tables import GaussianTable, TheoryOptions, finish


class Options(TheoryOptions):
    expert_mean: list[list[float]] = Field(description="mean of a component of the expert")
    expert_weight: list[float] | None = Field(None, description="its weight; equal when left out")
    class_direction: list[list[float]] = Field(description="direction of the class")
    class_point: list[float] | None = Field(
        None, description="a point of the class; the origin when left out"
    )
    reward_normal: list[float] | None = Field(
        None, description="reward 1 where normal . y >= threshold; the last axis if none"
    )
    reward_threshold: float = Field(0.0, description="that threshold")


def run(options: Options) -> None:
    problem = gaussian.problem(
        options.expert_mean,
        options.expert_weight,
        options.class_direction,
        options.class_point,
        options.reward_normal,
        options.reward_threshold,
    )
    found = {
        ("reverse_kl", "closed_form"): gaussian.reverse_projection(problem),
        ("reverse_kl", "optimisation"): gaussian.reverse_projection_by_optimisation(problem),
        ("forward_kl", "closed_form"): gaussian.forward_projection(problem),
        ("forward_kl", "optimisation"): gaussian.forward_projection_by_optimisation(problem),
    }
    rows = [
        {
            "divergence": divergence,
            "solver": solver,
            "mean": json.dumps(mean.tolist()),
            "divergence_nats": gaussian.reverse_kl(problem, mean)
            if divergence == "reverse_kl"
            else gaussian.forward_kl(problem, mean),
            "value": gaussian.value(problem, mean),
            "value_expert": gaussian.value_expert(problem),
            "total_variation": gaussian.total_variation(problem, mean),
        }
        for (divergence, solver), mean in found.items()
        if mean is not None
    ]
    # The closed form where there is one: a mixture has none for reverse KL.
    first = {row["divergence"]: row for row in reversed(rows)}
    reverse, forward = first["reverse_kl"], first["forward_kl"]
    headline = {
        "projection_reverse_kl": json.loads(reverse["mean"]),
        "projection_forward_kl": json.loads(forward["mean"]),
        "value_expert": reverse["value_expert"],
        "value_reverse_kl": reverse["value"],
        "value_forward_kl": forward["value"],
        "tv_reverse_kl": reverse["total_variation"],
        "tv_forward_kl": forward["total_variation"],
    }
    finish(rows, GaussianTable, options, headline)


if __name__ == "__main__":
    main(run, Options, __doc__)
