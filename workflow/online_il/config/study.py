"""The root of the settings: one YAML file, and those that it extends, describe one study.

`load` reads them, checks them against the classes and across their parts, and reports everything
that is wrong at once, each with file, line, key, value and remedy.
"""

from collections.abc import Iterator, Mapping
from math import inf
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from online_il.config.checking import Checks, contradictions, refusals, schema_of
from online_il.config.discrepancy import Discrepancy
from online_il.config.divergence import Divergences
from online_il.config.evaluation import Evaluation
from online_il.config.extending import read_extended
from online_il.config.generation import Generation
from online_il.config.inheriting import inherited, own, told_once
from online_il.config.methods import Methods
from online_il.config.overrides import lay_over
from online_il.config.partial import if_known, names_of, readable, spared
from online_il.config.plan import Plan
from online_il.config.policies import adapter_of, learns_from_samples
from online_il.config.problem import ABSENT, Keys, Problem, indivisible, unreachable
from online_il.config.reading import refuse
from online_il.config.resources import RuleResources
from online_il.config.run import Run
from online_il.config.settings import Settings
from online_il.config.tasks import Task
from online_il.config.theory import Theory
from online_il.methods import METHODS


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
    precision: Literal["single", "mixed"] = Field(
        "single",
        description="Arithmetic of training on a CPU, from a base that is pretrained. mixed: "
        "bfloat16 with single-precision weights, faster where the processor multiplies bfloat16 "
        "(AVX512-BF16, AMX) and far slower elsewhere; GPUs always train so.",
    )
    save_minutes: float = Field(
        10, ge=0, description="Longest time between two checkpoints that a training goes on from."
    )
    blocks: int | None = Field(
        None, gt=0, description="How many first seeds of each task are run; all when left out."
    )
    looks: list[int] | None = Field(
        None,
        description="Numbers of blocks (seeds) at which claims are looked at, all planned before "
        "the first; when left out, they are looked at once.",
    )
    tracker: Literal["none", "tensorboard", "trackio", "wandb"] = Field(
        "none",
        exclude_if=lambda tracker: tracker == "none",
        description="Who is told of training while it goes on; wandb sends it to an account.",
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
    def _inherit(cls, raw: Any) -> Any:
        return inherited(raw) if isinstance(raw, dict) else raw

    def problems(self) -> Iterator[Problem]:
        tasks = readable(if_known(self, "tasks") or [])
        yield from self._block_problems()
        yield from self._look_problems()
        yield from self._task_name_problems()
        yield from self._run_name_problems()
        yield from self._policy_name_problems()
        for index, task in tasks:
            yield from self._missing(index, task)
        for method in METHODS:
            yield from self._checkpoint_problems(method)
        if if_known(self, "hardware") == "gpu":
            yield from self._engine_problems()
            yield from _without_gpu(self)
            for index, task in tasks:
                for problem in (*_without_gpu(task), *_undivided(task)):
                    yield problem.below("tasks", index)
        yield from self._response_problems()
        for index, task in tasks:
            yield from self._own_response_problems(index, task)
        for key in ("discrepancy", "divergence", "plan"):
            if if_known(self, key) and if_known(self, "tasks"):
                for problem in getattr(self, key).problems_among(self.tasks):
                    yield problem.below(key)
        yield from self._planned_seed_problems()

    @spared
    def _block_problems(self) -> Iterator[Problem]:
        """Tell of more blocks than a task has seeds, and of looks that do not grow."""
        for _, task in readable(self.tasks if self.blocks else []):
            count = len(if_known(task, "seeds") or [])
            if if_known(task, "runs") and 0 < count < (self.blocks or 0):
                message = f"{task.name} has {count} seeds, one a block"
                yield Problem(("blocks",), self.blocks, message, "lower it, or add seeds")

    @spared
    def _look_problems(self) -> Iterator[Problem]:
        """Tell of looks that do not grow, and of blocks beyond the last: none is judged by them."""
        looks = self.looks
        if looks is None:
            return
        if not looks or looks[0] < 2 or looks != sorted(set(looks)):
            message = "looks are growing numbers of blocks, the first at least 2"
            yield Problem(("looks",), looks, message, "write them so, or remove the key")
            return
        for _, task in readable(self.tasks):
            count = len(if_known(task, "seeds") or [])
            if if_known(task, "runs") and looks[-1] < (self.blocks or count) <= count:
                key, value = ("blocks", self.blocks) if self.blocks else ("looks", looks)
                message = f"{self.blocks or count} blocks are run, and the last look is before"
                yield Problem((key,), value, message, f"set blocks to {looks[-1]}, or plan a look")

    @spared
    def _task_name_problems(self) -> Iterator[Problem]:
        names = [if_known(task, "name") for task in self.tasks]
        for index, name in enumerate(names):
            if name is not None and names.count(name) > 1:
                keys = ("tasks", index, "name")
                yield Problem(keys, name, "two tasks have this name", "keep one of them")

    @spared
    def _run_name_problems(self) -> Iterator[Problem]:
        named = [
            (("tasks", index, "runs", row, "name"), name, if_known(run, "method"))
            for index, task in readable(self.tasks)
            for row, run in enumerate(if_known(task, "runs") or [])
            if (name := if_known(run, "name")) is not None
        ]
        for keys, name, _ in named:
            used = sorted({method for _, other, method in named if other == name and method})
            if len(used) > 1 and len(self.tasks) > 1:
                yield Problem(
                    keys,
                    name,
                    f"runs of this name use different methods: {', '.join(used)}",
                    "figures compare runs by name across tasks, so rename one",
                )

    @spared
    def _policy_name_problems(self) -> Iterator[Problem]:
        # A rule knows by a policy's name alone whether it makes it.
        made = [_makers(task) for task in self.tasks]
        for index, task in readable(self.tasks):
            others = [other for at, other in enumerate(made) if at != index]
            for part in ("bases", "experts"):
                for row, policy in enumerate(if_known(task, part) or []):
                    name = if_known(policy, "name")
                    own = made[index].get(name)
                    if own and any((other.get(name) or own) != own for other in others):
                        message = "a policy of another task has this name and is made otherwise"
                        keys = ("tasks", index, part, row, "name")
                        yield Problem(keys, name, message, "rename one")

    def _missing(self, index: int, task: Task) -> Iterator[Problem]:
        """Tell of methods and rules that a task uses and that have no settings."""
        runs = if_known(task, "runs") or []
        methods = {method for run in runs if (method := if_known(run, "method"))}
        rules = {"sample", "evaluate", *methods}
        methods |= {name for _, run in readable(runs) for name in _samples_needed(task, run)}
        rules |= {"pretrain"} if if_known(if_known(task, "base"), "kind") == "scratch" else set()
        rules |= {"finetune"} if if_known(task, "finetuning") else set()
        for part, used in (("methods", methods), ("resources", rules)):
            for name in sorted(used):
                for problem in self._missing_settings(task, part, name):
                    yield problem.below("tasks", index)

    @spared
    def _missing_settings(self, task: Task, part: str, name: str) -> Iterator[Problem]:
        shared, own = getattr(self, part), getattr(task, part)
        if getattr(own, name) is None and getattr(shared, name) is None:
            meaning = type(own).model_fields[name].description
            message = "a required key is missing"
            yield Problem((part, name), ABSENT, message, f"add: {meaning}")

    @spared
    def _checkpoint_problems(self, method: str) -> Iterator[Problem]:
        """Tell of checkpoints that no run reaches of those that follow the list."""
        lists: dict[Keys, tuple[list[int], list[float]]] = {}
        shared = if_known(if_known(self.methods, method), "checkpoints")
        if shared is not None:
            lists["methods", method] = (shared, [])
        for index, task in readable(self.tasks):
            steps = if_known(if_known(if_known(task, "methods"), method), "checkpoints")
            if steps is None:
                continue
            own = shared is None or steps != shared
            at: Keys = ("tasks", index, "methods", method) if own else ("methods", method)
            _, followers = lists.setdefault(at, (steps, []))
            followers += _follower_steps(task, method)
        for at, (steps, followers) in lists.items():
            what, longest = f"the longest {method} run", max(followers, default=None)
            yield from unreachable(steps, longest, what, (*at, "checkpoints"))

    @spared
    def _engine_problems(self) -> Iterator[Problem]:
        if self.generation.engine == "loop":
            yield Problem(
                ("generation", "engine"),
                "loop",
                "the decode loop runs on CPUs alone, and hardware is gpu",
                "set it to vllm or transformers, or hardware to cpu",
            )

    @spared
    def _planned_seed_problems(self) -> Iterator[Problem]:
        """Tell of seeds to plan for that lie beyond the blocks: no job has one."""
        seeds = [seed for task in self.tasks for seed in task.seeds]
        run = sorted({seed for task in self.tasks for seed in task.seeds[: self.blocks]})
        for index, seed in readable(if_known(self.plan, "seeds") or []):
            if seed in seeds and seed not in run:
                message = f"this seed lies beyond the {self.blocks} blocks that are run"
                there = f"there are: {', '.join(map(str, run))}; or raise blocks"
                yield Problem(("plan", "seeds", index), seed, message, there)

    @spared
    def _response_problems(self) -> Iterator[Problem]:
        """Tell of counts of responses for benchmarks that nothing is evaluated on."""
        evaluated = [name for task in self.tasks for name in task.benchmarks]
        yield from _unused(self.evaluation, evaluated)

    @spared
    def _own_response_problems(self, index: int, task: Task) -> Iterator[Problem]:
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
    problems += [*wrong, *problems_of_study(raw, checks)]
    refuse(problems, path, lines, changed)
    study = Study.model_validate(raw)
    tasks = [task.of_blocks(study.blocks) for task in study.tasks]
    return study.model_copy(update={"tasks": tasks})


def problems_of_study(raw: dict[str, Any], checks: Checks | None = None) -> list[Problem]:
    """Tell everything that is wrong with a raw study."""
    refused = refusals(Study, raw)
    contradicted = contradictions(Study, inherited(raw), refused, checks)
    return [*own(refused, raw), *told_once(contradicted, raw)]


def schema() -> str:
    """Write the JSON schema of a config file, as committed in config/schema.json."""
    return schema_of(Study, "Another study, relative to this file, that this one is laid over.")


def _makers(task: Task) -> dict[str | None, str | None]:
    """Say by name how each policy of a task is made, as far as that can be read."""
    experts = {
        if_known(one, "name"): if_known(one, "kind") for one in if_known(task, "experts") or []
    }
    bases = dict.fromkeys(names_of(if_known(task, "bases") or []), "base")
    return experts | bases | dict.fromkeys(names_of(if_known(task, "runs") or []), "run")


@spared
def _samples_needed(task: Task, run: Run) -> Iterator[str]:
    """Name the method that says how many samples there are, if a run learns from them."""
    if learns_from_samples(task, run):
        yield "sft"


def _follower_steps(task: Task, method: str) -> Iterator[float]:
    """List the steps of the runs that follow a method's checkpoints, and of those that may."""
    for run in if_known(task, "runs") or []:
        if if_known(run, "method") in (method, None) and if_known(run, "checkpoints") is None:
            yield if_known(run, "steps") or inf


def _undivided(task: Task) -> Iterator[Problem]:
    """Tell of updates that the GPUs of a rule's jobs cannot share."""
    parts = [(("methods", name), name) for name in METHODS]
    for keys, rule in (*parts, (("base", "finetuning"), "finetune")):
        for problem in _undivided_at(task, keys, rule):
            yield problem.below(*keys)
    for row, run in readable(if_known(task, "runs") or []):
        for problem in (*_own_update(task, run), *_grouped(task, run), *_spread_adapter(task, run)):
            yield problem.below("runs", row)


@spared
def _undivided_at(task: Task, keys: tuple[str, str], rule: str) -> Iterator[Problem]:
    gpus = getattr(getattr(task.resources, rule), "gpu", 0)
    settings = getattr(getattr(task, keys[0]), keys[1], None)
    if settings is not None and gpus > 1:
        yield from indivisible(settings.update_size, settings.micro_batch_size, gpus)


@spared
def _own_update(task: Task, run: Run) -> Iterator[Problem]:
    """Tell of updates of a run's own size that the GPUs of its jobs cannot share."""
    settings, shared = task.settings_of(run), getattr(task.methods, run.method)
    gpus = getattr(getattr(task.resources, run.method), "gpu", 0)
    own = (settings.update_size, settings.micro_batch_size)
    if gpus > 1 and own != (shared.update_size, shared.micro_batch_size):
        yield from indivisible(*own, gpus)


@spared
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


@spared
def _spread_adapter(task: Task, run: Run) -> Iterator[Problem]:
    """Tell of an adapter that several GPUs would train."""
    gpus = getattr(getattr(task.resources, run.method), "gpu", 0)
    if adapter_of(task.settings_of(run)) and gpus > 1:
        message = f"an adapter is trained on one GPU, and resources.{run.method}.gpu is {gpus}"
        yield Problem(("lora",), run.given("lora"), message, "ask for one GPU, or remove lora")


def _without_gpu(part: Study | Task) -> Iterator[Problem]:
    """Tell of rules that train and ask for no GPU."""
    for rule in (*METHODS, "finetune"):
        yield from _asks_no_gpu(part, rule)


@spared
def _asks_no_gpu(part: Study | Task, rule: str) -> Iterator[Problem]:
    asked = getattr(part.resources, rule)
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
