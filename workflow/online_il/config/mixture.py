"""Settings of an expert that is a mixture of policies."""

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from online_il.config.partial import if_known, spared
from online_il.config.problem import Keys, Problem
from online_il.config.settings import Settings

TOLERANCE = 1e-6
"""How far weights may sum from one, for thirds have no last digit."""
LARGEST_VOCABULARY = 8192
"""Tokens up to which TRL's loss reads a mixture: through a square of them (256 MB)."""


LEAST_WEIGHT = 1e-9
"""Of a part: with less no study samples it, and one over it is soon no number."""


class MixtureExpert(Settings):
    """A mixture of policies over whole responses, with exact next-token probabilities.

    A part that is a run is its last checkpoint of the student's seed.
    """

    has_weights: ClassVar[bool] = True
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", description="Name that runs refer to.")
    kind: Literal["mixture"] = Field(description="A mixture of policies.")
    parts: dict[str, Annotated[float, Field(ge=LEAST_WEIGHT, le=1)]] = Field(
        min_length=1,
        description="Weight of each part, by name: a run, the base, a model or the solver. They "
        "sum to 1.",
    )
    learnable: str | None = Field(
        None,
        description="The part that the student's class can represent; none when left out. One over "
        "its weight is the coverage coefficient C (paper, Section 3.2).",
    )
    smoothing: float = Field(
        0.001,
        ge=1e-9,
        lt=1,
        description="Probability that a token of the solver's is drawn evenly from all tokens.",
    )
    fallback: str | None = Field(
        None,
        description="The run, base or model that goes on where a response has left the solver's "
        "answers. One that is also a part costs nothing.",
    )
    temperature: float = Field(
        1.0,
        ge=0.01,
        le=100,
        description="Softmax temperature of the parts that are runs or models.",
    )

    @property
    def made_of(self) -> dict[Keys, str]:
        """The policies that it names, by their keys."""
        named: dict[Keys, str] = {("parts", part): part for part in if_known(self, "parts") or ()}
        fallback = if_known(self, "fallback")
        return named | ({("fallback",): fallback} if fallback else {})

    def problems(self) -> Iterator[Problem]:
        yield from self._weight_problems()
        yield from self._learnable_problems()

    @spared
    def _weight_problems(self) -> Iterator[Problem]:
        total = math.fsum(self.parts.values())
        if abs(total - 1) > TOLERANCE:
            shown = " + ".join(f"{weight:g}" for weight in self.parts.values())
            message = f"the weights sum to {total:.9g} ({shown})"
            yield Problem(("parts",), self.parts, message, "let them sum to 1")

    @spared
    def _learnable_problems(self) -> Iterator[Problem]:
        if self.learnable is not None and self.learnable not in self.parts:
            yield Problem(
                ("learnable",),
                self.learnable,
                "this is no part of the mixture",
                f"name one of its parts ({', '.join(self.parts)})",
            )
