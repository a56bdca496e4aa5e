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
    assert ("mix" in planned(output)) == target.startswith("mixture")
    if target == "mixture":
        drawn = {"figure1", "figure5", "figure6", "figure7"}
        assert {"sample", "sample_fresh", "divergences", *drawn} <= planned(output)


@pytest.mark.parametrize("target", ["figure4", "theorem1", "theorem2", "theorem5", "horizon"])
def test_theory_plans_no_training(tmp_path, target):
    status, output = snakemake(copy_of_project(tmp_path), "-n", target)
    assert status == 0, output[-2000:]
    assert target in planned(output)
    assert all(rule == target or rule.startswith("theory_") for rule in planned(output))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda c: c["tasks"][-1]["runs"][1].update(expert="exprt"), "did you mean 'expert'"),
        (lambda c: c["tasks"][0].update(seeds=[]), "tasks[0].seeds"),
        (lambda c: c.update(unknown=1), "unknown key"),
        (lambda c: c["tasks"][-1]["runs"][0].update(checkpoints=[5]), "checkpoints"),
    ],
)
def test_a_bad_config_ends_with_a_sentence_and_nothing_on_disk(tmp_path, change, expected):
    content = yaml.safe_load(SMOKE.read_text())
    change(content)
    copy_of_project(tmp_path)
    (tmp_path / "config" / "bad.yaml").write_text(yaml.safe_dump(content))
    status, output = snakemake(tmp_path, "--configfile", "config/bad.yaml")
    assert status != 0
    assert expected in output and "bad.yaml:" in output
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
