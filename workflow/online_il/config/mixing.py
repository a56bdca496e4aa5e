"""What a mixture of policies can be made of: parts with probabilities, and the solver's needs.

Each check ends where it needs what a class refuses (`partial.spared`).
"""

from collections.abc import Iterator

from online_il.benchmarks import SCORED
from online_il.config.experts import Solver
from online_il.config.mixture import MixtureExpert
from online_il.config.partial import if_known, names_of, spared
from online_il.config.policies import Task, circles, listed, parents_of, policy_of
from online_il.config.problem import ABSENT, Keys, Problem, closest
from online_il.config.run import BASE


def mixture_problems(task: Task, mixture: MixtureExpert) -> Iterator[Problem]:
    """Tell what is wrong between a mixture and the other policies of its task."""
    for keys, name in mixture.made_of.items():
        yield from _part_problems(task, mixture, keys, name)
    yield from _learnable_problems(task, mixture)
    yield from _fallback_problems(task, mixture)
    for key in ("fallback", "smoothing"):
        yield from _needless_problems(task, mixture, key)
    yield from _solver_problems(task, mixture)
    yield from _twice_problems(task, mixture)
    yield from _mixed_circle_problems(task, mixture)


PLAIN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
"""Sampling from a policy itself; what else would make of a mixture's tokens is no mixture."""


def sampling_problems(task: Task) -> Iterator[Problem]:
    """Tell of what a task evaluates and samples its policies by, and no mixture can be."""
    mixtures = [one for one in listed(task, "experts") if isinstance(one, MixtureExpert)]
    if mixtures:
        name = if_known(mixtures[0], "name") or "(without a name)"
        for key, plain in PLAIN.items():
            yield from _plain_problems(task, name, key, plain)
        yield from _unsampled_problems(task, name)


@spared
def _plain_problems(task: Task, name: str, key: str, plain: float) -> Iterator[Problem]:
    if (value := getattr(task.evaluation.policy, key)) != plain:
        yield Problem(
            ("evaluation", "policy", key),
            value,
            f"the mixture {name} is sampled as it is",
            f"set it to {plain:g}; a mixture's own `temperature` is that of its parts",
        )


@spared
def _unsampled_problems(task: Task, name: str) -> Iterator[Problem]:
    if all(one in SCORED for one in task.benchmarks):
        message = f"none of these is sampled, and the mixture {name} scores no choices"
        yield Problem(("benchmarks",), task.benchmarks, message, "add one that is sampled")


def _solvers(task: Task, mixture: MixtureExpert) -> list[str]:
    """List the parts that are the solver, as far as that can be read."""
    solvers = names_of([one for one in listed(task, "experts") if isinstance(one, Solver)])
    return [part for part in mixture.parts if part in solvers]


@spared
def _learnable_problems(task: Task, mixture: MixtureExpert) -> Iterator[Problem]:
    if mixture.learnable in _solvers(task, mixture):
        yield Problem(
            ("learnable",),
            mixture.learnable,
            "no student can represent the solver, which answers before any thought",
            "name another part, or remove the key",
        )


@spared
def _fallback_problems(task: Task, mixture: MixtureExpert) -> Iterator[Problem]:
    solvers = _solvers(task, mixture)
    if solvers and mixture.fallback is None:
        yield Problem(
            ("fallback",),
            ABSENT,
            f"the part {solvers[0]} needs a policy that goes on where a response is none of its "
            "answers",
            "name a run, the base or a model; one that is also a part costs nothing",
        )


@spared
def _needless_problems(task: Task, mixture: MixtureExpert, key: str) -> Iterator[Problem]:
    """Tell of what is for the solver alone, where it is surely no part."""
    value = mixture.given(key)
    if value is ABSENT or value is None:
        return
    if not any(isinstance(policy_of(task, part), Solver) for part in mixture.parts):
        message = "this is for a mixture with the solver, and it is none of the parts"
        yield Problem((key,), value, message, "remove it, or add the solver to the parts")


@spared
def _solver_problems(task: Task, mixture: MixtureExpert) -> Iterator[Problem]:
    solvers = _solvers(task, mixture)
    if not solvers or task.base is None or task.data.kind == "english":
        return
    if task.base.kind != "scratch":
        yield Problem(
            ("parts", solvers[0]),
            mixture.parts[solvers[0]],
            "the solver writes the tokens of a base that is trained here, and this base is of kind "
            f"{task.base.kind}",
            "mix models, let the base be of kind scratch, or use data of kind english",
        )


@spared
def _twice_problems(task: Task, mixture: MixtureExpert) -> Iterator[Problem]:
    solvers = _solvers(task, mixture)
    if len(solvers) > 1:
        again = ("parts", solvers[1])
        message = f"the solver stands here twice, also as {solvers[0]}"
        yield Problem(again, _value(mixture, again), message, "keep one of the two")


@spared
def _part_problems(task: Task, mixture: MixtureExpert, keys: Keys, name: str) -> Iterator[Problem]:
    """Tell of a part or a fallback that is no policy with next-token probabilities."""
    if name == BASE and task.base is None:
        message, remedy = "the task has no base", "add a base, or name another policy"
        yield Problem(keys, _value(mixture, keys), message, remedy)
        return
    if name in (BASE, *names_of(listed(task, "bases", "runs"))):
        return
    policy = policy_of(task, name)
    able = {BASE, *names_of(listed(task, "bases", "runs"))} | {
        *names_of([one for one in listed(task, "experts") if _can_be(one, keys)])
    }
    there_are, value = f"there are: {', '.join(sorted(able))}", _value(mixture, keys)
    if policy is None:
        message = f"no run, model or solver is named '{name}'"
        close = closest(name, able)
        yield Problem(keys, value, message, f"{close}({there_are})" if close else there_are)
    elif isinstance(policy, MixtureExpert):
        message = "a mixture is made of no other"
        yield Problem(keys, value, message, f"name its parts ({there_are})")
    elif not _can_be(policy, keys):
        message = (
            "the solver knows no way to go on from what is not an answer of its own"
            if isinstance(policy, Solver)
            else f"'{name}' gives samples and no next-token probabilities"
        )
        yield Problem(keys, value, message, f"name another ({there_are})")


def _can_be(expert: object, keys: Keys) -> bool:
    """Say whether an expert can be a mixture's part, or its fallback."""
    if isinstance(expert, Solver):
        return keys[0] == "parts"
    return bool(if_known(expert, "has_weights")) and not isinstance(expert, MixtureExpert)


def _value(mixture: MixtureExpert, keys: Keys) -> object:
    return mixture.parts[str(keys[1])] if keys[0] == "parts" else mixture.fallback


@spared
def _mixed_circle_problems(task: Task, mixture: MixtureExpert) -> Iterator[Problem]:
    # A mixture of mixtures is refused as such.
    runs = names_of(listed(task, "runs"))
    for keys in circles(mixture.name, mixture.made_of, parents_of(task)):
        name = mixture.made_of[keys]
        if name in runs:
            message = f"{name} imitates this mixture in the end, which would be made of itself"
            remedy = "name a policy that is trained without it"
            yield Problem(keys, _value(mixture, keys), message, remedy)
