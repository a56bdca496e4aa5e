"""Everything that is wrong with a config, told at once: what classes refuse, what keys contradict.

Keys are checked against each other (`Settings.problems`) also where the classes refuse some: of
these only what needs a refused one is left out. The one translator of pydantic's errors is here.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from functools import cache
from typing import Any

from pydantic import ValidationError

from online_il.config.partial import PARTIAL, Stub, spared
from online_il.config.problem import ABSENT, Keys, Problem, closest, similar, value_at
from online_il.config.settings import Settings

UNKNOWN = "unknown key"
NO_KIND = "there is no such kind"
Checks = Mapping[type[Settings], Callable[[Any], Iterator[Problem]]]
"""Further checks of a class's parts, by code that the config does not know."""


def refusals(kind: type[Settings], raw: Any) -> list[Problem]:
    """Tell what the class `kind` and those of its parts refuse in a raw value."""
    found = [_refusal(kind, raw, detail) for detail in _errors(kind, raw)]
    meant = _with_kinds(kind, raw, found)
    if meant != raw:  # What is wrong in these parts besides?
        misspelt = [one for one in found if value_at(meant, *one.keys) != value_at(raw, *one.keys)]
        return [*misspelt, *refusals(kind, meant)]
    refused = {problem.keys for problem in found}
    # The classes take true for 1.
    for keys, flag in _booleans(raw):
        if not any(keys[:length] in refused for length in range(1, len(keys) + 1)):
            message = "no setting is true or false"
            found.append(Problem(keys, flag, message, "write a number or a name"))
    return found


def contradictions(
    kind: type[Settings], raw: Any, refused: list[Problem], checks: Checks | None = None
) -> list[Problem]:
    """Tell where keys contradict each other, as far as that hangs on nothing `refused`."""
    places = {problem.keys for problem in refused}
    readable = _with_keys(kind, _numbers(_with_kinds(kind, raw, refused)), refused)
    found = []
    for keys, part in _parts(kind.model_validate(readable, context=PARTIAL)):
        more = checks.get(type(part)) if checks else None
        for check in (part.problems(), more(part) if more else ()):
            found += [problem.below(*keys) for problem in _spared(check)]
    # What is refused is told already.
    return [one for one in found if not any(one.keys[: len(at)] == at for at in places)]


def problems_of(kind: type[Settings], raw: Any) -> list[Problem]:
    """Tell everything that is wrong with a raw value that is to become a `kind`."""
    refused = refusals(kind, raw)
    return [*refused, *contradictions(kind, raw, refused)]


def schema_of(kind: type[Settings], extends: str = "") -> str:
    """Write the JSON schema of a file, for editors.

    Where files of this kind may extend another, `extends` describes that key, and only `kind` and
    `name` are required: what a file lacks may stand in the other, and loading it says what is
    missing in the end.
    """
    schema = json.loads(json.dumps(_schema(kind)))
    if extends:
        schema["properties"]["extends"] = {"type": "string", "description": extends}
        for node in (schema, *schema.get("$defs", {}).values()):
            node["required"] = [key for key in node.get("required", []) if key in ("kind", "name")]
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


# ---- parts ----


def _with_kinds(kind: type[Settings], raw: Any, refused: list[Problem]) -> Any:
    """Copy a raw value with misspelt kinds put right, where that can be guessed."""
    misspelt = [problem for problem in refused if problem.message == NO_KIND]
    copy = deepcopy(raw) if misspelt else raw
    for problem in misspelt:
        at = problem.keys[:-1]
        meant = similar(problem.value, _kinds(_schema_at(kind, at, raw)))
        value_at(copy, *at)["kind"] = meant or problem.value
    return copy


def _with_keys(kind: type[Settings], raw: Any, refused: list[Problem]) -> Any:
    """Take unknown keys out of a raw value, which is changed; what they may mean is refused."""
    for problem in refused:
        *at, key = problem.keys or ("",)
        if problem.message == UNKNOWN:
            part = value_at(raw, *at)
            value = part.pop(key, ABSENT)
            meant = similar(key, _schema_at(kind, tuple(at), raw).get("properties", {}))
            if meant:
                part.setdefault(meant, Stub(value))
    return raw


def _numbers(raw: Any) -> Any:
    """Copy a raw value in which true and false are refused, which the classes take for 1 and 0."""
    if isinstance(raw, dict):
        return {key: _numbers(value) for key, value in raw.items()}
    if isinstance(raw, list):
        return [_numbers(value) for value in raw]
    return Stub(raw) if isinstance(raw, bool) else raw


def _parts(value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, Settings]]:
    """List all parts in a partial part, with the keys that lead there."""
    if isinstance(value, Settings):
        yield keys, value
        value = value.__dict__
    if isinstance(value, dict | list):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _parts(below, (*keys, key))


@spared
def _spared(check: Iterable[Problem]) -> Iterator[Problem]:
    yield from check


def _booleans(raw: Any, keys: Keys = ()) -> Iterator[tuple[Keys, bool]]:
    """Find each true and false in a raw value."""
    if isinstance(raw, bool):
        yield keys, raw
    elif isinstance(raw, dict | list | set):
        for key, value in raw.items() if isinstance(raw, dict) else enumerate(raw):
            yield from _booleans(value, (*keys, key))


# ---- what the classes refuse ----

_EXTRA = ("extra_forbidden", "invalid_key")
_NO_KIND = ("union_tag_invalid", "union_tag_not_found")


def _errors(kind: type[Settings], raw: Any) -> list[dict[str, Any]]:
    """List what pydantic refuses."""
    try:
        kind.model_validate(raw)
    except ValidationError as error:
        return list(map(dict, error.errors(include_url=False)))
    return []


def _refusal(kind: type[Settings], raw: Any, detail: dict[str, Any]) -> Problem:
    """Translate one of pydantic's errors."""
    keys, value, meant = _place(raw, detail["loc"]), detail["input"], detail["type"]
    if meant in _EXTRA:
        known = list(_schema_at(kind, keys[:-1], raw).get("properties", {}))
        remedy = closest(keys[-1], known).strip() or f"known: {', '.join(known)}"
        if isinstance(value, dict) and (inside := [key for key in value if key in known]):
            remedy = f"write {', '.join(inside)} here itself, without `{keys[-1]}`"
        # For a key that is no text, pydantic gives the key in the place of its value.
        return Problem(keys, ABSENT if meant == "invalid_key" else value, UNKNOWN, remedy)
    schema = _schema_at(kind, keys, raw)
    if meant in _NO_KIND:
        found, kinds = value_at(value, "kind"), sorted(_kinds(schema))
        message = "a required key is missing" if found is ABSENT else NO_KIND
        remedy = f"{closest(found, kinds)}there are: {', '.join(kinds)}"
        return Problem((*keys, "kind"), found, message, remedy)
    meaning = schema.get("description") or "see config/schema.json"
    if meant == "missing":
        return Problem(keys, ABSENT, "a required key is missing", f"add: {meaning}")
    quotes = " Text of digits needs quotes." if meant == "string_type" else ""
    near = closest(value, map(str, schema.get("enum", [])))
    return Problem(keys, value, detail["msg"], f"{near}meaning: {meaning}{quotes}")


def _place(raw: object, location: Keys) -> Keys:
    """Drop the kinds from pydantic's path: the file has only the keys."""
    keys: list[str | int] = []
    here, named = raw, False
    for index, key in enumerate(location):
        below = value_at(here, key)
        # A part may have a key of its kind's name: `package` of a package.
        inside = index + 1 < len(location) and not isinstance(below, dict | list)
        if not named and value_at(here, "kind") == key and (below is ABSENT or inside):
            named = True
            continue
        if key == "[key]" and below is ABSENT:  # The key itself is refused.
            continue
        keys.append(key)
        here, named = below, False
    return tuple(keys)


@cache
def _schema(kind: type[Settings]) -> dict[str, Any]:
    return kind.model_json_schema()


def _kinds(node: dict[str, Any]) -> dict[str, str]:
    """Map each kind of a part to its description in the schema."""
    mapping: dict[str, str] = node.get("discriminator", {}).get("mapping", {})
    return mapping


def _schema_at(kind: type[Settings], keys: Keys, raw: object = None) -> dict[str, Any]:
    """Find what the JSON schema says of a key: its description, and the keys that it holds."""
    whole = _schema(kind)
    node = whole
    for key in keys:
        raw = value_at(raw, key)
        # What a list or a mapping says of itself holds for its items.
        items = node.get("items") or node.get("additionalProperties")
        if items and key not in node.get("properties", {}):
            node = {"description": node.get("description")} | items
        else:
            node = node.get("properties", {}).get(key, {})
        for option in node.get("anyOf", []):  # What may be left out is this or null.
            node = option | node
        part = value_at(raw, "kind")
        if isinstance(part, str) and part in _kinds(node):
            node = {"$ref": _kinds(node)[part]} | node
        # A `$ref` stands beside the key's own description, which comes before the class's.
        node = whole.get("$defs", {}).get(node.get("$ref", "").rpartition("/")[2], {}) | node
    return node
