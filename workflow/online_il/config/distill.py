"""Settings of on-policy distillation."""

from pydantic import Field

from online_il.config.settings import Settings


class Distill(Settings):
    """On-policy distillation, reverse KL on student samples (Equation 5). A step is one update."""

    batch_size: int = Field(gt=0, description="Prompts an update, one student response each.")
    micro_batch_size: int = Field(gt=0, description="Responses a forward pass, on each device.")
    temperature: float = Field(
        gt=0, description="Temperature of the student's samples and of both distributions."
    )
    max_new_tokens: int = Field(gt=0, description="Longest response, tokens; longer ones are cut.")
    max_prompt_tokens: int | None = Field(
        None, gt=0, description="Longest training prompt, tokens; longer ones are left out."
    )
    max_grad_norm: float = Field(gt=0, description="Gradient norm above which gradients shrink.")
    checkpoints: list[int] = Field(
        min_length=1,
        description="Steps that are kept and evaluated where a run reaches them; its last always.",
    )
