"""The profiles without a cluster: what `--profile slurm` plans, and what a laptop gets."""

import os
import shutil
from pathlib import Path

import pytest
import warm
from project import ROOT, copy_of_project, planned

TOOLS = ("sh", "bash", "env", "which")


def snakemake(folder: Path, *arguments: str):
    """Run Snakemake where no program of Slurm is to be found; returns status and output."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    for name in TOOLS:
        link = tools / name
        link.exists() or link.symlink_to(shutil.which(name))
    environment = os.environ | {"PATH": str(tools)}
    done = warm.run("-m", "snakemake", *arguments, cwd=folder, env=environment)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def toy(tmp_path) -> Path:
    """The shipped profiles with a workflow of one rule, which asks for many threads."""
    for name in ("profiles", "slurm"):
        shutil.copytree(ROOT / name, tmp_path / name)
    # The profile names a config.
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "paper.yaml").write_text("{}")
    rule = 'rule wide:\n    output: "threads.txt"\n    threads: 500\n'
    (tmp_path / "Snakefile").write_text(f"{rule}    shell: 'echo {{threads}} > {{output}}'\n")
    return tmp_path


@pytest.mark.parametrize("study", ["smoke", "paper"])
def test_a_study_is_planned_for_a_cluster_on_a_machine_without_one(tmp_path, study):
    project = copy_of_project(tmp_path)
    config = ("--configfile", f"config/{study}.yaml")
    status, output = snakemake(project, "--profile", "slurm", "-n", *config)
    assert status == 0, output[-3000:]
    assert {"grpo", "sft", "distill", "evaluate", "sample", "all"} <= planned(output)
    assert output.count("Group job theory") == 1
    assert planned(output) == planned(snakemake(project, "-n", *config)[1])


def test_the_cores_of_the_machine_that_submits_do_not_limit_a_job(toy):
    status, output = snakemake(toy, "--profile", "slurm", "-n")
    assert status == 0, output
    assert "threads: 500" in output


def test_bare_snakemake_uses_the_cores_of_the_laptop(toy):
    status, output = snakemake(toy)
    assert status == 0, output
    assert (toy / "threads.txt").read_text() == f"{len(os.sched_getaffinity(0))}\n"


def test_no_more_gpus_are_given_out_than_the_machine_has(toy, monkeypatch):
    rule = 'rule wide:\n    output: "gpus.txt"\n    resources: gpu=8\n'
    (toy / "Snakefile").write_text(f"{rule}    shell: 'echo {{resources.gpu}} > {{output}}'\n")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    status, output = snakemake(toy)
    assert status == 0, output
    assert (toy / "gpus.txt").read_text() == "3\n"
    status, output = snakemake(toy, "--forceall", "--resources", "gpu=2")
    assert status == 0, output
    assert (toy / "gpus.txt").read_text() == "2\n"


def test_a_wrong_fact_about_the_site_stops_everything_with_a_sentence(tmp_path):
    project = copy_of_project(tmp_path)
    profile = project / "slurm" / "config.yaml"
    profile.write_text(profile.read_text().replace("cpus_per_gpu: 8", "cpus_per_gpu: eight"))
    status, output = snakemake(project, "-n", "--configfile", "config/smoke.yaml")
    assert status != 0
    assert "slurm/config.yaml" in output and 'cpus_per_gpu = "eight"' in output
    assert "Traceback" not in output
