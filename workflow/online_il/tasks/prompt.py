"""A prompt of a task as the adapters of the hub's data sets make it."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from online_il.config.hub import DataSet


class Prompt(NamedTuple):
    """One row of the prompts table, before it is numbered."""

    split: str
    text: str
    answer: dict[str, Any]
    source: str
    revision: str


class Converted(NamedTuple):
    """A task's prompts, split by split, and what was counted on the way (for the log)."""

    prompts: list[Prompt]
    counts: dict[str, int]


T = TypeVar("T")


def prompt(split: str, text: str, answer: Mapping[str, Any], source: DataSet) -> Prompt:
    """Make a prompt of a data set of the hub."""
    return Prompt(split, text, dict(answer), source.repo, source.revision)


def without_tests(
    train: Iterable[T], tests: Iterable[T], identity: Callable[[T], Hashable]
) -> tuple[list[T], int]:
    """Drop training rows that are test rows: (those left, how many were dropped)."""
    known = {identity(row) for row in tests}
    rows = list(train)
    others = [row for row in rows if identity(row) not in known]
    return others, len(rows) - len(others)


def words(text: str) -> str:
    """Put one space between a text's words: two with the same words are the same problem."""
    return " ".join(text.split())
