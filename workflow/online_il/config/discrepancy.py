"""Settings of the comparison of two models' responses (paper, Section 3.1.1)."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from online_il.config.hub import Tokenizer
from online_il.config.partial import named, names_of, readable, spared
from online_il.config.problem import Problem, unknown
from online_il.config.sampling import Sampling
from online_il.config.settings import Settings
from online_il.config.tasks import Task

Keyword = Annotated[str, Field(pattern=r"^\S+$")]


class Pair(Settings):
    """Two models that are no runs, compared on all benchmarks of a task (paper, Table 1)."""

    task: str = Field(description="The task that both answer.")
    expert: str = Field(description="One of the task's experts.")
    student: str = Field(description="Another one of them.")
    responses: int = Field(gt=0, description="Responses a prompt (D.3: 14).")
    sampling: Sampling = Field(description="How both are sampled (D.3).")
    tokenizer: Tokenizer | None = Field(
        None, description="Whose tokenizer counts both models' tokens; the student's if left out."
    )

    def problems(self) -> Iterator[Problem]:
        if self.expert == self.student:
            message = "a model is compared with itself"
            yield Problem(("student",), self.student, message, "name another")

    @spared
    def problems_among(self, tasks: list[Task]) -> Iterator[Problem]:
        """Tell what is wrong between the pair and the study's tasks."""
        task = named(tasks, self.task)
        if task is None:
            yield unknown(("task",), self.task, "no task has this name", sorted(names_of(tasks)))
            return
        for key in ("expert", "student"):
            yield from self._expert_problems(task, key)

    @spared
    def _expert_problems(self, task: Task, key: str) -> Iterator[Problem]:
        name, able = getattr(self, key), ("model", "package", "random", "endpoint")
        expert = named(task.experts, name)
        if expert is None:
            message = f"task {self.task} has no expert of this name"
            yield unknown((key,), name, message, names_of(task.experts))
        elif expert.kind not in able:
            message = f"an expert of kind {expert.kind} is not asked the benchmarks"
            yield Problem((key,), name, message, f"name one of kind {', '.join(able)}")


class Discrepancy(Settings):
    """Figure 3 and Table 1: how far apart two models' responses are."""

    benchmark: str | None = Field(
        None,
        description="Benchmark on which each task's experts and students are compared; "
        "none of them where left out.",
    )
    models: list[Pair] = Field([], description="Models outside of the runs that are compared.")
    keywords: list[Keyword] = Field(max_length=16, description="Words whose presence is compared.")
    bin_width: int = Field(gt=0, description="Width of a bin of length, tokens.")
    resamples: int = Field(ge=100, description="Permutations, and bootstrap samples, a pair.")
    seed: int = Field(ge=0, description="Seed of the resamples.")

    def problems_among(self, tasks: list[Task]) -> Iterator[Problem]:
        """Tell what is wrong between the comparison and the study's tasks."""
        yield from self._benchmark_problems(tasks)
        yield from self._pair_problems(tasks)

    @spared
    def _benchmark_problems(self, tasks: list[Task]) -> Iterator[Problem]:
        compared = [task for task in tasks if task.runs]
        evaluated = {name for task in compared for name in task.benchmarks}
        if self.benchmark is not None and compared and self.benchmark not in evaluated:
            tasks_named = ", ".join(names_of(compared)) or "(without a name)"
            yield Problem(
                ("benchmark",),
                self.benchmark,
                f"task {tasks_named} is not evaluated on it",
                "add it to the task's benchmarks, or name one of those",
            )

    @spared
    def _pair_problems(self, tasks: list[Task]) -> Iterator[Problem]:
        for index, pair in readable(self.models):
            for problem in pair.problems_among(tasks):
                yield problem.below("models", index)
