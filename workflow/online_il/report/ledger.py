"""What the study cost: device-hours and tokens of each run, processor time of each rule."""

import csv
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as arrow
import pyarrow.parquet as parquet

from online_il.benchmarks import IN_DISTRIBUTION
from online_il.methods import METHODS
from online_il.store import BASE, query


class Spent(NamedTuple):
    """What one run took, means over its seeds; None where it is not known."""

    task: str
    run: str
    hours: float  # Of devices, in its own training.
    with_expert: float  # And in that of the trained expert that it imitates.
    generated: float | None  # Tokens: rollouts of its own, or its expert's demonstrations.
    trained: float
    gained: float | None  # Points of accuracy over the base.
    hours_a_point: float | None  # With the expert's; None where nothing was gained.
    tokens_a_point: float | None


class Jobs(NamedTuple):
    """What all jobs of a rule took, by Snakemake's benchmark files."""

    rule: str
    jobs: int
    wall_hours: float
    cpu_hours: float
    max_rss_mb: float


def spent(database: Path, results: Path) -> list[Spent]:
    """A row a run, the base first, then in the order of the tasks and runs."""
    totals = query(
        database,
        """
        SELECT task, run, any_value(method) AS method, avg(device_seconds) / 3600 AS hours,
               avg(tokens) AS tokens
        FROM (FROM training QUALIFY "update" = max("update") OVER (PARTITION BY task, run, seed))
        GROUP BY task, run ORDER BY task, run != 'base', run
        """,
    ).to_dict("records")
    experts = query(database, "SELECT DISTINCT task, run, expert FROM runs")
    experts = experts.dropna(subset="expert")
    expert_of = {(r["task"], r["run"]): r["expert"] for r in experts.to_dict("records")}
    hours = {(r["task"], r["run"]): r["hours"] for r in totals}
    accuracy = _accuracies(database)
    return [_row(row, expert_of, hours, accuracy, results) for row in totals]


def _row(
    row: dict[Any, Any],
    expert_of: dict[tuple[str, str], str],
    hours: dict[tuple[str, str], float],
    accuracy: dict[tuple[str, str], float],
    results: Path,
) -> Spent:
    task, run = row["task"], row["run"]
    expert = expert_of.get((task, run))
    imitated = hours.get((task, expert), 0.0) if expert and expert != BASE else 0.0
    if row["method"] in METHODS and METHODS[row["method"]].on_policy:
        generated: float | None = row["tokens"]  # Each token of its own is trained on once.
    else:
        generated = _demonstrated(results / "samples" / task, expert) if expert else None
    whole = row["hours"] + imitated
    gained = None
    if run != BASE and (task, run) in accuracy and (task, BASE) in accuracy:
        gained = 100 * (accuracy[task, run] - accuracy[task, BASE])
    pays = gained is not None and gained > 0
    return Spent(
        task,
        run,
        row["hours"],
        whole,
        generated,
        row["tokens"],
        gained,
        whole / gained if pays and gained else None,
        row["tokens"] / gained if pays and gained else None,
    )


def _accuracies(database: Path) -> dict[tuple[str, str], float]:
    """Each run's last accuracy on its task's first in-distribution benchmark."""
    rows = query(database, "SELECT * FROM final WHERE sampling = 'policy'")
    rows = rows[rows["benchmark"].isin(IN_DISTRIBUTION)]
    rows = rows.sort_values("benchmark", key=lambda names: names.map(IN_DISTRIBUTION.index))
    rows = rows.drop_duplicates(["task", "run"])
    return {(r["task"], r["run"]): r["accuracy"] for r in rows.to_dict("records")}


def _demonstrated(folder: Path, expert: str) -> float | None:
    """Tokens of an expert's demonstrations, mean over seeds; None where the files are not there."""
    counts = []
    for path in sorted(folder.glob(f"{expert}/seed*.parquet")):
        if path.stem.count(".") == 0:  # `seed1.id` holds answers to a benchmark.
            try:
                lengths = parquet.read_table(path, columns=["n_tokens"])["n_tokens"]
            except (arrow.ArrowException, OSError):
                continue
            counts.append(sum(lengths.to_pylist()))
    return sum(counts) / len(counts) if counts else None


def jobs(results: Path) -> list[Jobs]:
    """A row a rule that has left benchmark files, the most expensive first."""
    found: dict[str, list[dict[str, float]]] = {}
    for path in sorted((results / "benchmarks").rglob("*.tsv")):
        rule = path.relative_to(results / "benchmarks").parts[0].removesuffix(".tsv")
        with path.open(encoding="utf-8") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                found.setdefault(rule, []).append(
                    {key: _number(row.get(key)) for key in ("s", "cpu_time", "max_rss")}
                )
    rows = [
        Jobs(
            rule,
            len(rows),
            sum(row["s"] for row in rows) / 3600,
            sum(row["cpu_time"] for row in rows) / 3600,
            max(row["max_rss"] for row in rows),
        )
        for rule, rows in found.items()
    ]
    return sorted(rows, key=lambda row: -row.wall_hours)


def _number(text: str | None) -> float:
    """A cell of a benchmark file; a job too short to be measured has `NA` or nothing."""
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
