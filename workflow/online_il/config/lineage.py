"""What each run of a task is made of: what it starts from and imitates.

Names that nothing has, circles, and seeds, steps or probabilities that a policy lacks and another
one needs. Each check ends where it needs what a class refuses (`partial.spared`), and no name is
unknown while one of a policy cannot be read.
"""

from collections.abc import Iterator

from online_il.config.mixing import mixture_problems, sampling_problems
from online_il.config.mixture import MixtureExpert
from online_il.config.partial import Refused, if_known, named, names_of, readable, spared
from online_il.config.policies import (
    Task,
    bases_of,
    circles,
    learns_from_samples,
    listed,
    parents_of,
    policy_of,
)
from online_il.config.problem import Keys, Problem, closest
from online_il.config.run import BASE, Run
from online_il.methods import METHODS


def lineage_problems(task: Task) -> Iterator[Problem]:
    """Tell what is wrong between the runs and the experts of a task."""
    for index, run in readable(if_known(task, "runs") or []):
        checks = (
            *(_expert_problems, _start_problems, _filter_problems, _fresh_problems),
            *(_temperature_problems, _foreign_problems, _seed_problems, _circle_problems),
        )
        for problem in (problem for check in checks for problem in check(task, run)):
            yield problem.below("runs", index)
    for index, expert in readable(if_known(task, "experts") or []):
        if isinstance(expert, MixtureExpert):
            for problem in mixture_problems(task, expert):
                yield problem.below("experts", index)
    yield from sampling_problems(task)


@spared
def _expert_problems(task: Task, run: Run) -> Iterator[Problem]:
    keys, given, method = ("expert",), run.given("expert"), METHODS[run.method]
    known = sorted({BASE, *names_of(listed(task, "bases", "runs", "experts"))})
    there_are = f"there are: {', '.join(known)}"
    if not method.needs_expert:
        if run.expert is not None:
            message = f"{run.method} learns from the reward, not from an expert"
            yield Problem(keys, given, message, "remove it")
    elif run.expert is None:
        message = f"{run.method} needs an expert to imitate"
        yield Problem(keys, given, message, f"name one ({there_are})")
    elif run.expert not in known:
        policy_of(task, run.expert)  # Refused where a name cannot be read.
        close = closest(run.expert, known)
        remedy = f"{close}({there_are})" if close else there_are
        yield Problem(keys, given, "no run or expert has this name", remedy)
    elif method.learns_from == "probabilities" and not _has_weights(task, run.expert):
        offline = [name for name, one in METHODS.items() if one.learns_from == "samples"]
        yield Problem(
            keys,
            given,
            f"{run.method} reads the expert's next-token probabilities, and this one has no "
            "weights",
            f"name a run, or use {' or '.join(offline)}",
        )


def _has_weights(task: Task, name: str) -> bool:
    """Say whether a policy has next-token probabilities: all have but some experts."""
    return name in names_of(listed(task, "runs")) or getattr(
        policy_of(task, name), "has_weights", True
    )


@spared
def _start_problems(task: Task, run: Run) -> Iterator[Problem]:
    (name, step), is_step = run.begins, "@" in run.start
    bases, runs = bases_of(task), names_of(listed(task, "runs"))
    if name in bases and not is_step:
        return
    kept = _kept(task, name) if name in runs else []
    if name in bases:
        message, remedy = f"{name} is a base and has no step {step}", f"write start: {name}"
        yield Problem(("start",), run.start, message, remedy)
    elif name in runs and not is_step:
        example = f", here {name}@{kept[-1]}" if kept else ""
        message, remedy = f"'{name}' is a run, of several steps", f"write <run>@<step>{example}"
        yield Problem(("start",), run.start, message, remedy)
    elif name not in runs:
        named(listed(task, "runs" if is_step else "bases"), name)  # Refused, as above.
        what, known = ("run", runs) if is_step else ("base", bases)
        remedy = f"{closest(name, known)}there are: {', '.join(known)}; or start from "
        remedy += "the base" if is_step else "<run>@<step>"
        yield Problem(("start",), run.start, f"no {what} is named '{name}'", remedy)
    elif kept and step not in kept:
        yield Problem(
            ("start",),
            run.start,
            f"{name} keeps no step {step}",
            f"choose one of {', '.join(map(str, kept))}, or add it to its checkpoints",
        )


def _kept(task: Task, name: str) -> list[int]:
    """List the steps of a run that are kept; none where that cannot be read."""
    try:
        run = named(task.runs, name)
        unset = run and run.checkpoints is None and getattr(task.methods, run.method) is None
        return task.checkpoints_of(run) if run and not unset else []
    except Refused:
        return []


@spared
def _filter_problems(task: Task, run: Run) -> Iterator[Problem]:
    """Tell of a filter on the learnable part of an expert that has none."""
    if run.expert is None or getattr(task.settings_of(run), "filter", None) != "learnable":
        return
    policy = policy_of(task, run.expert)
    if (policy or run.expert == BASE) and not getattr(policy, "learnable", None):
        yield Problem(
            ("filter",),
            run.given("filter"),
            f"filter learnable keeps what the learnable part of an expert gave, and '{run.expert}' "
            "has no such part",
            "set filter to none or correct, or imitate a mixture with a `learnable` part",
        )


@spared
def _fresh_problems(task: Task, run: Run) -> Iterator[Problem]:
    """Tell of more demonstrations for one run alone than an expert without weights shares."""
    if not run.demonstrations or not run.expert or _has_weights(task, run.expert):
        return
    if run.demonstrations > (shared := task.methods.sft.demonstrations):
        yield Problem(
            ("demonstrations",),
            run.demonstrations,
            f"'{run.expert}' has no weights to sample more from than the {shared} that all its "
            "students share",
            "lower it, raise methods.sft.demonstrations, or imitate a run, the base, a model or a "
            "mixture",
        )


@spared
def _temperature_problems(task: Task, run: Run) -> Iterator[Problem]:
    """Tell of a temperature of the expert's samples that these cannot have."""
    own = run.of_method.get("expert_temperature")
    shared = if_known(task.methods.sft, "expert_temperature")
    if own is None and (shared is None or not learns_from_samples(task, run)):
        return
    policy = policy_of(task, run.expert or "")
    if isinstance(policy, MixtureExpert):
        message = f"the mixture '{run.expert}' is sampled as it is"
        remedy = "remove it; a mixture's own `temperature` is that of its parts"
    elif own is not None and not _has_weights(task, run.expert or ""):
        message = f"'{run.expert}' has no weights to sample again from for this run alone"
        remedy = "remove it, or for all students of an endpoint set "
        remedy += "methods.sft.expert_temperature"
    else:
        return
    if own is not None:
        yield Problem(("expert_temperature",), own, message, remedy)
    elif shared != 1:
        told = f"{message}, and methods.sft.expert_temperature is {shared:g}"
        yield Problem(("expert",), run.expert, told, "write it on the runs that it is for")


@spared
def _foreign_problems(task: Task, run: Run) -> Iterator[Problem]:
    """Tell of seeds of a run that its task lacks."""
    foreign = [seed for _, seed in readable(run.seeds or []) if seed not in task.seeds]
    if foreign:
        message = f"the task has no seed {', '.join(map(str, foreign))}"
        remedy = f"add to the task's seeds ({task.seeds}) or remove here"
        yield Problem(("seeds",), run.given("seeds"), message, remedy)


def _seed_problems(task: Task, run: Run) -> Iterator[Problem]:
    """Tell of seeds that a run's origins lack: seed k is made of those of seed k."""
    made_of = run.made_of
    needed = {name: f"its expert '{name}'" for keys, name in made_of.items() if "expert" in keys}
    for _, mixture in readable(if_known(task, "experts") or []):
        name = if_known(mixture, "name")
        if isinstance(mixture, MixtureExpert) and name in needed:
            made = f"its expert '{name}' is made of"
            needed |= {part: f"{made} '{part}', which" for part in mixture.made_of.values()}
    if ("start",) in made_of:
        name = made_of["start",]
        needed.setdefault(name, f"it starts from '{name}', which")
    for name, what in needed.items():
        yield from _missing_seeds(task, run, name, what)


@spared
def _missing_seeds(task: Task, run: Run, name: str, what: str) -> Iterator[Problem]:
    origin = policy_of(task, name)
    if not isinstance(origin, Run):
        return
    theirs = task.seeds_of(origin)
    own = [seed for _, seed in readable(task.seeds_of(run)) if not run.seeds or seed in task.seeds]
    missing = [seed for seed in own if seed not in theirs]
    if missing:
        yield Problem(
            ("seeds",),
            run.given("seeds"),
            f"{what} has no seed {', '.join(map(str, missing))}",
            f"keep to the seeds of '{name}' ({theirs}), or give it more",
        )


@spared
def _circle_problems(task: Task, run: Run) -> Iterator[Problem]:
    for keys in circles(run.name, run.made_of, parents_of(task)):
        does, remedy = _CIRCLES[keys]
        yield Problem(keys, run.given(str(keys[0])), f"the run {does}", remedy)


_CIRCLES: dict[Keys, tuple[str, str]] = {
    ("expert",): (
        "imitates itself in the end",
        "let one of the runs imitate something else",
    ),
    ("start",): ("starts from itself in the end", "let one of the runs start from the base"),
}
