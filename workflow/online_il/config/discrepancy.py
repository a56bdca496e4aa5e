"""Settings of the comparison of two models' responses (paper, Section 3.1.1)."""

from typing import Annotated

from pydantic import Field

from online_il.config.hub import Tokenizer
from online_il.config.sampling import Sampling
from online_il.config.settings import Settings

Keyword = Annotated[str, Field(pattern=r"^\S+$")]


class Pair(Settings):
    """Two models that are no runs, compared on all benchmarks of a task (paper, Table 1)."""

    task: str = Field(description="The task that both answer.")
    expert: str = Field(description="One of the task's experts.")
    student: str = Field(description="Another one of them.")
    responses: int = Field(gt=0, description="Responses a prompt (D.3: 14).")
    sampling: Sampling = Field(description="How both are sampled (D.3).")
    tokenizer: Tokenizer | None = Field(
        None, description="Whose tokenizer counts both models' tokens; the student's if left out."
    )


class Discrepancy(Settings):
    """Figure 3 and Table 1: how far apart two models' responses are."""

    benchmark: str | None = Field(
        None,
        description="Benchmark on which each task's experts and students are compared; "
        "none of them where left out.",
    )
    models: list[Pair] = Field([], description="Models outside of the runs that are compared.")
    keywords: list[Keyword] = Field(max_length=16, description="Words whose presence is compared.")
    bin_width: int = Field(gt=0, description="Width of a bin of length, tokens.")
    resamples: int = Field(ge=100, description="Permutations, and bootstrap samples, a pair.")
    seed: int = Field(ge=0, description="Seed of the resamples.")
