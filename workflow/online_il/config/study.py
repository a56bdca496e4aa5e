"""The root of the settings: one YAML file describes one study.

`load` reads a file, checks it against the classes and across its parts, and reports everything
that is wrong at once, each with file, line, key, value and remedy.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from online_il.config import checks
from online_il.config.discrepancy import Discrepancy
from online_il.config.evaluation import Evaluation
from online_il.config.generation import Generation
from online_il.config.plan import Plan
from online_il.config.reading import ABSENT, Keys, Problem, value_at
from online_il.config.resources import Resources, RuleResources
from online_il.config.settings import Settings
from online_il.config.tasks import Task
from online_il.config.theory import Theory
from online_il.config.training import Distill, Grpo, Methods, Run, Sft

Lines = dict[tuple[str, ...], int]

MAX_CHARACTERS = 200  # No value is longer; Python refuses to print integers of thousands of digits.


class Study(Settings):
    """One study: everything that `results/<scale>` follows from."""

    scale: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$", description="Name of the study and of its results folder."
    )
    hardware: Literal["cpu", "gpu"] = Field(
        "cpu",
        description="cpu: single precision, one process; gpu: bfloat16, gradient checkpointing, "
        "one process a GPU.",
    )
    save_minutes: float = Field(
        10, ge=0, description="Longest time between two checkpoints that a training goes on from."
    )
    generation: Generation = Field(description="The generation engine.")
    evaluation: Evaluation = Field(description="How checkpoints are evaluated.")
    methods: Methods = Field(description="Settings shared by all runs of a method.")
    resources: RuleResources = Field(description="What jobs ask of the machine.")
    tasks: list[Task] = Field(min_length=1, description="The tasks of the study.")
    discrepancy: Discrepancy | None = Field(
        None, description="Comparison of responses; the study has none when this is left out."
    )
    theory: Theory | None = Field(
        None, description="The theory's experiments; the study has none when this is left out."
    )
    plan: Plan | None = Field(
        None, description="What the plan assumes; `snakemake plan` needs it, and nothing else."
    )


class ConfigError(ValueError):
    """A config that cannot be used; its text lists every problem."""


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> Study:
    """The study in a YAML file. Raises `ConfigError` naming everything that is wrong.

    `overrides` are laid over the file: mappings key by key, everything else as a whole.
    """
    raw, lines, problems = _read(path)
    changed = set(_override(raw, overrides or {}))
    problems += [*_shape_problems(raw), *checks.problems(raw)]
    if problems:
        problems.sort(key=lambda problem: _line(problem.keys, lines))
        listed = "\n".join(f"  {_sentence(problem, path, lines, changed)}" for problem in problems)
        noun = "problem" if len(problems) == 1 else "problems"
        raise ConfigError(f"{len(problems)} {noun} in {path}; nothing was started:\n{listed}")
    return Study.model_validate(raw)


def schema() -> str:
    """The JSON schema of a config file, as committed in config/schema.json."""
    return json.dumps(_schema(), indent=2, sort_keys=True) + "\n"


def seeds_of(task: Task, run: Run) -> list[int]:
    """The seeds of a run: its own, or those of the task."""
    return task.seeds if run.seeds is None else run.seeds


def method_of(study: Study, task: Task, method: str) -> Grpo | Sft | Distill:
    """The settings of a method in a task: the task's own, or those of the study."""
    settings = getattr(task.methods, method) or getattr(study.methods, method)
    return settings  # type: ignore[no-any-return]


def evaluation_of(study: Study, task: Task) -> Evaluation:
    """How a task's checkpoints are evaluated: its own way, or the study's."""
    return task.evaluation or study.evaluation


def resources_of(study: Study, task: Task, rule: str) -> Resources:
    """What a rule's jobs ask for in a task: the task's own, or those of the study."""
    settings = getattr(task.resources, rule, None) or getattr(study.resources, rule)
    return settings  # type: ignore[no-any-return]


def checkpoints_of(study: Study, task: Task, run: Run) -> list[int]:
    """The steps that are kept: the run's own, or those of its method that it reaches; its last."""
    shared = method_of(study, task, run.method).checkpoints
    listed = shared if run.checkpoints is None else run.checkpoints
    return sorted({step for step in listed if step <= run.steps} | {run.steps})


# ---- reading ----


def _read(path: Path) -> tuple[dict[str, Any], Lines, list[Problem]]:
    """What the file says, on which line each key stands, and the keys that stand there twice."""
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        raw = yaml.safe_load(text)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; the shipped ones are config/*.yaml") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; name a YAML file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
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
            f"{path}: a study is a mapping of keys, and this file holds {found}; "
            "start from a copy of config/mini.yaml"
        )
    lines: Lines = {}
    duplicates: list[Problem] = []
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
                    duplicates.append(Problem(here, ABSENT, again, "keep one of the two"))
                lines[_path(here)] = key.start_mark.line + 1
                walk(value, here)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                walk(value, (*keys, index))
        elif len(node.value) > MAX_CHARACTERS:
            place = f"{path}:{node.start_mark.line + 1}"
            raise ConfigError(f"{place}: no value has {len(node.value)} characters; shorten it")

    walk(root, ())
    return raw, lines, duplicates


def _override(raw: dict[str, Any], overrides: Mapping[str, Any], at: Keys = ()) -> Iterator[Keys]:
    """Lay `overrides` over `raw`, in place; yields where that changes something."""
    for key, value in overrides.items():
        if isinstance(value, Mapping) and isinstance(raw.get(key), dict):
            yield from _override(raw[key], value, (*at, key))
        elif key not in raw or raw[key] != value:
            raw[key] = value
            yield (*at, key)


# ---- what the classes refuse ----


def _shape_problems(raw: dict[str, Any]) -> Iterator[Problem]:
    refused: set[Keys] = set()
    try:
        Study.model_validate(raw)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            keys, value = _place(raw, detail["loc"]), detail["input"]
            refused.add(keys)
            if detail["type"] in ("extra_forbidden", "invalid_key"):
                known = list(_schema_at(keys[:-1], raw).get("properties", {}))
                close = difflib.get_close_matches(str(keys[-1]), known, 1)
                hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"
                # For a key that is no text, pydantic gives the key in the place of its value.
                shown = ABSENT if detail["type"] == "invalid_key" else value
                yield Problem(keys, shown, "unknown key", hint)
                continue
            if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
                yield _kind_problem(raw, keys, value)
                continue
            meaning = _schema_at(keys, raw).get("description") or "see config/schema.json"
            if detail["type"] == "missing":
                yield Problem(keys, ABSENT, "a required key is missing", f"add: {meaning}")
            else:
                yield Problem(keys, value, detail["msg"], f"expected: {meaning}")
    # The classes take true for 1.
    for keys, flag in checks.booleans(raw):
        if not any(keys[:length] in refused for length in range(1, len(keys) + 1)):
            yield Problem(keys, flag, "no setting is true or false", "write a number or a name")


def _kind_problem(raw: dict[str, Any], keys: Keys, value: object) -> Problem:
    """A part whose `kind` is missing or unknown."""
    kinds = sorted(_kinds(_schema_at(keys, raw)))
    found = value_at(value, "kind")
    close = difflib.get_close_matches(str(found), kinds, 1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    message = "a required key is missing" if found is ABSENT else "there is no such kind"
    return Problem((*keys, "kind"), found, message, f"{hint}there are: {', '.join(kinds)}")


def _place(raw: object, location: Keys) -> Keys:
    """A place as the file has it: pydantic also names the kind of each part on the way."""
    keys: list[str | int] = []
    here, named = raw, False
    for key in location:
        if not named and value_at(here, "kind") == key and value_at(here, str(key)) is ABSENT:
            named = True
            continue
        keys.append(key)
        if isinstance(here, list) and isinstance(key, int) and key < len(here):
            here = here[key]
        else:
            here = value_at(here, str(key))
        named = False
    return tuple(keys)


@cache
def _schema() -> dict[str, Any]:
    return Study.model_json_schema()


def _kinds(node: dict[str, Any]) -> dict[str, str]:
    """Where the schema describes each kind of a part."""
    mapping: dict[str, str] = node.get("discriminator", {}).get("mapping", {})
    return mapping


def _schema_at(keys: Keys, raw: object = None) -> dict[str, Any]:
    """What the JSON schema says of a key: its description, and the keys that it holds."""
    node = _schema()
    for key in keys:
        if isinstance(key, int):  # What a list says of itself holds for its items.
            node = {"description": node.get("description")} | node.get("items", {})
            raw = raw[key] if isinstance(raw, list) and key < len(raw) else None
        else:
            node = node.get("properties", {}).get(key, {})
            raw = value_at(raw, key)
        for option in node.get("anyOf", []):  # What may be left out is this or null.
            node = option | node
        kind = value_at(raw, "kind")
        if isinstance(kind, str) and kind in _kinds(node):
            node = {"$ref": _kinds(node)[kind]} | node
        # A `$ref` stands beside the key's own description, which comes before the class's.
        node = _schema()["$defs"].get(node.get("$ref", "").rpartition("/")[2], {}) | node
    return node


# ---- reporting ----


def _line(keys: Keys, lines: Lines) -> int:
    """The line of a key, or of the innermost key around it that stands in the file."""
    while _path(keys) not in lines:
        keys = keys[:-1]
    return lines[_path(keys)]


def _path(keys: Keys) -> tuple[str, ...]:
    """`keys` as text, for YAML reads `1:` and `yes:` as other things."""
    return tuple(map(str, keys))


def _sentence(problem: Problem, path: Path, lines: Lines, changed: set[Keys]) -> str:
    keys = problem.keys
    name = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")
    # Escaped, so that odd characters in the file can be seen and printed.
    name = json.dumps(name)[1:-1] or "the file"
    overridden = any(keys[:length] in changed for length in range(1, len(keys) + 1))
    place = "command line" if overridden else f"{path}:{_line(keys, lines)}"
    return f"{place}: {name}{_shown(problem.value)}: {problem.message}; {problem.remedy}"


def _shown(value: object) -> str:
    if value is ABSENT:
        return ""
    if isinstance(value, dict):
        return " = {...}"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return " = [...]"
    text = json.dumps(value, default=str)
    return f" = {text if len(text) <= 60 else text[:57] + '...'}"
