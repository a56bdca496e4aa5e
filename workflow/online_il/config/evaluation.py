"""Settings of the evaluation."""

from typing import Annotated

from pydantic import Field

from online_il.config.sampling import Sampling
from online_il.config.settings import Settings


class Evaluation(Settings):
    """How every checkpoint is evaluated."""

    samples_per_prompt: int = Field(gt=0, description="Responses a prompt.")
    responses: dict[str, Annotated[int, Field(gt=0)]] = Field(
        {}, description="Responses a prompt on single benchmarks, in place of samples_per_prompt."
    )
    seed: int = Field(ge=0, description="Seed of the evaluation's samples, equal for all policies.")
    policy: Sampling = Field(description="Sampling of the policy itself.")
    paper: Sampling | None = Field(
        None, description="The paper's validation sampling (Table 2); not used when left out."
    )
