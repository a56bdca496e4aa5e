"""Everything that is wrong with a config, told at once: what classes refuse, what keys contradict.

Keys are checked against each other in every part whose class accepts it (`Settings.problems`), also
where the classes refuse a key elsewhere. The one translator of pydantic's errors is here.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError

from online_il.config.problem import ABSENT, Keys, Problem, closest, value_at
from online_il.config.settings import Settings

UNKNOWN = "unknown key"
Checks = Mapping[type[Settings], Callable[[Any], Iterator[Problem]]]
"""Further checks of a class's parts, by code that the config does not know."""


def refusals(kind: type[Settings], raw: Any) -> list[Problem]:
    """Tell what the class `kind` and those of its parts refuse in a raw value."""
    found = [_refusal(kind, raw, detail) for detail in _errors(kind, raw)]
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
    """Tell where keys contradict each other, in every part that holds nothing `refused`."""
    # An unknown key is nothing that another one could contradict.
    unknown = {problem.keys for problem in refused if problem.message == UNKNOWN}
    places = {problem.keys for problem in refused} - unknown
    known = without(raw, unknown)
    parts: dict[int, Settings] = {}
    _errors(kind, known, parts)
    found = []
    for keys, value in _mappings(known):
        part = parts.get(id(value))
        if part is None or any(place[: len(keys)] == keys for place in places):
            continue
        more = checks.get(type(part)) if checks else None
        found += [problem.below(*keys) for problem in part.problems()]
        found += [problem.below(*keys) for problem in (more(part) if more else ())]
    return found


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


def without(raw: Any, dropped: set[Keys], keys: Keys = ()) -> Any:
    """Copy a raw value without some keys; no two parts of the copy are one object."""
    if isinstance(raw, dict):
        kept = {key: value for key, value in raw.items() if (*keys, key) not in dropped}
        return {key: without(value, dropped, (*keys, key)) for key, value in kept.items()}
    if isinstance(raw, list):
        return [without(value, dropped, (*keys, index)) for index, value in enumerate(raw)]
    return raw


def _mappings(raw: Any, keys: Keys = ()) -> Iterator[tuple[Keys, dict[Any, Any]]]:
    """List all mappings in a raw value, with the keys that lead there."""
    if isinstance(raw, dict):
        yield keys, raw
        for key, value in raw.items():
            yield from _mappings(value, (*keys, key))
    elif isinstance(raw, list):
        for index, value in enumerate(raw):
            yield from _mappings(value, (*keys, index))


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


def _errors(
    kind: type[Settings], raw: Any, parts: dict[int, Settings] | None = None
) -> list[dict[str, Any]]:
    """List what pydantic refuses; `parts` takes in what it accepts, by its raw mapping's id."""
    try:
        kind.model_validate(raw, context=parts)
    except ValidationError as error:
        return list(map(dict, error.errors(include_url=False)))
    return []


def _refusal(kind: type[Settings], raw: Any, detail: dict[str, Any]) -> Problem:
    """Translate one of pydantic's errors."""
    keys, value, meant = _place(raw, detail["loc"]), detail["input"], detail["type"]
    if meant in _EXTRA:
        known = list(_schema_at(kind, keys[:-1], raw).get("properties", {}))
        remedy = closest(keys[-1], known).strip() or f"known: {', '.join(known)}"
        # For a key that is no text, pydantic gives the key in the place of its value.
        return Problem(keys, ABSENT if meant == "invalid_key" else value, UNKNOWN, remedy)
    schema = _schema_at(kind, keys, raw)
    if meant in _NO_KIND:
        found, kinds = value_at(value, "kind"), sorted(_kinds(schema))
        message = "a required key is missing" if found is ABSENT else "there is no such kind"
        remedy = f"{closest(found, kinds)}there are: {', '.join(kinds)}"
        return Problem((*keys, "kind"), found, message, remedy)
    meaning = schema.get("description") or "see config/schema.json"
    if meant == "missing":
        return Problem(keys, ABSENT, "a required key is missing", f"add: {meaning}")
    quotes = " Text of digits needs quotes." if meant == "string_type" else ""
    return Problem(keys, value, detail["msg"], f"expected: {meaning}{quotes}")


def _place(raw: object, location: Keys) -> Keys:
    """Drop the kinds from pydantic's path: the file has only the keys."""
    keys: list[str | int] = []
    here, named = raw, False
    for key in location:
        if not named and value_at(here, "kind") == key and value_at(here, key) is ABSENT:
            named = True
            continue
        keys.append(key)
        here, named = value_at(here, key), False
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
        if isinstance(key, int):  # What a list says of itself holds for its items.
            node = {"description": node.get("description")} | node.get("items", {})
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
