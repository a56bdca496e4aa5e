"""Settings of what is measured between a student and the probabilities of its expert."""

from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field

from online_il.benchmarks import SCORED
from online_il.config.mixture import MixtureExpert
from online_il.config.partial import Refused, Stub, if_known, named, readable, spared
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
        return [run for run in task.runs if self._measures(task, run)]

    def _measures(self, task: Task, run: Run) -> bool:
        """Say whether a run is measured. Raises `Refused` where that cannot be read."""
        if self.benchmark not in task.benchmarks:
            return False
        if not METHODS[run.method].needs_expert or run.expert in (None, BASE):
            return METHODS[run.method].needs_expert and run.expert == BASE
        expert = named([*task.runs, *task.experts], run.expert or "")
        if isinstance(expert, Stub):
            raise Refused
        return isinstance(expert, Run | MixtureExpert)

    def problems(self) -> Iterator[Problem]:
        yield from repetitions(if_known(self, "quantiles") or [], ("quantiles",))

    def problems_among(self, tasks: list[Task]) -> Iterator[Problem]:
        """Tell what is wrong between the measures and the study's tasks."""
        yield from self._benchmark_problems(tasks)
        for _, task in readable(tasks):
            yield from self._policy_problems(task)

    @spared
    def _benchmark_problems(self, tasks: list[Task]) -> Iterator[Problem]:
        keys, sampled = ("benchmark",), _sampled(tasks)
        if self.benchmark in SCORED:
            message = "its choices are scored, and no response to it is drawn"
            yield Problem(keys, self.benchmark, message, f"name one of {', '.join(sampled)}")
            return
        trained = [task for task in tasks if task.runs]
        if not any(self.benchmark in task.benchmarks for task in trained):
            message = "no task with runs is evaluated on it"
            yield unknown(keys, self.benchmark, message, sampled)
        elif not any(self._measures(task, run) for task in trained for run in task.runs):
            yield Problem(
                keys,
                self.benchmark,
                "no run that is evaluated on it imitates a run, the base or a mixture",
                "add such a run, or set divergence to null",
            )

    @spared
    def _policy_problems(self, task: Task) -> Iterator[Problem]:
        """Tell of responses that are drawn otherwise than from the policy itself."""
        if any(isinstance(expert, MixtureExpert) for expert in if_known(task, "experts") or []):
            return  # Told of the mixture, which is sampled so whatever is measured.
        policy = task.evaluation.policy
        plain = (policy.temperature, policy.top_k, policy.top_p)
        measured = (one for _, run in readable(task.runs) for one in self._if_measured(task, run))
        if plain != (1.0, 0, 1.0) and any(measured):
            yield Problem(
                ("benchmark",),
                self.benchmark,
                f"task {if_known(task, 'name') or '(without a name)'} draws responses that are not "
                f"its policies' own (temperature {plain[0]:g}, top_k {plain[1]}, top_p "
                f"{plain[2]:g})",
                "set temperature 1, top_k 0 and top_p 1 in evaluation.policy, or divergence to "
                "null",
            )

    @spared
    def _if_measured(self, task: Task, run: Run) -> Iterator[bool]:
        yield self._measures(task, run)


def _sampled(tasks: Iterable[Task]) -> list[str]:
    """Name the benchmarks of tasks with runs on which responses are drawn, as far as read."""
    trained = [task for task in tasks if if_known(task, "runs")]
    listed = [name for task in trained for _, name in readable(if_known(task, "benchmarks") or [])]
    return list(dict.fromkeys(name for name in listed if name not in SCORED))
