"""The accuracies of a study as tables: seeds x checkpoints x prompts.

Letters in the names: S seeds, P prompts, K checkpoints.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from online_il import benchmarks
from online_il.errors import InputError
from online_il.statistics.effects import Part
from online_il.statistics.intervals import Array
from online_il.store import BASE, query

SQL = Path(__file__).parents[2] / "sql" / "claims"
GROUPS = {
    "in-distribution": benchmarks.IN_DISTRIBUTION,
    "out-of-distribution": benchmarks.OUT_OF_DISTRIBUTION,
    "forgetting": benchmarks.FORGETTING,
}


class Measured(NamedTuple):
    """One run on one benchmark."""

    seeds: list[int]
    steps: list[int]
    accuracy_S_K_P: Array
    start: str = BASE
    """What it was trained from, a base or `<run>@<step>`; empty for a base."""
    responses_K: tuple[int, ...] = ()
    """Responses to a prompt at each step; left out, one."""

    def responses(self, *, last: bool) -> int:
        """Count the responses to a prompt at the last step, or at the step with the fewest."""
        counts = self.responses_K or (1,)
        return counts[-1] if last else min(counts)


def own_base(run: str, measured: Mapping[str, Measured]) -> str:
    """Name the base that a run was first trained from, through all that it starts from."""
    if run not in measured:
        return BASE
    for _ in measured:
        if run in measured and not is_base(run, measured):
            run = measured[run].start.partition("@")[0]
    return run


def is_base(run: str, measured: Mapping[str, Measured]) -> bool:
    """Say whether a measured policy is a base, which starts from nothing."""
    return run == BASE or not measured[run].start


class Design(BaseModel):
    """What a study's config says of a task, and its database does not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seeds: list[int] | None = Field(None, description="Seeds in the order of blocks; None: any.")
    shared_bases: list[str] | None = Field(
        None, description="Bases that serve the runs of all seeds; None: those of one seed."
    )
    whole: list[str] = Field([], description="Benchmarks whose prompts are all that there are.")


class Measurements:
    """A study's database, read by the questions in workflow/sql/claims; `designs` are by task."""

    def __init__(self, database: Path, designs: Mapping[str, Design] | None = None) -> None:
        self._database = database
        self._designs = designs or {}
        self._benchmarks = answer_of(database, "benchmarks")
        self._read = cache(self._runs)
        self._costs = cache(lambda task: answer_of(database, "cost", task))
        self._pace = cache(lambda task: answer_of(database, "pace", task))

    @property
    def tasks(self) -> list[str]:
        """The tasks that have runs."""
        return sorted(self._benchmarks["task"].unique())

    def benchmarks(self, task: str, group: str) -> list[str]:
        """List a task's benchmarks of a group, in the paper's order."""
        own = set(self._benchmarks.loc[self._benchmarks["task"] == task, "benchmark"])
        return [name for name in GROUPS[group] if name in own]

    def serves_all(self, task: str, name: str, measured: Mapping[str, Measured]) -> bool:
        """Say whether a policy is a base that serves the runs of all seeds."""
        shared = self.design(task).shared_bases
        if not is_base(name, measured):
            return False
        return len(measured[name].seeds) == 1 if shared is None else name in shared

    def design(self, task: str) -> Design:
        """Say what is known of a task from its config."""
        return self._designs.get(task, Design())

    def runs(self, task: str, benchmark: str) -> dict[str, Measured]:
        """Read every run of a task on a benchmark, sampled from the policy itself."""
        return self._read(task, benchmark)  # type: ignore[no-any-return]

    def names(self, task: str) -> set[str]:
        """List the runs of a task."""
        return set(self._costs(task)["run"])

    def cost(
        self, task: str, run: str, unit: str, steps: Sequence[int], seeds: Sequence[int]
    ) -> Array:
        """Return the cost of reaching each of the steps of a run, in `unit`, mean over seeds."""
        rows = self._costs(task)
        rows = rows[(rows["run"] == run) & rows["seed"].isin(seeds)]
        return rows.groupby("step")[unit].mean().loc[list(steps)].to_numpy(float)

    def machine_noise(self, task: str, seeds: Sequence[int]) -> Part | None:
        """Estimate the variance of the logarithm of a training's time that the machine adds.

        The seeds of a run differ in seconds a token by the machine's load alone: that variance,
        within the runs and over all of them. None where no run has two seeds.
        """
        rows = self._pace(task)
        rows = rows[rows["seed"].isin(seeds)]
        log_N = np.log(rows["seconds"])
        freedom = len(rows) - rows["run"].nunique()
        if freedom < 1:
            return None
        within_N = log_N - log_N.groupby(rows["run"]).transform("mean")
        return Part(float((within_N**2).sum()) / freedom, freedom)

    def _runs(self, task: str, benchmark: str) -> dict[str, Measured]:
        rows = answer_of(self._database, "accuracy", task, benchmark, "policy")
        costs, found = self._costs(task), {}
        starts = dict(zip(costs["run"], costs["start"].fillna(""), strict=True))
        for run, part in rows.groupby("run", sort=False):
            steps, seeds, prompts = (part[key].unique() for key in ("step", "seed", "prompt_id"))
            shape = len(steps), len(seeds), len(prompts)
            if len(part) != shape[0] * shape[1] * shape[2]:
                raise InputError(
                    f"{self._database}: {run} of {task} on {benchmark} has {len(part)} rows where "
                    f"{' x '.join(map(str, shape))} belong (steps, seeds, prompts); delete the "
                    "database and start again: Snakemake makes it anew"
                )
            accuracy = part["accuracy"].to_numpy(float).reshape(shape).transpose(1, 0, 2)
            counts_K = part.groupby("step", sort=False)["responses"].min()
            found[str(run)] = Measured(
                seeds.tolist(), steps.tolist(), accuracy, starts[run], tuple(map(int, counts_K))
            )
        return found


Adapters = Mapping[tuple[str, str], int]
"""By task and run: the rank of the adapter that was trained in the place of all weights."""


def adapters_of(database: Path) -> Adapters:
    """List the runs of a study that trained an adapter."""
    rows = answer_of(database, "adapters")
    keys = zip(rows["task"], rows["run"], strict=True)
    return dict(zip(keys, map(int, rows["rank"]), strict=True))


def adapters_in_words(ranks: Mapping[str, int]) -> str:
    """Say of some runs that they are adapters, by name of the rank of each; nothing of none."""
    if not ranks:
        return ""
    named = ", ".join(f"{run} (rank {rank})" for run, rank in sorted(ranks.items()))
    return (
        f"Low-rank adapters (LoRA) were trained, not all weights: {named}; each is a student of "
        "another class than one whose weights are all trained."
    )


def answer_of(database: Path, question: str, *parameters: str) -> pd.DataFrame:
    """Answer a question of workflow/sql/claims. Raises `InputError`."""
    sql = (SQL / f"{question}.sql").read_text(encoding="utf-8")
    return query(database, sql, parameters)
