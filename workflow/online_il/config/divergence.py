"""Settings of what is measured between a student and the probabilities of its expert."""

from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field

from online_il.benchmarks import FORGETTING
from online_il.config.problem import Problem, repetitions, unknown
from online_il.config.run import BASE, Run
from online_il.config.settings import Settings
from online_il.config.tasks import Task
from online_il.methods import METHODS


class Divergences(Settings):
    """KLs between expert and student, what coverage bounds, and Assumption 1 (paper, 3.2, 3.3).

    Of each run that imitates the base, another run or a mixture; other experts have no
    probabilities, or are not evaluated.
    """

    benchmark: str = Field(
        description="Benchmark whose responses, one policy's own, are put before the others."
    )
    quantiles: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        min_length=1,
        description="Which quantiles of the log-ratios are reported; 1 is the largest seen.",
    )
    density_clip: float = Field(
        gt=0,
        description="Nats: a response of density exp(-density_clip) or more has the clipped "
        "density 1; of others it is the density over that one.",
    )

    def students(self, task: Task) -> list[Run]:
        """List the runs of a task that are measured."""
        if self.benchmark not in task.benchmarks:
            return []
        known = {BASE, *(run.name for run in task.runs), *(one.name for one in task.mixtures)}
        return [
            run for run in task.runs if METHODS[run.method].needs_expert and run.expert in known
        ]

    def problems(self) -> Iterator[Problem]:
        yield from repetitions(self.quantiles, ("quantiles",))

    def problems_among(self, tasks: dict[str, Task]) -> Iterator[Problem]:
        """Tell what is wrong between the measures and the study's tasks, by name."""
        keys = ("benchmark",)
        trained = [task for task in tasks.values() if task.runs]
        sampled = _sampled(trained)
        if self.benchmark in FORGETTING:
            message = "its choices are scored, and no response to it is drawn"
            yield Problem(keys, self.benchmark, message, f"name one of {', '.join(sampled)}")
        elif self.benchmark not in sampled:
            message = "no task with runs is evaluated on it"
            yield unknown(keys, self.benchmark, message, sampled)
        elif not any(self.students(task) for task in trained):
            yield Problem(
                keys,
                self.benchmark,
                "no run that is evaluated on it imitates a run, the base or a mixture",
                "add such a run, or set divergence to null",
            )
        for task in trained:
            policy = task.evaluation.policy
            plain = (policy.temperature, policy.top_k, policy.top_p)
            if self.students(task) and plain != (1.0, 0, 1.0):
                yield Problem(
                    keys,
                    self.benchmark,
                    f"task {task.name} draws responses that are not its policies' own (temperature "
                    f"{plain[0]:g}, top_k {plain[1]}, top_p {plain[2]:g})",
                    "set temperature 1, top_k 0 and top_p 1 in evaluation.policy, or divergence to "
                    "null",
                )


def _sampled(tasks: Iterable[Task]) -> list[str]:
    found = {name: None for task in tasks for name in task.benchmarks if name not in FORGETTING}
    return list(found)
