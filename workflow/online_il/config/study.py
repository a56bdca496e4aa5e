"""The root of the settings: one YAML file, and those that it extends, describe one study.

`load` reads them, checks them against the classes and across their parts, and reports everything
that is wrong at once, each with file, line, key, value and remedy.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, model_validator

from online_il.config.checking import UNKNOWN, Checks, contradictions, refusals, schema_of, without
from online_il.config.discrepancy import Discrepancy
from online_il.config.divergence import Divergences
from online_il.config.evaluation import Evaluation
from online_il.config.extending import read_extended
from online_il.config.generation import Generation
from online_il.config.methods import Methods
from online_il.config.overrides import lay_over
from online_il.config.plan import Plan
from online_il.config.problem import ABSENT, Keys, Problem, indivisible, unreachable, value_at
from online_il.config.reading import refuse
from online_il.config.resources import RuleResources
from online_il.config.run import Run
from online_il.config.settings import Settings
from online_il.config.tasks import Task
from online_il.config.theory import Theory
from online_il.methods import METHODS

INHERITED = ("methods", "evaluation", "resources")
"""Parts of a task that are laid over the study's, key by key."""


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
    divergence: Divergences | None = Field(
        None, description="Probabilities of expert and student; not compared when left out."
    )
    theory: Theory | None = Field(
        None, description="The theory's experiments; the study has none when this is left out."
    )
    plan: Plan | None = Field(
        None, description="What the plan assumes; `snakemake plan` needs it, and nothing else."
    )

    @model_validator(mode="before")
    @classmethod
    def _inherit(cls, raw: Any, info: ValidationInfo) -> Any:
        # With a context, `contradictions` looks for parts in a study in which tasks have all.
        return inherited(raw) if isinstance(raw, dict) and info.context is None else raw

    def problems(self) -> Iterator[Problem]:
        yield from self._name_problems()
        yield from self._missing()
        for method in METHODS:
            yield from self._checkpoint_problems(method)
        if self.hardware == "gpu":
            yield from self._gpu_problems()
        yield from self._response_problems()
        by_name = {task.name: task for task in self.tasks}
        parts = {"discrepancy": self.discrepancy, "divergence": self.divergence, "plan": self.plan}
        for key, part in parts.items():
            for problem in part.problems_among(by_name) if part else ():
                yield problem.below(key)

    def _name_problems(self) -> Iterator[Problem]:
        count = Counter(task.name for task in self.tasks)
        methods: dict[str, set[str]] = {}
        # A rule knows by a policy's name alone whether it makes it.
        policies = {one.name for task in self.tasks for one in (*task.runs, *task.experts)}
        for run in (run for task in self.tasks for run in task.runs):
            methods.setdefault(run.name, set()).add(run.method)
        for index, task in enumerate(self.tasks):
            if count[task.name] > 1:
                keys: Keys = ("tasks", index, "name")
                yield Problem(keys, task.name, "two tasks have this name", "keep one of them")
            own = {one.name for one in (*task.runs, *task.experts)}
            for row, base in enumerate(task.bases):
                if base.name in policies - own:
                    keys = ("tasks", index, "bases", row, "name")
                    message = "a run or expert of another task has this name"
                    yield Problem(keys, base.name, message, "rename one")
            for row, run in enumerate(task.runs):
                used = sorted(methods[run.name])
                if len(used) > 1 and len(self.tasks) > 1:
                    yield Problem(
                        ("tasks", index, "runs", row, "name"),
                        run.name,
                        f"runs of this name use different methods: {', '.join(used)}",
                        "figures compare runs by name across tasks, so rename one",
                    )

    def _missing(self) -> Iterator[Problem]:
        """Tell of methods and rules that some task uses and that have no settings."""
        for index, task in enumerate(self.tasks):
            methods = {run.method for run in task.runs}
            rules = {"sample", "evaluate", *methods}
            if any(learns_from_samples(task, run) for run in task.runs):
                methods.add("sft")  # It says how many samples there are.
            rules |= {"pretrain"} if getattr(task.base, "kind", "") == "scratch" else set()
            rules |= {"finetune"} if task.finetuning else set()
            for part, used in (("methods", methods), ("resources", rules)):
                for name in sorted(used):
                    if getattr(getattr(task, part), name) is None:
                        meaning = type(getattr(task, part)).model_fields[name].description
                        keys: Keys = ("tasks", index, part, name)
                        message = "a required key is missing"
                        yield Problem(keys, ABSENT, message, f"add: {meaning}")

    def _checkpoint_problems(self, method: str) -> Iterator[Problem]:
        """Tell of checkpoints that no run reaches of those that follow the list."""
        lists: dict[Keys, tuple[list[int], list[int]]] = {}
        shared = getattr(self.methods, method)
        if shared:
            lists["methods", method] = (shared.checkpoints, [])
        for index, task in enumerate(self.tasks):
            settings = getattr(task.methods, method)
            if settings is None:
                continue
            own = shared is None or settings.checkpoints != shared.checkpoints
            at: Keys = ("tasks", index, "methods", method) if own else ("methods", method)
            _, followers = lists.setdefault(at, (settings.checkpoints, []))
            followers += [
                run.steps for run in task.runs if run.method == method and run.checkpoints is None
            ]
        for at, (steps, followers) in lists.items():
            what, longest = f"the longest {method} run", max(followers, default=None)
            yield from unreachable(steps, longest, what, (*at, "checkpoints"))

    def _gpu_problems(self) -> Iterator[Problem]:
        if self.generation.engine == "loop":
            yield Problem(
                ("generation", "engine"),
                "loop",
                "the decode loop runs on CPUs alone, and hardware is gpu",
                "set it to vllm or transformers, or hardware to cpu",
            )
        yield from _without_gpu(self.resources)
        for index, task in enumerate(self.tasks):
            here: Keys = ("tasks", index)
            for problem in _without_gpu(task.resources):
                yield problem.below(*here)
            for method in METHODS:
                settings = getattr(task.methods, method)
                for problem in _divided(settings, task, method):
                    yield problem.below(*here, "methods", method)
            for problem in _divided(task.finetuning, task, "finetune"):
                yield problem.below(*here, "base", "finetuning")
            for row, run in enumerate(task.runs):
                for problem in _grouped(task, run):
                    yield problem.below(*here, "runs", row)

    def _response_problems(self) -> Iterator[Problem]:
        """Tell of counts of responses for benchmarks that nothing is evaluated on."""
        evaluated = [name for task in self.tasks for name in task.benchmarks]
        yield from _unused(self.evaluation, evaluated)
        for index, task in enumerate(self.tasks):
            # What is the study's is for its other tasks.
            own = set(task.evaluation.responses) - set(self.evaluation.responses)
            for problem in _unused(task.evaluation, task.benchmarks):
                if problem.keys[-1] in own:
                    yield problem.below("tasks", index)


def load(
    path: Path, overrides: Mapping[str, Any] | None = None, checks: Checks | None = None
) -> Study:
    """Load the study in a YAML file. Raises `ConfigError` naming everything that is wrong.

    `overrides` are laid over the file (`config.overrides`); `checks` are further checks of single
    classes, such as those of a task's own code (`online_il.studies`).
    """
    raw, lines, problems = read_extended(path, "a study", "config/mini.yaml")
    changed, wrong = lay_over(raw, overrides or {})
    refused = list(_own(refusals(Study, raw), raw))
    # A task is checked for itself, whatever is wrong with the study's settings of a method or rule;
    # of those with an unknown key the others hold.
    wrong_parts = {
        problem.keys if problem.message == UNKNOWN else problem.keys[:2]
        for problem in refused
        if problem.keys[:1] and problem.keys[0] in INHERITED
    }
    contradicted = contradictions(Study, inherited(without(raw, wrong_parts)), refused, checks)
    problems += [*wrong, *refused, *_told_once(contradicted, raw)]
    refuse(problems, path, lines, changed)
    return Study.model_validate(raw)


def inherited(raw: dict[str, Any]) -> dict[str, Any]:
    """Give each task all settings: its own laid over the study's, key by key."""
    tasks = raw.get("tasks")
    if not isinstance(tasks, list):
        return raw
    return raw | {
        "tasks": [
            task | {part: _laid_over(raw.get(part, {}), task.get(part)) for part in INHERITED}
            if isinstance(task, dict)
            else task
            for task in tasks
        ]
    }


def schema() -> str:
    """Write the JSON schema of a config file, as committed in config/schema.json."""
    return schema_of(Study, "Another study, relative to this file, that this one is laid over.")


def learns_from_samples(task: Task, run: Run) -> bool:
    """Say whether a run learns from responses that its expert gave before the training."""
    settings = task.settings_of(run)
    return METHODS[run.method].learns_from == "samples" or prefixes_of(settings) == "expert"


def prefixes_of(settings: Any) -> str:
    """Say on whose responses a method's run learns: the expert's, or its own."""
    return getattr(settings, "prefixes", "own")


def _divided(settings: Any, task: Task, rule: str) -> Iterator[Problem]:
    """Tell of an update that the GPUs of a rule's jobs cannot share."""
    gpus = getattr(getattr(task.resources, rule), "gpu", 0)
    if settings is not None and gpus > 1:
        yield from indivisible(settings.update_size, settings.micro_batch_size, gpus)


def _grouped(task: Task, run: Run) -> Iterator[Problem]:
    """Tell of responses to one prompt that the GPUs of a run's jobs would part."""
    settings, gpus = task.settings_of(run), getattr(getattr(task.resources, run.method), "gpu", 0)
    group = getattr(settings, "responses_per_prompt", 1)
    if group > 1 and gpus > 1 and settings.batch_size % (group * gpus):
        yield Problem(
            ("responses_per_prompt",),
            run.given("responses_per_prompt"),
            f"{gpus} GPUs do not divide the {settings.batch_size} responses of an update into "
            f"whole groups of {group}",
            f"choose a divisor of {settings.batch_size // gpus}, or another number of GPUs",
        )


def _without_gpu(resources: Settings) -> Iterator[Problem]:
    """Tell of rules that train and ask for no GPU."""
    for rule in (*METHODS, "finetune"):
        asked = getattr(resources, rule)
        if asked and not asked.gpu:
            yield Problem(
                ("resources", rule, "gpu"),
                asked.given("gpu"),
                "hardware is gpu, and these jobs ask for none",
                "ask for at least 1, or set hardware to cpu",
            )


def _unused(evaluation: Evaluation, evaluated: list[str]) -> Iterator[Problem]:
    for name, count in evaluation.responses.items():
        if name not in evaluated:
            yield Problem(
                ("evaluation", "responses", name),
                count,
                "nothing is evaluated on this benchmark",
                "remove it, or add it to the benchmarks",
            )


# ---- what a task has from the study ----


def _laid_over(below: Any, above: Any) -> Any:
    """Lay a task's part over the study's, which stands where the task has none, or null."""
    return below if above is None else _merged(below, above)


def _merged(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: _merged(below.get(key), value) for key, value in above.items()}


def _shared(keys: Keys, raw: dict[str, Any]) -> Keys:
    """Find the study's keys behind a task's inherited ones; none where the task has its own."""
    inherits = len(keys) > 2 and keys[0] == "tasks" and keys[2] in INHERITED
    return keys[2:] if inherits and value_at(raw, *keys) is ABSENT else ()


def _own(refused: list[Problem], raw: dict[str, Any]) -> Iterator[Problem]:
    """Leave out of what the classes refuse what a task only has from the study."""
    places = {problem.keys for problem in refused}
    for problem in refused:
        shared = _shared(problem.keys, raw)
        if not any(shared[:length] in places for length in range(1, len(shared) + 1)):
            yield problem


def _told_once(problems: list[Problem], raw: dict[str, Any]) -> list[Problem]:
    """Tell contradictions in what tasks have from the study once, of the study."""
    once: list[Problem] = []
    for problem in problems:
        keys = problem.keys
        if _shared(keys, raw) and value_at(raw, *keys[:4]) is ABSENT:
            problem = problem._replace(keys=keys[2:])
        elif _shared(keys, raw) and problem._replace(keys=keys[2:]) in problems:
            continue
        if problem not in once:
            once.append(problem)
    return once
