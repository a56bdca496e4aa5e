"""Settings of the plan: what is assumed of GPUs, models and lengths to say what a study costs."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from online_il.benchmarks import WITH_EXAMPLES
from online_il.config.partial import if_known, named, names_of, readable, spared
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
        None, gt=0, description="A row that the base is trained on."
    )


class Gpu(Settings):
    """What is assumed of one GPU."""

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


class Plan(Gpu):
    """What the planner assumes; nothing that is trained or measured follows from it."""

    device: Literal["GPU", "core"] = Field(
        "GPU",
        description="What works: a GPU, or a core of a CPU, of which a job has as many as threads. "
        "What is said here of a GPU is then said of a core.",
    )
    other_gpus: list[Gpu] = Field(
        [], description="GPUs for which the plan is priced, too: the same study on each of them."
    )
    tokens: dict[str, TaskTokens] = Field(description="Mean lengths, by name of the task.")
    models: dict[str, ModelShape] = Field(
        {}, description="Shapes of models by repo, package or folder, for when they are not here."
    )
    tasks: list[str] | None = Field(
        None, min_length=1, description="Tasks to plan for; all when left out."
    )
    seeds: list[int] | None = Field(
        None, min_length=1, description="Seeds to plan for; all when left out."
    )

    def on(self, other: Gpu) -> "Plan":
        """Give the same plan for another GPU."""
        return self.model_copy(update=other.model_dump())

    @property
    def hours(self) -> str:
        """Name the unit of work."""
        return f"{self.device}-hours"

    def problems_among(self, tasks: list[Task]) -> Iterator[Problem]:
        """Tell what is wrong between the plan and the study's tasks."""
        yield from self._name_problems(tasks)
        yield from self._seed_problems(tasks)
        for _, task in readable(tasks):
            yield from self._finetuning_problems(task)
            yield from self._length_problems(task)

    def _name_problems(self, tasks: list[Task]) -> Iterator[Problem]:
        """Tell of names that no task has.

        A study has the lengths of all tasks of the one that it extends; they are told only where a
        task lacks its own, whose name may be misspelt there.
        """
        listed = if_known(self, "tokens") or {}
        complete = {name for _, task in readable(tasks) if (name := if_known(task, "name"))} <= {
            *listed
        }
        for name in [] if complete else listed:
            yield from _unnamed(("tokens", name), name, tasks)
        for index, name in readable(if_known(self, "tasks") or []):
            yield from _unnamed(("tasks", index), name, tasks)

    @spared
    def _seed_problems(self, tasks: list[Task]) -> Iterator[Problem]:
        seeds = sorted({seed for task in tasks for seed in task.seeds})
        for index, seed in readable(self.seeds or []):
            if seed not in seeds:
                there = f"there are: {', '.join(map(str, seeds))}"
                yield Problem(("seeds", index), seed, "no task has this seed", there)

    @spared
    def _length_problems(self, task: Task) -> Iterator[Problem]:
        """Tell of lengths that the plan needs of a task and does not have."""
        if task.name not in self.tokens:
            message = "the lengths of this task are missing"
            yield Problem(("tokens", task.name), ABSENT, message, "add prompt and response")
            return
        long = [name for _, name in readable(task.benchmarks) if name in WITH_EXAMPLES]
        if long and self.tokens[task.name].choice_tokens is None:
            yield _lacking(task, "choice_tokens", f"the task is evaluated on {', '.join(long)}")

    @spared
    def _finetuning_problems(self, task: Task) -> Iterator[Problem]:
        missing = task.name in self.tokens and self.tokens[task.name].finetuning_tokens is None
        if missing and task.finetuning:
            yield _lacking(task, "finetuning_tokens", "the task's base is fine-tuned")


def _lacking(task: Task, key: str, reason: str) -> Problem:
    message = f"{reason}, so the plan needs this length"
    return Problem(("tokens", task.name, key), ABSENT, message, "add it")


@spared
def _unnamed(keys: Keys, name: str, tasks: list[Task]) -> Iterator[Problem]:
    if named(tasks, name) is None:
        yield unknown(keys, name, "no task has this name", names_of(tasks))
