"""Targets by the name of a run, runs with settings of their own, and targets that nothing makes."""

import json

import pytest
from project import copy_of_project, planned, snakemake

# What `extends` lays over the miniature: five lines a question.
STUDY = """
extends: mini.yaml
scale: own
tasks:
  - name: countdown
    experts:
      - {name: solver}
      - {name: mine, kind: file, path: mine.jsonl}
    runs:
      - {name: expert}
      - {name: few, method: sft, expert: expert, steps: 20, learning_rate: 0.0005,
         demonstrations: 64}
      - {name: hot, method: sft, expert: expert, steps: 20, learning_rate: 0.0005,
         expert_temperature: 1.5}
      - {name: few-solved, method: sft, expert: solver, steps: 20, learning_rate: 0.0005,
         demonstrations: 64}
      - {name: sft-mine, method: sft, expert: mine, steps: 20, learning_rate: 0.0005,
         seeds: [12, 13]}
      - {name: long, method: sft, expert: solver, steps: 900, learning_rate: 0.0005,
         learning_rate_schedule: linear}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = copy_of_project(tmp_path_factory.mktemp("targets"))
    (folder / "config" / "own.yaml").write_text(STUDY)
    (folder / "mine.jsonl").write_text(json.dumps({"prompt_id": "train-00000", "response": "ok"}))
    return folder


def dry(project, *targets: str) -> tuple[int, str]:
    return snakemake(project, "-n", "-p", *targets, "--configfile", "config/own.yaml")


def test_a_runs_name_trains_and_evaluates_all_its_seeds_and_nothing_else(project):
    status, output = dry(project, "sft-mine")
    assert status == 0, output[-2000:]
    assert planned(output) == {"prompts", "pretrain", "take", "sft", "evaluate", "sft-mine"}
    for seed in (12, 13):
        assert f"evaluate sft-mine of countdown, seed {seed}" in output
    assert "seed 11" not in output
    assert "--place=mine.jsonl" in output and "--content=sha256:" in output


def test_runs_with_settings_of_their_own_get_demonstrations_of_their_own(project):
    status, output = dry(project, "few", "hot", "few-solved", "long")
    assert status == 0, output[-2000:]
    own = {"sample_fresh", "solve", "take_first", "sft", "evaluate"}
    assert planned(output) == {
        "prompts",
        "pretrain",
        "grpo",
        *own,
        "few",
        "hot",
        "few-solved",
        "long",
    }
    lines = [line for line in output.splitlines() if "sample.py" in line and "--seed=11" in line]
    few, hot = (next(x for x in lines if f"samples/countdown/{n}/" in x) for n in ("few", "hot"))
    assert "--count=64" in few and '"temperature":1.0' in few
    assert "--count=4096" in hot and '"temperature":1.5' in hot
    trained = {
        name: next(
            x for x in output.splitlines() if "sft.py" in x and f"--run={name} --seed=11" in x
        )
        for name in ("few", "few-solved", "long")
    }
    assert "samples/countdown/few/seed11.fresh.parquet" in trained["few"]
    assert "samples/countdown/few-solved/seed11.first.parquet" in trained["few-solved"]
    assert "samples/countdown/solver/seed11.parquet" in trained["long"]
    assert '"learning_rate_schedule":"linear"' in trained["long"]
    assert "learning_rate_schedule" not in trained["few"]


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("sft-mime", "did you mean 'sft-mine'?"),
        ("figure22", "did you mean 'figure2'?"),
        ("results/own/figures/figure1.sgv", "did you mean 'results/own/figures/figure1.svg'?"),
    ],
)
def test_an_unknown_target_is_one_line_with_what_may_be_meant(project, target, meant):
    status, output = dry(project, target)
    assert status != 0
    (line,) = [line for line in output.splitlines() if "no target" in line]
    assert f"config/own.yaml: this study has no target '{target}'; {meant} there are: " in line
    assert "Traceback" not in output and "MissingRule" not in output
    assert "aggregate_" not in line and " few, few-solved, figure1, " in line
