"""The ways in which the runs of a task imitate one mixture, and which of them figures show.

An arm is a way to imitate (`Way`) from one start; of runs that differ in something else, such as
their learning rate, the first one of the config stands for the arm.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from online_il.config.mixture import MixtureExpert
from online_il.config.run import BASE, Run
from online_il.config.tasks import Task


class Way(NamedTuple):
    """How a run imitates: its method and those settings of it that say what is learned."""

    method: str
    divergence: str | None = None
    prefixes: str | None = None
    level: str | None = None
    filter: str | None = None


SFT = Way("sft", filter="none")
ON_POLICY = Way("distill", "reverse", "own", "token")
"""On-policy distillation as everyone runs it."""
RESPONSE = ON_POLICY._replace(level="response")
CELLS = (
    SFT,
    Way("distill", "forward", "expert", "token"),
    Way("distill", "reverse", "expert", "token"),
    Way("distill", "forward", "own", "token"),
    ON_POLICY,
    RESPONSE,
)
"""The ways that Figure 7 crosses: whose prefixes, and which direction of the KL."""


def way_of(task: Task, run: Run) -> Way:
    """Say how a run imitates."""
    settings = task.settings_of(run)
    return Way(run.method, *(getattr(settings, key, None) for key in Way._fields[1:]))


def main_mixture(task: Task) -> MixtureExpert | None:
    """Find the mixture that is imitated in the most ways, the first of several; None without."""
    ways = {
        mixture.name: {way_of(task, run) for run in _students(task, mixture.name)}
        for mixture in task.mixtures
        if mixture.learnable is not None
    }
    imitated = [mixture for mixture in task.mixtures if ways.get(mixture.name)]
    return max(imitated, key=lambda mixture: len(ways[mixture.name]), default=None)


def figure5(task: Task) -> list[str]:
    """List the students of the main mixture and of its learnable part, all from the base."""
    main = main_mixture(task)
    if main is None or main.learnable is None:
        return []
    experts = (main.name, main.learnable)
    runs = [run for name in experts for run in _students(task, name) if run.start == BASE]
    return _arms(task, runs)


def figure6(task: Task) -> list[str]:
    """List what learned in the same way, as long, from mixtures that differ in weights alone.

    A way is shown that was tried at two coverages at least.
    """
    main = main_mixture(task)
    if main is None:
        return []
    alike = [mixture for mixture in task.mixtures if _parts(mixture) == _parts(main)]
    runs = [run for one in alike for run in _students(task, one.name) if run.start == BASE]
    steps: dict[Way, int] = {}
    for run in (run for run in runs if run.expert == main.name):
        steps.setdefault(way_of(task, run), run.steps)
    runs = [run for run in runs if steps.get(way_of(task, run)) == run.steps]
    experts: dict[Way, set[str | None]] = {}
    for run in runs:
        experts.setdefault(way_of(task, run), set()).add(run.expert)
    return _arms(task, (run for run in runs if len(experts[way_of(task, run)]) > 1))


def figure7(task: Task) -> list[str]:
    """List the students of the main mixture that are a cell of prefixes and direction.

    All learn from the expert's shared demonstrations, or from none.
    """
    main = main_mixture(task)
    runs = [run for run in _students(task, main.name) if not run.demonstrations] if main else []
    return _arms(task, (run for run in runs if way_of(task, run) in CELLS))


FIGURES: dict[str, Callable[[Task], list[str]]] = {
    "figure5": figure5,
    "figure6": figure6,
    "figure7": figure7,
}
"""By figure of mixtures, the students that it shows; none where a study has nothing for it."""


def measured_for(task: Task, students: list[str]) -> set[str]:
    """Name all policies whose accuracies such a figure shows: students, experts and starts."""
    runs = {run.name: run for run in task.runs}
    mixtures = {mixture.name: mixture for mixture in task.mixtures}
    found = {BASE, *students}
    for student in (runs[name] for name in students):
        found.add(student.begins[0])
        if student.expert in mixtures:
            found |= {student.expert, mixtures[student.expert].learnable or BASE}
        elif student.expert in runs:
            found.add(student.expert)
    return {name for name in found if name == BASE or name in runs or name in mixtures}


def _students(task: Task, expert: str) -> list[Run]:
    return [run for run in task.runs if ("expert",) in run.made_of and run.expert == expert]


def _parts(mixture: MixtureExpert) -> tuple[object, ...]:
    """Say what a mixture is, but for the weights of its parts."""
    own = mixture.model_dump(exclude={"name", "parts"})
    return (sorted(mixture.parts), *own.values())


def _arms(task: Task, runs: Iterable[Run]) -> list[str]:
    """Keep one run an arm: the first of each expert, way and start."""
    arms: dict[tuple[str | None, Way, str], str] = {}
    for run in runs:
        arms.setdefault((run.expert, way_of(task, run), run.start), run.name)
    return list(arms.values())
