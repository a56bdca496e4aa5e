"""config/onegpu.yaml through the real DAG: two small random bases, one the expert of the other."""

import json
import shutil
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from project import copy_of_project, snakemake

TOY = """
extends: onegpu.yaml
scale: toy
hardware: cpu
theory: null
plan: null
save_minutes: 0
generation: {engine: loop, batch_size: 64, during_updates: awake}
evaluation: {policy: {max_new_tokens: 12}}
methods:
  grpo: {prompts_per_step: 4, rollouts_per_prompt: 2, micro_batch_size: 4, max_new_tokens: 12,
         max_prompt_tokens: 1024, checkpoints: [1]}
  sft: {batch_size: 4, micro_batch_size: 2, demonstrations: 8, checkpoints: [2]}
  distill: {batch_size: 4, micro_batch_size: 2, max_new_tokens: 12, max_prompt_tokens: 1024,
            checkpoints: [2]}
resources:
  grpo: {threads: 1, mem_mb: 1500, gpu: 0}
  sft: {threads: 1, mem_mb: 1500, gpu: 0}
  distill: {threads: 1, mem_mb: 1500, gpu: 0}
  sample: {threads: 1, mem_mb: 1000, gpu: 0}
  evaluate: {threads: 1, mem_mb: 1000, gpu: 0}
discrepancy: null
tasks:
  - name: countdown
    data:
      dataset: {folder: workflow/fixtures/countdown}
      train: 12
      id: 4
      ood: 4
      mmlu: {folder: workflow/fixtures/mmlu}
      mmlu_dev: {folder: workflow/fixtures/mmlu}
      rows: {mmlu: 5}
    base:
      kind: random
      seed: 1
      architecture: {hidden_size: 16, intermediate_size: 32, layers: 1, heads: 1, head_dim: 16}
      max_length: 8192
    bases:
      - name: larger
        kind: random
        seed: 2
        architecture: {hidden_size: 32, intermediate_size: 64, layers: 2, heads: 2, head_dim: 16}
        max_length: 8192
    runs:
      - {name: expert, steps: 1}
      - {name: larger-rl, steps: 1, learning_rate: 0.001, checkpoints: [1]}
      - {name: sft-realizable, steps: 2}
      - {name: sft-unrealizable, steps: 2, learning_rate: 0.001}
      - {name: distill-realizable, steps: 2}
      - {name: distill-unrealizable, steps: 2, learning_rate: 0.001}
      - {name: sft-self, steps: 2, learning_rate: 0.001}
"""
STUDENTS = ("sft-realizable", "sft-unrealizable", "distill-realizable", "distill-unrealizable")
STUDENTS += ("sft-self",)
LARGE = ("larger", "larger-rl")
ALL = ("base", "expert", *STUDENTS, *LARGE)
TARGETS = ("claims", "divergences")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = copy_of_project(tmp_path_factory.mktemp("checkout"))
    (folder / "config" / "toy.yaml").write_text(TOY)
    status, output = snakemake(folder, *TARGETS, "--configfile", "config/toy.yaml")
    logs = "\n".join(
        f"{path}:\n{path.read_text()[-1500:]}" for path in folder.glob("results/toy/logs/**/*.log")
    )
    assert status == 0, f"{output[-3000:]}\n{logs}"
    yield folder / "results" / "toy"
    shutil.rmtree(folder)


def folder_of(study: Path, run: str) -> Path:
    """A base lies under the seed of its weights."""
    [place] = (study / "runs" / "countdown" / run).glob("seed*")
    return place


def record(study: Path, run: str) -> dict:
    return json.loads((folder_of(study, run) / "run.json").read_text())


def test_every_run_starts_from_the_base_that_it_names(study):
    begun = {name: record(study, name)["checkpoints"][0] for name in ("base", "larger")}
    assert begun["base"]["weights_hash"] != begun["larger"]["weights_hash"]
    for run in ("expert", *STUDENTS):
        assert record(study, run)["initial_weights_hash"] == begun["base"]["weights_hash"]
    assert record(study, "larger-rl")["initial_weights_hash"] == begun["larger"]["weights_hash"]
    for run in ALL:
        [*_, last] = sorted((folder_of(study, run) / "checkpoints").iterdir())
        width = json.loads((last / "config.json").read_text())["hidden_size"]
        assert width == (32 if run in LARGE else 16), run


def test_the_larger_model_is_trained_without_a_penalty_and_the_student_with_one(study):
    found = {run: record(study, run)["settings"] for run in ("expert", "larger-rl")}
    penalties = {run: settings.pop("kl_coefficient") for run, settings in found.items()}
    assert penalties == {"expert": 0.001, "larger-rl": 0.0}
    assert found["expert"]["rollouts_per_prompt"] == found["larger-rl"]["rollouts_per_prompt"] == 2


def test_the_larger_model_is_imitated_by_its_samples_and_by_its_probabilities(study):
    drawn = study / "samples" / "countdown"
    assert {path.name for path in drawn.iterdir()} == {"base", "expert", "larger-rl"}
    theirs = pd.read_parquet(drawn / "larger-rl" / "seed1.parquet")
    own = pd.read_parquet(drawn / "base" / "seed1.parquet")
    assert len(theirs) == len(own) == 8 and (theirs["text"] != own["text"]).all()
    last = {run: record(study, run)["checkpoints"][-1]["weights_hash"] for run in STUDENTS}
    base = record(study, "base")["checkpoints"][0]["weights_hash"]
    assert last["distill-unrealizable"] not in (base, last["distill-realizable"])
    assert last["sft-unrealizable"] not in (base, last["sft-self"])


def test_every_policy_is_measured_twice_a_prompt_and_on_questions_of_mmlu(study):
    with duckdb.connect(str(study / "results.duckdb"), read_only=True) as database:
        told = database.sql(
            "select run, benchmark, n_prompts, max(samples_per_prompt) from evaluations"
            " group by all"
        ).fetchall()
    drawn = {(run, name): (count, each) for run, name, count, each in told if name != "mmlu"}
    assert drawn == {(run, name): (4, 2) for run in ALL for name in ("id", "ood")}
    asked = {run: count for run, name, count, _ in told if name == "mmlu"}
    assert asked == dict.fromkeys(ALL, 5)


def test_the_titles_square_is_judged_by_the_larger_model_and_no_mixture(study):
    claims = json.loads((study / "claims.json").read_text())["claims"]
    verdicts = {claim["id"].removeprefix("countdown-"): claim["verdict"] for claim in claims}
    judged = ("larger-falls-short", "larger-online-ahead", "larger-interaction")
    judged += ("online-level-if-realizable", "sft-realizable-matches", "online-helps-when-larger")
    judged += ("sft-unrealizable-falls-short", "forgetting-unrealizable-drops", "ood-self-stable")
    for name in judged:
        assert verdicts[name] != "not run", name
    for name in ("mixture-online-ahead", "online-ahead-if-unrealizable", "mixture-interaction"):
        assert verdicts[name] == "not run", name


def test_an_expert_of_another_base_is_not_of_the_students_class(study):
    """Of the class, the gap to the student's own expert is 0; of another one it is only bounded."""
    text = (study / "tables" / "divergence.md").read_text()
    table = pd.read_parquet(study / "tables" / "divergence.parquet")
    coverage = table[table["measure"] == "log_coverage"]
    assert text and set(table["student"]) == set(STUDENTS)
    known = set(coverage["student"])
    assert {"sft-realizable", "distill-realizable", "sft-self"} <= known
    assert not known & {"sft-unrealizable", "distill-unrealizable"}
