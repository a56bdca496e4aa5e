"""The table of accuracies as plain text: nothing of it is cut, and one run's alone."""

import json
import re

import pytest
from fake_study import RUNS, fake_study

from online_il.layout import Layout
from online_il.report.summary import summary, summary_of_named
from online_il.store import build

LONG = "sft-of-the-first-half-of-all-demonstrations-at-a-fifth-of-the-learning-rate-"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A study of two runs whose names differ at their ends alone, and are as long as a line."""
    folder = tmp_path_factory.mktemp("study")
    of = RUNS["sft-realizable"]
    fake_study(folder, runs={"base": RUNS["base"], LONG + "a": of, LONG + "b": of}, n_prompts=20)
    return folder


def rows(text, run):
    return [line for line in text.splitlines() if line.startswith(f"{run} ")]


def test_no_name_and_no_number_is_cut_or_broken(results, tmp_path):
    build(results, tmp_path / "a.duckdb")
    text = summary(tmp_path / "a.duckdb")
    assert "…" not in text
    accuracy = r"\d\.\d{3} \[\d\.\d\d, \d\.\d\d\]"
    for run in (LONG + "a", LONG + "b"):
        mine, papers, seeds, costs = rows(text, run)
        assert len(re.findall(r" 0\.\d{3}\b", seeds)) == 3
        assert len(re.findall(accuracy, mine)) == 3 and len(re.findall(accuracy, papers)) == 2
        assert len(costs.split()) == 8
    titles = [line for line in text.splitlines() if line.startswith("countdown: ")]
    assert titles == [
        "countdown: final accuracy [95 % interval]",
        "countdown: final accuracy, paper's sampling [95 % interval]",
        "countdown: final accuracy of each seed, id",
        "countdown: training, means over seeds",
    ]


def test_a_run_that_was_asked_for_by_name_is_shown_alone(results):
    asked = Layout(results).asked
    asked.parent.mkdir(exist_ok=True)
    for names, shown in (
        (["figures/figure1.html"], []),
        ([f"eval/countdown/{LONG}a/seed{seed}" for seed in (1, 2, 3)], [LONG + "a"]),
        (["eval/countdown/base/seed1", "report.html"], ["base"]),
    ):
        asked.write_text(json.dumps(names))
        text = summary_of_named(results)
        assert bool(text) == bool(shown)
        for run in (LONG + "a", LONG + "b", "base"):
            tables = 3 if run == "base" else 4  # Of the base one seed is asked for.
            assert len(rows(text, run)) == tables * (run in shown)
    asked.unlink()
    assert summary_of_named(results) == ""


def test_each_seed_is_shown_and_an_expert_that_checks_dishonestly_is_named(tmp_path):
    """One seed of three may make all intervals wide, and a mean does not say which."""
    fake_study(tmp_path, runs={one: RUNS[one] for one in ("base", "expert")}, n_prompts=20)
    rates = {1: 0.95, 2: 0.8, 3: 0.91}
    accuracies = {}
    for seed, rate in rates.items():
        *_, last = sorted(
            Layout(tmp_path).evaluations("countdown", "expert", seed).glob("step*"),
            key=lambda folder: int(folder.name.removeprefix("step")),
        )
        path = last / "id.json"
        record = json.loads(path.read_text())
        path.write_text(json.dumps(record | {"check_rate": rate}))
        accuracies[seed] = f"{record['accuracy']:.3f}"
    build(tmp_path, tmp_path / "a.duckdb")
    text = summary(tmp_path / "a.duckdb")
    (of_seeds,) = re.findall(r"(?m)^expert(?: +\d\.\d{3}){3}$", text)
    assert of_seeds.split()[1:] == list(accuracies.values())
    told = [line for line in text.splitlines() if "its honest check rate" in line]
    assert told == [
        f"expert, seed 2: its honest check rate is 0.800, and its accuracy {accuracies[2]}"
    ]
