"""Checks of the methods' settings: do batches divide, does some run reach each checkpoint?

A task may have settings of its own for a method; its runs follow those, all others the study's.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from online_il.config.reading import (
    ABSENT,
    Keys,
    Problem,
    Rows,
    integer,
    ints,
    rows_of,
    text,
    value_at,
)
from online_il.methods import METHODS


def method_problems(raw: Mapping[str, Any], tasks: Rows) -> Iterator[Problem]:
    """What is wrong with the settings that runs share, those of the study and those of tasks."""
    yield from _missing(raw, tasks)
    for method in METHODS:
        own = [(i, t) for i, t in tasks if value_at(t, "methods", method) not in (ABSENT, None)]
        others = [task for index, task in tasks if index not in dict(own)]
        devices = {_devices(raw, task, method) for task in others}
        at: Keys = ("methods", method)
        yield from _settings_problems(value_at(raw, "methods", method), method, devices, others, at)
        for index, task in own:
            place: Keys = ("tasks", index, "methods", method)
            settings = value_at(task, "methods", method)
            devices = {_devices(raw, task, method)}
            yield from _settings_problems(settings, method, devices, [task], place)
    if text(raw, "hardware") == "gpu":
        if text(raw, "generation", "engine") == "loop":
            yield Problem(
                ("generation", "engine"),
                "loop",
                "the decode loop runs on CPUs alone, and hardware is gpu",
                "set it to vllm or transformers, or hardware to cpu",
            )
        yield from _gpu_problems(raw, tasks)


def _missing(raw: Mapping[str, Any], tasks: Rows) -> Iterator[Problem]:
    """Methods and rules that some task uses and that have no settings."""
    if not isinstance(value_at(raw, "methods"), Mapping):
        return
    for name, method in METHODS.items():
        users = [
            t for _, t in tasks for _, run in rows_of(t, "runs") if text(run, "method") == name
        ]
        for part, what in (
            ("methods", f"settings of {method.label}"),
            ("resources", "what its jobs ask for"),
        ):
            absent = value_at(raw, part, name) in (ABSENT, None)
            if absent and any(value_at(task, part, name) in (ABSENT, None) for task in users):
                yield Problem((part, name), ABSENT, "a required key is missing", f"add: {what}")


def _devices(raw: Mapping[str, Any], task: dict[str, Any], rule: str) -> int:
    """How many processes train: one a GPU, and one on a CPU."""
    if text(raw, "hardware") != "gpu":
        return 1
    own = integer(task, "resources", rule, "gpu")
    return max(1, own if own is not None else integer(raw, "resources", rule, "gpu") or 1)


def _gpu_problems(raw: Mapping[str, Any], tasks: Rows) -> Iterator[Problem]:
    places: list[tuple[Keys, object]] = [((), raw)]
    places += [(("tasks", index), task) for index, task in tasks]
    for at, settings in places:
        for rule in METHODS:
            asked = integer(settings, "resources", rule, "gpu")
            if value_at(settings, "resources", rule) not in (ABSENT, None) and not asked:
                yield Problem(
                    (*at, "resources", rule, "gpu"),
                    ABSENT if asked is None else asked,
                    "hardware is gpu, and these jobs ask for none",
                    "ask for at least 1, or set hardware to cpu",
                )


def _settings_problems(
    settings: object, method: str, devices: set[int], tasks: list[dict[str, Any]], at: Keys
) -> Iterator[Problem]:
    batch = integer(settings, "batch_size")
    if method == "grpo":
        batch = None
        prompts = integer(settings, "prompts_per_step")
        responses = integer(settings, "rollouts_per_prompt")
        updates = integer(settings, "updates_per_step")
        if prompts and responses and updates:
            rollouts = prompts * responses
            if rollouts % updates:
                yield Problem(
                    (*at, "updates_per_step"),
                    updates,
                    f"a step has {prompts} * {responses} = {rollouts} rollouts, which {updates} "
                    "updates cannot share",
                    f"choose a divisor of {rollouts}",
                )
            else:
                batch = rollouts // updates
    for count in sorted(devices) or [1]:
        yield from division_problems(settings, batch, at, count)
    yield from _list_problems(settings, method, tasks, at)


def division_problems(
    settings: object, batch: int | None, at: Keys, devices: int = 1
) -> Iterator[Problem]:
    """An update is cut into micro-batches of one size, as many on each device."""
    micro = integer(settings, "micro_batch_size")
    if batch and micro and batch % (micro * devices):
        pieces = f"{micro}s" if devices == 1 else f"{micro}s on each of {devices} GPUs"
        remedy = (
            f"choose a divisor of {batch // devices}"
            if batch % devices == 0
            else f"choose a batch that {devices} GPUs divide"
        )
        yield Problem(
            (*at, "micro_batch_size"),
            micro,
            f"an update has {batch} sequences, which do not divide into {pieces}",
            remedy,
        )


def _list_problems(
    settings: object, method: str, tasks: list[dict[str, Any]], at: Keys
) -> Iterator[Problem]:
    """The checkpoints of a method: some run that follows the list must reach each."""
    listed = ints(settings, "checkpoints") or []
    at = (*at, "checkpoints")
    yield from repeated(listed, at)
    followers = [
        integer(run, "steps")
        for task in tasks
        for _, run in rows_of(task, "runs")
        if text(run, "method") == method and run.get("checkpoints") is None
    ]
    steps = [step for step in followers if step is not None]
    # A run whose steps cannot be read may be the one that reaches them.
    longest = max(steps) if steps and len(steps) == len(followers) else None
    yield from checkpoint_problems(listed, longest, f"the longest {method} run", at)


def checkpoint_problems(
    listed: list[int], last: int | None, what: str, at: Keys
) -> Iterator[Problem]:
    """Steps that no run has."""
    early = [step for step in listed if step < 1]
    late = [step for step in listed if last is not None and step > last]
    if early:
        yield Problem(at, early, "steps count from 1", "drop these checkpoints")
    if late:
        message = f"{what} ends at step {last} and never reaches these"
        yield Problem(at, late, message, "raise its steps or drop these checkpoints")


def repeated(listed: list[Any], at: Keys) -> Iterator[Problem]:
    """Values that stand in a list twice."""
    for index, value in enumerate(listed):
        if value in listed[:index]:
            yield Problem((*at, index), value, "this is listed twice", "keep one of them")
