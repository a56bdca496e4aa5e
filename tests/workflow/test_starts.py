"""What a start of Snakemake plans or refuses in an empty folder: studies, targets, bad configs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from project import ROOT, copy_of_project, planned, snakemake

SMOKE = ROOT / "config" / "smoke.yaml"


def unnested() -> dict[str, str]:
    """The environment without what an outer `make test` tells an inner make."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}


def inputs(output: str, message: str) -> set[str]:
    """What the job of a message takes from other jobs, by a dry run where nothing is there."""
    told = output.partition(f": {message}")[2].partition("Input files updated by another job: ")[2]
    return set(told.partition("\n")[0].split(", "))


@pytest.mark.parametrize("target", ["mini", "smoke", "sweep", "mixture", "mixture-sweep"])
def test_every_study_of_the_makefile_is_planned(tmp_path, target):
    shown = subprocess.run(
        ["make", "-n", "-o", ".venv/ready", target],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=unnested(),
    ).stdout.replace("\\\n", " ")
    arguments = shown.partition("/snakemake ")[2].partition("\n")[0].split()
    assert arguments[:1], shown
    copy_of_project(tmp_path)
    status, output = snakemake(tmp_path, "-n", *arguments)
    assert status == 0, output[-2000:]
    assert {"pretrain", "grpo", "sft", "distill", "summary"} <= planned(output)
    assert ("mix" in planned(output)) == (target not in {"smoke", "sweep"})
    if target == "mixture":
        drawn = {"figure1", "figure5", "figure6", "figure7"}
        assert {"sample", "sample_fresh", "divergences", *drawn} <= planned(output)
        shown = {f"figures/{name}.svg" for name in drawn} | {"tables/divergence.parquet"}
        assert {f"results/mixture/{place}" for place in shown} <= inputs(output, "write the report")


def test_theory_plans_no_training(tmp_path):
    """Each figure needs its own tables and nothing else."""
    theorems = ("theorem1", "theorem2", "theorem5", "horizon")
    status, output = snakemake(copy_of_project(tmp_path), "-n", "figure4", *theorems)
    assert status == 0, output[-2000:]
    made = {"theory_gaussian", *(f"theory_{theorem}" for theorem in theorems)}
    assert planned(output) == {"figure4", *theorems, *made}
    theory = "results/mini/theory"
    for theorem in theorems:
        assert inputs(output, f"draw {theorem}") == {f"{theory}/{theorem}.parquet"}
    assert all(path.startswith(f"{theory}/gaussian/") for path in inputs(output, "draw figure4"))


def test_a_bad_config_ends_with_sentences_and_nothing_on_disk(tmp_path):
    content = yaml.safe_load(SMOKE.read_text())
    content["unknown"] = 1
    content["tasks"][0]["seeds"] = []
    content["tasks"][-1]["runs"][0]["checkpoints"] = [5]
    content["tasks"][-1]["runs"][1]["expert"] = "exprt"
    copy_of_project(tmp_path)
    (tmp_path / "config" / "bad.yaml").write_text(yaml.safe_dump(content))
    status, output = snakemake(tmp_path, "--configfile", "config/bad.yaml")
    assert status != 0
    told = [line for line in output.splitlines() if "bad.yaml:" in line]
    for words in ("did you mean 'expert'", "tasks[0].seeds", "unknown key", "checkpoints"):
        assert sum(words in line for line in told) == 1, output
    assert "Traceback" not in output
    assert not (tmp_path / "results").exists()


def test_bare_snakemake_plans_the_miniature_without_any_option():
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [Path(sys.executable).parent / "snakemake", "-n"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
