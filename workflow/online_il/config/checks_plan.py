"""Checks of the plan: does it name tasks and seeds of the study, and all that it must know?"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from online_il.config.reading import ABSENT, Keys, Problem, Rows, ints, text, texts, value_at


def plan_problems(raw: Mapping[str, Any], tasks: Rows) -> Iterator[Problem]:
    """What is wrong between the plan and the tasks of a study."""
    plan = value_at(raw, "plan")
    if not isinstance(plan, Mapping):
        return
    names = texts(tasks, "name")
    there_are = f"there are: {', '.join(names)}"
    chosen, lengths = value_at(plan, "tasks"), value_at(plan, "tokens")
    named: list[tuple[Keys, object]] = []
    for index, name in enumerate(chosen if isinstance(chosen, list) else []):
        named.append((("plan", "tasks", index), name))
    for name in lengths if isinstance(lengths, Mapping) else []:
        named.append((("plan", "tokens", name), name))
    for keys, name in named:
        if isinstance(name, str) and name not in names:
            close = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean '{close[0]}'? ({there_are})" if close else there_are
            yield Problem(keys, name, "no task has this name", hint)
    known = {seed for _, task in tasks for seed in ints(task, "seeds") or []}
    for index, seed in enumerate(ints(plan, "seeds") or []):
        if known and seed not in known:
            listed = ", ".join(map(str, sorted(known)))
            yield Problem(
                ("plan", "seeds", index), seed, "no task has this seed", f"there are: {listed}"
            )
    for _, task in tasks:
        name = text(task, "name")
        if not isinstance(lengths, Mapping) or not name:
            continue
        here: Keys = ("plan", "tokens", name)
        if name not in lengths:
            yield Problem(
                here, ABSENT, "the lengths of this task are missing", "add prompt and response"
            )
            continue
        if value_at(task, "base", "finetuning") not in (ABSENT, None):
            yield from _needed(lengths, here, "finetuning_tokens", "the task's base is fine-tuned")
        listed_benchmarks = value_at(task, "benchmarks")
        if isinstance(listed_benchmarks, list) and "mmlu" in listed_benchmarks:
            yield from _needed(lengths, here, "choice_tokens", "the task is evaluated on mmlu")


def _needed(lengths: object, here: Keys, key: str, reason: str) -> Iterator[Problem]:
    if value_at(lengths, str(here[-1]), key) in (ABSENT, None):
        yield Problem((*here, key), ABSENT, f"{reason}, so the plan needs this length", "add it")
