"""What a run gained, and over which base."""

from pathlib import Path

import pytest
from fake_study import RUNS, edit, fake_study

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
