"""The plan counts the jobs of the real DAG, and preflight stands before its first jobs."""

from pathlib import Path

import pandas as pd
import pytest
import warm
import yaml
from project import ROOT, copy_of_project, planned, snakemake

from online_il.config.study import load
from online_il.cost.jobs import figures, jobs_of

PAPER = ROOT / "config" / "paper.yaml"
# What takes GPUs or money, and where its output says for whom it works.
PLANNED = {
    "adopt": "runs",
    "finetune": "runs",
    "grpo": "runs",
    "sft": "runs",
    "distill": "runs",
    "evaluate": "eval",
    "sample": "samples",
    "demonstrate": "samples",
    "respond": "responses",
    "ask": "responses",
}


def dag(target: str, config: Path) -> set[tuple[str, str, str, int]]:
    """The jobs of a target that the plan counts, as (rule, task, run, seed)."""
    command = ["-m", "snakemake", "--cores", "1", "--detailed-summary", target]
    done = warm.run(*command, "--configfile", str(config), cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = set()
    for line in done.stdout.splitlines()[1:]:
        cells = line.split("\t")
        path, rule = Path(cells[0]), cells[2]
        if rule in PLANNED:
            _, _, kind, task, run, seed, *_ = path.parts
            assert kind == PLANNED[rule]
            found.add((rule, task, run, int(seed.split(".")[0].removeprefix("seed"))))
    return found


@pytest.mark.parametrize("target", ["figure1", "figure2", "figure3", "table1", "all"])
def test_the_plan_of_a_figure_has_exactly_the_jobs_of_its_dag(target):
    study = load(PAPER)
    assert study.plan is not None
    jobs = jobs_of(study, study.plan)
    expected = figures(study, jobs).get(target, set(jobs))
    assert dag(target, PAPER) == expected


def test_the_plan_of_figure3_follows_the_runs_that_are_compared(tmp_path):
    """Experts with weights and the solver, each with its students; a plan on top of smoke."""
    raw = yaml.safe_load((ROOT / "config" / "smoke.yaml").read_text())
    raw["plan"] = yaml.safe_load(PAPER.read_text())["plan"]
    lengths = {"prompt_tokens": 5, "response_tokens": 5, "choice_tokens": 5}
    lengths["finetuning_tokens"] = 5
    raw["plan"]["tokens"] = {task["name"]: lengths for task in raw["tasks"]}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(raw))
    study = load(path)
    assert study.plan is not None
    jobs = jobs_of(study, study.plan)
    free = {"pretrain", "solve"}
    for target, keys in figures(study, jobs).items():
        assert dag(target, path) == {key for key in keys if key[0] not in free}


def test_the_target_plan_writes_table_and_page(tmp_path):
    project = copy_of_project(tmp_path)
    chosen = 'plan={"tasks": ["gsm8k"], "seeds": [1]}'
    status, output = snakemake(
        project, "plan", "--configfile", "config/paper.yaml", "--config", chosen
    )
    assert status == 0, output
    assert "Figure 2 alone costs" in output
    table = pd.read_parquet(project / "results" / "paper" / "plan.parquet")
    assert set(table["task"]) == {"gsm8k"} and set(table["seed"]) == {1}
    assert {path.suffix for path in (project / "results" / "paper").glob("plan.*")} == {
        ".parquet",
        ".md",
        ".html",
    }


def test_the_target_plan_says_what_a_study_lacks_for_it(tmp_path):
    status, output = snakemake(copy_of_project(tmp_path), "plan")
    assert status != 0
    last = output.strip().splitlines()[-1]
    assert last.startswith("error: ") and "mini.yaml: no `plan`" in last


def broken(project: Path) -> Path:
    """The paper's study without key, models and data, with a GPU that is too small."""
    raw = yaml.safe_load(PAPER.read_text())
    raw["scale"] = "broken"
    raw["plan"]["gpu_memory_gib"] = 10
    path = project / "config" / "broken.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def test_preflight_lists_every_problem_and_nothing_else_starts(tmp_path, monkeypatch):
    experts = [expert for task in load(PAPER).tasks for expert in task.experts]
    keys = {expert.key_variable for expert in experts if expert.kind == "endpoint"}
    for key in keys:
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("HF_TOKEN", "hf-secret")
    project = copy_of_project(tmp_path)
    config = ("--configfile", str(broken(project)))
    status, output = snakemake(project, "preflight", *config)
    assert status == 1
    report = (project / "results" / "broken" / "preflight.txt").read_text()
    for part in (
        *keys,
        "Qwen/Qwen2.5-3B-Instruct@",
        "openai/gsm8k@",
        "make download-paper",
        "gsm8k, finetune: takes about",
        "vllm is not installed",
    ):
        assert part in report and part in output
    assert "secret" not in report + output
    assert "Traceback" not in output
    # The same checks stand before a figure's jobs, task by task.
    status, output = snakemake(project, "results/broken/data/gsm8k/prompts.parquet", *config)
    assert status == 1
    assert "openai/gsm8k@" in output and "Qwen2.5-3B" not in output
    assert not (project / "results" / "broken" / "data").exists()
    assert not (project / "results" / "broken" / "preflight" / "gsm8k.txt").exists()


def test_the_checks_stand_before_a_tasks_jobs_and_make_nothing_anew(tmp_path):
    project = copy_of_project(tmp_path)
    target = "results/smoke/data/gsm8k/prompts.parquet"
    study = project / "config" / "smoke.yaml"
    raw = yaml.safe_load(study.read_text())
    task = next(task for task in raw["tasks"] if task["name"] == "gsm8k")

    def make(seed: int, *options: str, **base: str) -> tuple[int, str]:
        """Make the prompts, with a base of a certain seed."""
        task["base"] |= {"seed": seed, "chat_template": None, **base}
        study.write_text(yaml.safe_dump(raw))
        return snakemake(project, target, "--configfile", "config/smoke.yaml", *options)

    status, output = make(1)
    assert status == 0, output
    assert "check what gsm8k needs" in output and "what countdown needs" not in output
    made = (project / target).stat().st_mtime_ns
    # Other settings, and none of the prompts': they stay, and what is not started needs no checks.
    assert "Nothing to be done" in make(2)[1]
    # Something to do, the same settings as in the last checks: not asked again.
    status, output = make(1, "--forcerun", "convert")
    assert status == 0 and "check what" not in output, output
    # The checks fail, every time, before anything starts.
    for _ in range(2):
        status, output = make(2, "--forcerun", "convert", chat_template="missing.jinja")
        assert status == 1 and "there is no file missing.jinja" in output, output
        assert "nothing was started" in output and "Traceback" not in output
        assert "Error in rule" not in output
    assert (project / target).is_file() and (project / target).stat().st_mtime_ns > made


def test_checks_that_are_due_hide_nothing_that_is_missing(tmp_path):
    """Snakemake takes what follows a job that runs again beside its outputs for done."""
    project = copy_of_project(tmp_path)
    config = ("--configfile", "config/smoke.yaml")
    assert snakemake(project, "results/smoke/data/gsm8k/prompts.parquet", *config)[0] == 0
    (project / "results" / "smoke" / "preflight" / "gsm8k.txt").write_text("of other settings\n")
    status, output = snakemake(project, "-n", *config)
    assert status == 0
    assert {"pretrain", "finetune", "grpo", "evaluate", "figure1"} <= planned(output)


def test_the_theory_needs_no_preflight(tmp_path):
    project = copy_of_project(tmp_path)
    status, output = snakemake(project, "-n", "figure4", "--configfile", "config/paper.yaml")
    assert status == 0, output
    assert "check what" not in output
