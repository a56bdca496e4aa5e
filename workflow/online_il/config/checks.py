"""What no single settings class can see: checks that span several keys of a study.

They read the raw mapping, not the classes, so that a broken part hides no problem elsewhere.
"""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from online_il.config.checks_miniature import data_problems, length_problems
from online_il.config.reading import (
    ABSENT,
    Keys,
    Problem,
    Rows,
    integer,
    ints,
    rows_of,
    text,
    texts,
    value_at,
)

LARGEST_SEED = 2**32 - 1  # NumPy's, which the trainers seed.


def problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that is wrong between the keys of a study."""
    yield from _method_problems(raw)
    tasks = rows_of(raw, "tasks")
    names = Counter(texts(tasks, "name"))
    methods_of: dict[str, set[str]] = {}
    for index, task in tasks:
        here: Keys = ("tasks", index)
        if names[text(task, "name")] > 1:
            value = task["name"]
            yield Problem((*here, "name"), value, "two tasks have this name", "keep one of them")
        yield from _task_problems(task, here)
        yield from _run_problems(task, here)
        yield from data_problems(task, here)
        yield from length_problems(raw, task, here)
        for _, run in rows_of(task, "runs"):
            if text(run, "name") and text(run, "method"):
                methods_of.setdefault(run["name"], set()).add(run["method"])
    yield from _discrepancy_problems(raw, tasks)
    for index, task in tasks:
        for row, run in rows_of(task, "runs"):
            methods = methods_of.get(text(run, "name"), set())
            if len(tasks) > 1 and len(methods) > 1:
                yield Problem(
                    ("tasks", index, "runs", row, "name"),
                    run["name"],
                    f"runs of this name use different methods: {', '.join(sorted(methods))}",
                    "figures compare runs by name across tasks, so rename one",
                )


def booleans(raw: object) -> Iterator[tuple[Keys, bool]]:
    """Where the raw mapping holds true or false; without recursion, for it may hold itself."""
    pending: list[tuple[Keys, object]] = [((), raw)]
    visited: set[int] = set()
    while pending:
        keys, value = pending.pop()
        if isinstance(value, bool):
            yield keys, value
        elif isinstance(value, dict | list | set) and id(value) not in visited:
            visited.add(id(value))
            items = value.items() if isinstance(value, dict) else enumerate(value)
            pending += [((*keys, key), item) for key, item in items]


def _method_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    grpo = ("methods", "grpo")
    prompts = integer(raw, *grpo, "prompts_per_step")
    responses = integer(raw, *grpo, "rollouts_per_prompt")
    updates = integer(raw, *grpo, "updates_per_step")
    if prompts and responses and updates:
        rollouts = prompts * responses
        if rollouts % updates:
            yield Problem(
                (*grpo, "updates_per_step"),
                updates,
                f"a step has {prompts} * {responses} = {rollouts} rollouts, which {updates} "
                "updates cannot share",
                f"choose a divisor of {rollouts}",
            )
        else:
            yield from _division_problems(value_at(raw, *grpo), rollouts // updates, grpo)
    for method in ("sft", "distill"):
        settings = value_at(raw, "methods", method)
        batch = integer(settings, "batch_size")
        yield from _division_problems(settings, batch, ("methods", method))
    for method in ("grpo", "sft", "distill"):
        yield from _list_problems(raw, method)


def _division_problems(settings: object, batch: int | None, at: Keys) -> Iterator[Problem]:
    """An update is cut into micro-batches of one size."""
    micro = integer(settings, "micro_batch_size")
    if batch and micro and batch % micro:
        yield Problem(
            (*at, "micro_batch_size"),
            micro,
            f"an update has {batch} sequences, which do not divide into {micro}s",
            f"choose a divisor of {batch}",
        )


def _list_problems(raw: Mapping[str, Any], method: str) -> Iterator[Problem]:
    """The checkpoints of a method: some run that follows the list must reach each."""
    listed = ints(raw, "methods", method, "checkpoints") or []
    at = ("methods", method, "checkpoints")
    yield from _repeated(listed, at)
    followers = [
        integer(run, "steps")
        for _, task in rows_of(raw, "tasks")
        for _, run in rows_of(task, "runs")
        if text(run, "method") == method and run.get("checkpoints") is None
    ]
    steps = [step for step in followers if step is not None]
    # A run whose steps cannot be read may be the one that reaches them.
    longest = max(steps) if steps and len(steps) == len(followers) else None
    yield from _checkpoint_problems(listed, longest, f"the longest {method} run", at)


def _checkpoint_problems(
    listed: list[int], last: int | None, what: str, at: Keys
) -> Iterator[Problem]:
    early = [step for step in listed if step < 1]
    late = [step for step in listed if last is not None and step > last]
    if early:
        yield Problem(at, early, "steps count from 1", "drop these checkpoints")
    if late:
        message = f"{what} ends at step {last} and never reaches these"
        yield Problem(at, late, message, "raise its steps or drop these checkpoints")


def _repeated(listed: list[Any], at: Keys) -> Iterator[Problem]:
    for index, value in enumerate(listed):
        if value in listed[:index]:
            yield Problem((*at, index), value, "this is listed twice", "keep one of them")


def _task_problems(task: dict[str, Any], here: Keys) -> Iterator[Problem]:
    yield from _seed_list_problems(ints(task, "seeds") or [], (*here, "seeds"))
    benchmarks = value_at(task, "benchmarks")
    if isinstance(benchmarks, list):
        yield from _repeated(benchmarks, (*here, "benchmarks"))
    base = value_at(task, "base")
    yield from _division_problems(base, integer(base, "batch_size"), (*here, "base"))
    width = integer(base, "architecture", "head_dim")
    if width and width % 2:
        yield Problem(
            (*here, "base", "architecture", "head_dim"),
            width,
            "rotary positions turn the dimensions of a head in pairs",
            "choose an even number",
        )


def _discrepancy_problems(raw: Mapping[str, Any], tasks: Rows) -> Iterator[Problem]:
    """The responses that are compared must be sampled in every task."""
    benchmark = text(value_at(raw, "discrepancy"), "benchmark")
    for _, task in tasks:
        listed = value_at(task, "benchmarks")
        if benchmark and isinstance(listed, list) and benchmark not in listed:
            yield Problem(
                ("discrepancy", "benchmark"),
                benchmark,
                f"task {text(task, 'name') or '?'} is not evaluated on it",
                "add it to the task's benchmarks, or name one of those",
            )


def _seed_list_problems(seeds: list[int], at: Keys) -> Iterator[Problem]:
    yield from _repeated(seeds, at)
    for index, seed in enumerate(seeds):
        if not 0 <= seed <= LARGEST_SEED:
            remedy = f"choose one from 0 to {LARGEST_SEED}"
            yield Problem((*at, index), seed, "this is no seed", remedy)


def _run_problems(task: dict[str, Any], here: Keys) -> Iterator[Problem]:
    runs, experts = rows_of(task, "runs"), rows_of(task, "experts")
    names = Counter(texts(runs, "name") + texts(experts, "name"))
    for key, rows in (("runs", runs), ("experts", experts)):
        for index, row in rows:
            name = text(row, "name")
            if names[name] > 1 or name == "base":
                yield Problem(
                    (*here, key, index, "name"),
                    name,
                    "'base' is the name of the base model"
                    if name == "base"
                    else "another run or expert of this task has this name",
                    "choose another name",
                )
    for index, run in runs:
        at: Keys = (*here, "runs", index)
        yield from _expert_problems(run, at, runs, experts)
        yield from _seed_problems(task, run, at, runs)
        checkpoints = ints(run, "checkpoints") or []
        yield from _repeated(checkpoints, (*at, "checkpoints"))
        last = integer(run, "steps")
        yield from _checkpoint_problems(checkpoints, last, "this run", (*at, "checkpoints"))
    yield from _cycle_problems(runs, here)


def _expert_problems(run: dict[str, Any], at: Keys, runs: Rows, experts: Rows) -> Iterator[Problem]:
    method, value, expert = text(run, "method"), value_at(run, "expert"), text(run, "expert")
    at = (*at, "expert")
    trained, others = {"base", *texts(runs, "name")}, set(texts(experts, "name"))
    there_are = f"there are: {', '.join(sorted(trained | others))}"
    if method == "grpo":
        if value is not ABSENT and value is not None:
            yield Problem(at, value, "grpo learns from the reward, not from an expert", "remove it")
    elif method not in ("sft", "distill"):
        return
    elif value is ABSENT or value is None:
        yield Problem(at, value, f"{method} needs an expert to imitate", f"name one ({there_are})")
    elif expert and expert not in trained | others:
        close = difflib.get_close_matches(expert, sorted(trained | others), 1)
        hint = f"did you mean '{close[0]}'? ({there_are})" if close else there_are
        yield Problem(at, value, "no run or expert has this name", hint)
    elif method == "distill" and expert and expert not in trained:
        yield Problem(
            at,
            value,
            "distill reads the expert's next-token probabilities, and this one has no weights",
            "name a run, or use sft",
        )


def _seed_problems(
    task: dict[str, Any], run: dict[str, Any], at: Keys, runs: Rows
) -> Iterator[Problem]:
    """A run of seed k imitates the expert of seed k."""
    at = (*at, "seeds")
    own, shared = ints(run, "seeds"), ints(task, "seeds")
    yield from _seed_list_problems(own or [], at)
    foreign = [seed for seed in own or [] if shared and seed not in shared]
    if foreign:
        yield Problem(
            at,
            own,
            f"the task has no seed {', '.join(map(str, foreign))}",
            f"add to the task's seeds ({shared}) or remove here",
        )
    for _, other in runs:
        theirs = ints(other, "seeds") or shared or []
        imitated = text(run, "expert") == text(other, "name") != ""
        missing = [s for s in own or shared or [] if s not in [*theirs, *foreign]]
        if imitated and missing and text(run, "method") != "grpo":
            yield Problem(
                at,
                ABSENT if own is None else own,
                f"its expert '{other['name']}' has no seed {', '.join(map(str, missing))}",
                f"keep to the expert's seeds ({theirs}), or give the expert more",
            )


def _cycle_problems(runs: Rows, here: Keys) -> Iterator[Problem]:
    students = [(index, run) for index, run in runs if text(run, "method") != "grpo"]
    parent = {text(run, "name"): text(run, "expert") for _, run in students}
    for index, run in students:
        name, seen = text(run, "name"), set[str]()
        above = text(run, "expert")
        while above in parent and above not in seen and above != name:
            seen.add(above)
            above = parent[above]
        if name and above == name:
            yield Problem(
                (*here, "runs", index, "expert"),
                run["expert"],
                "the run imitates itself in the end",
                "let one of the runs imitate something else",
            )
