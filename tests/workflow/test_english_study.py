"""A study in English through the real DAG: a few updates of every arm of config/small.yaml."""

import json
import re
import shutil
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from project import copy_of_project, snakemake

from online_il.models import load_tokenizer
from online_il.tasks import english

TOY = """
extends: small.yaml
scale: toy
precision: mixed
theory: null
plan: null
blocks: null
save_minutes: 0
evaluation: {samples_at_last: 2, policy: {max_new_tokens: 24}}
methods:
  grpo: {prompts_per_step: 2, rollouts_per_prompt: 2, micro_batch_size: 2, max_new_tokens: 24,
         checkpoints: [1]}
  sft: {batch_size: 4, micro_batch_size: 2, demonstrations: 16, checkpoints: [1, 2]}
  distill: {batch_size: 4, micro_batch_size: 2, max_new_tokens: 24, checkpoints: [2]}
tasks:
  - name: countdown
    data: {pretraining: 4, train: 16, validation: 4, id: 6, ood: 4,
           prose: {words: 20, context: 4}, rows: {knowledge: 8, prose: 2}}
    benchmarks: [id, ood, knowledge, prose]
    seeds: [1]
    base:
      BASE
      finetuning:
        traces: {solve_probability: 0.12, continue_probability: 0.55, max_attempts: 3,
                 practice_fraction: 0.3, practice_attempts: 2}
        updates: 2
        batch_size: 4
        micro_batch_size: 2
        learning_rate: 2.0e-4
        max_length: 400
        max_grad_norm: 1.0
    experts:
      - {name: solver}
      - name: mixture
        parts: {expert: 0.5, solver: 0.5}
    runs:
      - {name: expert, steps: 1}
      - {name: sft-realizable, steps: 2}
      - {name: sft-unrealizable, steps: 2}
      - {name: distill-realizable, steps: 2}
      - {name: sft-self, steps: 2}
      - {name: sft-mixture, steps: 2}
      - {name: learnable-mixture, steps: 2}
      - {name: distill-mixture, steps: 2}
"""
RANDOM = """kind: random
      seed: 1
      architecture: {hidden_size: 16, intermediate_size: 32, layers: 1, heads: 1, head_dim: 16}
      max_length: 1024"""
STUDENTS = ("sft-realizable", "sft-unrealizable", "distill-realizable", "sft-self", "sft-mixture")
STUDENTS += ("learnable-mixture", "distill-mixture")
pytestmark = pytest.mark.slow
# Of the real model a checkpoint takes half a gigabyte, and a job half a minute.
FEW = ("sft-unrealizable", "distill-mixture")


def toy(base: str, students: tuple[str, ...]) -> str:
    """The study with a base of one kind, and of its students these alone."""
    left_out = [name for name in STUDENTS if name not in students]
    text = TOY.replace("BASE", base)
    return "".join(
        line
        for line in text.splitlines(keepends=True)
        if not any(f"{{name: {name}, steps" in line for name in left_out)
    )


@pytest.fixture(scope="module", params=["random", "real"])
def made(request, tmp_path_factory):
    """The results of a study, and its students."""
    students = STUDENTS if request.param == "random" else FEW
    text = toy(RANDOM, students)
    if request.param == "real":
        pytest.importorskip("smollm2").obtained()
        text = toy("# That of config/small.yaml.", students)
        text = text.replace("checkpoints: [1, 2]", "checkpoints: [2]")
        # Where a processor does not multiply bfloat16, it takes minutes.
        text = text.replace("precision: mixed", "precision: single")
    folder = copy_of_project(tmp_path_factory.mktemp("checkout"))
    (folder / "config" / "toy.yaml").write_text(text)
    status, output = snakemake(folder, "summary", "table1", "--configfile", "config/toy.yaml")
    logs = "\n".join(
        f"{path}:\n{path.read_text()[-1500:]}" for path in folder.glob("results/toy/logs/**/*.log")
    )
    assert status == 0, f"{output[-3000:]}\n{logs}"
    yield folder / "results" / "toy", students
    shutil.rmtree(folder)


@pytest.fixture
def study(made) -> Path:
    return made[0]


@pytest.fixture
def students(made) -> tuple[str, ...]:
    return made[1]


def record(study: Path, run: str) -> dict:
    return json.loads((study / "runs" / "countdown" / run / "seed1" / "run.json").read_text())


def test_every_arm_starts_from_the_base_that_learned_traces(study, students):
    base = record(study, "base")
    origin = base["settings"]["origin"]
    assert origin["kind"] == ("random" if students == STUDENTS else "package")
    assert students == STUDENTS or (origin["version"], origin["sha256"][:8]) == (
        "0.1.2",
        "bcc81830",
    )
    assert base["method"] == "finetune" and base["settings"]["traces"]["practice_attempts"] == 2
    [begun] = base["checkpoints"]
    assert begun["weights_hash"] != base["initial_weights_hash"]
    for run in ("expert", *students):
        trained = record(study, run)
        assert trained["initial_weights_hash"] == begun["weights_hash"]
        assert trained["settings"].get("precision") == ("mixed" if students == STUDENTS else None)
    last = {run: record(study, run)["checkpoints"][-1]["weights_hash"] for run in students}
    # Nothing that random weights write is rewarded, so that their expert is the base.
    if record(study, "expert")["checkpoints"][-1]["weights_hash"] == begun["weights_hash"]:
        assert last.get("sft-self") == last.pop("sft-realizable", None)
        assert last.pop("distill-realizable", begun["weights_hash"]) == begun["weights_hash"]
    assert begun["weights_hash"] not in last.values()
    assert len(set(last.values())) == len(last)


def test_weights_are_kept_in_single_precision(study):
    config = study / "runs" / "countdown" / "expert" / "seed1" / "checkpoints" / "step1"
    assert json.loads((config / "config.json").read_text())["dtype"] == "float32"


def test_the_solver_and_the_mixture_answer_in_english(study):
    solved = pd.read_parquet(study / "samples" / "countdown" / "solver" / "seed1.parquet")
    assert solved["correct"].all() and solved["text"].str.fullmatch("<answer>.*</answer>").all()
    tokenizer = load_tokenizer(study / "models" / "countdown" / "base" / "step0")
    lengths = [len(tokenizer.encode(text)) + 1 for text in solved["text"]]
    assert solved["n_tokens"].tolist() == lengths
    path = study / "samples" / "countdown" / "mixture" / "seed1.parquet"
    if not path.is_file():  # No student learns from its samples.
        return
    drawn = pd.read_parquet(path)
    direct = drawn["text"].str.startswith("<answer>")
    assert 0 < direct.sum() < len(drawn) == 16
    assert ((drawn["direct"] > 0.5) == direct).all()


def test_prompts_ask_in_english_and_checks_are_counted(study, students):
    prompts = pd.read_parquet(study / "data" / "countdown" / "prompts.parquet")
    asked = ~prompts["split"].isin(["knowledge", "prose"])
    assert (prompts["text"].map(english.is_prompt) == asked).all()
    assert prompts.groupby("split").size().to_dict() == {
        "id": 6,
        "knowledge": 8,
        "ood": 4,
        "pretraining": 4,
        "prose": 2,
        "train": 16,
        "validation": 4,
    }
    with duckdb.connect(
        str(study / "aggregate" / "measurements.duckdb"), read_only=True
    ) as database:
        told = database.sql(
            "select run, count(*), count(attempts) from evaluations"
            " where benchmark in ('id', 'ood') group by all"
        ).fetchall()
    assert {run for run, *_ in told} == {"base", "expert", "mixture", *students}
    assert all(count == measured for _, count, measured in told)
    assert re.search(r"distill-mixture", (study / "summary.txt").read_text())


def test_what_the_model_knew_and_how_it_reads_is_measured_beside_its_task(study, students):
    with duckdb.connect(
        str(study / "aggregate" / "measurements.duckdb"), read_only=True
    ) as database:
        told = database.sql(
            "select run, benchmark, n_prompts, accuracy, perplexity from evaluations"
            " where benchmark in ('knowledge', 'prose')"
        ).fetchall()
    # A mixture is sampled alone: nobody reads what it makes likely.
    expected = {
        (run, one) for run in ("base", "expert", *students) for one in ("knowledge", "prose")
    }
    assert {(run, benchmark) for run, benchmark, *_ in told} == expected
    for _, benchmark, count, accuracy, perplexity in told:
        if benchmark == "prose":
            assert count == 2 and accuracy is None and perplexity > 1
        else:
            assert count == 8 and 0 <= accuracy <= 1 and perplexity is None


def test_what_is_finished_is_not_made_again(study):
    status, output = snakemake(study.parents[1], "summary", "--configfile", "config/toy.yaml", "-n")
    assert status == 0 and "Nothing to be done" in output, output[-2000:]
