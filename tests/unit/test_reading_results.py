"""A text that policies read: from evaluation through database to summary and report."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_study import RUNS, edit, fake_study

from online_il.charts.curves import figure1, figure2
from online_il.claims.comparison import compare, study
from online_il.config.study import load
from online_il.errors import InputError
from online_il.files import write_json, write_table
from online_il.perplexity import measures
from online_il.records import EvaluationRecord, Passages
from online_il.report.page import page
from online_il.report.summary import summary
from online_il.report.texts import readings
from online_il.store import build, learning_curves, query

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PASSAGES = 5


def read_text(results: Path) -> None:
    """Add to a study of files what each policy read: a student reads worse with every update."""
    rng = np.random.default_rng(3)
    tokens_N, bytes_N = rng.integers(40, 90, PASSAGES), rng.integers(200, 400, PASSAGES)
    for path in results.glob("eval/*/*/seed*/step*/id.json"):
        known = json.loads(path.read_text())
        worse = 0.01 * known["updates"] * (known["run"] == "sft-realizable")
        nats_N = tokens_N * (3.0 + worse + 0.1 * known["seed"]) + np.arange(PASSAGES)
        rows = [
            {
                "prompt_id": f"prose-{number}",
                "policy": f"{known['run']}/{path.parent.name}",
                "seed": known["seed"],
                "n_tokens": int(tokens_N[number]),
                "n_bytes": int(bytes_N[number]),
                "nats": float(nats_N[number]),
            }
            for number in range(PASSAGES)
        ]
        of_answers = ("accuracy", "accuracy_stderr", "truncation_rate", "mean_length", "check_rate")
        record = known | dict.fromkeys(of_answers) | measures(rows)
        record |= {"benchmark": "prose", "n_prompts": PASSAGES, "samples_per_prompt": 1}
        place = path.with_name("prose.json")
        write_table(rows, Passages, place.with_suffix(".parquet"), {})
        write_json(EvaluationRecord.model_validate(record), place)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "results"
    fake_study(folder)
    read_text(folder)
    build(folder, folder / "aggregate" / "measurements.duckdb")
    return folder


@pytest.fixture
def results(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "results"))


def passages(results: Path, run: str, step: int) -> pd.DataFrame:
    tables = results.glob(f"eval/*/{run}/seed*/step{step}/prose.parquet")
    return pd.concat(map(pd.read_parquet, tables))


def test_the_database_has_every_passage_and_the_means(whole):
    database = whole / "aggregate" / "measurements.duckdb"
    n_policies = 5 * 3
    assert len(query(database, "passages")) == n_policies * PASSAGES
    curves = query(database, "FROM curves WHERE benchmark = 'prose'").set_index(["run", "step"])
    assert len(curves) == 5 and curves["accuracy"].isna().all()
    for (run, step), row in curves.iterrows():
        by_seed = passages(whole, run, step).groupby("seed")[["nats", "n_tokens", "n_bytes"]].sum()
        per_token_S = by_seed["nats"] / by_seed["n_tokens"]
        assert row["nats_per_token"] == pytest.approx(per_token_S.mean())
        assert row["perplexity"] == pytest.approx(math.exp(per_token_S.mean()))
        bits_S = by_seed["nats"] / by_seed["n_bytes"] / math.log(2)
        assert row["bits_per_byte"] == pytest.approx(bits_S.mean())
    others = query(database, "FROM curves WHERE benchmark != 'prose'")
    assert others["nats_per_token"].isna().all() and others["accuracy"].notna().all()


def test_it_is_on_no_axis_of_accuracy(whole, tmp_path):
    """All that is about accuracies is as it is without the text."""
    database = whole / "aggregate" / "measurements.duckdb"
    fake_study(tmp_path / "without")
    build(tmp_path / "without", tmp_path / "without.duckdb")
    for table in ("prompt_accuracy", "samples", "intervals"):
        rows = f"FROM {table} ORDER BY ALL"
        found, expected = query(database, rows), query(tmp_path / "without.duckdb", rows)
        pd.testing.assert_frame_equal(found, expected)
    ours = learning_curves(database).dropna(axis=1, how="all")
    theirs = learning_curves(tmp_path / "without.duckdb").dropna(axis=1, how="all")
    pd.testing.assert_frame_equal(ours, theirs)
    for draw in (figure1, lambda path: figure2(path, {"countdown": 0.25})):
        assert draw(database).to_dict() == draw(tmp_path / "without.duckdb").to_dict()


def test_the_tables_are_the_means_and_what_was_lost(whole):
    (reading,) = readings(whole / "aggregate" / "measurements.duckdb")
    assert (reading.task, reading.n_passages) == ("countdown", PASSAGES)
    assert [row[0] for row in reading.rows] == ["base", "expert", "sft-realizable"]
    rows = {row[0]: row for row in reading.rows}
    read = {run: passages(whole, run, RUNS[run][2][-1][0]) for run in RUNS}
    for run, frame in read.items():
        nats = (
            frame.groupby("seed")["nats"].sum() / frame.groupby("seed")["n_tokens"].sum()
        ).mean()
        assert rows[run][1:4] == ["3", f"{math.exp(nats):.2f}", f"{nats:.3f}"]
    assert rows["base"][5] == "" and rows["expert"][5] == "+0.0000"
    # 24 updates, each a hundredth of a nat more a token.
    base = read["base"]
    lost = 0.24 * base["n_tokens"].sum() / base["n_bytes"].sum() / math.log(2)
    assert rows["sft-realizable"][5] == f"{lost:+.4f}"


def test_summary_and_report_show_it(whole):
    (reading,) = readings(whole / "aggregate" / "measurements.duckdb")
    text = summary(whole / "aggregate" / "measurements.duckdb")
    assert "countdown: English prose, 5 passages" in text
    for row in reading.rows:
        assert any(line.split() == [cell for cell in row if cell] for line in text.splitlines())
    config = ROOT / "config" / "mini.yaml"
    chance = {"countdown": 0.25}
    html = page(whole, load(config), config, ROOT / "docs" / "paper.md", chance, "abc")
    assert "countdown: English prose" in html
    assert all(f"<td>{cell}</td>" in html for cell in reading.rows[-1][1:])


def test_two_studies_with_texts_are_compared_by_their_accuracies(whole, results):
    sections = compare(study(whole), study(results, "B"))
    assert all("prose" not in row[0] for row in sections[0].rows) and sections[0].rows


def test_a_study_without_text_has_no_table(tmp_path):
    fake_study(tmp_path / "results")
    build(tmp_path / "results", tmp_path / "results.duckdb")
    assert query(tmp_path / "results.duckdb", "passages").empty
    assert readings(tmp_path / "results.duckdb") == []


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("prose.json", {"nats_per_token": 1.5}, "tells of 5 passages at 1.5 nats a token, the"),
        ("prose.json", {"n_prompts": 6}, "tells of 6 passages"),
        ("id.json", {"accuracy": None}, "accuracy is None in the .json"),
    ],
)
def test_files_that_contradict_each_other_are_refused(results, tmp_path, name, change, words):
    edit(results / "eval/countdown/expert/seed2/step6" / name, **change)
    with pytest.raises(InputError, match=rf"expert/seed2/step6/\w+: .*{words}"):
        build(results, tmp_path / "other.duckdb")


def test_lost_passages_are_refused(results, tmp_path):
    (results / "eval/countdown/expert/seed2/step6/prose.parquet").unlink()
    with pytest.raises(InputError, match="step6/prose: a record without its responses"):
        build(results, tmp_path / "other.duckdb")
