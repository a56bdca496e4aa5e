"""What the command line lays over a study: `--config scale=try set="tasks.countdown.data.id=9"`.

`set` reaches every key: parts of a path are keys, names of rows in a list, or places in it
(`tasks.0` or `tasks[0]`). Several assignments are separated by semicolons, or are a list.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from online_il.config.problem import ABSENT, Keys, Problem
from online_il.config.reading import ConfigError, read_text

SET = "set"


def lay_over(raw: dict[str, Any], overrides: Mapping[str, Any]) -> tuple[list[Keys], list[Problem]]:
    """Lay values over `raw`, in place; gives where they changed something and what is wrong.

    Mappings are laid over key by key, everything else as a whole. Raises `ConfigError` for an
    assignment that is none.
    """
    try:
        json.dumps(overrides, default=str)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"command line: {error}; write out what each key is to hold") from None
    listed = overrides.get(SET, [])
    assignments = listed if isinstance(listed, list) else str(listed).split(";")
    changed = list(_merge(raw, {k: v for k, v in overrides.items() if k != SET}))
    problems: list[Problem] = []
    for assignment in assignments:
        keys, found = _assign(raw, str(assignment))
        changed.append(keys)
        problems += found
    return changed, problems


def _merge(raw: dict[str, Any], overrides: Mapping[str, Any], at: Keys = ()) -> Iterator[Keys]:
    for key, value in overrides.items():
        if isinstance(value, Mapping) and isinstance(raw.get(key), dict):
            yield from _merge(raw[key], value, (*at, key))
        elif key not in raw or raw[key] != value:
            raw[key] = value
            yield (*at, key)


def _assign(raw: dict[str, Any], assignment: str) -> tuple[Keys, list[Problem]]:
    """Carry out `a.b.c=value`; the value is YAML."""
    path, separator, text = assignment.partition("=")
    path = re.sub(r"\[(\w+)\]", r".\1", path.strip())  # As errors write it: `tasks[0].runs[1]`.
    if not separator or not path.strip("."):
        raise ConfigError(
            f"command line: set = {assignment!r}: write a key and its value, such as "
            'set="tasks.countdown.data.id=9"'
        )
    value, problems = _value(path, text)
    node: Any = raw
    keys: Keys = ()
    replaced: Keys = ()
    rest = path
    while True:
        key, rest = _next(node, rest)
        if key is None:
            names = [row["name"] for row in node if isinstance(row, dict) and "name" in row]
            there = (
                f"there are: {', '.join(map(str, names))}" if names else "name its place, from 0"
            )
            return keys, [Problem(keys, path, "no row of this list is named here", there)]
        keys = (*keys, key)
        if not rest:
            node[key] = value
            return replaced or keys, [Problem(keys, *other) for other in problems]
        below = node.get(key, ABSENT) if isinstance(node, dict) else node[int(key)]
        if not isinstance(below, dict | list):  # The classes say which keys there are.
            below = node[key] = {}
            replaced = replaced or keys
        node = below


def _next(node: Any, path: str) -> tuple[str | int | None, str]:
    """Find the key or the place of a row that a path goes on with, and what is left of the path.

    Names may hold dots, so the longest that is there is taken.
    """
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        name, rest = ".".join(parts[:length]), ".".join(parts[length:])
        if isinstance(node, dict):
            if name in node:
                return name, rest
            continue
        for index, row in enumerate(node):
            if isinstance(row, dict) and str(row.get("name")) == name:
                return index, rest
        if name.isdecimal() and int(name) < len(node):
            return int(name), rest
    return (parts[0], ".".join(parts[1:])) if isinstance(node, dict) else (None, path)


def _value(path: str, text: str) -> tuple[Any, list[tuple[object, str, str]]]:
    """Read a value as YAML does, and tell what it reads otherwise than it is written."""
    try:
        raw, problems = read_text(f"value: {text.strip()}")
    except yaml.YAMLError:
        raise ConfigError(
            f"command line: set = {path}: {text.strip()!r} is not plain YAML; mend this value"
        ) from None
    return raw["value"], [(one.value, one.message, one.remedy) for one in problems]
