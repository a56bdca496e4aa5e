"""The ways to imitate an expert that is a mixture: a toy study through the real DAG, and a plan."""

import json
import math
import re
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from project import ROOT, copy_of_project, planned, snakemake

from online_il.config.study import load
from online_il.report.page import page
from online_il.store import learning_curves

TOY = """
extends: smoke.yaml
scale: toy
discrepancy: {benchmark: id, models: []}
divergence: {benchmark: id, quantiles: [0.5, 1], density_clip: 30}
theory: null
methods: {distill: {checkpoints: [2]}}
tasks:
  - name: countdown
    experts:
      - {name: solver, kind: solver}
      - name: mixture
        kind: mixture
        parts: {expert: 0.5, solver: 0.5}
        learnable: expert
        fallback: expert
    bases:
      - name: narrow
        kind: scratch
        seed: 2
        architecture: {hidden_size: 8, intermediate_size: 16, layers: 1, heads: 1, head_dim: 8}
        updates: 2
        batch_size: 16
        micro_batch_size: 8
        learning_rate: 0.003
        warmup_updates: 1
        max_length: 128
        solve_probability: 0.12
        continue_probability: 0.55
        max_attempts: 3
        fact_fraction: 0.2
        practice_fraction: 0.3
        practice_attempts: 2
    runs:
      - name: expert
      - {name: sft-mixture, method: sft, expert: mixture, steps: 2, learning_rate: 0.001}
      - {name: learnable-mixture, method: sft, expert: mixture, steps: 2, learning_rate: 0.001,
         filter: learnable, demonstrations: 24}
      - {name: distill-mixture, method: distill, expert: mixture, steps: 2, learning_rate: 0.001}
      - {name: response-mixture, method: distill, expert: mixture, steps: 2, learning_rate: 0.001,
         level: response, responses_per_prompt: 4}
      - {name: soft-reverse-mixture-warm, method: distill, expert: mixture, steps: 2,
         learning_rate: 0.001, prefixes: expert, start: sft-mixture@1}
      - {name: sft-narrow, method: sft, expert: expert, steps: 2, learning_rate: 0.001,
         start: narrow}
      - {name: distill-narrow, method: distill, expert: expert, steps: 2, learning_rate: 0.001,
         start: narrow}
"""
RUNS = re.findall(r"- \{?name: ([a-z-]+mixture[a-z-]*)", TOY)
SEED = "countdown/{}/seed1"
# Not Figures 1 to 3 and the claims, which test_smoke.py draws and judges.
TARGETS = ("figure5", "figure7", "divergences", "table1", "summary")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = copy_of_project(tmp_path_factory.mktemp("checkout"))
    (folder / "config" / "toy.yaml").write_text(TOY)
    status, output = snakemake(folder, *TARGETS, "--configfile", "config/toy.yaml")
    logs = "\n".join(
        f"{path}:\n{path.read_text()[-1500:]}" for path in folder.glob("results/toy/logs/**/*.log")
    )
    assert status == 0, f"{output[-3000:]}\n{logs}"
    return folder / "results" / "toy"


def record(study: Path, run: str) -> dict:
    return json.loads((study / "runs" / SEED.format(run) / "run.json").read_text())


def test_every_arm_is_trained_in_its_own_way(study):
    assert len(RUNS) == 5
    ways = {run: record(study, run)["settings"] for run in RUNS}
    assert ways["soft-reverse-mixture-warm"]["prefixes"] == "expert"
    assert ways["response-mixture"]["level"] == "response"
    assert ways["response-mixture"]["responses_per_prompt"] == 4
    assert ways["distill-mixture"]["prefixes"] == "own"
    assert ways["learnable-mixture"]["filter"] == "learnable"
    last = {run: record(study, run)["checkpoints"][-1]["weights_hash"] for run in RUNS}
    assert len(set(last.values())) == 5


def test_a_run_starts_from_the_step_that_it_names(study):
    before, warm = record(study, "sft-mixture"), record(study, "soft-reverse-mixture-warm")
    assert warm["initial_weights_hash"] == before["checkpoints"][0]["weights_hash"]
    assert (warm["start"], before["start"]) == ("sft-mixture@1", "base")
    base = record(study, "base")["checkpoints"][0]["weights_hash"]
    assert before["initial_weights_hash"] == base != warm["initial_weights_hash"]


def test_a_narrower_student_is_trained_from_its_own_base(study):
    path = study / "runs" / "countdown" / "narrow" / "seed2" / "run.json"
    narrow = json.loads(path.read_text())
    assert narrow["settings"]["architecture"]["hidden_size"] == 8
    [begun] = narrow["checkpoints"]
    base = record(study, "base")["checkpoints"][0]["weights_hash"]
    for run in ("sft-narrow", "distill-narrow"):
        trained = record(study, run)
        assert trained["start"] == "narrow" and base != begun["weights_hash"]
        assert trained["initial_weights_hash"] == begun["weights_hash"]
        weights = study / "runs" / SEED.format(run) / "checkpoints" / "step2"
        assert json.loads((weights / "config.json").read_text())["hidden_size"] == 8
    curves = learning_curves(study / "aggregate" / "measurements.duckdb")
    curves = curves[(curves["benchmark"] == "id") & (curves["sampling"] == "policy")]
    curves = curves.set_index(["run", "step"])
    for run in ("sft-narrow", "distill-narrow"):
        for key in ("accuracy", "mean_length", "truncation_rate"):
            assert curves.loc[(run, 0), key] == curves.loc[("narrow", 0), key]
    summary = (study / "summary.txt").read_text()
    assert re.search(r"response length +cut off +direct", summary)
    assert re.search(r"distill-narrow .* [0-9.]+ +[0-9.]+%$", summary, re.MULTILINE)
    direct = curves.loc[("distill-mixture", 2), "direct"]
    assert re.search(rf"distill-mixture .*% +{direct:.1%}$", summary, re.MULTILINE)


def test_each_response_has_its_shares(study):
    drawn = pd.read_parquet(study / "samples" / "countdown" / "mixture" / "seed1.parquet")
    direct = drawn["text"].str.startswith("<think> </think> <answer>")
    assert 0 < direct.sum() < len(drawn) == 16
    assert ((drawn["direct"] > 0.5) == direct).all()
    assert (drawn["direct"] + drawn["share_learnable"]).round(6).eq(1).all()


def test_a_run_with_demonstrations_of_its_own_sees_more_and_the_first_are_the_same(study):
    folder = study / "samples" / "countdown"
    own = pd.read_parquet(folder / "learnable-mixture" / "seed1.fresh.parquet")
    shared = pd.read_parquet(folder / "mixture" / "seed1.parquet")
    assert (len(own), len(shared)) == (24, 16)
    assert own["text"][:16].tolist() == shared["text"].tolist()
    assert record(study, "learnable-mixture")["settings"]["demonstrations"] == 24
    # What it learns from is what the filter leaves of all its own.
    log = (study / "logs" / "sft" / SEED.format("learnable-mixture")).with_suffix(".log")
    kept = int((own["share_learnable"] > 0.5).sum())
    assert 0 < kept < 24 and f"filter=learnable kept={kept} left_out={24 - kept}" in log.read_text()


def test_the_mixture_and_its_students_are_measured(study):
    with duckdb.connect(
        str(study / "aggregate" / "measurements.duckdb"), read_only=True
    ) as database:
        told = database.sql(
            "select run, benchmark, sampling, any_value(start), count(direct), count(*)"
            " from evaluations where step > 0 or run = 'mixture' group by all"
        ).fetchall()
        shares = database.sql(
            "select e.run, e.step, any_value(e.direct), avg(s.direct), count(s.direct)"
            " from evaluations e join samples s using (task, run, seed, step, benchmark, sampling)"
            " where benchmark = 'id' and sampling = 'policy' and e.direct is not null group by all"
        ).fetchall()
    mixture = [row for row in told if row[0] == "mixture"]
    assert sorted(row[1:] for row in mixture) == [
        ("id", "policy", None, 1, 1),
        ("ood", "policy", None, 1, 1),
    ]
    starts = {run: start for run, benchmark, _, start, *_ in told if benchmark == "id"}
    assert starts["soft-reverse-mixture-warm"] == "sft-mixture@1"
    assert starts["sft-mixture"] == "base"
    assert {row[0] for row in shares} == {"mixture", *RUNS}
    for _, _, mean, recounted, count in shares:
        assert mean == pytest.approx(recounted) and count == 16
    assert "## mixture / distill-mixture" in (study / "tables" / "table1.md").read_text()


def test_each_student_is_put_before_its_experts_probabilities(study):
    rows = pd.read_parquet(study / "tables" / "divergence.parquet")
    narrow = {"sft-narrow", "distill-narrow"}
    assert set(rows["student"]) == {*RUNS, *narrow}
    assert set(rows[rows["student"].isin(narrow)]["expert"]) == {"expert"}
    assert set(rows[rows["student"].isin(RUNS)]["expert"]) == {"mixture"}
    kls = rows[rows["measure"].str.startswith("kl_") & ~rows["measure"].str.contains("ratio|learn")]
    assert kls.groupby("student").size().eq(4).all() and (kls["estimate"] > 0).all()
    # The class of the narrow base represents nothing of the expert, which has no coverage then.
    coverage = rows[(rows["measure"] == "log_coverage") & rows["estimate"].notna()]
    assert set(coverage["student"]) == set(RUNS)
    assert coverage["estimate"].tolist() == pytest.approx([math.log(2)] * len(RUNS))
    judged = rows[rows["measure"] == "bound_log"].set_index("student")["estimate"]
    losses = rows[rows["measure"] == "loss_log"].set_index("student")["estimate"]
    assert (judged[judged.notna()] >= losses[judged.notna()] - 1e-9).all()
    text = (study / "tables" / "divergence.md").read_text()
    gap = text.partition("## Realizability gap")[2].partition("\n## ")[0]
    smallest = rows[(rows["measure"] == "kl_expert_student") & (rows["expert"] == "mixture")]
    closest = smallest.loc[smallest["estimate"].idxmin(), "student"]
    assert re.search(rf"\| mixture \|.*\| {closest} \| 5 \|", gap), gap


def test_what_is_finished_is_not_made_again(study):
    """Of all that the study makes, what was not asked for is left."""
    status, output = snakemake(study.parents[1], "--configfile", "config/toy.yaml", "-n")
    assert status == 0, output[-2000:]
    left = {"figure1", "figure2", "figure3", "claims", "report_page", "all"}
    assert planned(output) == left


def test_the_figures_of_mixtures_are_drawn(study):
    for name, words in (("figure5", "unrealizable: mixture, C = 2"), ("figure7", "direct ")):
        picture = (study / "figures" / f"{name}.svg").read_text()
        assert words in picture and "on-policy distillation" in picture and "NaN" not in picture
    config = study.parents[1] / "config" / "toy.yaml"
    html = page(study, load(config), config, ROOT / "docs" / "paper.md", {"countdown": 0.25}, None)
    assert 'id="chart-figure5"' in html and 'id="chart-figure7"' in html
    assert "Figure 6" in html and 'id="chart-figure6"' not in html


@pytest.mark.parametrize(
    ("figure", "warm", "learnable"), [("figure5", False, True), ("figure7", True, False)]
)
def test_a_figure_of_mixtures_trains_its_own_runs_alone(study, figure, warm, learnable):
    status, output = snakemake(
        study.parents[1], "--configfile", "config/toy.yaml", "-n", "--forceall", figure
    )
    assert status == 0, output[-2000:]
    assert figure in planned(output) and f"aggregate_{figure}" in planned(output)
    assert not {"figure1", "summary", "all", "aggregate"} & planned(output)
    trained = set(re.findall(r"train (\S+) of (\S+) by", output))
    assert {task for _, task in trained} == {"countdown"}
    runs = {run for run, _ in trained}
    assert {"expert", "sft-mixture", "distill-mixture"} <= runs and "mix" in planned(output)
    assert ("soft-reverse-mixture-warm" in runs, "learnable-mixture" in runs) == (warm, learnable)


@pytest.mark.parametrize(
    ("config", "figure", "why"),
    [
        ("toy", "figure6", "two mixtures that differ in weights alone"),
        ("smoke", "figure5", "no run imitates a mixture"),
        ("smoke", "figure7", "no run imitates a mixture"),
        ("toy", "figure4", "its config has no `theory`"),
    ],
)
def test_a_figure_that_a_study_has_not_says_why(study, config, figure, why):
    status, output = snakemake(
        study.parents[1], "--configfile", f"config/{config}.yaml", "-n", figure
    )
    assert status != 0
    assert f"the study has no {figure}" in output and why in output
    assert "Traceback" not in output and "MissingRuleException" not in output
