"""Settings of the plan: what is assumed of GPUs, models and lengths to say what a study costs."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from online_il.benchmarks import WITH_EXAMPLES
from online_il.config.problem import ABSENT, Keys, Problem, unknown
from online_il.config.settings import Settings
from online_il.config.tasks import Task

Tokens = Annotated[int, Field(gt=0)]


class ModelShape(Settings):
    """The shape of a Llama, Qwen2 or Qwen3 model, as its config.json has it."""

    family: Literal["llama", "qwen2", "qwen3"] = Field(
        description="llama: plain attention; qwen2: with biases; qwen3: with normed queries, keys."
    )
    hidden: int = Field(gt=0, description="Width of the residual stream.")
    intermediate: int = Field(gt=0, description="Width of the feed-forward layers.")
    layers: int = Field(gt=0, description="Number of transformer blocks.")
    heads: int = Field(gt=0, description="Number of attention heads.")
    kv_heads: int = Field(gt=0, description="Number of heads of keys and values.")
    head_dim: int = Field(gt=0, description="Width of an attention head.")
    vocabulary: int = Field(gt=0, description="Width of the logits.")
    output: Literal["tied", "own"] = Field(
        description="tied: the embedding gives the logits; own: a matrix of its own does."
    )
    positions: int = Field(gt=0, description="Longest sequence the model has positions for.")


class TaskTokens(Settings):
    """Mean lengths in one task, tokens."""

    prompt_tokens: int = Field(gt=0, description="A prompt.")
    response_tokens: int = Field(gt=0, description="A response of a policy.")
    expert_tokens: dict[str, Tokens] = Field(
        {}, description="A response of single experts, where it has another length."
    )
    choice_tokens: int | None = Field(
        None, gt=0, description="A question scored by likelihood, with the examples before it."
    )
    finetuning_tokens: int | None = Field(
        None, gt=0, description="A row that the base is fine-tuned on."
    )


class Plan(Settings):
    """What the planner assumes; nothing that is trained or measured follows from it."""

    gpu: str = Field(min_length=1, description="Name of the GPU that is assumed.")
    gpu_memory_gib: float = Field(gt=0, description="Its memory, GiB.")
    peak_tflops: float = Field(gt=0, description="Its peak in bfloat16, dense, TFLOP/s.")
    training_mfu: float = Field(
        gt=0, le=1, description="Share of the peak that training and reading of prompts reach."
    )
    decode_tokens_per_second: float = Field(
        gt=0,
        description="Tokens that one GPU generates a second in large batches with a model of one "
        "billion parameters; a model of N billion is taken to be N times slower.",
    )
    decode_step_seconds: float = Field(
        gt=0,
        description="Shortest time between two tokens of one response, seconds: a batch of "
        "rollouts waits for its longest response.",
    )
    gpu_price: float | None = Field(
        None, ge=0, description="US dollars a GPU-hour; money for GPUs is left out without it."
    )
    tokens: dict[str, TaskTokens] = Field(description="Mean lengths, by name of the task.")
    models: dict[str, ModelShape] = Field(
        {}, description="Shapes of models of the hub, by repo, for when they are not in its cache."
    )
    tasks: list[str] | None = Field(
        None, min_length=1, description="Tasks to plan for; all when left out."
    )
    seeds: list[int] | None = Field(
        None, min_length=1, description="Seeds to plan for; all when left out."
    )

    def problems_among(self, tasks: dict[str, Task]) -> Iterator[Problem]:
        """Tell what is wrong between the plan and the study's tasks, by name."""
        named: list[tuple[Keys, str]] = [(("tokens", name), name) for name in self.tokens]
        named += [(("tasks", index), name) for index, name in enumerate(self.tasks or [])]
        for keys, name in named:
            if name not in tasks:
                yield unknown(keys, name, "no task has this name", list(tasks))
        seeds = sorted({seed for task in tasks.values() for seed in task.seeds})
        for index, seed in enumerate(self.seeds or []):
            if seed not in seeds:
                there = f"there are: {', '.join(map(str, seeds))}"
                yield Problem(("seeds", index), seed, "no task has this seed", there)
        for name, task in tasks.items():
            lengths = self.tokens.get(name)
            if lengths is None:
                message = "the lengths of this task are missing"
                yield Problem(("tokens", name), ABSENT, message, "add prompt and response")
                continue
            long = [name for name in task.benchmarks if name in WITH_EXAMPLES]
            for key, needed, reason in (
                ("finetuning_tokens", task.finetuning, "the task's base is fine-tuned"),
                ("choice_tokens", long, f"the task is evaluated on {', '.join(long)}"),
            ):
                if needed and getattr(lengths, key) is None:
                    message = f"{reason}, so the plan needs this length"
                    yield Problem(("tokens", name, key), ABSENT, message, "add it")
