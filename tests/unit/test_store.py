"""The database of a study against pandas by hand, and what it says about files that do not fit."""

import json
import runpy
import shutil
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from fake_study import PROMPTS, RUNS, edit, fake_study

from online_il.charts.curves import figure1, measures
from online_il.errors import InputError
from online_il.statistics.intervals import mean_over_seeds
from online_il.store import build, learning_curves, query

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study to copy: writing it takes longer than what is tested."""
    folder = tmp_path_factory.mktemp("study")
    fake_study(folder)
    return folder


@pytest.fixture
def results(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "results"))


def test_numbers_agree_with_the_files(results: Path, tmp_path: Path) -> None:
    database = tmp_path / "results.duckdb"
    build(results, database)
    records = pd.DataFrame(
        [json.loads(p.read_text()) for p in results.glob("eval/*/*/seed*/step*/*.json")]
    )
    responses = pd.concat(
        pd.read_parquet(p).assign(run=p.parts[-4], step=int(p.parts[-2][4:]), name=p.stem)
        for p in results.glob("eval/*/*/seed*/step*/*.parquet")
    )
    evaluations = query(database, "evaluations")
    assert len(evaluations) == len(records) == 5 * 3 * 5
    assert len(query(database, "samples")) == len(responses) == 75 * PROMPTS

    curves = query(database, "curves").set_index(["run", "step", "benchmark", "sampling"])
    by_hand = records.groupby(["run", "step", "benchmark", "sampling"])
    for key, part in by_hand:
        row = curves.loc[key]
        assert row["seeds"] == 3
        assert row["accuracy"] == pytest.approx(part["accuracy"].mean())
        assert row["accuracy_min"] == part["accuracy"].min()
        assert row["accuracy_max"] == part["accuracy"].max()
        assert row["device_seconds"] == pytest.approx(part["device_seconds"].mean())
        assert row["updates"] == part["updates"].mean()

    prompts = query(database, "prompt_accuracy")
    chosen = prompts.query(
        "run == 'expert' and step == 6 and benchmark == 'id' and sampling == 'paper'"
    )
    part = responses.query("run == 'expert' and step == 6 and name == 'id.paper'")
    expected = part.set_index(["seed", "prompt_id"])["correct"].astype(float)
    pd.testing.assert_series_equal(
        chosen.set_index(["seed", "prompt_id"])["accuracy"].sort_index(),
        expected.sort_index(),
        check_names=False,
        check_index_type=False,
    )
    spread = learning_curves(database).set_index(["run", "step", "benchmark", "sampling"])
    by_seed = chosen.pivot(index="seed", columns="prompt_id", values="accuracy").to_numpy()
    row = spread.loc[("expert", 6, "id", "paper")]
    assert (row["accuracy"], row["stderr"], row["low"], row["high"]) == pytest.approx(
        tuple(mean_over_seeds(by_seed))
    )
    # The curve has three points: the base and two checkpoints.
    band = mean_over_seeds(by_seed, 0.025 / 3)
    assert (row["band_low"], row["band_high"]) == pytest.approx((band.low, band.high))
    assert row["band_low"] < row["low"] < row["high"] < row["band_high"]
    training = query(database, "training")
    assert len(training) == 9 * 2
    assert training["loss"].unique().tolist() == [1.0, 0.5]


def test_final_is_the_last_step_of_each_run(results: Path, tmp_path: Path) -> None:
    build(results, tmp_path / "d.duckdb")
    final = query(tmp_path / "d.duckdb", "SELECT DISTINCT run, step FROM final")
    assert dict(final.itertuples(index=False)) == {"base": 0, "expert": 6, "sft-realizable": 24}


def test_database_serves_without_the_files(results: Path, tmp_path: Path) -> None:
    build(results, tmp_path / "d.duckdb")
    results.rename(tmp_path / "elsewhere")
    assert len(query(tmp_path / "d.duckdb", "curves")) == 25
    assert len(query(tmp_path / "d.duckdb", "final")) == 15
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.duckdb", "elsewhere"]


def test_columns_that_are_null_everywhere_keep_their_type(results: Path, tmp_path: Path) -> None:
    build(results, tmp_path / "d.duckdb")
    types = query(tmp_path / "d.duckdb", "DESCRIBE evaluations").set_index("column_name")
    assert types.loc["format_rate", "column_type"] == "DOUBLE"
    assert types.loc["attempts", "column_type"] == "DOUBLE"
    nulls = query(
        tmp_path / "d.duckdb",
        "SELECT count(format_rate), count(expert), count(check_rate) FROM evaluations",
    )
    assert nulls.iloc[0].tolist() == [0, 2 * 3 * 5, 5 * 3 * 2]
    types = query(tmp_path / "d.duckdb", "DESCRIBE samples").set_index("column_name")
    assert types.loc["reward_tinyzero", "column_type"] == "DOUBLE"
    assert types.loc["correct_strict", "column_type"] == "DOUBLE"


def test_runs_that_left_the_config_are_not_gathered(results: Path, tmp_path: Path) -> None:
    left = ["countdown/base/seed1", "countdown/expert/seed1", "countdown/expert/seed2"]
    build(results, tmp_path / "d.duckdb", left)
    for table in ("evaluations", "samples", "runs"):
        found = query(tmp_path / "d.duckdb", f"SELECT DISTINCT task, run, seed FROM {table}")
        assert sorted("{}/{}/seed{}".format(*row) for row in found.itertuples(index=False)) == left


def test_a_curve_begins_with_what_its_run_starts_from(results: Path, tmp_path: Path) -> None:
    """A run that goes on from another one, and a mixture, which goes on from nothing."""
    for path in results.glob("eval/*/sft-realizable/**/*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"start": "expert@2"}))
    for path in results.glob("eval/*/expert/**/*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"start": "base"}))
    build(results, tmp_path / "d.duckdb")
    rows = learning_curves(tmp_path / "d.duckdb").set_index(
        ["run", "step", "benchmark", "sampling"]
    )
    for at in (("id", "policy"), ("id", "paper"), ("ood", "policy")):
        begun, before = rows.loc[("sft-realizable", 0, *at)], rows.loc[("expert", 2, *at)]
        for key in ("accuracy", "stderr", "low", "high"):
            assert begun[key] == pytest.approx(before[key])
        assert before["updates"] > 0 and begun[["updates", "samples", "tokens"]].eq(0).all()
        assert rows.loc[("expert", 0, *at), "accuracy"] == rows.loc[("base", 0, *at), "accuracy"]
    for path in results.glob("eval/*/sft-realizable/**/*.json"):
        path.write_text(
            json.dumps(json.loads(path.read_text()) | {"start": None, "method": "mixture"})
        )
    build(results, tmp_path / "d.duckdb")
    rows = learning_curves(tmp_path / "d.duckdb")
    assert set(rows.loc[rows["run"] == "sft-realizable", "step"]) == {8, 24}


def test_a_curve_begins_with_its_own_base(tmp_path: Path) -> None:
    """A further base serves all seeds and is no curve itself."""
    results, database = tmp_path / "r", tmp_path / "d.duckdb"
    narrow = {"narrow": ("pretrain", None, [(0, 0, 0)], 0.4)}
    fake_study(results, runs=RUNS | narrow)
    for path in results.glob("eval/*/sft-realizable/**/*.json"):
        edit(path, start="narrow")
    build(results, database)
    rows = learning_curves(database).set_index(["run", "step", "benchmark", "sampling"])
    begun, base = (rows.loc[(n, 0, "id", "policy")] for n in ("sft-realizable", "base"))
    narrow_base = rows.loc[("narrow", 0, "id", "policy")]
    assert begun["accuracy"] == narrow_base["accuracy"] != base["accuracy"]
    assert rows.loc[("expert", 0, "id", "policy"), "accuracy"] == base["accuracy"]
    [first, *_] = measures(database, ("id",))
    assert set(first.means["run"]) == {"base", "expert", "sft-realizable"}
    singles = first.seeds[(first.seeds["run"] == "sft-realizable") & (first.seeds["step"] == 0)]
    assert singles["accuracy"].mean() == pytest.approx(narrow_base["accuracy"])
    assert set(singles["seed"]) == {1, 2, 3} and singles["samples"].eq(0).all()
    assert "each begins with what it starts from" in json.dumps(figure1(database).to_dict())


def test_one_seed(tmp_path: Path) -> None:
    fake_study(tmp_path / "r", seeds=(1,))
    build(tmp_path / "r", tmp_path / "d.duckdb")
    rows = learning_curves(tmp_path / "d.duckdb")
    assert (rows["seeds"] == 1).all()
    assert (rows["low"] <= rows["accuracy"]).all() and (rows["stderr"] > 0).any()


def test_a_second_build_replaces_the_first(results: Path, tmp_path: Path) -> None:
    database = tmp_path / "d.duckdb"
    build(results, database)
    database.with_name("d.duckdb.wal").write_bytes(b"an older database's log")
    build(results, database)
    assert len(query(database, "curves")) == 25


def refused(results: Path, tmp_path: Path, *words: str) -> None:
    database = tmp_path / "d.duckdb"
    with pytest.raises(InputError) as caught:
        build(results, database)
    for word in words:
        assert word in str(caught.value)
    assert not list(tmp_path.glob("*d.duckdb*")) and not list(tmp_path.glob(".*"))


def test_refuses_the_same_evaluation_twice(results: Path, tmp_path: Path) -> None:
    folder = results / "eval/countdown/expert/seed1/step6"
    folder.with_name("step7").mkdir()
    for path in folder.iterdir():
        (folder.with_name("step7") / path.name).write_bytes(path.read_bytes())
    refused(results, tmp_path, "step6/", "step7/", "twice", "delete")


def test_refuses_other_prompts(results: Path, tmp_path: Path) -> None:
    edit(results / "eval/countdown/expert/seed2/step6/id.json", prompts_hash="other")
    refused(results, tmp_path, "expert/seed2", "id of countdown", "other prompts", "delete")


@pytest.mark.parametrize("text", [b'{"task": "count', b"", b"[1]", b"{}", b"\xff\xfe"])
def test_names_a_damaged_record(results: Path, tmp_path: Path, text: bytes) -> None:
    (results / "eval/countdown/expert/seed2/step6/id.json").write_bytes(text)
    refused(results, tmp_path, "expert/seed2/step6/id.json", "delete")


def test_names_a_damaged_run(results: Path, tmp_path: Path) -> None:
    edit(results / "runs/countdown/expert/seed2/run.json", surprise=1)
    refused(results, tmp_path, "expert/seed2/run.json", "surprise", "delete")


@pytest.mark.parametrize(
    "name",
    [
        "eval/countdown/expert/seed2/step6/id.parquet",
        "runs/countdown/expert/seed1/training.parquet",
    ],
)
@pytest.mark.parametrize("damage", ["cut", "page", "column"])
def test_names_a_damaged_table(results: Path, tmp_path: Path, name: str, damage: str) -> None:
    path = results / name
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "page":
        path.write_bytes(data[:4] + b"\xff" * 200 + data[204:])
    else:
        frame = pd.read_parquet(path)
        frame.drop(columns=frame.columns[-1]).to_parquet(path)
    refused(results, tmp_path, path.name, "delete")


def test_refuses_half_an_evaluation(results: Path, tmp_path: Path) -> None:
    (results / "eval/countdown/expert/seed2/step6/ood.paper.parquet").unlink()
    refused(results, tmp_path, "expert/seed2/step6/ood.paper", "without its responses", "delete")


def test_refuses_responses_that_tell_otherwise(results: Path, tmp_path: Path) -> None:
    path = results / "eval/countdown/expert/seed2/step6/id.json"
    edit(path, accuracy=0.987)
    refused(results, tmp_path, "step6/id", "0.987", "delete")
    edit(path, n_prompts=13)
    refused(results, tmp_path, "step6/id", "13 responses", "has 12", "delete")


def test_refuses_an_empty_folder(tmp_path: Path) -> None:
    refused(tmp_path / "none", tmp_path, "none", "no evaluation")


def test_query_says_what_is_wrong(results: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such database"):
        query(tmp_path / "none.duckdb", "curves")
    (tmp_path / "bad.duckdb").write_text("not a database, but long enough to look like one" * 100)
    with pytest.raises(InputError, match=r"bad\.duckdb"):
        query(tmp_path / "bad.duckdb", "curves")
    build(results, tmp_path / "d.duckdb")
    with pytest.raises(InputError, match="nothing"):
        query(tmp_path / "d.duckdb", "nothing")
    with pytest.raises(duckdb.Error), duckdb.connect(tmp_path / "d.duckdb", read_only=True) as c:
        c.execute("DROP VIEW curves")


# ---- file systems of networks ----

CLAIMS = Path(__file__).parents[2] / "workflow" / "scripts" / "claims.py"
NO_LOCK = 'IO Error: Could not set lock on file "{}": No locks available'


@pytest.fixture
def no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on a file system that knows no locks, as DuckDB finds it."""
    place, connect = tmp_path / "network", duckdb.connect

    def opened(database: str = ":memory:", **options: Any) -> duckdb.DuckDBPyConnection:
        if Path(database).is_relative_to(place):
            raise duckdb.IOException(NO_LOCK.format(database))
        return connect(database, **options)

    monkeypatch.setattr(duckdb, "connect", opened)
    return place


def test_a_database_is_made_and_read_where_there_are_no_locks(
    results: Path, tmp_path: Path, no_locks: Path
) -> None:
    build(results, no_locks / "all.duckdb")
    build(results, tmp_path / "here.duckdb")
    for table in ("evaluations", "samples", "curves", "final", "intervals"):
        ordered = f"FROM {table} ORDER BY ALL"
        there, here = (
            query(place, ordered) for place in (no_locks / "all.duckdb", tmp_path / "here.duckdb")
        )
        pd.testing.assert_frame_equal(there, here)
    assert [path.name for path in no_locks.iterdir()] == ["all.duckdb"]


def test_claims_are_added_where_there_are_no_locks(
    results: Path, tmp_path: Path, no_locks: Path
) -> None:
    build(results, no_locks / "measurements.duckdb")
    verdicts = tmp_path / "claims.json"
    verdicts.write_text(json.dumps({"claims": []}))
    add_table = runpy.run_path(str(CLAIMS))["add_table"]
    add_table(no_locks / "measurements.duckdb", verdicts, no_locks / "results.duckdb")
    assert query(no_locks / "results.duckdb", "claims").empty
    assert not query(no_locks / "results.duckdb", "evaluations").empty


def test_a_build_that_fails_leaves_nothing_anywhere(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = tmp_path / "local"
    local.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(local))
    next(results.rglob("id.json")).write_text("{")
    with pytest.raises(InputError):
        build(results, tmp_path / "made" / "all.duckdb")
    assert not list(local.iterdir()) and not list(tmp_path.glob("made/*"))
