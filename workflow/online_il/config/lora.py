"""Settings of a low-rank adapter, which is trained in the place of all weights."""

from typing import Annotated, Literal

from pydantic import Field

from online_il.config.settings import Settings

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]


class Lora(Settings):
    """A low-rank adapter (LoRA; Hu et al., arXiv:2106.09685), merged where a policy is published.

    A matrix W becomes W + alpha / rank · B·A, of which only A and B are trained. A policy of this
    kind is of another class than one whose weights are all trained.
    """

    rank: int = Field(gt=0, description="Rows of A and columns of B.")
    alpha: int = Field(gt=0, description="Scale of B·A, times the rank.")
    target_modules: Literal["all-linear"] | Annotated[list[Name], Field(min_length=1)] = Field(
        "all-linear",
        description="Which matrices: all-linear (all but the output), or names such as q_proj.",
    )


Adapter = Annotated[
    Lora | None,
    # Where there is none, settings are what they were before the key was there.
    Field(
        exclude_if=lambda lora: lora is None,
        description="A low-rank adapter that is trained in the place of all weights.",
    ),
]
"""The key `lora` of a method."""
