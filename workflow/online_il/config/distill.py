"""Settings of distillation."""

from collections.abc import Iterator

from pydantic import Field

from online_il.config.imitation import Divergence, Level, Prefixes, misfit
from online_il.config.lora import Adapter
from online_il.config.partial import spared, value_of
from online_il.config.problem import Problem, indivisible
from online_il.config.schedule import Schedule
from online_il.config.settings import Settings


class Distill(Settings):
    """Distillation: the expert's next-token distributions as targets. A step is one update.

    By default reverse KL on the student's samples, token by token (Equation 5 as everyone runs it).
    """

    divergence: Divergence = Field(
        "reverse",
        description="reverse: KL from student to expert; forward: KL from expert to student; "
        "log-density: the expert's log-density alone (Definition 3); constant: an advantage of -1 "
        "on each sample, a control without an expert.",
    )
    prefixes: Prefixes = Field(
        "own", description="Whose responses: own (sampled at each update) or the expert's."
    )
    level: Level = Field(
        "token",
        description="token: each position by itself; response: also the price of what comes after "
        "(all of Equation 5's gradient).",
    )
    responses_per_prompt: int = Field(
        1, gt=0, description="Student responses a prompt; level response needs at least 2."
    )
    batch_size: int = Field(gt=0, description="Responses an update.")
    micro_batch_size: int = Field(gt=0, description="Responses a forward pass, on each device.")
    temperature: float = Field(
        gt=0, description="Temperature of the student's samples and of both distributions."
    )
    max_new_tokens: int = Field(gt=0, description="Longest response, tokens; longer ones are cut.")
    max_prompt_tokens: int | None = Field(
        None, gt=0, description="Longest training prompt, tokens; longer ones are left out."
    )
    max_grad_norm: float = Field(gt=0, description="Gradient norm above which gradients shrink.")
    learning_rate_schedule: Schedule = "constant"
    lora: Adapter = None
    checkpoints: list[int] = Field(
        min_length=1,
        description="Steps that are kept and evaluated where a run reaches them; its last always.",
    )

    @property
    def update_size(self) -> int:
        """Sequences that one optimizer update learns from."""
        return self.batch_size

    def problems(self) -> Iterator[Problem]:
        yield from self._division_problems()
        yield from self.misfits()

    @spared
    def _division_problems(self) -> Iterator[Problem]:
        yield from indivisible(self.update_size, self.micro_batch_size)

    def misfits(self) -> Iterator[Problem]:
        """Tell of a way to imitate that does not go with the others."""
        found = misfit(
            divergence=value_of(self, "divergence"),
            prefixes=value_of(self, "prefixes"),
            level=value_of(self, "level"),
            responses_per_prompt=value_of(self, "responses_per_prompt"),
            batch_size=value_of(self, "batch_size"),
        )
        if found:
            yield Problem((found.key,), self.given(found.key), found.what, found.remedy)
