"""Reading YAML files of users with their lines, and reporting what is wrong with them.

Problems are reported all at once, each with file, line, key, value and remedy.
"""

import io
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from online_il.config.problem import ABSENT, Keys, Place, Problem
from online_il.config.written import NUMBERS, Written, minutes, misread
from online_il.errors import InputError
from online_il.text import decoded

Lines = dict[tuple[str, ...], Place]
"""Where each key stands, by its path as text, for YAML reads `1:` and `yes:` as other things."""
MAX_VALUES = 100_000  # Aliases of aliases make many of a few lines.
MAX_CHARACTERS = 200  # Of a number; Python refuses to print integers of thousands of digits.


class ConfigError(InputError):
    """A config that cannot be used; its text lists every problem."""


class Read(NamedTuple):
    """A YAML file: its nodes, which know their file and line, and what is wrong with it as YAML."""

    root: yaml.MappingNode
    problems: list[Problem]


def read_yaml(path: Path, what: str, example: str) -> tuple[dict[str, Any], Lines, list[Problem]]:
    """Read a YAML file: values, the place of each key, and what is wrong with it as YAML."""
    root, problems = read_nodes(path, what, example)
    return *values_of(root), problems


def read_nodes(path: Path, what: str, example: str) -> Read:
    """Read the nodes of a YAML file. Raises `ConfigError` for a file that is no mapping.

    The problems are keys that stand there twice, and values that YAML takes for something else than
    is written. All YAML of users is read here.
    """
    try:
        stream = io.StringIO(decoded(path.read_bytes()))
        stream.name = str(path)  # What every node knows its file by.
        root = yaml.compose(stream, Loader=yaml.SafeLoader)
        problems = _problems(root)
        raw = _constructed(root)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; the shipped ones are config/*.yaml") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; name a YAML file") from None
    except UnicodeDecodeError as error:
        name = error.encoding.upper()
        raise ConfigError(f"{path}: not {name} at byte {error.start}; save it as UTF-8") from None
    except ConfigError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(f"{place}: not plain YAML: {error.problem}; mend this line") from None
    except Exception as error:  # PyYAML lets through what its conversions raise (`!!int x`).
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: not plain YAML: {reason}; mend or remove this") from None
    if not isinstance(raw, dict) or not isinstance(root, yaml.MappingNode):
        found = "nothing" if raw is None else f"a {type(raw).__name__}"
        raise ConfigError(
            f"{path}: {what} is a mapping of keys, and this file holds {found}; "
            f"start from a copy of {example}"
        )
    return Read(root, problems)


def read_text(text: str) -> tuple[Any, list[Problem]]:
    """Read YAML of the command line, and tell what is wrong with it. Raises `yaml.YAMLError`."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return yaml.safe_load(text), _problems(root)


def values_of(root: yaml.Node) -> tuple[dict[str, Any], Lines]:
    """Give the values of nodes, and where each of their keys stands."""
    lines: Lines = {}

    def walk(node: yaml.Node, keys: Keys) -> None:
        lines.setdefault(_path(keys), _place_of(node))
        for key, value in _below(node):
            if isinstance(key, yaml.Node):
                here = (*keys, str(key.value))
                lines[_path(here)] = _place_of(key)
            else:
                here = (*keys, key)
            walk(value, here)

    walk(root, ())
    return _constructed(root), lines


def _below(node: yaml.Node) -> list[tuple[Any, yaml.Node]]:
    """List what a mapping or a list holds, with the nodes of its keys or with indices."""
    if isinstance(node, yaml.MappingNode):
        return list(node.value)
    return list(enumerate(node.value)) if isinstance(node, yaml.SequenceNode) else []


def _constructed(root: yaml.Node | None) -> Any:
    return None if root is None else yaml.constructor.SafeConstructor().construct_document(root)


def _place_of(node: yaml.Node) -> Place:
    return Place(Path(node.start_mark.name), node.start_mark.line + 1)


def _problems(root: yaml.Node | None) -> list[Problem]:
    """Find keys that stand twice and values that are misread.

    Raises `ConfigError` for a part that holds itself, or more values than anyone writes.
    """
    problems: list[Problem] = []
    sizes: dict[int, int] = {}  # By the id of a node; 0 while it is being walked.

    def walk(node: yaml.Node, keys: Keys) -> int:
        place = _place_of(node)
        if sizes.get(id(node)) == 0:
            raise ConfigError(f"{place}: this part holds itself; write out what it is to hold")
        if id(node) in sizes:  # An alias.
            return sizes[id(node)]
        sizes[id(node)] = 0
        size, first = 1, dict[str, int]()
        for key, value in _below(node):
            name = key.value if isinstance(key, yaml.ScalarNode) else str(key)
            if isinstance(key, yaml.Node):
                here = _place_of(key)
                if name in first:
                    message = f"this key stands here again, after line {first[name]}"
                    again = Problem((*keys, name), ABSENT, message, "keep one of the two", here)
                    problems.append(again)
                first.setdefault(name, here.line)
            size += walk(value, (*keys, name if isinstance(key, yaml.Node) else key))
        if size > MAX_VALUES:
            raise ConfigError(f"{place}: more than {MAX_VALUES:,} values stand here; write fewer")
        if isinstance(node, yaml.ScalarNode):
            if node.tag in NUMBERS and len(node.value) > MAX_CHARACTERS:
                raise ConfigError(f"{place}: no value has {len(node.value)} characters; shorten it")
            if other := misread(node):
                problems.append(Problem(keys, *other, place))
        sizes[id(node)] = size
        return size

    if root is not None:
        walk(root, ())
    return problems


# ---- reporting ----


def refuse(
    problems: list[Problem], path: Path, lines: Lines, changed: Collection[Keys] = ()
) -> None:
    """Raise a `ConfigError` with a sentence a problem, if there are any."""
    if problems:
        # The file that was asked for comes first, then what it extends.
        ordered = sorted(problems, key=lambda one: ((at := place_of(one, lines)).path != path, at))
        listed = "\n".join(f"  {sentence(problem, lines, changed)}" for problem in ordered)
        noun = "problem" if len(problems) == 1 else "problems"
        raise ConfigError(f"{len(problems)} {noun} in {path}; nothing was started:\n{listed}")


def place_of(problem: Problem, lines: Lines) -> Place:
    """Find where a problem's key stands, or the innermost key around it that is in a file."""
    keys = problem.keys
    while problem.place is None and _path(keys) not in lines:
        keys = keys[:-1]
    return problem.place or lines[_path(keys)]


def _path(keys: Keys) -> tuple[str, ...]:
    return tuple(map(str, keys))


def sentence(problem: Problem, lines: Lines, changed: Collection[Keys] = ()) -> str:
    """Write a problem in one line, with the place of its key."""
    keys = problem.keys
    name = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")
    # Escaped, so that odd characters in the file can be seen and printed.
    name = json.dumps(name)[1:-1] or "the file"
    overridden = any(keys[:length] in changed for length in range(1, len(keys) + 1))
    place = "command line" if overridden else str(place_of(problem, lines))
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
