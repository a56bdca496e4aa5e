"""The program that prints the plan, and what is wrong with a plan."""

import json
import subprocess
from pathlib import Path

import pytest
import warm
import yaml

from online_il.config.reading import ConfigError
from online_il.config.study import load
from online_il.cost.totals import PlannedRuns
from online_il.records import read_table

ROOT = Path(__file__).parents[2]
PAPER = ROOT / "config" / "paper.yaml"


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    return warm.run(ROOT / "workflow" / "scripts" / "plan.py", *arguments, cwd=ROOT)


def test_the_program_writes_a_row_for_every_policy_of_the_paper(tmp_path):
    files = [tmp_path / f"plan.{kind}" for kind in ("parquet", "md", "html")]
    done = program("--config", str(PAPER), "--output", *map(str, files))
    assert (done.returncode, done.stderr) == (0, "")
    assert "Figure 2 alone costs" in done.stdout
    rows = read_table(files[0], PlannedRuns).to_dict("records")
    found = {(row["task"], row["run"], row["seed"]): row for row in rows}
    names = ["expert", "sft-realizable", "sft-unrealizable", "distill-realizable"]
    for task in ("countdown", "gsm8k", "deepscaler"):
        for run in names:
            for seed in (1, 2, 3):
                row = found[task, run, seed]
                assert row["gpus"] > 0 and row["gpu_hours"] > 0 and row["tokens_trained"] > 0
                assert "figure1" in row["figures"]
                assert ("figure2" in row["figures"]) == (task != "deepscaler")
    assert found["aime", "deepseek-r1-0528", 1]["api_response_tokens"] == 60 * 14 * 23_000
    assert found["aime", "deepseek-r1-0528-qwen3-8b", 1]["figures"] == "figure3 table1"
    assert found["gsm8k", "base", 1]["gpus"] == 8
    html = files[2].read_text()
    assert "http" not in html.replace("https://api", "")  # Nothing is loaded from elsewhere.
    assert "color-scheme: light dark" in html and "width=device-width" in html
    assert "16·N/g" in html and "decode_tokens_per_second" in html
    assert files[1].read_text().count("\n| gsm8k | sft-realizable | sft | 2 |") == 1


def test_the_program_plans_a_subset(tmp_path):
    file, chosen = tmp_path / "plan.parquet", ["--task", "gsm8k", "--seed", "2"]
    done = program("--config", str(PAPER), *chosen, "--output", str(file))
    assert done.returncode == 0, done.stderr
    assert "Figure 2 alone costs" in done.stdout
    table = read_table(file, PlannedRuns)
    assert set(table["task"]) == {"gsm8k"}
    assert set(table["seed"][table["run"] != "base"]) == {2}


def test_a_study_without_plan_is_told_so_in_one_line(tmp_path):
    done = program("--config", "config/smoke.yaml")
    assert done.returncode == 1
    assert done.stderr.startswith("error: config/smoke.yaml: no `plan`")
    assert done.stderr.count("\n") == 1


def test_lengths_of_a_task_that_the_study_lacks_are_of_the_one_that_it_extends(tmp_path):
    raw = yaml.safe_load(PAPER.read_text())
    del raw["extends"], raw["discrepancy"]
    raw["tasks"] = raw["tasks"][:1]
    path = tmp_path / "study.yaml"
    path.write_text(json.dumps(raw))
    study = load(path)
    assert study.plan is not None and set(study.plan.tokens) > {"countdown"}


def test_a_plan_that_names_what_is_not_there_is_refused_all_at_once(tmp_path):
    raw = yaml.safe_load(PAPER.read_text())
    del raw["extends"]
    raw["plan"] |= {"tasks": ["gsm8"], "seeds": [9]}
    raw["plan"]["tokens"]["math"] = raw["plan"]["tokens"].pop("aime")
    del raw["plan"]["tokens"]["gsm8k"]["choice_tokens"]
    del raw["plan"]["tokens"]["gsm8k"]["finetuning_tokens"]
    path = tmp_path / "study.yaml"
    path.write_text(json.dumps(raw))
    with pytest.raises(ConfigError) as caught:
        load(path)
    for part in (
        "6 problems",
        "plan.tasks[0] = \"gsm8\": no task has this name; did you mean 'gsm8k'?",
        "plan.seeds[0] = 9: no task has this seed",
        "plan.tokens.math",
        "plan.tokens.aime: the lengths of this task are missing",
        "plan.tokens.gsm8k.choice_tokens",
        "plan.tokens.gsm8k.finetuning_tokens",
    ):
        assert part in str(caught.value)
