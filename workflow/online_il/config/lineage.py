"""What each policy of a task is made of: what a run starts from and imitates, what is mixed.

Names that nothing has, circles, and seeds, steps or probabilities that a policy lacks and another
one needs.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from online_il.config.bases import FurtherBase
from online_il.config.experts import Expert, Solver
from online_il.config.mixture import MixtureExpert
from online_il.config.problem import ABSENT, Keys, Problem, closest
from online_il.config.run import BASE, Run
from online_il.methods import METHODS


class Task(Protocol):
    """What is asked of a task here, whose class calls this module."""

    @property
    def seeds(self) -> list[int]:
        """Seeds of every run that has none of its own."""

    @property
    def base(self) -> Any:
        """How the base is made."""

    @property
    def bases(self) -> Sequence[FurtherBase]:
        """Bases beside it."""

    @property
    def experts(self) -> Sequence[Expert]:
        """Experts that are no runs."""

    @property
    def runs(self) -> Sequence[Run]:
        """The matrix of runs."""

    @property
    def mixtures(self) -> Sequence[MixtureExpert]:
        """List the experts that are mixtures."""

    def seeds_of(self, run: Run) -> list[int]:
        """Give the seeds of a run."""

    def settings_of(self, run: Run) -> Any:
        """Give the settings of a run, of its method's class."""

    def checkpoints_of(self, run: Run) -> list[int]:
        """List the steps of a run that are kept."""


Parents = Mapping[str, Mapping[Keys, str]]
"""By name of each run and mixture, what it is made of, by the keys that say so."""


def lineage_problems(task: Task) -> Iterator[Problem]:
    """Tell what is wrong between the runs and the experts of a task."""
    mixtures = {expert.name: expert for expert in task.mixtures}
    parents: Parents = {run.name: run.made_of for run in task.runs} | {
        name: mixture.made_of for name, mixture in mixtures.items()
    }
    for index, run in enumerate(task.runs):
        checks = (
            *(_expert_problems, _start_problems, _filter_problems),
            *(_fresh_problems, _seed_problems),
        )
        found = [problem for check in checks for problem in check(task, run)]
        for keys in _circles(run.name, parents):
            does, remedy = _CIRCLES[keys]
            found.append(Problem(keys, run.given(str(keys[0])), f"the run {does}", remedy))
        for problem in found:
            yield problem.below("runs", index)
    for index, expert in enumerate(task.experts):
        if not isinstance(expert, MixtureExpert):
            continue
        found = list(_mixture_problems(task, expert))
        for keys in _circles(expert.name, parents):
            name = expert.made_of[keys]
            if (
                name in parents and name not in mixtures
            ):  # A mixture of mixtures is refused as such.
                message = f"{name} imitates this mixture in the end, which would be made of itself"
                remedy = "name a policy that is trained without it"
                found.append(Problem(keys, _value(expert, keys), message, remedy))
        for problem in found:
            yield problem.below("experts", index)


_CIRCLES: dict[Keys, tuple[str, str]] = {
    ("expert",): (
        "imitates itself in the end",
        "let one of the runs imitate something else",
    ),
    ("start",): ("starts from itself in the end", "let one of the runs start from the base"),
}


def _circles(name: str, parents: Parents) -> Iterator[Keys]:
    """Find what leads from a policy back to it."""
    for keys, parent in parents[name].items():
        pending, reached = [parent], {parent}
        while pending:
            above = set(parents.get(pending.pop(), {}).values()) - reached
            reached |= above
            pending += above
        if name in reached:
            yield keys


# ---- runs ----


def _expert_problems(task: Task, run: Run) -> Iterator[Problem]:
    keys, given, method = ("expert",), run.given("expert"), METHODS[run.method]
    with_weights = {*_bases(task), *(one.name for one in task.runs)}
    with_weights |= {expert.name for expert in task.experts if expert.has_weights}
    known = sorted(with_weights | {expert.name for expert in task.experts})
    there_are = f"there are: {', '.join(known)}"
    if not method.needs_expert:
        if run.expert is not None:
            message = f"{run.method} learns from the reward, not from an expert"
            yield Problem(keys, given, message, "remove it")
    elif run.expert is None:
        message = f"{run.method} needs an expert to imitate"
        yield Problem(keys, given, message, f"name one ({there_are})")
    elif run.expert not in known:
        close = closest(run.expert, known)
        remedy = f"{close}({there_are})" if close else there_are
        yield Problem(keys, given, "no run or expert has this name", remedy)
    elif method.learns_from == "probabilities" and run.expert not in with_weights:
        offline = [name for name, one in METHODS.items() if one.learns_from == "samples"]
        yield Problem(
            keys,
            given,
            f"{run.method} reads the expert's next-token probabilities, and this one has no "
            "weights",
            f"name a run, or use {' or '.join(offline)}",
        )


def _start_problems(task: Task, run: Run) -> Iterator[Problem]:
    (name, step), bases = run.begins, _bases(task)
    if name in bases and step == 0:
        return
    others, is_step = {one.name: one for one in task.runs}, "@" in run.start
    published = task.checkpoints_of(others[name]) if name in others else []
    if name in bases:
        message, remedy = f"{name} is a base and has no step {step}", f"write start: {name}"
        yield Problem(("start",), run.start, message, remedy)
    elif name in others and not is_step:
        example = f", here {name}@{published[-1]}" if published else ""
        message, remedy = f"'{name}' is a run, of several steps", f"write <run>@<step>{example}"
        yield Problem(("start",), run.start, message, remedy)
    elif name not in others:
        what, known = ("run", [*others]) if is_step else ("base", bases)
        remedy = f"{closest(name, known)}there are: {', '.join(known)}; or start from "
        remedy += "the base" if is_step else "<run>@<step>"
        yield Problem(("start",), run.start, f"no {what} is named '{name}'", remedy)
    elif published and step not in published:
        yield Problem(
            ("start",),
            run.start,
            f"{name} keeps no step {step}",
            f"choose one of {', '.join(map(str, published))}, or add it to its checkpoints",
        )


def _bases(task: Task) -> list[str]:
    """Name all bases."""
    return [BASE, *(base.name for base in task.bases)]


def _filter_problems(task: Task, run: Run) -> Iterator[Problem]:
    """Tell of a filter on the learnable part of an expert that has none."""
    if getattr(task.settings_of(run), "filter", None) != "learnable" or run.expert is None:
        return
    if not any(mixture.name == run.expert and mixture.learnable for mixture in task.mixtures):
        yield Problem(
            ("filter",),
            run.given("filter"),
            f"filter learnable keeps what the learnable part of an expert gave, and '{run.expert}' "
            "has no such part",
            "set filter to none or correct, or imitate a mixture with a `learnable` part",
        )


def _fresh_problems(task: Task, run: Run) -> Iterator[Problem]:
    """Tell of demonstrations for one run alone from what is no policy here."""
    without = [expert.name for expert in task.experts if not expert.has_weights]
    if run.demonstrations and run.expert in without:
        yield Problem(
            ("demonstrations",),
            run.demonstrations,
            f"'{run.expert}' has no weights to sample more from than all its students share",
            "remove it, or imitate a run, the base, a model or a mixture",
        )


def _seed_problems(task: Task, run: Run) -> Iterator[Problem]:
    """Tell of seeds that a run's origins lack: seed k is made of those of seed k."""
    given = run.given("seeds")
    own = task.seeds_of(run)
    foreign = [seed for seed in own if seed not in task.seeds]
    if foreign:
        message = f"the task has no seed {', '.join(map(str, foreign))}"
        remedy = f"add to the task's seeds ({task.seeds}) or remove here"
        yield Problem(("seeds",), given, message, remedy)
    seeds = {other.name: task.seeds_of(other) for other in task.runs}
    needed = {
        name: f"its expert '{name}'" for keys, name in run.made_of.items() if "expert" in keys
    }
    for mixture in task.mixtures:
        if mixture.name in needed:
            made = f"its expert '{mixture.name}' is made of"
            needed |= {name: f"{made} '{name}', which" for name in mixture.made_of.values()}
    if ("start",) in run.made_of:
        name = run.made_of["start",]
        needed.setdefault(name, f"it starts from '{name}', which")
    for name, what in needed.items():
        missing = [seed for seed in own if name in seeds and seed not in [*seeds[name], *foreign]]
        if missing:
            yield Problem(
                ("seeds",),
                given,
                f"{what} has no seed {', '.join(map(str, missing))}",
                f"keep to the seeds of '{name}' ({seeds[name]}), or give it more",
            )


# ---- mixtures ----


def _mixture_problems(task: Task, mixture: MixtureExpert) -> Iterator[Problem]:
    kinds = {expert.name: expert for expert in task.experts}
    solvers = [part for part in mixture.parts if isinstance(kinds.get(part), Solver)]
    for keys, name in mixture.made_of.items():
        yield from _part_problems(task, mixture, keys, name)
    if mixture.learnable in solvers:
        yield Problem(
            ("learnable",),
            mixture.learnable,
            "no student can represent the solver, which answers before any thought",
            "name another part, or remove the key",
        )
    if solvers and mixture.fallback is None:
        yield Problem(
            ("fallback",),
            ABSENT,
            f"the part {solvers[0]} needs a policy that goes on where a response is none of its "
            "answers",
            "name a run, the base or a model; one that is also a part costs nothing",
        )
    for key in ("fallback", "smoothing"):
        value = mixture.given(key)
        if not solvers and value is not ABSENT and value is not None:
            message = "this is for a mixture with the solver, and it is none of the parts"
            yield Problem((key,), value, message, "remove it, or add the solver to the parts")
    if solvers and task.base is not None and task.base.kind != "scratch":
        yield Problem(
            ("parts", solvers[0]),
            mixture.parts[solvers[0]],
            "the solver writes the tokens of a base that is trained here, and this base is of kind "
            f"{task.base.kind}",
            "mix models, or let the base be of kind scratch",
        )
    if len(solvers) > 1:
        again = ("parts", solvers[1])
        message = f"the solver stands here twice, also as {solvers[0]}"
        yield Problem(again, _value(mixture, again), message, "keep one of the two")


def _part_problems(task: Task, mixture: MixtureExpert, keys: Keys, name: str) -> Iterator[Problem]:
    """Tell of a part or a fallback that is no policy with next-token probabilities."""
    experts = {expert.name: expert for expert in task.experts}
    trained = {*_bases(task), *(run.name for run in task.runs)}
    able = sorted(
        trained
        | {
            expert.name
            for expert in task.experts
            if (expert.has_weights and not isinstance(expert, MixtureExpert))
            or (isinstance(expert, Solver) and keys[0] == "parts")
        }
    )
    if name in able:
        return
    there_are, value = f"there are: {', '.join(able)}", _value(mixture, keys)
    if name not in experts:
        message = f"no run, model or solver is named '{name}'"
        close = closest(name, able)
        yield Problem(keys, value, message, f"{close}({there_are})" if close else there_are)
    elif isinstance(experts[name], MixtureExpert):
        message = "a mixture is made of no other"
        yield Problem(keys, value, message, f"name its parts ({there_are})")
    else:
        message = (
            "the solver knows no way to go on from what is not an answer of its own"
            if isinstance(experts[name], Solver)
            else f"'{name}' gives samples and no next-token probabilities"
        )
        yield Problem(keys, value, message, f"name another ({there_are})")


def _value(mixture: MixtureExpert, keys: Keys) -> object:
    return mixture.parts[str(keys[1])] if keys[0] == "parts" else mixture.fallback
