"""Settings of the evaluation."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from online_il.config.problem import Problem
from online_il.config.sampling import Sampling
from online_il.config.settings import Settings


class Evaluation(Settings):
    """How every checkpoint is evaluated."""

    samples_per_prompt: int = Field(gt=0, description="Responses a prompt.")
    responses: dict[str, Annotated[int, Field(gt=0)]] = Field(
        {}, description="Responses a prompt on single benchmarks, in place of samples_per_prompt."
    )
    samples_at_last: int | None = Field(
        None,
        gt=0,
        description="Responses a prompt at a run's last checkpoint; as at all others if left out.",
    )
    seed: int = Field(
        ge=0,
        description="Seed of the evaluation's samples. Policies of one seed share random numbers, "
        "prompt by prompt; seeds do not.",
    )
    policy: Sampling = Field(description="Sampling of the policy itself.")
    paper: Sampling | None = Field(
        None, description="The paper's validation sampling (Table 2); not used when left out."
    )
    paper_checkpoints: Literal["all", "last"] = Field(
        "all", description="Which checkpoints are evaluated by it, too: all, or a run's last."
    )

    def problems(self) -> Iterator[Problem]:
        most = max([self.samples_per_prompt, *self.responses.values()])
        if self.samples_at_last is not None and self.samples_at_last < most:
            message = f"other checkpoints have {most} responses a prompt"
            remedy = f"choose at least {most}, or remove the key"
            yield Problem(("samples_at_last",), self.samples_at_last, message, remedy)

    def count(self, benchmark: str, *, last: bool) -> int:
        """Say how many responses a prompt are drawn at a policy's last checkpoint, or before."""
        if last and self.samples_at_last:
            return self.samples_at_last
        return self.responses.get(benchmark, self.samples_per_prompt)
