"""Studies that extend another file: `extends: other.yaml`, relative to the file that says so.

What a file says is laid over what it extends. A mapping is laid over a mapping key by key, unless
both have a `kind` and it differs. A list replaces a list; but a row of it that has the `name` of a
row in the other list is laid over that row. Everything else replaces, null included.
"""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from online_il.config.problem import Problem
from online_il.config.reading import ConfigError, Lines, Read, read_nodes, values_of
from online_il.text import decoded

EXTENDS = "extends"


def read_extended(
    path: Path, what: str, example: str
) -> tuple[dict[str, Any], Lines, list[Problem]]:
    """Read a file and those that it extends: values, the place of each key, problems."""
    root, problems = _read(path, what, example, ())
    return *values_of(root), problems


def files_of(path: Path) -> list[Path]:
    """List a study's file and those that it extends, which were read before."""
    raw = yaml.safe_load(decoded(path.read_bytes()))
    return [path, *(files_of(path.parent / raw[EXTENDS]) if EXTENDS in raw else [])]


def lay_over(below: yaml.Node, above: yaml.Node) -> yaml.Node:
    """Lay the nodes of `above` over those of `below`; neither is changed."""
    if isinstance(below, yaml.MappingNode) and isinstance(above, yaml.MappingNode):
        theirs, ours = _values(below), _values(above)
        kinds = {_text(values.get("kind")) for values in (theirs, ours)} - {None}
        if len(kinds) > 1:
            return above
        rows = [
            (key, lay_over(theirs[name], value) if (name := _text(key)) in theirs else value)
            for key, value in above.value
        ]
        rows += [(key, value) for key, value in below.value if _text(key) not in ours]
        return _like(above, rows)
    if isinstance(below, yaml.SequenceNode) and isinstance(above, yaml.SequenceNode):
        named = {name: row for row in below.value if (name := _name(row)) is not None}
        return _like(
            above,
            [
                lay_over(named[name], row) if (name := _name(row)) in named else row
                for row in above.value
            ],
        )
    return above


def _read(path: Path, what: str, example: str, above: tuple[Path, ...]) -> Read:
    root, problems = read_nodes(path, what, example)
    found = [(key, value) for key, value in root.value if _text(key) == EXTENDS]
    if not found:
        _refuse_misspelt(root, path)
        return Read(root, problems)
    key, value = found[-1]
    place = f"{path}:{key.start_mark.line + 1}: {EXTENDS}"
    root = _like(root, [pair for pair in root.value if pair not in found])
    if not _text(value) or value.tag != "tag:yaml.org,2002:str":
        raise ConfigError(f"{place}: this names no file; write the path of one YAML file")
    other, before = path.parent / value.value, (*above, path)
    if other.resolve() in [one.resolve() for one in before]:
        circle = " -> ".join(map(str, (*before, other)))
        raise ConfigError(
            f"{place} = {value.value}: the files extend each other in a circle "
            f"({circle}); remove this key from one of them"
        )
    try:
        read = _read(other, what, example, before)
    except ConfigError as error:
        raise ConfigError(f"{place} = {value.value}: {error}") from None
    merged = lay_over(read.root, root)
    assert isinstance(merged, yaml.MappingNode)
    return Read(merged, [*read.problems, *problems])


def _refuse_misspelt(root: yaml.MappingNode, path: Path) -> None:
    """Refuse a key that was meant to extend a file, for without that file all else is missing."""
    for key, _ in root.value:
        if get_close_matches(str(_text(key)), [EXTENDS], 1, cutoff=0.8):
            line = key.start_mark.line + 1
            raise ConfigError(
                f"{path}:{line}: {_text(key)}: unknown key; did you mean '{EXTENDS}'?"
            )


def _like(node: yaml.CollectionNode, value: list[Any]) -> Any:
    return type(node)(node.tag, value, node.start_mark, node.end_mark)


def _values(node: yaml.MappingNode) -> dict[str | None, yaml.Node]:
    return {_text(key): value for key, value in node.value}


def _text(node: yaml.Node | None) -> str | None:
    return node.value if isinstance(node, yaml.ScalarNode) else None


def _name(row: yaml.Node) -> str | None:
    return _text(_values(row).get("name")) if isinstance(row, yaml.MappingNode) else None
