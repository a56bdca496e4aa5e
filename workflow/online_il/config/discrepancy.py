"""Settings of the comparison of two models' responses (paper, Section 3.1.1)."""

from typing import Annotated, Literal

from pydantic import Field

from online_il.config.settings import Settings

Keyword = Annotated[str, Field(pattern=r"^\S+$")]


class Discrepancy(Settings):
    """Figure 3 and Table 1: each expert of the study against each of its students."""

    benchmark: Literal["id", "ood"] = Field(description="Whose responses are compared.")
    keywords: list[Keyword] = Field(max_length=16, description="Words whose presence is compared.")
    bin_width: int = Field(gt=0, description="Width of a bin of length, tokens.")
    resamples: int = Field(ge=100, description="Permutations, and bootstrap samples, a pair.")
    seed: int = Field(ge=0, description="Seed of the resamples.")
