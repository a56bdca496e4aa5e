"""Settings of the tasks: their data, their base, their experts and their matrix of runs."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from online_il import benchmarks
from online_il.config.bases import Base, FurtherBase
from online_il.config.data import Data
from online_il.config.evaluation import Evaluation
from online_il.config.experts import NAME, Expert, Solver
from online_il.config.finetuning import Finetuning
from online_il.config.further import Further
from online_il.config.lineage import lineage_problems
from online_il.config.methods import Methods
from online_il.config.mixture import MixtureExpert
from online_il.config.partial import if_known, readable, spared
from online_il.config.problem import ABSENT, Problem, repetitions, unknown, unreachable
from online_il.config.resources import RuleResources
from online_il.config.run import BASE, Run
from online_il.config.settings import Settings

LARGEST_SEED = 2**32 - 1  # NumPy's, which the trainers seed.


class Task(Settings):
    """One task: its data and everything that is trained and measured on it.

    Of `methods`, `evaluation` and `resources` a config writes here only what differs from the
    study's; once it is loaded, all of it stands here.
    """

    name: str = Field(pattern=NAME, description="Name of the task; it names folders and lines.")
    data: Data = Field(description="The prompts.")
    benchmarks: list[str] = Field(
        min_length=1, description="What every checkpoint is evaluated on, by name."
    )
    further: Further | None = Field(
        None,
        exclude_if=lambda further: further is None,
        description="Further test prompts, in a table of their own: nothing is trained for them.",
    )
    seeds: list[int] = Field(
        min_length=1,
        description="Seeds of every run, in the order in which `blocks` takes them.",
    )
    methods: Methods = Field(description="Settings of methods, where they differ from the study's.")
    evaluation: Evaluation = Field(
        description="How its checkpoints are evaluated, where that differs from the study's way."
    )
    resources: RuleResources = Field(
        description="What rules ask for, where that differs from the study's."
    )
    base: Base | None = Field(None, description="How the base model is made; runs need one.")
    bases: list[FurtherBase] = Field(
        [],
        description="Further bases, such as one of a narrower class or a larger model; runs "
        "`start` from them.",
    )
    experts: list[Expert] = Field([], description="Experts that are not runs.")
    runs: list[Run] = Field([], description="The matrix of runs.")

    @property
    def finetuning(self) -> Finetuning | None:
        """Say how the base is fine-tuned, if it is."""
        return getattr(self.base, "finetuning", None)

    @property
    def named_bases(self) -> Mapping[str, Base]:
        """Give all bases by name; none of a task without."""
        bases: dict[str, Any] = {BASE: self.base} | {one.name: one for one in self.bases}
        return bases if self.base else {}

    def base_of(self, name: str) -> str:
        """Name the base that a policy was first trained from, through all that it starts from."""
        starts = {run.name: run.begins[0] for run in self.runs}
        for _ in starts:  # No longer way leads to a base, and a circle to none.
            name = starts.get(name, name)
        return name if name in self.named_bases else BASE

    def seeds_of(self, run: Run) -> list[int]:
        """Give the seeds of a run: its own, or those of the task."""
        return self.seeds if run.seeds is None else run.seeds

    def of_blocks(self, blocks: int | None) -> "Task":
        """Leave the task and its runs the seeds of its first `blocks`; None leaves all."""
        if blocks is None:
            return self
        seeds = self.seeds[:blocks]
        runs = [
            run
            if run.seeds is None
            else run.model_copy(update={"seeds": [seed for seed in run.seeds if seed in seeds]})
            for run in self.runs
        ]
        later = {run.name for run in runs if run.seeds == []}
        # A mixture has no seed before all that it is made of; nor have its students.
        later |= {one.name for one in self.mixtures if later & {*one.made_of.values()}}
        kept = {
            "runs": [run for run in runs if run.name not in later],
            "experts": [expert for expert in self.experts if expert.name not in later],
        }
        return self.model_copy(update={"seeds": seeds, **kept})

    def seeds_of_base(self, name: str) -> list[int]:
        """Give the seeds of a base: the one that it is trained with, or those of all runs."""
        own = self.named_bases[name].seed
        of_runs = [seed for run in self.runs for seed in self.seeds_of(run)]
        return [*dict.fromkeys([*self.seeds, *of_runs])] if own is None else [own]

    def seed_of_base(self, name: str, seed: int) -> int:
        """Give the seed of the base that serves the runs of a seed."""
        own = self.named_bases[name].seed
        return seed if own is None else own

    @property
    def mixtures(self) -> list[MixtureExpert]:
        """List the experts that are mixtures."""
        return [expert for expert in self.experts if isinstance(expert, MixtureExpert)]

    def models_behind(self, name: str) -> list[Any]:
        """List the base or expert that each policy with weights behind a name is trained from.

        They are one, or those that a mixture is made of.
        """
        mixed = {mixture.name: [*mixture.made_of.values()] for mixture in self.mixtures}
        experts = {expert.name: expert for expert in self.experts}
        found = [
            experts[one] if one in experts else self.named_bases.get(self.base_of(one))
            for one in dict.fromkeys(mixed.get(name, [name]))
        ]
        return [model for model in found if not isinstance(model, Solver)]

    def seeds_of_mixture(self, mixture: MixtureExpert) -> list[int]:
        """Give the seeds of a mixture: those that all runs have that it is made of."""
        made = [run for run in self.runs if run.name in mixture.made_of.values()]
        return [seed for seed in self.seeds if all(seed in self.seeds_of(run) for run in made)]

    def settings_of(self, run: Run) -> Any:
        """Give the settings of a run's method, with those that the run has instead."""
        shared = getattr(self.methods, run.method)
        return shared and shared.model_copy(update=run.of_method)

    def checkpoints_of(self, run: Run) -> list[int]:
        """List the steps that are kept: the run's own or its method's, and its last."""
        listed = run.checkpoints
        if listed is None and (shared := getattr(self.methods, run.method)):
            listed = shared.checkpoints
        return sorted({step for step in listed or [] if step <= run.steps} | {run.steps})

    def problems(self) -> Iterator[Problem]:
        yield from _seed_problems(self)
        yield from self._benchmark_problems()
        yield from self._further_problems()
        yield from self._row_problems()
        yield from self._name_problems()
        yield from self._base_problems()
        yield from self._finetuning_problems()
        yield from self._further_base_problems()
        yield from self._solver_problems()
        yield from self._run_problems()
        yield from lineage_problems(self)

    @spared
    def _base_problems(self) -> Iterator[Problem]:
        if self.base is None and self.runs:
            message = "the task has runs, which start from a base"
            yield Problem((BASE,), self.given(BASE), message, "add a base, or remove the runs")
        if getattr(self.base, "kind", "") == "scratch" and self.data.kind != "miniature":
            message = "a base from scratch speaks the miniature's language alone"
            remedy = "use a model, or data of kind miniature"
            yield Problem((BASE, "kind"), "scratch", message, remedy)

    @spared
    def _finetuning_problems(self) -> Iterator[Problem]:
        """Tell of traces of other data, and of bases that no seed makes."""
        if self.base is None:
            return
        if self.finetuning and self.finetuning.traces and self.data.kind != "english":
            message = "the searcher's traces are those of Countdown in English"
            keys = (BASE, "finetuning", "traces")
            yield Problem(keys, ABSENT, message, "give a dataset, or use data of kind english")
        if not self.finetuning and self.base.kind != "scratch" and self.base.seed is None:
            message = "nothing is fine-tuned, so that all seeds have one base"
            yield Problem((BASE, "seed"), self.base.given("seed"), message, "write seed: 1")

    @spared
    def _further_base_problems(self) -> Iterator[Problem]:
        own = getattr(self.base, "kind", None)
        for index, base in readable(self.bases):
            if own is not None and (base.kind == "scratch") != (own == "scratch"):
                message = f"one base is trained from scratch and the other not: base is {own}"
                remedy = "let both be of kind scratch, or none"
                yield Problem(("bases", index, "kind"), base.kind, message, remedy)
        if self.bases and self.finetuning:
            message = "further bases are taken as they are, and the task's base is fine-tuned"
            yield Problem(("bases",), ABSENT, message, "remove them, or leave out base.finetuning")

    @spared
    def _solver_problems(self) -> Iterator[Problem]:
        for index, expert in enumerate(self.experts):
            if isinstance(expert, Solver) and self.data.kind not in ("miniature", "english"):
                yield Problem(
                    ("experts", index, "kind"),
                    expert.kind,
                    "the exact solver answers the prompts of generated data alone",
                    "use an endpoint or a model, or data of kind miniature or english",
                )

    @spared
    def _run_problems(self) -> Iterator[Problem]:
        for index, run in readable(self.runs):
            for check in (_seed_problems, _checkpoint_problems, self._setting_problems):
                for problem in check(run):
                    yield problem.below("runs", index)

    @spared
    def _setting_problems(self, run: Run) -> Iterator[Problem]:
        """Tell of settings of a run that do not go with its method's."""
        if run.of_method and (settings := self.settings_of(run)):
            shared = list(getattr(self.methods, run.method).problems())
            yield from (problem for problem in settings.problems() if problem not in shared)

    @spared
    def _benchmark_problems(self) -> Iterator[Problem]:
        yield from repetitions(self.benchmarks, ("benchmarks",))
        known = [*self._of_data(), *(self.further.asked if self.further else [])]
        for index, name in readable(self.benchmarks):
            if name not in known:
                message = "the task's data have no such benchmark"
                if name in benchmarks.OPTIONAL and name in type(self.data).model_fields:
                    remedy = f"add `{name}` to the task's data, or remove it here"
                    yield Problem(("benchmarks", index), name, message, remedy)
                elif name in benchmarks.FURTHER and self.data.kind in benchmarks.COUNTDOWN:
                    remedy = f"add `{name}` to the task's `further`, or remove it here"
                    yield Problem(("benchmarks", index), name, message, remedy)
                else:
                    yield unknown(("benchmarks", index), name, message, known)
        if self.benchmarks and all(name in benchmarks.LANGUAGE for name in self.benchmarks):
            message = "no answer of a policy is measured by these"
            yield Problem(("benchmarks",), self.benchmarks, message, "add one that has answers")

    def _of_data(self) -> list[str]:
        """List the benchmarks that the data have. Raises `Refused` where that cannot be read."""
        optional = [n for n in benchmarks.OPTIONAL if getattr(self.data, n, None) is not None]
        return [*benchmarks.of_data(self.data.kind), *optional]

    @spared
    def _further_problems(self) -> Iterator[Problem]:
        """Tell of further prompts that the data cannot have, or on which nothing is evaluated."""
        if self.further is None:
            return
        if self.data.kind not in benchmarks.COUNTDOWN:
            message = f"data of kind {self.data.kind} are no instances that can be drawn"
            remedy = f"remove it, or use data of kind {', '.join(benchmarks.COUNTDOWN)}"
            yield Problem(("further",), ABSENT, message, remedy)
        if not self.further.asked:
            remedy = f"add {' or '.join(benchmarks.FURTHER)}, or remove it"
            yield Problem(("further",), ABSENT, "no benchmark is asked for", remedy)
        for name in self.further.asked:
            if name not in self.benchmarks:
                message = "nothing is evaluated on these prompts"
                remedy = f"add {name} to the task's benchmarks, or remove it here"
                yield Problem(("further", name), ABSENT, message, remedy)

    @spared
    def _row_problems(self) -> Iterator[Problem]:
        """Tell of limits of benchmarks that the data lack, or count themselves."""
        known = self._of_data()
        for name, count in getattr(self.data, "rows", {}).items():
            keys, own = ("data", "rows", name), getattr(self.data, name, None)
            if name not in known:
                yield unknown(keys, name, "the task's data have no such benchmark", known)
            elif isinstance(own, int):
                message = f"the data's own `{name}` says how many there are, {own}"
                yield Problem(keys, count, message, f"remove it, or lower `{name}`")

    def _name_problems(self) -> Iterator[Problem]:
        places = [
            ((part, index, "name"), name)
            for part in ("runs", "experts", "bases")
            for index, one in enumerate(if_known(self, part) or [])
            if (name := if_known(one, "name")) is not None
        ]
        count = Counter(name for _, name in places)
        for keys, name in places:
            if name == BASE:
                yield Problem(keys, name, "'base' is the name of the base model", _RENAME)
            elif count[name] > 1:
                message = "another run, expert or base of this task has this name"
                yield Problem(keys, name, message, _RENAME)


_RENAME = "choose another name"


@spared
def _checkpoint_problems(run: Run) -> Iterator[Problem]:
    last = if_known(run, "steps")
    yield from unreachable(run.checkpoints or [], last, "this run", ("checkpoints",))


@spared
def _seed_problems(part: Task | Run) -> Iterator[Problem]:
    seeds = part.seeds or []
    yield from repetitions(seeds, ("seeds",))
    for index, seed in readable(seeds):
        if not 0 <= seed <= LARGEST_SEED:
            remedy = f"choose one from 0 to {LARGEST_SEED}"
            yield Problem(("seeds", index), seed, "this is no seed", remedy)
