"""What no single settings class can see: checks that span several keys of a study.

They read the raw mapping, not the classes, so that a broken part hides no problem elsewhere.
"""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from online_il import benchmarks
from online_il.config.checks_methods import (
    checkpoint_problems,
    division_problems,
    method_problems,
    repeated,
)
from online_il.config.checks_miniature import data_problems, length_problems
from online_il.config.checks_models import discrepancy_problems
from online_il.config.checks_plan import plan_problems
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
WEIGHTED = ("model", "random")  # Kinds of experts that have weights.


def problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that is wrong between the keys of a study."""
    tasks = rows_of(raw, "tasks")
    yield from method_problems(raw, tasks)
    names = Counter(texts(tasks, "name"))
    methods_of: dict[str, set[str]] = {}
    for index, task in tasks:
        here: Keys = ("tasks", index)
        if names[text(task, "name")] > 1:
            value = task["name"]
            yield Problem((*here, "name"), value, "two tasks have this name", "keep one of them")
        yield from _task_problems(task, here)
        yield from _run_problems(task, here)
        if text(task, "data", "kind") == "miniature":
            yield from data_problems(task["data"], (*here, "data"))
        if text(task, "base", "kind") == "scratch":
            yield from length_problems(raw, task, here)
        for _, run in rows_of(task, "runs"):
            if text(run, "name") and text(run, "method"):
                methods_of.setdefault(run["name"], set()).add(run["method"])
    yield from discrepancy_problems(raw, tasks)
    yield from plan_problems(raw, tasks)
    named = [n for _, t in tasks if isinstance(ns := t.get("benchmarks"), list) for n in ns]
    counts = value_at(raw, "evaluation", "responses")
    yield from _response_problems(counts, named, ("evaluation", "responses"))
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


def _task_problems(task: dict[str, Any], here: Keys) -> Iterator[Problem]:
    yield from _seed_list_problems(ints(task, "seeds") or [], (*here, "seeds"))
    yield from _benchmark_problems(task, here)
    base = value_at(task, "base")
    if text(base, "kind") == "scratch":
        batch = integer(base, "batch_size")
        yield from division_problems(base, batch, (*here, "base"))
    if (base is ABSENT or base is None) and rows_of(task, "runs"):
        message = "the task has runs, which start from a base"
        yield Problem((*here, "base"), base, message, "add a base, or remove the runs")
    parts: list[tuple[Keys, object]] = [(("base",), base)]
    parts += [(("experts", row), expert) for row, expert in rows_of(task, "experts")]
    for keys, part in parts:
        width = integer(part, "architecture", "head_dim")
        if width and width % 2:
            yield Problem(
                (*here, *keys, "architecture", "head_dim"),
                width,
                "rotary positions turn the dimensions of a head in pairs",
                "choose an even number",
            )
    for row, expert in rows_of(task, "experts"):
        if text(expert, "kind") == "solver" and text(task, "data", "kind") != "miniature":
            yield Problem(
                (*here, "experts", row, "kind"),
                "solver",
                "the exact solver answers the miniature's prompts alone",
                "use an endpoint or a model, or data of kind miniature",
            )


def _benchmark_problems(task: dict[str, Any], here: Keys) -> Iterator[Problem]:
    names = value_at(task, "benchmarks")
    listed: list[Any] = names if isinstance(names, list) else []
    yield from repeated(listed, (*here, "benchmarks"))
    known = benchmarks.OF_DATA.get(text(task, "data", "kind"))
    for index, name in enumerate(listed):
        if known and isinstance(name, str) and name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            yield Problem(
                (*here, "benchmarks", index),
                name,
                "the task's data have no such benchmark",
                f"{hint}there are: {', '.join(known)}",
            )
    counts = value_at(task, "evaluation", "responses")
    yield from _response_problems(counts, listed, (*here, "evaluation", "responses"))


def _response_problems(counts: object, named: list[Any], at: Keys) -> Iterator[Problem]:
    """Counts of responses are for benchmarks that something is evaluated on."""
    for name, count in counts.items() if isinstance(counts, dict) else ():
        if name not in named:
            yield Problem(
                (*at, name),
                count,
                "nothing is evaluated on this benchmark",
                "remove it, or add it to the benchmarks",
            )


def _seed_list_problems(seeds: list[int], at: Keys) -> Iterator[Problem]:
    yield from repeated(seeds, at)
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
        yield from repeated(checkpoints, (*at, "checkpoints"))
        last = integer(run, "steps")
        yield from checkpoint_problems(checkpoints, last, "this run", (*at, "checkpoints"))
    yield from _cycle_problems(runs, here)


def _expert_problems(run: dict[str, Any], at: Keys, runs: Rows, experts: Rows) -> Iterator[Problem]:
    method, value, expert = text(run, "method"), value_at(run, "expert"), text(run, "expert")
    at = (*at, "expert")
    weighted = [(row, other) for row, other in experts if text(other, "kind") in WEIGHTED]
    trained = {"base", *texts(runs, "name"), *texts(weighted, "name")}
    others = set(texts(experts, "name")) - trained
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
