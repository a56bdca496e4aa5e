"""Settings of further test prompts, which lie in a table of their own beside a task's first."""

from pydantic import Field

from online_il.config.miniature import Bounds, Instances
from online_il.config.settings import Settings

BESIDE = {"id2": "in_distribution", "ood2": "out_of_distribution"}
"""By further benchmark: which of the data's ranges it has where it says nothing else."""


class FurtherPrompts(Settings):
    """The prompts of one further benchmark, none of which has an instance of the first table."""

    operands: list[int] | None = Field(
        None, min_length=1, description="Operand counts, drawn uniformly; as in the data without."
    )
    numbers: Bounds | None = Field(
        None, description="Smallest and largest operand; as in the data without."
    )
    answers: Bounds | None = Field(
        None, description="Smallest and largest target; as in the data without."
    )
    count: int = Field(gt=1, description="How many prompts are drawn.")
    seed: int = Field(ge=0, description="Seed of their instances.")

    def instances(self, usual: Instances) -> Instances:
        """Give their distribution: the `usual` one with the ranges that they have instead."""
        own = {key: getattr(self, key) for key in Instances.model_fields}
        return usual.model_copy(update={k: v for k, v in own.items() if v is not None})


class Further(Settings):
    """Further test prompts of a Countdown task: benchmarks for which nothing is trained again."""

    id2: FurtherPrompts | None = Field(
        None, description="More prompts in distribution: the benchmark id2."
    )
    ood2: FurtherPrompts | None = Field(
        None,
        description="More prompts out of distribution, each of which leaves the in-distribution "
        "ranges somewhere: the benchmark ood2.",
    )

    @property
    def asked(self) -> dict[str, FurtherPrompts]:
        """The benchmarks that are asked for, by name."""
        named = {name: getattr(self, name) for name in BESIDE}
        return {name: one for name, one in named.items() if one is not None}
