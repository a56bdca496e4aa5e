"""The policies of a task by name, as far as its settings can be read; circles among them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from online_il.config.bases import FurtherBase
from online_il.config.experts import Expert
from online_il.config.lora import Lora
from online_il.config.mixture import MixtureExpert
from online_il.config.partial import Refused, Stub, if_known, named, names_of
from online_il.config.problem import Keys
from online_il.config.run import BASE, Run
from online_il.methods import METHODS


class Task(Protocol):
    """What is asked of a task here, and of its policies."""

    @property
    def seeds(self) -> list[int]:
        """Seeds of every run that has none of its own."""

    @property
    def methods(self) -> Any:
        """What all runs of a method share."""

    @property
    def evaluation(self) -> Any:
        """How checkpoints are evaluated."""

    @property
    def benchmarks(self) -> list[str]:
        """What checkpoints are evaluated on."""

    @property
    def data(self) -> Any:
        """The prompts."""

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

    def seeds_of(self, run: Run) -> list[int]:
        """Give the seeds of a run."""

    def settings_of(self, run: Run) -> Any:
        """Give the settings of a run, of its method's class."""

    def checkpoints_of(self, run: Run) -> list[int]:
        """List the steps of a run that are kept."""


def learns_from_samples(task: Task, run: Run) -> bool:
    """Say whether a run learns from responses that its expert gave before the training."""
    if METHODS[run.method].learns_from == "samples":
        return True
    return prefixes_of(task.settings_of(run)) == "expert"


def prefixes_of(settings: Any) -> str:
    """Say on whose responses a method's run learns: the expert's, or its own."""
    return getattr(settings, "prefixes", "own")


def adapter_of(settings: Any) -> Lora | None:
    """Give the adapter that a method's run trains in the place of all weights, if any."""
    return getattr(settings, "lora", None)


Parents = Mapping[str, Mapping[Keys, str]]
"""By name of each run and mixture, what it is made of, by the keys that say so."""


def listed(task: Task, *keys: str) -> list[object]:
    """List the policies that stand at some keys; where a key is refused, one without a name."""
    found: list[object] = []
    for key in keys:
        parts = if_known(task, key)
        found += [Stub(None)] if parts is None else parts
    return found


def policy_of(task: Task, name: str) -> object:
    """Find a policy by name: None of the base, and of a name that nothing has.

    Raises `Refused` where nobody can tell what the name means.
    """
    if name == BASE:
        return None
    policy = named(listed(task, "bases", "runs", "experts"), name)
    if isinstance(policy, Stub):
        raise Refused
    return policy


def bases_of(task: Task) -> list[str]:
    """Name all bases, as far as names can be read."""
    return [BASE, *names_of(if_known(task, "bases") or [])]


def parents_of(task: Task) -> Parents:
    """Say what each run and mixture is made of, as far as that can be read."""
    policies = [*(if_known(task, "runs") or []), *(if_known(task, "experts") or [])]
    return {
        name: policy.made_of
        for policy in policies
        if isinstance(policy, Run | MixtureExpert)
        and (name := if_known(policy, "name")) is not None
    }


def circles(name: str, made_of: Mapping[Keys, str], parents: Parents) -> Iterator[Keys]:
    """Find what leads from a policy, which is `made_of` others, back to it.

    Of two policies of one name `parents` knows one alone.
    """
    for keys, parent in made_of.items():
        pending, reached = [parent], {parent}
        while pending:
            above = set(parents.get(pending.pop(), {}).values()) - reached
            reached |= above
            pending += above
        if name in reached:
            yield keys
