"""Settings of the evaluation."""

from pydantic import Field

from online_il.config.sampling import Sampling
from online_il.config.settings import Settings


class Evaluation(Settings):
    """How every checkpoint is evaluated."""

    samples_per_prompt: int = Field(gt=0, description="Responses a prompt.")
    seed: int = Field(ge=0, description="Seed of the evaluation's samples, equal for all policies.")
    policy: Sampling = Field(description="Sampling of the policy itself.")
    paper: Sampling = Field(description="The paper's validation sampling (Table 2).")
