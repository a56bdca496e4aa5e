"""Reading single values of a raw config as the settings classes read them.

A value that the classes refuse reads as absent: they report it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

Keys = tuple[str | int, ...]
Rows = list[tuple[int, dict[str, Any]]]


class _Absent:
    """Stands for the value of a key that is not there; YAML's null is a value."""


ABSENT = _Absent()
_INT = TypeAdapter(int)
_INTS = TypeAdapter(list[int])


class Problem(NamedTuple):
    """One thing that is wrong in a config file, and what to do about it."""

    keys: Keys
    value: object
    message: str
    remedy: str


def value_at(raw: object, *keys: str) -> object:
    """The value at a path of keys, `ABSENT` where the path ends early."""
    for key in keys:
        raw = raw.get(key, ABSENT) if isinstance(raw, Mapping) else ABSENT
    return raw


def integer(raw: object, *keys: str) -> int | None:
    """The integer at a path of keys, None where there is none."""
    value = value_at(raw, *keys)
    try:
        return None if isinstance(value, bool) else _INT.validate_python(value)
    except ValidationError:
        return None


def ints(raw: object, *keys: str) -> list[int] | None:
    """The list of integers at a path of keys, None where there is none."""
    value = value_at(raw, *keys)
    if isinstance(value, list) and any(isinstance(item, bool) for item in value):
        return None
    try:
        return _INTS.validate_python(value)
    except ValidationError:
        return None


def text(raw: object, *keys: str) -> str:
    """The text at a path of keys, empty where there is none."""
    value = value_at(raw, *keys)
    return value if isinstance(value, str) else ""


def texts(rows: Rows, key: str) -> list[str]:
    """The texts at a key of several rows."""
    return [found for _, row in rows if (found := text(row, key))]


def rows_of(raw: object, *keys: str) -> Rows:
    """The mappings in a list with their indices; nothing where there is no list."""
    value = value_at(raw, *keys)
    listed = value if isinstance(value, list) else []
    return [(index, row) for index, row in enumerate(listed) if isinstance(row, dict)]


def pair(settings: object, key: str) -> tuple[int, int] | None:
    """Two integers, such as the bounds of a range."""
    value = ints(settings, key)
    return (value[0], value[1]) if value is not None and len(value) == 2 else None
