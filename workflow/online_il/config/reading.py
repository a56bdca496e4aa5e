"""Reading a YAML file with its lines, and single values of it as the settings classes read them.

A value that the classes refuse reads as absent: they report it. Problems are reported all at once,
each with file, line, key, value and remedy.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import TypeAdapter, ValidationError

from online_il.config.written import NUMBERS, Written, minutes, misread
from online_il.text import decoded

Keys = tuple[str | int, ...]
Lines = dict[tuple[str, ...], int]
Rows = list[tuple[int, dict[str, Any]]]


class _Absent:
    """Stands for the value of a key that is not there; YAML's null is a value."""


ABSENT = _Absent()
MAX_CHARACTERS = 200  # Of a number; Python refuses to print integers of thousands of digits.
_INT = TypeAdapter(int)
_INTS = TypeAdapter(list[int])


class ConfigError(ValueError):
    """A config that cannot be used; its text lists every problem."""


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


# ---- a file and its lines ----


def read_yaml(path: Path, what: str, example: str) -> tuple[dict[str, Any], Lines, list[Problem]]:
    """What the file says, on which line each key stands, and what is wrong with it as YAML.

    The problems are keys that stand there twice, and values that YAML takes for something else than
    is written. All YAML of users is read here.
    """
    try:
        text = decoded(path.read_bytes())
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        raw = yaml.safe_load(text)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; the shipped ones are config/*.yaml") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; name a YAML file") from None
    except UnicodeDecodeError as error:
        name = error.encoding.upper()
        raise ConfigError(f"{path}: not {name} at byte {error.start}; save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(f"{place}: not plain YAML: {error.problem}; mend this line") from None
    except Exception as error:  # PyYAML lets through what its conversions raise (`!!int x`).
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: not plain YAML: {reason}; mend or remove this") from None
    if not isinstance(raw, dict) or root is None:
        found = "nothing" if raw is None else f"a {type(raw).__name__}"
        raise ConfigError(
            f"{path}: {what} is a mapping of keys, and this file holds {found}; "
            f"start from a copy of {example}"
        )
    lines, problems = _walked(root, path)
    return raw, lines, problems


def read_text(text: str) -> tuple[Any, list[Problem]]:
    """What YAML on the command line says, and what is wrong with it. Raises `yaml.YAMLError`."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return yaml.safe_load(text), _walked(root, Path("command line"))[1]


def _walked(root: yaml.Node | None, path: Path) -> tuple[Lines, list[Problem]]:
    """The line of each key, keys that stand there twice, and values that are misread."""
    lines: Lines = {}
    problems: list[Problem] = []
    visited: set[int] = set()

    def walk(node: yaml.Node, keys: Keys) -> None:
        lines.setdefault(_path(keys), node.start_mark.line + 1)
        if id(node) in visited:  # An alias, which may even hold itself.
            return
        visited.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                here = (*keys, str(key.value))
                if _path(here) in lines:
                    again = f"this key stands here again, after line {lines[_path(here)]}"
                    problems.append(Problem(here, ABSENT, again, "keep one of the two"))
                lines[_path(here)] = key.start_mark.line + 1
                walk(value, here)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                walk(value, (*keys, index))
        elif node.tag in NUMBERS and len(node.value) > MAX_CHARACTERS:
            place = f"{path}:{node.start_mark.line + 1}"
            raise ConfigError(f"{place}: no value has {len(node.value)} characters; shorten it")
        elif isinstance(node, yaml.ScalarNode) and (other := misread(node)):
            problems.append(Problem(keys, *other))

    if root is not None:
        walk(root, ())
    return lines, problems


# ---- reporting ----


def refuse(
    problems: list[Problem], path: Path, lines: Lines, changed: Collection[Keys] = ()
) -> None:
    """Raise a `ConfigError` with a sentence a problem, if there are any."""
    if problems:
        problems = sorted(problems, key=lambda problem: _line(problem.keys, lines))
        listed = "\n".join(f"  {sentence(problem, path, lines, changed)}" for problem in problems)
        noun = "problem" if len(problems) == 1 else "problems"
        raise ConfigError(f"{len(problems)} {noun} in {path}; nothing was started:\n{listed}")


def _line(keys: Keys, lines: Lines) -> int:
    """The line of a key, or of the innermost key around it that stands in the file."""
    while _path(keys) not in lines:
        keys = keys[:-1]
    return lines[_path(keys)]


def _path(keys: Keys) -> tuple[str, ...]:
    """`keys` as text, for YAML reads `1:` and `yes:` as other things."""
    return tuple(map(str, keys))


def sentence(problem: Problem, path: Path, lines: Lines, changed: Collection[Keys] = ()) -> str:
    """A problem in one line, with the place of its key."""
    keys = problem.keys
    name = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")
    # Escaped, so that odd characters in the file can be seen and printed.
    name = json.dumps(name)[1:-1] or "the file"
    overridden = any(keys[:length] in changed for length in range(1, len(keys) + 1))
    place = "command line" if overridden else f"{path}:{_line(keys, lines)}"
    remedy = problem.remedy
    if type(problem.value) is str and (time := minutes(problem.value)):
        remedy += f"; in minutes: {time}"
    return f"{place}: {name}{_shown(problem.value)}: {problem.message}; {remedy}"


def _shown(value: object) -> str:
    if value is ABSENT:
        return ""
    if isinstance(value, dict):
        return " = {...}"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return " = [...]"
    text = str(value) if isinstance(value, Written) else json.dumps(value, default=str)
    return f" = {text if len(text) <= 60 else text[:57] + '...'}"
