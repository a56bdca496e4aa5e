"""Checks of the comparison of responses: is everything that it names there?"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from online_il.config.reading import Keys, Problem, Rows, rows_of, text, texts, value_at


def discrepancy_problems(raw: Mapping[str, Any], tasks: Rows) -> Iterator[Problem]:
    """The responses that are compared must be sampled somewhere."""
    settings = value_at(raw, "discrepancy")
    benchmark = text(settings, "benchmark")
    with_runs = [(index, task) for index, task in tasks if rows_of(task, "runs")]
    listed = [value_at(task, "benchmarks") for _, task in with_runs]
    lists = [names for names in listed if isinstance(names, list)]
    evaluated = [name for names in lists for name in names]
    if benchmark and lists and len(lists) == len(listed) and benchmark not in evaluated:
        yield Problem(
            ("discrepancy", "benchmark"),
            benchmark,
            f"task {', '.join(texts(with_runs, 'name')) or '?'} is not evaluated on it",
            "add it to the task's benchmarks, or name one of those",
        )
    by_name = {text(task, "name"): task for _, task in tasks}
    for index, pair in rows_of(settings, "models"):
        yield from _pair_problems(pair, by_name, ("discrepancy", "models", index))


def _pair_problems(
    pair: dict[str, Any], tasks: Mapping[str, dict[str, Any]], at: Keys
) -> Iterator[Problem]:
    name = text(pair, "task")
    if name and name not in tasks:
        yield _unknown((*at, "task"), name, "no task has this name", sorted(tasks))
        return
    experts = texts(rows_of(tasks.get(name, {}), "experts"), "name")
    for key in ("expert", "student"):
        who = text(pair, key)
        if name and who and who not in experts:
            message = f"task {name} has no expert of this name"
            yield _unknown((*at, key), who, message, experts)
    if text(pair, "expert") == text(pair, "student") != "":
        who = text(pair, "student")
        yield Problem((*at, "student"), who, "a model is compared with itself", "name another")


def _unknown(at: Keys, value: str, message: str, known: list[str]) -> Problem:
    close = difflib.get_close_matches(value, known, 1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return Problem(at, value, message, f"{hint}there are: {', '.join(known) or 'none'}")
