"""The root of the settings: one YAML file describes one study.

`load` reads a file, checks it against the classes and across its parts, and reports everything
that is wrong at once, each with file, line, key, value and remedy.
"""

import difflib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import Field, ValidationError

from online_il.config.evaluation import Evaluation
from online_il.config.settings import Settings
from online_il.config.tasks import Countdown
from online_il.config.training import Methods, Run
from online_il.tasks import countdown

Keys = tuple[str | int, ...]


class Generation(Settings):
    """What draws responses from a policy."""

    engine: Literal["loop", "transformers"] = Field(
        description="loop: our decode loop (CPU, small models); transformers: generate."
    )
    batch_size: int = Field(gt=0, description="Responses decoded side by side.")


class Resources(Settings):
    """What the jobs of one rule ask of the machine or the cluster."""

    threads: int = Field(1, gt=0, description="CPU threads.")
    mem_mb: int = Field(gt=0, description="Memory, MiB.")
    runtime: int = Field(gt=0, description="Time limit, minutes.")
    gpu: int = Field(0, ge=0, description="GPUs.")


class RuleResources(Settings):
    """Resources of the heavy rules."""

    pretrain: Resources = Field(description="Training of a base from scratch.")
    grpo: Resources = Field(description="Training of an expert.")
    sft: Resources = Field(description="Training of a student offline.")
    distill: Resources = Field(description="Training of a student on-policy.")
    sample: Resources = Field(description="Sampling of demonstrations.")
    evaluate: Resources = Field(description="Evaluation of the checkpoints of one run.")


class Study(Settings):
    """One study: everything that `results/<scale>` follows from."""

    scale: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$", description="Name of the study and of its results folder."
    )
    generation: Generation = Field(description="The generation engine.")
    evaluation: Evaluation = Field(description="How checkpoints are evaluated.")
    methods: Methods = Field(description="Settings shared by all runs of a method.")
    resources: RuleResources = Field(description="What jobs ask of the machine.")
    tasks: list[Countdown] = Field(min_length=1, description="The tasks of the study.")


class Problem(NamedTuple):
    """One thing that is wrong in a config file, and what to do about it."""

    keys: Keys
    value: object
    message: str
    remedy: str


class ConfigError(ValueError):
    """A config that cannot be used; its text lists every problem."""


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> Study:
    """The study in a YAML file. Raises `ConfigError` naming everything that is wrong."""
    raw, lines, duplicates = _read(path)
    raw.update(overrides or {})
    problems = [*duplicates, *_shape_problems(raw), *_cross_problems(raw)]
    if problems:
        listed = "\n".join(f"  {_line(problem, path, lines)}" for problem in problems)
        noun = "problem" if len(problems) == 1 else "problems"
        raise ConfigError(f"{len(problems)} {noun} in {path}; nothing was started:\n{listed}")
    return Study.model_validate(raw)


def schema() -> str:
    """The JSON schema of a config file, as committed in config/schema.json."""
    return json.dumps(Study.model_json_schema(), indent=2, sort_keys=True) + "\n"


def _read(path: Path) -> tuple[dict[str, Any], dict[Keys, int], list[Problem]]:
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        raw = yaml.safe_load(text)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; the shipped ones are config/*.yaml") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: not a YAML file that can be read: {reason}") from None
    if not isinstance(raw, dict) or root is None:
        raise ConfigError(f"{path}: expected a mapping of keys, found {type(raw).__name__}")
    lines: dict[Keys, int] = {}
    duplicates: list[Problem] = []

    def walk(node: yaml.Node, keys: Keys) -> None:
        lines.setdefault(keys, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                here = (*keys, str(key.value))
                if key.value in seen:
                    duplicates.append(
                        Problem(here, key.value, "the key stands here twice", "keep one of them")
                    )
                seen.add(key.value)
                lines[here] = key.start_mark.line + 1
                walk(value, here)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                walk(value, (*keys, index))

    walk(root, ())
    return raw, lines, duplicates


def _line(problem: Problem, path: Path, lines: Mapping[Keys, int]) -> str:
    keys = problem.keys
    while keys and keys not in lines:
        keys = keys[:-1]
    name = "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in problem.keys).lstrip(".")
    value = json.dumps(problem.value, default=str)
    shown = value if len(value) <= 60 else value[:57] + "..."
    return f"{path}:{lines.get(keys, 1)}: {name} = {shown}: {problem.message}; {problem.remedy}"


def _shape_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    try:
        Study.model_validate(raw)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            keys = detail["loc"]
            if detail["type"] == "extra_forbidden":
                known = _known_keys(raw, keys[:-1])
                close = difflib.get_close_matches(str(keys[-1]), known, 1)
                hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"
                yield Problem(keys, detail["input"], "unknown key", hint)
            elif detail["type"] == "missing":
                yield Problem(keys, None, "a required key is missing", "add it")
            else:
                yield Problem(keys, detail["input"], detail["msg"], "see config/schema.json")


def _known_keys(raw: Mapping[str, Any], keys: Keys) -> list[str]:
    """The keys that the settings class at `keys` knows, found by walking the JSON schema."""
    whole = Study.model_json_schema()

    def resolve(node: dict[str, Any]) -> dict[str, Any]:
        for option in node.get("anyOf", []):
            if "$ref" in option:
                node = option
        if "$ref" in node:
            node = whole["$defs"][node["$ref"].rpartition("/")[2]]
        return node

    node = resolve(whole)
    for key in keys:
        node = resolve(node["items"] if isinstance(key, int) else node["properties"][key])
    return list(node.get("properties", {}))


def _dicts(value: object) -> list[tuple[int, dict[str, Any]]]:
    """The mappings in a list with their indices; nothing where `value` is no list."""
    return [(i, v) for i, v in enumerate(value if isinstance(value, list) else []) if isinstance(v, dict)]


def _cross_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """What no single class can see. Reads the raw mapping, so that one wrong key hides nothing."""
    tasks = _dicts(raw.get("tasks"))
    for name, count in Counter(str(task.get("name")) for _, task in tasks).items():
        if count > 1:
            yield Problem(("tasks",), name, f"{count} tasks have this name", "keep one of them")
    methods_of: dict[str, set[str]] = {}
    for index, task in tasks:
        here: Keys = ("tasks", index)
        yield from _run_problems(raw, task, here)
        yield from _data_problems(task, here)
        for _, run in _dicts(task.get("runs")):
            methods_of.setdefault(str(run.get("name")), set()).add(str(run.get("method")))
    for name, methods in methods_of.items():
        if len(methods) > 1:
            yield Problem(
                ("tasks",),
                name,
                f"runs of this name use different methods: {', '.join(sorted(methods))}",
                "figures compare runs by name across tasks, so rename one",
            )


def _run_problems(raw: Mapping[str, Any], task: dict[str, Any], here: Keys) -> Iterator[Problem]:
    runs, experts = _dicts(task.get("runs")), _dicts(task.get("experts"))
    trained = {str(run.get("name")) for _, run in runs} | {"base"}
    others = {str(expert.get("name")) for _, expert in experts}
    names = Counter([str(run.get("name")) for _, run in runs] + [str(e.get("name")) for _, e in experts])
    for key, rows in (("runs", runs), ("experts", experts)):
        for index, row in rows:
            if names[str(row.get("name"))] > 1 or row.get("name") == "base":
                yield Problem(
                    (*here, key, index, "name"),
                    row.get("name"),
                    "this name is taken ('base' always is)",
                    "give every run and expert its own name",
                )
    for index, run in runs:
        at = (*here, "runs", index)
        expert, method = run.get("expert"), run.get("method")
        if method == "grpo" and expert is not None:
            yield Problem((*at, "expert"), expert, "grpo imitates no expert", "remove the key")
        elif method in ("sft", "distill") and expert not in trained | others:
            close = difflib.get_close_matches(str(expert), sorted(trained | others), 1)
            hint = f"did you mean '{close[0]}'?" if close else "name a run or an expert"
            yield Problem(
                (*at, "expert"), expert, f"{method} needs an expert, and there is none of this name",
                f"{hint} (there are: {', '.join(sorted(trained | others))})",
            )
        elif method == "distill" and expert in others:
            yield Problem(
                (*at, "expert"), expert, "distill reads the expert's next-token probabilities, "
                "which only a trained run has", "name a run, or use sft",
            )
        yield from _seed_problems(task, run, at, runs)
        yield from _checkpoint_problems(raw, run, at)
    yield from _cycle_problems(runs, here)


def _seed_problems(
    task: dict[str, Any], run: dict[str, Any], at: Keys, runs: list[tuple[int, dict[str, Any]]]
) -> Iterator[Problem]:
    seeds = run.get("seeds")
    if not isinstance(seeds, list):
        return
    parents = [r.get("seeds") for _, r in runs if r.get("name") == run.get("expert")]
    shared = task.get("seeds") if isinstance(task.get("seeds"), list) else []
    for available, what in ((shared, "the task"), *((p, "its expert") for p in parents)):
        missing = [s for s in seeds if isinstance(available, list) and s not in available]
        if missing:
            yield Problem(
                (*at, "seeds"), seeds, f"{what} has no seed {', '.join(map(str, missing))}",
                f"a run of seed k starts from the base and expert of seed k ({what}: {available})",
            )
    if len(set(map(str, seeds))) < len(seeds):
        yield Problem((*at, "seeds"), seeds, "a seed stands here twice", "keep one of them")


def _checkpoint_problems(
    raw: Mapping[str, Any], run: dict[str, Any], at: Keys
) -> Iterator[Problem]:
    steps, checkpoints = run.get("steps"), run.get("checkpoints")
    if not isinstance(steps, int) or not isinstance(checkpoints, list):
        return
    for checkpoint in checkpoints:
        if isinstance(checkpoint, int) and not 0 < checkpoint <= steps:
            yield Problem(
                (*at, "checkpoints"), checkpoint, f"training ends at step {steps} and starts at 1",
                "raise steps or drop this checkpoint",
            )


def _cycle_problems(runs: list[tuple[int, dict[str, Any]]], here: Keys) -> Iterator[Problem]:
    parent = {str(run.get("name")): str(run.get("expert")) for _, run in runs}
    for index, run in runs:
        name, seen = str(run.get("name")), set[str]()
        while name in parent and name not in seen:
            seen.add(name)
            name = parent[name]
        if name == run.get("name") and seen:
            yield Problem(
                (*here, "runs", index, "expert"), run.get("expert"),
                "the run imitates itself in the end", "let one of the runs imitate something else",
            )


def _data_problems(task: dict[str, Any], here: Keys) -> Iterator[Problem]:
    seeds = task.get("seeds")
    if isinstance(seeds, list) and len(set(map(str, seeds))) < len(seeds):
        yield Problem((*here, "seeds"), seeds, "a seed stands here twice", "keep one of them")
    for key in ("in_distribution", "out_of_distribution"):
        instances = task.get(key)
        if not isinstance(instances, dict):
            continue
        ordered = True
        for bound in ("numbers", "answers"):
            pair = instances.get(bound)
            if isinstance(pair, list) and len(pair) == 2 and all(isinstance(v, int) for v in pair):
                if pair[0] > pair[1]:
                    ordered = False
                    yield Problem(
                        (*here, key, bound), pair, "the range is empty", "write [smallest, largest]"
                    )
            else:
                ordered = False
        if ordered:
            yield from _solvable_problems(task, instances, (*here, key))


def _solvable_problems(
    task: dict[str, Any], instances: dict[str, Any], at: Keys
) -> Iterator[Problem]:
    """One instance of the range must exist; whether enough do is checked when they are drawn."""
    value_range = task.get("value_range")
    try:
        countdown.generate(
            1,
            operands=instances["operands"],
            number_range=tuple(instances["numbers"]),
            target_range=tuple(instances["answers"]),
            operators=task["operators"],
            seed=0,
            value_range=tuple(value_range) if isinstance(value_range, list) else None,
        )
    except ValueError as error:
        yield Problem(at, instances, f"no solvable instance: {error}", "widen numbers or answers")
    except (KeyError, TypeError):
        return  # A key is missing or of the wrong type: the classes have said so.


def seeds_of(task: Countdown, run: Run) -> list[int]:
    """The seeds of a run: its own, or those of the task."""
    return run.seeds or task.seeds


def checkpoints_of(study: Study, run: Run) -> list[int]:
    """The steps that are kept: the run's own, or those of its method that it reaches; its last."""
    listed = run.checkpoints or getattr(study.methods, run.method).checkpoints
    return sorted({step for step in listed if step <= run.steps} | {run.steps})
