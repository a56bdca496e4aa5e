"""Settings of the tasks: their data, their base, their experts and their matrix of runs."""

from collections import Counter
from collections.abc import Iterator

from pydantic import Field

from online_il import benchmarks
from online_il.config.bases import Base
from online_il.config.data import Data
from online_il.config.evaluation import Evaluation
from online_il.config.experts import NAME, Expert, Solver
from online_il.config.finetuning import Finetuning
from online_il.config.methods import Methods
from online_il.config.partial import if_known, named, names_of, readable, spared
from online_il.config.problem import Problem, closest, repetitions, unknown, unreachable
from online_il.config.resources import RuleResources
from online_il.config.run import Run
from online_il.config.settings import Settings
from online_il.methods import METHODS

LARGEST_SEED = 2**32 - 1  # NumPy's, which the trainers seed.
BASE = "base"
"""The name by which runs refer to the base."""


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
    seeds: list[int] = Field(
        min_length=1, description="Seeds of every run; all start from one base."
    )
    methods: Methods = Field(description="Settings of methods, where they differ from the study's.")
    evaluation: Evaluation = Field(
        description="How its checkpoints are evaluated, where that differs from the study's way."
    )
    resources: RuleResources = Field(
        description="What rules ask for, where that differs from the study's."
    )
    base: Base | None = Field(None, description="How the base model is made; runs need one.")
    experts: list[Expert] = Field([], description="Experts that are not runs.")
    runs: list[Run] = Field([], description="The matrix of runs.")

    @property
    def finetuning(self) -> Finetuning | None:
        """Say how the base is fine-tuned, if it is."""
        return getattr(self.base, "finetuning", None)

    def seeds_of(self, run: Run) -> list[int]:
        """Give the seeds of a run: its own, or those of the task."""
        return self.seeds if run.seeds is None else run.seeds

    def checkpoints_of(self, run: Run) -> list[int]:
        """List the steps that are kept: a run's own, or its method's that it reaches; its last."""
        shared = getattr(self.methods, run.method).checkpoints
        listed = shared if run.checkpoints is None else run.checkpoints
        return sorted({step for step in listed if step <= run.steps} | {run.steps})

    def problems(self) -> Iterator[Problem]:
        yield from _seed_problems(self)
        yield from self._benchmark_problems()
        yield from self._name_problems()
        yield from self._base_problems()
        yield from self._solver_problems()
        yield from self._run_problems()

    @spared
    def _base_problems(self) -> Iterator[Problem]:
        if self.base is None and self.runs:
            message = "the task has runs, which start from a base"
            yield Problem((BASE,), self.given(BASE), message, "add a base, or remove the runs")

    @spared
    def _solver_problems(self) -> Iterator[Problem]:
        for index, expert in enumerate(self.experts):
            if isinstance(expert, Solver) and self.data.kind != "miniature":
                yield Problem(
                    ("experts", index, "kind"),
                    expert.kind,
                    "the exact solver answers the miniature's prompts alone",
                    "use an endpoint or a model, or data of kind miniature",
                )

    @spared
    def _run_problems(self) -> Iterator[Problem]:
        checks = (
            self._expert_problems,
            _seed_problems,
            self._foreign_seed_problems,
            self._expert_seed_problems,
            _checkpoint_problems,
        )
        for index, run in readable(self.runs):
            for check in checks:
                for problem in check(run):
                    yield problem.below("runs", index)

    @spared
    def _benchmark_problems(self) -> Iterator[Problem]:
        yield from repetitions(self.benchmarks, ("benchmarks",))
        known = benchmarks.of_data(self.data.kind)
        for index, name in readable(self.benchmarks):
            if name not in known:
                message = "the task's data have no such benchmark"
                yield unknown(("benchmarks", index), name, message, known)

    def _name_problems(self) -> Iterator[Problem]:
        places = [
            ((part, index, "name"), name)
            for part in ("runs", "experts")
            for index, one in enumerate(if_known(self, part) or [])
            if (name := if_known(one, "name")) is not None
        ]
        count = Counter(name for _, name in places)
        for keys, name in places:
            if name == BASE:
                yield Problem(keys, name, "'base' is the name of the base model", _RENAME)
            elif count[name] > 1:
                message = "another run or expert of this task has this name"
                yield Problem(keys, name, message, _RENAME)

    @spared
    def _expert_problems(self, run: Run) -> Iterator[Problem]:
        keys, given, method = ("expert",), run.given("expert"), METHODS[run.method]
        parts = [*(if_known(self, "runs") or []), *(if_known(self, "experts") or [])]
        known = sorted({BASE, *names_of(parts)})
        there_are = f"there are: {', '.join(known)}"
        if not method.needs_expert:
            if run.expert is not None:
                message = f"{run.method} learns from the reward, not from an expert"
                yield Problem(keys, given, message, "remove it")
        elif run.expert is None:
            message = f"{run.method} needs an expert to imitate"
            yield Problem(keys, given, message, f"name one ({there_are})")
        elif run.expert != BASE and named([*self.runs, *self.experts], run.expert) is None:
            close = closest(run.expert, known)
            remedy = f"{close}({there_are})" if close else there_are
            yield Problem(keys, given, "no run or expert has this name", remedy)
        elif method.learns_from == "probabilities" and not self._has_weights(run.expert):
            offline = [name for name, one in METHODS.items() if one.learns_from == "samples"]
            yield Problem(
                keys,
                given,
                f"{run.method} reads the expert's next-token probabilities, and this one has no "
                "weights",
                f"name a run, or use {' or '.join(offline)}",
            )
        elif self._imitates_itself(run):
            message = "the run imitates itself in the end"
            yield Problem(keys, given, message, "let one of the runs imitate something else")

    def _has_weights(self, name: str) -> bool:
        if name in (BASE, *names_of(self.runs)):
            return True
        return any(one.has_weights for one in self.experts if if_known(one, "name") == name)

    def _imitates_itself(self, run: Run) -> bool:
        runs = {name: one for one in self.runs if (name := if_known(one, "name")) is not None}
        above, seen = run.expert, set[str | None]()
        while above in runs and above not in seen and above != run.name:
            if not METHODS[runs[above].method].needs_expert:
                return False
            seen.add(above)
            above = runs[above].expert
        return above == run.name

    @spared
    def _foreign_seed_problems(self, run: Run) -> Iterator[Problem]:
        """Tell of seeds of a run that its task lacks."""
        foreign = [seed for _, seed in readable(run.seeds or []) if seed not in self.seeds]
        if foreign:
            message = f"the task has no seed {', '.join(map(str, foreign))}"
            remedy = f"add to the task's seeds ({self.seeds}) or remove here"
            yield Problem(("seeds",), run.given("seeds"), message, remedy)

    @spared
    def _expert_seed_problems(self, run: Run) -> Iterator[Problem]:
        """Tell of seeds that a run's expert lacks: seed k imitates the expert of seed k."""
        if not METHODS[run.method].needs_expert or run.expert is None:
            return
        for other in self.runs:
            if if_known(other, "name") != run.expert:
                continue
            theirs = self.seeds_of(other)
            own = [seed for _, seed in readable(self.seeds_of(run)) if seed in self.seeds]
            missing = [seed for seed in own if seed not in theirs]
            if missing:
                yield Problem(
                    ("seeds",),
                    run.given("seeds"),
                    f"its expert '{other.name}' has no seed {', '.join(map(str, missing))}",
                    f"keep to the expert's seeds ({theirs}), or give the expert more",
                )


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
