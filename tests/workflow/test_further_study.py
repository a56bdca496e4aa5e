"""Further test prompts beside a finished study: it is evaluated on them, and nothing is trained."""

import json
import re
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from project import ROOT, copy_of_project, planned, snakemake

from online_il.methods import METHODS
from online_il.provenance import file_hash
from online_il.studies import load_study

GUIDE = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
TRAINS = {"pretrain", "finetune", "adopt", "mix", "sample", "solve", "take", *METHODS}
PLAIN = """
extends: smoke.yaml
scale: plain
theory: null
discrepancy: {benchmark: id, models: []}
divergence: {benchmark: id, quantiles: [0.5, 1], density_clip: 30}
tasks:
  - name: countdown
    runs:
      - name: expert
      - name: sft-realizable
      - name: sft-unrealizable
"""
FURTHER = """
extends: plain.yaml
scale: plain
discrepancy: {benchmark: ood2}
divergence: {benchmark: ood2}
tasks:
  - name: countdown
    further:
      id2: {count: 6, seed: 6}
      ood2: {operands: [4], numbers: [1, 12], answers: [1, 40], count: 10, seed: 5}
    benchmarks: [id, ood, id2, ood2, forgetting]
"""
SEED = "countdown/sft-realizable/seed1"


def run(folder: Path, config: str, *arguments: str) -> str:
    status, output = snakemake(folder, *arguments, "--configfile", f"config/{config}.yaml")
    logs = [
        f"{path}:\n{path.read_text()[-1500:]}"
        for path in folder.glob("results/plain/logs/**/*.log")
    ]
    assert status == 0, output[-3000:] + "\n".join(logs)
    return output


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A checkout with a finished study, and a config that asks for further prompts beside it."""
    folder = copy_of_project(tmp_path_factory.mktemp("checkout"))
    (folder / "config" / "plain.yaml").write_text(PLAIN)
    (folder / "config" / "further.yaml").write_text(FURTHER)
    output = run(folder, "plain")
    assert {"pretrain", "grpo", "sft", "sample", "evaluate"} <= planned(output)
    assert "further" not in planned(output)
    return folder


@pytest.fixture(scope="module")
def before(checkout) -> dict[str, dict[str, bytes]]:
    """What was trained, and one policy's evaluations, before there are further prompts."""
    results = checkout / "results" / "plain"
    return {name: content(results / name) for name in ("runs", "samples", f"eval/{SEED}")}


@pytest.fixture(scope="module")
def results(checkout, before) -> Path:
    """The same study evaluated on further prompts, with the harness's files."""
    asked = run(checkout, "further", "-n", "all", "harness")
    reads = {"aggregate", "figure1", "figure2", "summary", "claims", "report_page", "harness"}
    reads |= {"discrepancy", "figure3", "table1", "divergence", "divergences", "solve_benchmark"}
    assert planned(asked) == {"further", "evaluate", *reads, "all"}
    done = run(checkout, "further", "all", "harness")
    assert planned(done) == planned(asked) and not TRAINS & planned(done)
    return checkout / "results" / "plain"


def test_nothing_was_trained_or_sampled_again(results, before):
    assert content(results / "runs") == before["runs"]
    after = content(results / "samples")
    assert {name: after[name] for name in before["samples"]} == before["samples"]
    assert {*after} - {*before["samples"]} == {"countdown/solver/seed1.ood2.parquet"}


def test_what_was_measured_before_is_the_same(results, before):
    after = content(results / "eval" / SEED)
    old = before[f"eval/{SEED}"]
    assert {name: after[name] for name in old} == old
    names = {Path(name).name for name in after.keys() - old.keys()}
    stems = ("id2", "id2.paper", "ood2", "ood2.paper")
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("json", "parquet")}


def test_an_evaluation_names_the_table_that_its_prompts_came_from(results):
    first, second = (results / f"data/countdown/{n}.parquet" for n in ("prompts", "further"))
    for name, table in (("id", first), ("ood", first), ("id2", second), ("ood2", second)):
        record = json.loads((results / "eval" / SEED / "step2" / f"{name}.json").read_text())
        assert record["prompts_hash"] == file_hash(table), name
    assert set(pd.read_parquet(second)["split"]) == {"id2", "ood2"}


def test_both_are_in_the_database_the_claims_and_the_page(results):
    with duckdb.connect(str(results / "results.duckdb"), read_only=True) as database:
        counts = database.sql(
            "select benchmark, any_value(n_prompts), count(distinct run) from evaluations"
            " where sampling = 'policy' group by all order by all"
        ).fetchall()
        claims = dict(database.sql("select id, statistic from claims").fetchall())
    assert counts == [
        *(("forgetting", 8, 4), ("id", 8, 4), ("id2", 6, 4), ("ood", 8, 4), ("ood2", 10, 4))
    ]
    for name in ("ood", "ood2"):
        assert "on " + name + "," in claims[f"countdown-{name}-ood-realizable-matches"]
    page = (results / "report.html").read_text()
    assert "countdown, in distribution, further prompts" in page
    assert "countdown, out of distribution, further prompts" in page
    assert "ood2" in (results / "summary.txt").read_text()
    assert list((results / "harness").rglob("samples_ood2_*.jsonl"))


def test_a_study_that_asks_for_them_no_more_goes_back(checkout, results):
    output = run(checkout, "plain", "-n")
    assert not {*TRAINS, "further"} & planned(output) and "evaluate" in planned(output)


def test_the_guide_asks_for_them_beside_the_miniature(checkout):
    ((config,),) = [re.findall(r"(?ms)^```yaml\n(extends: mini.yaml\n[^`]*further:.*?)^```", GUIDE)]
    (checkout / "config" / "guide.yaml").write_text(config)
    (task,) = load_study(checkout / "config" / "guide.yaml").tasks
    (mini,) = load_study(ROOT / "config" / "mini.yaml").tasks
    assert task.data == mini.data and task.runs == mini.runs
    assert task.further is not None and "ood2" in task.benchmarks
    status, output = snakemake(checkout, "-n", "--configfile", "config/guide.yaml")
    assert status == 0 and {"further", "evaluate"} <= planned(output)
