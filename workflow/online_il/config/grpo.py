"""Settings of GRPO."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from online_il.config.lora import Adapter
from online_il.config.problem import Problem, indivisible
from online_il.config.schedule import Schedule
from online_il.config.settings import Settings


class Grpo(Settings):
    """GRPO (paper, Table 2). A step is one batch of rollouts, as in the paper's figures."""

    prompts_per_step: int = Field(gt=0, description="Prompts a step (Table 2: batch size).")
    rollouts_per_prompt: int = Field(gt=1, description="Responses a prompt (Table 2: generations).")
    updates_per_step: int = Field(gt=0, description="Optimizer updates a step.")
    micro_batch_size: int = Field(gt=0, description="Rollouts a forward pass, on each device.")
    kl_coefficient: float = Field(ge=0, description="Weight of the KL penalty to the base (D.1).")
    clip_ratio: float = Field(gt=0, description="PPO clipping range (Table 2).")
    entropy_coefficient: float = Field(ge=0, description="Weight of the entropy bonus (Table 2).")
    temperature: float = Field(gt=0, description="Temperature of the rollouts (Table 2).")
    max_new_tokens: int = Field(gt=0, description="Longest rollout, tokens; longer ones are cut.")
    max_prompt_tokens: int | None = Field(
        None, gt=0, description="Longest training prompt, tokens; longer ones are left out."
    )
    max_grad_norm: float = Field(gt=0, description="Gradient norm above which gradients shrink.")
    learning_rate_schedule: Schedule = "constant"
    lora: Adapter = None
    sampler_correction: Literal["none", "token", "sequence"] = Field(
        "none",
        exclude_if=lambda value: value == "none",
        description="Weights for vLLM's rounding, at most 3: none; token: each token's by how much "
        "likelier the trainer has it than vLLM; sequence: one for all tokens of a response.",
    )
    checkpoints: list[int] = Field(
        min_length=1,
        description="Steps that are kept and evaluated where a run reaches them; its last always.",
    )

    @property
    def rollouts(self) -> int:
        """Responses a step."""
        return self.prompts_per_step * self.rollouts_per_prompt

    @property
    def update_size(self) -> int:
        """Sequences that one optimizer update learns from."""
        return self.rollouts // self.updates_per_step

    def problems(self) -> Iterator[Problem]:
        if self.rollouts % self.updates_per_step:
            yield Problem(
                ("updates_per_step",),
                self.updates_per_step,
                f"a step has {self.prompts_per_step} * {self.rollouts_per_prompt} = "
                f"{self.rollouts} rollouts, which {self.updates_per_step} updates cannot share",
                f"choose a divisor of {self.rollouts}",
            )
        else:
            yield from indivisible(self.update_size, self.micro_batch_size)
