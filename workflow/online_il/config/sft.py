"""Settings of supervised fine-tuning on demonstrations."""

from collections.abc import Iterator

from pydantic import Field

from online_il.config.imitation import Filter
from online_il.config.lora import Adapter
from online_il.config.problem import Problem, indivisible
from online_il.config.schedule import Schedule
from online_il.config.settings import Settings


class Sft(Settings):
    """Supervised fine-tuning on an expert's samples (paper, Equation 3). A step is one update."""

    batch_size: int = Field(gt=0, description="Demonstrations an update.")
    micro_batch_size: int = Field(
        gt=0, description="Demonstrations a forward pass, on each device."
    )
    demonstrations: int = Field(gt=0, description="Expert samples, one a training prompt.")
    expert_temperature: float | None = Field(
        None,
        ge=0,
        exclude_if=lambda temperature: temperature is None,
        description="Temperature of the expert's samples; as the evaluation's when left out.",
    )
    filter: Filter = Field(
        "none",
        description="Which of them are learned from: all (none), those of the expert's learnable "
        "part, or the correct ones.",
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
        yield from indivisible(self.update_size, self.micro_batch_size)
