"""The questions of docs/ask.md: what each trains, how long that takes; three are answered."""

import json
import os
import re
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest
import warm
import yaml
from project import ROOT, copy_of_project, planned, snakemake

from online_il.config.claims import load_claims
from online_il.methods import METHODS
from online_il.studies import load_study

GUIDE = (ROOT / "docs" / "ask.md").read_text(encoding="utf-8")
QUESTIONS = dict(re.findall(r"(?ms)^## (\d+)\. .*?$\n(.*?)(?=^## |\Z)", GUIDE))
PRICED = """
import json, sys
from pathlib import Path
from online_il.cost.jobs import costs_of
from online_il.program.dag import graph_of_study
from online_il.studies import load_study
path, overrides = Path(sys.argv[1]), json.loads(sys.argv[2])
study = load_study(path, overrides)
costs = costs_of(study, study.plan, graph_of_study(path, overrides))
print(json.dumps([[*job[:4], 60 * cost.gpu_hours] for job, cost in costs.items()]))
"""
MODEL = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "vocab_size": 100}
MODEL |= {"num_attention_heads": 2, "num_hidden_layers": 2, "max_position_embeddings": 512}
pytestmark = pytest.mark.slow


class Told(NamedTuple):
    """What the guide says of a question."""

    config: str
    trains: list[str]
    everything: bool
    minutes: float | None


def told(number: str) -> Told:
    text = QUESTIONS[number]
    (config,) = re.findall(r"(?ms)^```yaml\n(extends: .*?)^```", text)
    ((names, rest),) = re.findall(r"(?m)^Trains ((?:`[\w-]+`(?:, )?)+)(.*)$", text)
    minutes = re.findall(r": (\d+) minutes?", rest)
    return Told(
        config,
        re.findall(r"`([\w-]+)`", names),
        rest.startswith(" and every run"),
        float(minutes[0]) if minutes else None,
    )


WITH_YAML = [number for number, text in QUESTIONS.items() if "```yaml\nextends" in text]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = copy_of_project(tmp_path_factory.mktemp("ask"))
    model = folder / "models" / "my-model"
    model.mkdir(parents=True)
    (model / "config.json").write_text(json.dumps(MODEL))
    return folder


def priced(project: Path, config: str, **overrides: object) -> dict[tuple[str, ...], float]:
    """The jobs of a study that have a cost, from the real DAG, with their core-minutes."""
    words = ["-c", PRICED, config, json.dumps(overrides)]
    env = os.environ | {"PYTHONPATH": str(project / "workflow")}
    done = warm.run(*words, cwd=project, env=env)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return {tuple(job): minutes for *job, minutes in json.loads(done.stdout)}


@pytest.fixture(scope="module")
def miniature(project) -> dict[tuple[str, ...], float]:
    return priced(project, "config/mini.yaml", blocks=1)


def test_there_are_fifteen_questions_and_every_block_is_tried():
    assert [*map(int, QUESTIONS)] == [*range(1, 16)]
    blocks = re.findall(r"(?m)^```(\w+)$", GUIDE)
    assert set(blocks) == {"yaml", "sh"}
    assert len(WITH_YAML) + 1 == blocks.count("yaml")  # And the claim.


@pytest.mark.parametrize("number", WITH_YAML)
def test_a_question_trains_what_the_guide_says_and_takes_as_long(project, miniature, number):
    said = told(number)
    (project / "config" / "ask.yaml").write_text(said.config)
    jobs = priced(project, "config/ask.yaml", blocks=1)
    raw = yaml.safe_load(said.config)
    own = raw["scale"] == "mini"
    assert own != said.everything
    new = {job: minutes for job, minutes in jobs.items() if not (own and job in miniature)}
    trained = {run for rule, _, run, _ in new if rule in (*METHODS, "pretrain", "finetune")}
    if said.everything:
        study = load_study(project / "config" / "ask.yaml")
        assert trained == {*said.trains, *(run.name for run in study.tasks[0].runs)}
    else:
        assert trained == set(said.trains)
        # What is only named is as the miniature has it, so that it is finished.
        (mini,) = load_study(ROOT / "config" / "mini.yaml").tasks
        (task,) = load_study(project / "config" / "ask.yaml").tasks
        theirs = {run.name: run for run in mini.runs}
        for run in task.runs:
            if run.name in theirs:
                assert run == theirs[run.name]
                assert task.settings_of(run) == mini.settings_of(run)
        assert task.base == mini.base and task.data == mini.data
    if said.minutes is not None:
        assert said.minutes == pytest.approx(sum(new.values()), abs=0.6), number


def test_a_claim_of_ones_own_is_a_row_of_the_claims(tmp_path):
    (claim,) = re.findall(r"(?ms)^```yaml\n(  - id: .*?)^```", QUESTIONS["14"])
    text = (ROOT / "config" / "claims.yaml").read_text()
    (tmp_path / "claims.yaml").write_text(text + claim)
    known = load_claims(ROOT / "config" / "claims.yaml").claims
    mine = load_claims(tmp_path / "claims.yaml").claims[-1]
    assert mine.id == "longer-is-no-better" and mine.id not in {one.id for one in known}
    # It is about the first question's runs.
    assert set(mine.runs) == {"sft-long", "sft-realizable"} and "sft-long" in told("1").trains


TOY = """
extends: mini.yaml
scale: toy
save_minutes: 0
looks: null
blocks: 1
theory: null
discrepancy: null
divergence: null
evaluation: {samples_at_last: null, paper: null, policy: {max_new_tokens: 24}}
methods:
  grpo: {prompts_per_step: 4, rollouts_per_prompt: 2, micro_batch_size: 4, max_new_tokens: 24,
         checkpoints: [1]}
  sft: {batch_size: 8, micro_batch_size: 4, demonstrations: 16, checkpoints: [2]}
  distill: {batch_size: 8, micro_batch_size: 4, max_new_tokens: 24, checkpoints: [2]}
tasks:
  - name: countdown
    data: {train: 16, validation: 4, id: 8, ood: 8, pretraining: 8, facts: {count: 8, choices: 4}}
    base:
      architecture: {hidden_size: 16, intermediate_size: 32, layers: 1, heads: 1, head_dim: 16}
      updates: 2
      batch_size: 16
      micro_batch_size: 8
      warmup_updates: 1
    runs:
"""
MADE = ("pretrain", "mix", "sample", "solve", *METHODS)


def answered(project: Path, number: str) -> set[str]:
    """Ask a question at toy scale for real; gives the rules that made policies and samples."""
    config = told(number).config.replace("mini", "toy")
    config = re.sub(r"\bsteps: \d+", "steps: 2", config)
    (project / "config" / "ask.yaml").write_text(config)
    status, output = snakemake(project, "claims", "--configfile", "config/ask.yaml")
    logs = [path.read_text()[-1000:] for path in project.glob("results/toy/logs/**/*.log")]
    assert status == 0, output[-3000:] + "\n".join(logs)
    return planned(output) & {*MADE}


def test_questions_asked_one_after_the_other_train_what_is_new_alone(project):
    mini = yaml.safe_load((ROOT / "config" / "mini.yaml").read_text())["tasks"][0]["runs"]
    rows = "".join(f"      - {{name: {run['name']}, steps: 2}}\n" for run in mini)
    (project / "config" / "toy.yaml").write_text(TOY + rows)
    # The mixture of the miniature is an expert of every block, and is measured.
    assert answered(project, "1") == {"pretrain", "grpo", "sft", "sample", "solve", "mix"}
    expert = project / "results" / "toy" / "runs" / "countdown" / "expert" / "seed11" / "run.json"
    before = expert.stat().st_mtime_ns
    # A new expert, and both ways to learn from it.
    assert answered(project, "5") == {"mix", "sft", "distill", "sample"}
    assert answered(project, "10") == {"sft"}
    assert expert.stat().st_mtime_ns == before
    with duckdb.connect(str(project / "results/toy/results.duckdb"), read_only=True) as database:
        runs = {run for (run,) in database.sql("select distinct run from evaluations").fetchall()}
    named = {"base", "expert", "mixture", "sft-realizable", "sft-unrealizable"}
    assert runs == named | {*told("10").trains}
