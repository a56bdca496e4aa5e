"""The plan and the checks read the real DAG, and the checks stand before its first jobs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pandas as pd
import yaml
from project import ROOT, copy_of_project, planned, snakemake

from online_il.config.study import load
from online_il.layout import Layout
from online_il.program.dag import (
    Job,
    rule_edges,
    write_start,
)

PAPER = ROOT / "config" / "paper.yaml"


GRAPH = """
import json
from pathlib import Path
from online_il.program.dag import graph_of_study, pending_jobs
graph = graph_of_study(Path("config/smoke.yaml"), {})
print(json.dumps([list(graph.edges), pending_jobs(graph), list(graph.nodes(data="minutes"))]))
"""


def test_the_graph_of_a_study_is_the_dag_that_snakemake_prints(tmp_path):
    project = copy_of_project(tmp_path)
    status, output = snakemake(project, "--rulegraph", "--configfile", "config/smoke.yaml")
    assert status == 0, output
    names = dict(re.findall(r'(\d+)\[label = "(\w+)', output))
    printed = {(names[a], names[b]) for a, b in re.findall(r"(\d+) -> (\d+)", output)}
    # In a process of its own, as in the programs: reading the Snakefile changes Snakemake.
    command = [sys.executable, "-c", GRAPH]
    env = os.environ | {"PYTHONPATH": str(project / "workflow")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=project, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    edges, pending, nodes = json.loads(done.stdout)
    assert {(a[0], b[0]) for a, b in edges} == printed and len(printed) > 50
    sft = ["sft", "gsm8k", "sft-unrealizable", 1, []]
    assert [job for job, _ in nodes if job[:2] == sft[:2]] == [sft]
    assert [minutes for job, minutes in nodes if job == sft] == [5]
    # Nothing is there yet, so everything is to be done.
    assert sorted(map(str, pending)) == sorted(str(job) for job, _ in nodes)


def test_a_start_writes_down_its_jobs_and_the_rules_of_the_report(tmp_path):
    graph = nx.DiGraph([(Job("evaluate", "t", "r", seed), Job("aggregate")) for seed in (1, 2)])
    graph.add_edges_from([(Job("aggregate"), Job("report_page")), (Job("report_page"), Job("all"))])
    graph.add_edge(Job("plan"), Job("all"))
    nx.set_node_attributes(graph, True, "pending")
    nx.set_node_attributes(graph, 15, "minutes")
    nx.set_node_attributes(graph, 2, "threads")
    graph.nodes[Job("plan")]["pending"] = False
    write_start(graph, tmp_path, {"evaluate": 90.0})
    pending = json.loads((Layout(tmp_path).pending).read_text())
    assert pending.pop("evaluate") == {"jobs": 2, "minutes": 15, "threads": 2, "expected": 90.0}
    assert set(pending) == {"aggregate", "report_page", "all"}
    edges = [("aggregate", "report_page"), ("evaluate", "aggregate")]
    assert rule_edges(tmp_path) == edges
    # A start that does not make the report leaves the picture as it is.
    write_start(nx.subgraph(graph, [Job("plan")]), tmp_path, {})
    assert rule_edges(tmp_path) == edges and rule_edges(tmp_path / "other") == []


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


def test_a_budget_is_for_the_plan_alone_and_is_heeded_each_time(tmp_path):
    project = copy_of_project(tmp_path)
    study = ("--configfile", "config/paper-countdown.yaml", "--config")
    for _ in range(2):
        status, output = snakemake(project, "plan", *study, "budget=150")
        assert status == 0, output
        assert "What $150.00 buys" in output and "  1. countdown/" in output
    status, output = snakemake(project, "figure4", *study, "budget=150")
    assert status != 0 and "only `snakemake plan` heeds a budget" in output
    assert "Traceback" not in output and not (project / "results/paper-countdown/theory").exists()
    status, output = snakemake(project, "plan", *study, "budget=50$")
    assert status != 0 and "US dollars above 0" in output and "Traceback" not in output


def test_the_target_plan_says_what_a_study_lacks_for_it(tmp_path):
    project = copy_of_project(tmp_path)
    status, output = snakemake(project, "plan", "--configfile", "config/smoke.yaml")
    assert status != 0
    last = output.strip().splitlines()[-1]
    assert last.startswith("error: ") and "smoke.yaml: no `plan`" in last


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
        assert "error: nothing was started: see above what gsm8k needs" in output
        assert not re.search(r"Traceback|WorkflowError|checks\.smk", output), output
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
