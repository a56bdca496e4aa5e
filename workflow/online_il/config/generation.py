"""Settings of what draws responses from a policy."""

from typing import Literal

from pydantic import Field

from online_il.config.settings import Settings

COLOCATED_SHARE = 0.3
"""What vLLM takes of a GPU's memory beside training where nothing tells what that leaves."""


class Generation(Settings):
    """What draws responses from a policy."""

    engine: Literal["loop", "transformers", "vllm"] = Field(
        description="loop: our decode loop (CPU, small models); transformers: generate; vllm: vLLM."
    )
    batch_size: int = Field(gt=0, description="Responses decoded side by side (vLLM: at most).")
    memory_share: float = Field(
        0.9, gt=0, le=1, description="Share of a GPU's memory that vLLM takes when it is alone."
    )
    colocated_share: float | None = Field(
        COLOCATED_SHARE,
        gt=0,
        lt=1,
        description="Share of a GPU's memory that vLLM takes beside training; null: what the "
        "plan's estimate of that training leaves, less a tenth.",
    )
    # Left out of jobs' options where it is off, so that no job of a study without it runs again.
    during_updates: Literal["awake", "asleep"] = Field(
        "awake",
        exclude_if=lambda value: value == "awake",
        description="What vLLM does beside training while weights are updated. asleep: it gives "
        "its memory back, which makes room for a larger model, and takes seconds a step.",
    )
