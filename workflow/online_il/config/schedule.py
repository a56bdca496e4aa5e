"""How a learning rate changes during a training."""

from typing import Annotated, Literal

from pydantic import Field

Schedule = Annotated[
    Literal["constant", "linear", "cosine"],
    # Where it is constant, settings are what they were before the key was there.
    Field(
        exclude_if=lambda schedule: schedule == "constant",
        description="What the learning rate does: constant; linear or cosine: it falls to 0 at the "
        "last update in a line, or in half a cosine.",
    ),
]
"""The key `learning_rate_schedule` of a method."""
