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

from pydantic import Field, ValidationError

from online_il.config import checks
from online_il.config.discrepancy import Discrepancy
from online_il.config.evaluation import Evaluation
from online_il.config.generation import Generation
from online_il.config.methods import Methods
from online_il.config.overrides import lay_over
from online_il.config.plan import Plan
from online_il.config.reading import (
    ABSENT,
    Keys,
    Problem,
    read_yaml,
    refuse,
    value_at,
)
from online_il.config.reading import (
    ConfigError as ConfigError,
)
from online_il.config.resources import Resources, RuleResources
from online_il.config.run import Run
from online_il.config.settings import Settings
from online_il.config.tasks import Task
from online_il.config.theory import Theory


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
    methods: Methods = Field(  # type: ignore[valid-type]
        description="Settings shared by all runs of a method."
    )
    resources: RuleResources = Field(  # type: ignore[valid-type]
        description="What jobs ask of the machine."
    )
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


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> Study:
    """The study in a YAML file. Raises `ConfigError` naming everything that is wrong.

    `overrides` are laid over the file (`config.overrides`).
    """
    raw, lines, problems = read_yaml(path, "a study", "config/mini.yaml")
    changed, wrong = lay_over(raw, overrides or {})
    problems += [*wrong, *_shape_problems(raw), *checks.problems(raw)]
    refuse(problems, path, lines, changed)
    return Study.model_validate(raw)


def schema() -> str:
    """The JSON schema of a config file, as committed in config/schema.json."""
    return json.dumps(_schema(), indent=2, sort_keys=True) + "\n"


def seeds_of(task: Task, run: Run) -> list[int]:
    """The seeds of a run: its own, or those of the task."""
    return task.seeds if run.seeds is None else run.seeds


def method_of(study: Study, task: Task, method: str) -> Any:
    """The settings of a method in a task: the task's own, or those of the study."""
    return getattr(task.methods, method) or getattr(study.methods, method)


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
