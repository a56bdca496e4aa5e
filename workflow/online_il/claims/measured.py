"""The accuracies of a study as tables: seeds x checkpoints x prompts.

Letters in the names: S seeds, P prompts, K checkpoints.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from online_il import benchmarks
from online_il.errors import InputError
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


class Measurements:
    """A study's database, read by the questions in workflow/sql/claims."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._benchmarks = answer_of(database, "benchmarks")
        self._read = cache(self._runs)
        self._costs = cache(lambda task: answer_of(database, "cost", task))

    @property
    def tasks(self) -> list[str]:
        """The tasks that have runs."""
        return sorted(self._benchmarks["task"].unique())

    def benchmarks(self, task: str, group: str) -> list[str]:
        """List a task's benchmarks of a group, in the paper's order."""
        own = set(self._benchmarks.loc[self._benchmarks["task"] == task, "benchmark"])
        return [name for name in GROUPS[group] if name in own]

    def runs(self, task: str, benchmark: str) -> dict[str, Measured]:
        """Read every run of a task on a benchmark, sampled from the policy itself."""
        return self._read(task, benchmark)  # type: ignore[no-any-return]

    def names(self, task: str) -> set[str]:
        """List the runs of a task."""
        return set(self._costs(task)["run"])

    def cost(self, task: str, run: str, unit: str, steps: list[int]) -> Array:
        """Return the cost of reaching each of the steps of a run, in `unit`."""
        rows = self._costs(task)
        costs = rows[rows["run"] == run].set_index("step")[unit]
        return costs.loc[steps].to_numpy(float)  # type: ignore[no-any-return]

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
            found[str(run)] = Measured(seeds.tolist(), steps.tolist(), accuracy, starts[run])
        return found


def answer_of(database: Path, question: str, *parameters: str) -> pd.DataFrame:
    """Answer a question of workflow/sql/claims. Raises `InputError`."""
    sql = (SQL / f"{question}.sql").read_text(encoding="utf-8")
    return query(database, sql, parameters)
