"""`snakemake probe` on this machine: what a study without GPUs needs, what lacks for another."""

import json
from pathlib import Path

import pytest
from configs import ROOT
from project import copy_of_project, snakemake

ON_GPUS = """extends: smoke.yaml
scale: on-gpus
hardware: gpu
generation: {engine: transformers}
resources:
  finetune: {gpu: 1}
  grpo: {gpu: 2}
  sft: {gpu: 1}
  distill: {gpu: 1}
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    return copy_of_project(tmp_path_factory.mktemp("checkout"))


def report(checkout: Path, scale: str) -> dict:
    return json.loads((checkout / "results" / scale / "probe.json").read_text())


def test_a_study_without_gpus_passes_what_it_needs_and_is_tried_anew_each_time(checkout):
    command = ("probe", "--configfile", "config/smoke.yaml")
    status, output = snakemake(checkout, *command)
    assert status == 0, output[-3000:]
    record = report(checkout, "smoke")
    assert record["complete"] and record["can_start"] and record["hardware"] == "cpu"
    states = {finding["check"]: finding["status"] for finding in record["findings"]}
    assert states == {
        **dict.fromkeys(("packages", "disk", "model", "engine", "seeds", "scores"), "passed"),
        **dict.fromkeys(("reload", "training"), "passed"),
        **dict.fromkeys(("driver", "compiler", "gpu", "triton", "memory"), "skipped"),
    }
    assert "The study smoke can start here: 8 checks passed" in output
    assert (checkout / "results/smoke/probe.txt").read_text() in output
    planned = snakemake(checkout, *command, "-n")[1]
    assert "try what the study needs" in planned and "fetch the model" not in planned


def test_a_study_on_gpus_is_told_what_this_machine_lacks(checkout, monkeypatch, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    # A driver that is too old, and a model in the place of the one that pip fetches.
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '535.230.02, NVIDIA A100-SXM4-80GB'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{Path('/usr/bin')}:{Path('/bin')}")
    (checkout / "config" / "on-gpus.yaml").write_text(ON_GPUS)
    made = checkout / "results" / "smoke" / "probe" / "model"
    place = checkout / "results" / "on-gpus" / "probe" / "model"
    place.parent.mkdir(parents=True)
    place.symlink_to(made)
    command = ("probe", "--configfile", "config/on-gpus.yaml", "--retries", "2")
    status, output = snakemake(checkout, *command)
    assert status == 1, output[-3000:]
    found = {finding["check"]: finding for finding in report(checkout, "on-gpus")["findings"]}
    assert "driver 535.230.02" in found["driver"]["found"]
    assert found["model"]["status"] == "passed", "what failed before hides nothing"
    for name in ("gpu", "triton", "memory", "engine", "seeds", "scores", "reload", "training"):
        assert found[name]["status"] == "failed" and found[name]["remedy"], name
    # Once, though Snakemake may try jobs twice more.
    assert output.count("failed   driver") == 1
    assert "--gpus 2 " in output and "--num_processes 2 " in output
    # By the job, and again after Snakemake's own words.
    assert output.count("The study on-gpus cannot start here: ") == 2


def test_fewer_gpus_are_tried_where_fewer_are_given(checkout):
    command = ("probe", "--configfile", "config/on-gpus.yaml", "--resources", "gpu=1", "-n", "-p")
    status, output = snakemake(checkout, *command)
    assert status == 0, output[-3000:]
    assert "--gpus 1 " in output and "accelerate/single.yaml" in output


@pytest.mark.parametrize("kind", ["onstart", "onsuccess", "onerror"])
def test_what_the_probe_says_last_takes_no_other_last_words_away(kind):
    """Snakemake keeps only the last handler of a kind."""
    files = [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]
    texts = [path.read_text(encoding="utf-8") for path in files]
    assert sum(text.count(f"\n{kind}:\n") for text in texts) == 1
