"""What a run gained, and over which base."""

from pathlib import Path

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest
from fake_study import RUNS, edit, fake_study

from online_il.layout import Layout
from online_il.report.ledger import spent
from online_il.store import build, query


def test_a_gain_is_one_over_the_base_that_a_run_goes_back_to(tmp_path: Path) -> None:
    narrow = {"narrow": ("pretrain", None, [(0, 0, 0)], 0.4)}
    results, database = tmp_path / "r", tmp_path / "measurements.duckdb"
    fake_study(results, runs=RUNS | narrow, samplings=("policy",), benchmarks=("id",))
    for path in results.glob("*/countdown/sft-realizable/**/*.json"):
        edit(path, start="narrow")
    build(results, database)
    last = query(database, "SELECT run, accuracy FROM final").set_index("run")["accuracy"]
    rows = {row.run: row for row in spent(database, results)}
    gained = 100 * (last["sft-realizable"] - last["narrow"])
    assert rows["sft-realizable"].gained == pytest.approx(gained)
    assert rows["expert"].gained == pytest.approx(100 * (last["expert"] - last["base"]))
    assert rows["narrow"].gained is None and rows["base"].gained is None
    student, expert = rows["sft-realizable"], rows["expert"]
    assert student.with_expert == pytest.approx(student.hours + expert.hours)


def test_demonstrations_of_a_runs_own_count_for_it_and_for_no_other(tmp_path: Path) -> None:
    gap = ("sft", "expert", [(8, 8, 512), (24, 24, 1536)], 0.66)
    results, database = tmp_path / "r", tmp_path / "measurements.duckdb"
    fake_study(results, runs=RUNS | {"gap": gap}, samplings=("policy",), benchmarks=("id",))
    for path in results.glob("runs/countdown/gap/**/run.json"):
        edit(path, settings={"demonstrations": 3})
    # Tokens of each demonstration by its file: two shared, three of the run's own.
    layout = Layout(results)
    tables = {layout.samples("countdown", "expert", 1): [10, 20]}
    tables[layout.samples("countdown", "gap", 1, "fresh")] = [5, 6, 7]
    for path, lengths in tables.items():
        path.parent.mkdir(parents=True)
        parquet.write_table(arrow.table({"n_tokens": lengths}), path)
    build(results, database)

    def generated() -> dict[str, float | None]:
        return {row.run: row.generated for row in spent(database, results)}

    found = generated()
    assert (found["sft-realizable"], found["gap"], found["base"]) == (30, 18, None)
    # Left from when the run had another number of them, which now are the shared ones.
    for path in results.glob("runs/countdown/gap/**/run.json"):
        edit(path, settings={"demonstrations": 2})
    build(results, database)
    assert generated()["gap"] == 30
