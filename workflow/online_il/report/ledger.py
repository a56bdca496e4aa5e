"""The cost of a study: device-hours and tokens of each run, processor time of each rule."""

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as arrow
import pyarrow.parquet as parquet

from online_il.benchmarks import IN_DISTRIBUTION
from online_il.layout import Layout
from online_il.methods import METHODS
from online_il.store import BASE, query


class Spent(NamedTuple):
    """The cost of one run, means over its seeds; None where it is not known."""

    task: str
    run: str
    hours: float  # Of devices, in its own training.
    with_expert: float  # And in that of all runs that it imitates or starts from.
    generated: float | None  # Tokens: rollouts of its own, or its expert's demonstrations.
    trained: float
    gained: float | None  # Points of accuracy over its base.
    hours_a_point: float | None  # With the expert's; None where nothing was gained.
    tokens_a_point: float | None


class Jobs(NamedTuple):
    """The cost of all jobs of a rule, by Snakemake's benchmark files."""

    rule: str
    jobs: int
    wall_hours: float
    cpu_hours: float
    max_rss_mb: float


def spent(database: Path, results: Path) -> list[Spent]:
    """Add up a row a run, the base first, then in the order of the tasks and runs."""
    totals = query(
        database,
        """
        SELECT task, run, any_value(method) AS method, avg(device_seconds) / 3600 AS hours,
               avg(tokens) AS tokens
        FROM (FROM training QUALIFY "update" = max("update") OVER (PARTITION BY task, run, seed))
        GROUP BY task, run ORDER BY task, run != 'base', run
        """,
    ).to_dict("records")
    runs = query(
        database,
        "SELECT DISTINCT ON (task, run) task, run, method, expert, start, settings FROM runs",
    ).astype(object)
    rows = runs.where(runs.notna(), None).to_dict("records")
    known = {(row["task"], row["run"]): row for row in rows}
    hours = {(r["task"], r["run"]): r["hours"] for r in totals}
    accuracy = _accuracies(database)
    return [_row(row, known, hours, accuracy, results) for row in totals]


def _made_of(task: str, run: str, known: dict[tuple[str, str], dict[Any, Any]]) -> set[str]:
    """List the runs that a run imitates or starts from, however indirectly, without the bases."""
    pending, found = [run], {run}
    while pending:
        row = known.get((task, pending.pop()), {})
        settings = json.loads(row["settings"]) if row else {}
        names = {*settings.get("parts", {}), settings.get("fallback")}
        names |= {row.get("expert"), str(row.get("start") or BASE).partition("@")[0]}
        new = {n for n in names if (task, n) in known and not _is_base(known[task, n])} - found
        found |= new
        pending += new
    return found - {run}


def _is_base(row: dict[Any, Any]) -> bool:
    return bool(row["run"] == BASE or row["method"] == "pretrain")


def _base_of(task: str, run: str, known: dict[tuple[str, str], dict[Any, Any]]) -> str:
    """Name the base that a run was first trained from, through all that it starts from."""
    for _ in known:
        row = known.get((task, run))
        if row and not _is_base(row):
            run = str(row["start"] or BASE).partition("@")[0]
    return run


def _row(
    row: dict[Any, Any],
    known: dict[tuple[str, str], dict[Any, Any]],
    hours: dict[tuple[str, str], float],
    accuracy: dict[tuple[str, str], float],
    results: Path,
) -> Spent:
    task, run = row["task"], row["run"]
    expert = known[task, run]["expert"]
    imitated = sum(hours.get((task, name), 0.0) for name in _made_of(task, run, known))
    settings = json.loads(known[task, run]["settings"])
    own = settings.get("prefixes", "own") == "own"
    if row["method"] in METHODS and METHODS[row["method"]].on_policy and own:
        generated: float | None = row["tokens"]  # Each token of its own is trained on once.
    else:
        layout, count = Layout(results), settings.get("demonstrations")
        generated = _demonstrated(layout.existing_own_samples(task, run), count)
        if generated is None and expert:
            generated = _demonstrated(layout.existing_samples(task, expert))
    hours_with_expert = row["hours"] + imitated
    gained = None
    base = _base_of(task, run, known)
    if run != base and (task, run) in accuracy and (task, base) in accuracy:
        gained = 100 * (accuracy[task, run] - accuracy[task, base])
    pays = gained is not None and gained > 0
    return Spent(
        task,
        run,
        row["hours"],
        hours_with_expert,
        generated,
        row["tokens"],
        gained,
        hours_with_expert / gained if pays and gained else None,
        row["tokens"] / gained if pays and gained else None,
    )


def _accuracies(database: Path) -> dict[tuple[str, str], float]:
    """Read each run's last accuracy on its task's first in-distribution benchmark."""
    rows = query(database, "SELECT * FROM final WHERE sampling = 'policy'")
    rows = rows[rows["benchmark"].isin(IN_DISTRIBUTION)]
    rows = rows.sort_values("benchmark", key=lambda names: names.map(IN_DISTRIBUTION.index))
    rows = rows.drop_duplicates(["task", "run"])
    return {(r["task"], r["run"]): r["accuracy"] for r in rows.to_dict("records")}


def _demonstrated(tables: list[Path], rows: int | None = None) -> float | None:
    """Count the tokens of demonstrations, mean over seeds; None without files.

    With `rows` those of as many rows alone: others are left from when the run had other settings.
    """
    counts = []
    for path in tables:
        try:
            lengths = parquet.read_table(path, columns=["n_tokens"])["n_tokens"]
        except (arrow.ArrowException, OSError):
            continue
        if rows in (None, len(lengths)):
            counts.append(sum(lengths.to_pylist()))
    return sum(counts) / len(counts) if counts else None


def jobs(results: Path) -> list[Jobs]:
    """Add up a row a rule that has left benchmark files, the most expensive first."""
    found: dict[str, list[dict[str, float]]] = {}
    for rule, path in Layout(results).existing_benchmarks():
        with path.open(encoding="utf-8") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                found.setdefault(rule, []).append(
                    {key: _as_float(row.get(key)) for key in ("s", "cpu_time", "max_rss")}
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


def _as_float(text: str | None) -> float:
    """Read a cell of a benchmark file; a job too short to be measured has `NA` or nothing."""
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
