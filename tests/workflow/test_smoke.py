"""The real DAG at smoke scale: rules, their scripts and trainers, in a folder of their own."""

import json
import math
import os
import re
import shutil
import zipfile
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from project import ROOT, copy_of_project, planned, snakemake

GSM8K_RUNS = ["base", "distill-realizable", "expert", "sft-unrealizable"]
DIVERGENCE = "divergence: {benchmark: id, quantiles: [0.5, 1], density_clip: 30}"
# Rules that run elsewhere: test_targets.py, test_mixture_study.py, test_plan.py, tests/servers,
# test_further_study.py and test_probe_study.py have them. Preflight stands before every start, by
# another way than its rule.
ELSEWHERE = {"mix", "sample_fresh", "plan", "demonstrate", "ask", "tokenizer", "preflight"}
ELSEWHERE |= {"probe", "fetch_probed", "take", "take_first", "harness", "further"}
RULE = r"^ *(?:rule|use rule \w+ as) (\w+)"
RUNS = ["base", "distill-realizable", "expert", "sft-realizable", "sft-self", "sft-unrealizable"]


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """The results of a finished smoke study with one student more than the shipped config has,
    and with divergences."""
    folder = copy_of_project(tmp_path_factory.mktemp("checkout"))
    student = """
      - name: sft-added
        method: sft
        expert: expert
        steps: 1
        learning_rate: 0.001
"""
    config = folder / "config" / "smoke.yaml"
    text = config.read_text().rstrip("\n") + student
    assert text.count("\ndiscrepancy:\n") == 1
    config.write_text(text.replace("\ndiscrepancy:\n", f"\n{DIVERGENCE}\ndiscrepancy:\n"))
    status, output = snakemake(folder, "--configfile", "config/smoke.yaml")
    logs = "\n".join(
        f"{path}:\n{path.read_text()[-1500:]}"
        for path in folder.glob("results/smoke/logs/**/*.log")
    )
    assert status == 0, f"{output[-3000:]}\n{logs}"
    # What a finished study says last.
    assert "claims: " in output and "report: results/smoke/report.html" in output
    return folder / "results" / "smoke"


def again(study: Path, *arguments: str):
    return snakemake(study.parents[1], "--configfile", "config/smoke.yaml", *arguments)


def trained(output: str) -> set[str]:
    """The runs of Countdown that a dry run would train."""
    return set(re.findall(r"train (\S+) of countdown", output))


def test_every_rule_has_run_but_those_that_run_elsewhere(study):
    texts = [path.read_text() for path in (ROOT / "rules").glob("*.smk")]
    named = {name for text in texts for name in re.findall(RULE, text, re.M)}
    ran = {path.name.removesuffix(".tsv") for path in (study / "benchmarks").iterdir()}
    assert named - ran == ELSEWHERE


def test_every_run_is_evaluated_on_every_benchmark_with_both_samplings(study):
    with duckdb.connect(
        str(study / "aggregate" / "measurements.duckdb"), read_only=True
    ) as database:
        rows = database.sql(
            "select distinct run, benchmark, sampling from evaluations"
            " where task = 'countdown' order by all"
        ).fetchall()
        others = database.sql(
            "select task, run, benchmark, sampling, count(*) from evaluations"
            " where task <> 'countdown' group by all order by all"
        ).fetchall()
    expected = [
        (run, benchmark, sampling)
        for run in sorted([*RUNS, "sft-added"])
        for benchmark, samplings in (
            ("forgetting", ["policy"]),
            ("id", ["paper", "policy"]),
            ("ood", ["paper", "policy"]),
        )
        for sampling in samplings
    ]
    assert rows == expected
    # Checkpoints: the base's step 0, one of GRPO, two of the students.
    steps = {"base": 1, "expert": 1}
    assert others == [
        (task, run, benchmark, "policy", steps.get(run, 2))
        for task, runs, benchmarks in (
            ("deepscaler", ["base", "expert", "sft-realizable"], ["aime2024", "math500"]),
            (
                "gsm8k",
                ["base", "distill-realizable", "expert", "sft-unrealizable"],
                ["gsm8k", "knowledge", "mmlu", "prose"],
            ),
        )
        for run in runs
        for benchmark in benchmarks
    ]


def test_evaluations_are_sampled_and_graded_as_their_benchmark_is(study):
    def read(place: str) -> dict:
        return json.loads((study / "eval" / f"{place}.json").read_text())

    aime = read("deepscaler/expert/seed1/step1/aime2024")
    assert (aime["n_prompts"], aime["samples_per_prompt"]) == (6, 2)
    assert read("deepscaler/expert/seed1/step1/math500")["samples_per_prompt"] == 1
    gsm8k = read("gsm8k/expert/seed1/step1/gsm8k")
    assert gsm8k["accuracy_strict"] is not None and gsm8k["truncation_rate"] is not None
    mmlu = read("gsm8k/expert/seed1/step1/mmlu")
    assert mmlu["sampling_settings"] == {"scoring": "loglikelihood"}
    assert mmlu["accuracy_strict"] is None and mmlu["n_prompts"] == 10
    assert read("gsm8k/expert/seed1/step1/knowledge")["n_prompts"] == 8
    prose = read("gsm8k/expert/seed1/step1/prose")
    assert prose["accuracy"] is None and prose["n_prompts"] == 3
    # A random model of bytes: some 256 of them are as likely as each other.
    assert 200 < prose["perplexity"] < 400
    assert prose["bits_per_byte"] == pytest.approx(prose["nats_per_token"] / math.log(2))


def test_models_that_are_no_runs_are_compared_with_one_tokenizer(study):
    table = (study / "tables" / "table1.md").read_text()
    assert "## one / other" in table
    assert (study / "responses" / "aime" / "one" / "seed1.parquet").is_file()


def test_an_evaluation_names_where_it_comes_from(study):
    path = study / "eval" / "countdown" / "sft-added" / "seed1" / "step1" / "id.json"
    record = json.loads(path.read_text())
    assert record["samples_per_prompt"] == 2 and record["n_prompts"] == 8
    assert (record["updates"], record["samples"]) == (1, 8)
    assert record["sampling_settings"]["top_p"] == 1.0
    assert all(
        record[key] for key in ("weights_hash", "prompts_hash", "code_hash", "data_revision")
    )
    assert {"torch", "transformers", "trl"} <= set(record["versions"])
    paper = json.loads(path.with_name("id.paper.json").read_text())
    assert (paper["sampling_settings"]["top_k"], paper["sampling_settings"]["top_p"]) == (50, 0.7)


def test_all_runs_start_from_the_weights_of_the_one_base(study):
    base = json.loads((study / "runs/countdown/base/seed1/run.json").read_text())
    start = base["checkpoints"][0]["weights_hash"]
    training = pd.read_parquet(study / "runs/countdown/expert/seed1/training.parquet")
    rewarded = bool((training["reward_spread"] > 0).any())
    for run in [*RUNS[1:], "sft-added"]:
        record = json.loads((study / f"runs/countdown/{run}/seed1/run.json").read_text())
        assert record["initial_weights_hash"] == start
        changed = record["checkpoints"][-1]["weights_hash"] != start
        # Random models may have no reward at all; then GRPO changes nothing, and its expert is the
        # base, which has nothing to teach by its probabilities.
        if run == "expert":
            assert changed == rewarded
        elif rewarded or not run.startswith("distill"):
            assert changed


def test_the_figures_and_the_summary_are_there(study):
    theory = ("figure4", "theorem1", "theorem2", "theorem5", "horizon")
    for name in ("figure1", "figure2", "figure3", *theory):
        for kind in ("svg", "vl.json", "html"):
            assert (study / "figures" / f"{name}.{kind}").stat().st_size > 1000
    assert "sft-added" in (study / "summary.txt").read_text()
    table = (study / "tables" / "table1.md").read_text()
    assert "## expert / sft-added" in table and "## solver / sft-unrealizable" in table
    assert "| offline, Bayes-optimal |" in (study / "tables" / "theorem1.md").read_text()


def test_students_are_put_before_their_experts_probabilities_and_the_page_shows_it(study):
    rows = pd.read_parquet(study / "tables" / "divergence.parquet")
    students = {"sft-realizable", "sft-added", "sft-self", "distill-realizable"}
    assert set(rows["student"]) == students and set(rows["task"]) == {"countdown"}
    page = (study / "report.html").read_text()
    section = page.partition('<section id="divergence"')[2].partition("</section>")[0]
    assert all(f">{student}<" in section for student in students)
    assert "is not there" not in section


def test_the_claims_are_judged_or_not_run(study):
    claims = {
        claim["id"]: claim for claim in json.loads((study / "claims.json").read_text())["claims"]
    }
    # One seed of untrained models shows nothing about runs; the theory is exact.
    assert claims["countdown-sft-realizable-matches"]["verdict"] == "undecided"
    pair = claims["countdown-length-above-gap-solver/sft-unrealizable"]
    assert pair["runs"] == ["solver", "sft-unrealizable"]
    assert claims["aime-length-above-gap-one/other"]["runs"] == ["one", "other"]
    assert claims["online-length-above-gap"]["verdict"] == "not run"
    assert claims["countdown-mixture-interaction"]["verdict"] == "not run"
    assert claims["gaussian-class-a"]["verdict"] == "supported"
    assert claims["gsm8k-sft-realizable-matches"]["note"] == "gsm8k has no run sft-realizable."
    with duckdb.connect(str(study / "results.duckdb"), read_only=True) as database:
        rows = database.sql("select id, verdict from claims").fetchall()
        assert database.sql("select count(*) from evaluations").fetchall() != [(0,)]
    assert dict(rows) == {name: claim["verdict"] for name, claim in claims.items()}


def test_snakemake_packs_a_report_with_captions(study):
    status, output = again(study, "--report", "packed.zip")
    assert status == 0, output[-2000:]
    packed = study.parents[1] / "packed.zip"
    with zipfile.ZipFile(packed) as archive:
        (page,) = [name for name in archive.namelist() if name.count("/") == 1]
        text = archive.read(page).decode()
    packed.unlink()
    assert "figure1.svg" in text and "table1.md" in text
    caption = (ROOT / "workflow" / "report" / "figure1.rst").read_text().split()
    assert " ".join(caption[:5]) in text


def test_a_second_call_does_nothing(study):
    status, output = again(study)
    assert status == 0
    assert "Nothing to be done" in output
    # Where it would save at other times, or what it would go on from is gone, the page alone, which
    # says with which settings the study was asked for, is made again.
    state = study / "state"
    state.rename(study / "state-elsewhere")
    status, output = again(study, "-n", "--config", "save_minutes=3")
    (study / "state-elsewhere").rename(state)
    assert status == 0 and planned(output) == {"all", "report_page"}


def test_a_copy_of_the_results_is_finished(study, tmp_path):
    copy_of_project(tmp_path)
    shutil.copyfile(study.parents[1] / "config" / "smoke.yaml", tmp_path / "config" / "smoke.yaml")
    # The results alone, and the later a file was made the older it is now.
    shutil.copytree(study, tmp_path / "results" / "smoke")
    for path in study.rglob("*"):
        if path.is_file():
            time = 3e9 - path.stat().st_mtime
            os.utime(tmp_path / "results" / "smoke" / path.relative_to(study), (time, time))
    copied = tmp_path / "results" / "smoke"
    status, output = again(copied, "-n")
    assert status == 0 and "Nothing to be done" in output, output[-3000:]
    config = tmp_path / "config" / "smoke.yaml"
    text, mark, rest = config.read_text().partition("sft-added")
    config.write_text(text + mark + rest.replace("learning_rate: 0.001", "learning_rate: 0.002"))
    status, output = again(copied, "-n")
    assert status == 0, output[-3000:]
    assert trained(output) == {"sft-added"} and "evaluate" in planned(output)
    assert "settings of sft: learning_rate was 0.001, is 0.002" in output


def test_a_student_more_trains_that_student_and_nothing_else(study):
    config = study.parents[1] / "config" / "smoke.yaml"
    whole = config.read_text()
    config.write_text(
        whole
        + """
      - name: sft-longer
        method: sft
        expert: expert
        steps: 3
        learning_rate: 0.001
"""
    )
    try:
        status, output = again(study, "-n")
    finally:
        config.write_text(whole)
    assert status == 0, output
    assert {"sft", "evaluate", "aggregate", "figure1", "all"} <= planned(output)
    assert not {"pretrain", "grpo", "distill", "sample", "prompts"} & planned(output)
    assert "train sft-longer of countdown" in output and "train sft-realizable" not in output


def test_asking_for_one_figure_plans_that_figure_and_not_the_other(study):
    status, output = again(study, "-n", "--forceall", "figure1")
    assert status == 0
    assert {"figure1", "aggregate", "evaluate", "grpo", "sft", "distill"} <= planned(output)
    assert not {"figure2", "summary", "all"} & planned(output)


def test_figure_3_needs_no_database_and_no_other_figure(study):
    status, output = again(study, "-n", "--forceall", "figure3")
    assert status == 0
    assert {"figure3", "discrepancy", "solve_benchmark", "evaluate", "grpo"} <= planned(output)
    assert not {"figure1", "table1", "aggregate", "summary", "all"} & planned(output)


def test_editing_a_chart_draws_again_and_trains_nothing(study):
    library = study.parents[1] / "workflow" / "online_il"
    costly = {"pretrain", "grpo", "sft", "distill", "sample", "evaluate"}

    def after_editing(module: str, text: str) -> tuple[set[str], set[str], str]:
        whole = (library / module).read_text()
        (library / module).write_text(whole + text)
        try:
            status, output = again(study, "-n")
        finally:
            (library / module).write_text(whole)
        assert status == 0, output
        return planned(output), trained(output), output

    rules, *_ = after_editing("training/grpo.py", "# A comment changes nothing.\n")
    assert rules == set()
    rules, *_ = after_editing("charts/curves.py", "EDITED = 1\n")
    assert {"figure1", "figure2"} <= rules and not costly & rules
    rules, runs, said = after_editing("training/grpo.py", "EDITED = 1\n")
    assert {"grpo", "evaluate", "figure1"} <= rules and not {"pretrain", "solve"} & rules
    assert "code of grpo: training/grpo.py changed" in said
    # What imitates the solver or the base itself does not follow from GRPO.
    assert runs == {"expert", "sft-realizable", "distill-realizable", "sft-added"}


def test_damaged_weights_stop_everything_before_it_starts(study):
    weights = study / "runs/countdown/expert/seed1/checkpoints/step1/model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-10])
    try:
        status, output = again(study, "--forcerun", "figure1")
    finally:
        weights.write_bytes(whole)
    assert status != 0
    assert "runs/countdown/expert/seed1/checkpoints" in output and "delete it" in output
    assert "Traceback" not in output


def test_a_part_of_a_study_has_a_page_that_says_what_is_missing(study):
    gone = [study / place / "countdown" / "sft-unrealizable" for place in ("runs", "eval")]
    for folder in gone:
        folder.rename(folder.with_name(".elsewhere"))
    try:
        asked = ("report_page", "--config", "partial=true", "--configfile", "config/smoke.yaml")
        status, output = snakemake(study.parents[1], *asked)
        claims = json.loads((study / "claims.json").read_text())["claims"]
        page = (study / "report.html").read_text()
    finally:
        for folder in gone:
            folder.with_name(".elsewhere").rename(folder)
    assert status == 0, output[-3000:]
    assert not {"pretrain", "grpo", "sft", "distill", "sample", "evaluate"} & planned(output)
    verdicts = {claim["id"]: claim for claim in claims}
    missing = verdicts["countdown-sft-unrealizable-falls-short"]
    assert missing["verdict"] == "not run" and "no run sft-unrealizable" in missing["note"]
    assert verdicts["countdown-sft-realizable-matches"]["verdict"] != "not run"
    assert "countdown has no run sft-unrealizable" in page
    # The whole study again: the database and what follows, and no training.
    status, output = again(study, "-n")
    assert status == 0, output[-3000:]
    assert {"aggregate", "claims", "report_page"} <= planned(output)
    assert not {"sft", "evaluate"} & planned(output)
