"""The GPUs that are here: too little memory, or too few, is said before the first job."""

import math
import subprocess

import pytest
from preflight_studies import study_raw

from online_il.config.study import Study
from online_il.cost.memory import GIB
from online_il.preflight import machine, memory
from online_il.preflight.machine import Gpu
from online_il.preflight.report import Report

SMALL = Gpu("NVIDIA T4", 0.5)


@pytest.fixture
def raw(tmp_path):
    return study_raw(tmp_path)


def problems(raw, here: Gpu | None) -> list[str]:
    study, report = Study.model_validate(raw), Report()
    memory.check_memory(study, study.tasks[0], report, here)
    return report.problems


def test_a_gpu_that_is_here_and_smaller_than_the_plans_decides(raw):
    assert problems(raw, None) == []
    assert problems(raw, Gpu("NVIDIA H200", 140.0)) == []
    found = problems(raw, SMALL)
    assert {"countdown, grpo", "countdown, sft", "countdown, distill"} <= {
        problem.partition(":")[0] for problem in found
    }
    assert all("NVIDIA T4 here has 0.5" in problem for problem in found)


def test_without_a_plan_the_gpu_that_is_here_is_looked_at(raw):
    del raw["plan"]
    assert problems(raw, None) == []
    assert problems(raw, Gpu("NVIDIA H200", 140.0)) == []
    assert any(
        problem.startswith("countdown, grpo: takes about") for problem in problems(raw, SMALL)
    )


def test_sampling_that_does_not_fit_is_said_too(raw):
    """Weights in bfloat16, the cache of one sequence and 2 GiB, worked by hand."""
    config = {"layers": 2, "kv_heads": 1, "head_dim": 32}
    block = 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128 + 2 * 64 + (64 + 2 * 32)
    count = 2 * block + 3 * 64 + 64
    prompt = raw["plan"]["tokens"]["countdown"]["prompt_tokens"]
    length = prompt + raw["evaluation"]["policy"]["max_new_tokens"]
    cache = 2 * 2 * config["layers"] * config["kv_heads"] * config["head_dim"]
    least = (2 * count + cache * length) / GIB + 2
    said = "countdown, evaluate: takes at least"
    over, under = (problems(raw, Gpu("a card", least + d)) for d in (-1e-6, 1e-6))
    assert any(problem.startswith(said) for problem in over)
    assert not any(problem.startswith(said) for problem in under)


def test_fewer_gpus_than_a_job_asks_for_are_said(raw):
    study, report = Study.model_validate(raw), Report()
    machine.check_gpus(study.tasks[0], [SMALL] * 2, report)
    assert report.problems == []
    machine.check_gpus(study.tasks[0], [SMALL], report)
    assert [problem.partition(":")[0] for problem in report.problems] == [
        f"countdown, {method}" for method in ("distill", "grpo", "sft")
    ]
    assert "resources.grpo.gpu: 2, and this machine has 1; set it to 1" in report.problems[1]
    raw["resources"]["evaluate"]["gpu"] = 3
    study, report = Study.model_validate(raw), Report()
    machine.check_gpus(study.tasks[0], [SMALL] * 2, report)
    assert [problem.partition(":")[0] for problem in report.problems] == ["countdown, evaluate"]


def test_a_machine_without_gpu_is_told_what_asks_for_one(raw):
    study, report = Study.model_validate(raw), Report()
    machine.check_gpus(study.tasks[0], [], report)
    assert [problem.partition(":")[0] for problem in report.problems] == [
        f"countdown, {rule}" for rule in ("distill", "evaluate", "grpo", "sample", "sft")
    ]
    assert all("and this machine has none; start where `nvidia-smi`" in p for p in report.problems)


def test_a_gpu_that_does_not_tell_its_memory_is_taken_to_have_enough(raw):
    assert problems(raw, Gpu("NVIDIA GH200", math.inf)) == []
    del raw["plan"]
    assert problems(raw, Gpu("NVIDIA GH200", math.inf)) == []


@pytest.mark.parametrize(
    ("output", "status", "found"),
    [
        ("NVIDIA H100, 81559\nNVIDIA A100, 40960\n", 0, [81559 / 1024, 40.0]),
        ("NVIDIA GH200, [N/A]\n", 0, [math.inf]),
        ("No devices were found\n", 6, []),
        ("", 0, []),
    ],
)
def test_what_nvidias_program_says_is_read(monkeypatch, output, status, found):
    def answer(command, **_):
        return subprocess.CompletedProcess(command, status, output, "")

    monkeypatch.setattr(machine.subprocess, "run", answer)
    assert [gpu.gib for gpu in machine.gpus_here()] == found


def test_a_machine_without_any_gpu_is_told(monkeypatch, tmp_path):
    """Not where one is there of which NVIDIA's program says nothing, as of AMD's."""
    report = Report()
    monkeypatch.setattr(machine, "DEVICES", (f"{tmp_path}/nvidia[0-9]*", f"{tmp_path}/kfd"))
    machine.check_any_gpu(report)
    [problem] = report.problems
    assert "hardware is gpu, and this machine has no GPU; start on a machine with one" in problem
    (tmp_path / "nvidia0").touch()
    report = Report()
    machine.check_any_gpu(report)
    assert report.problems == []


def test_a_machine_without_nvidias_program_has_no_gpu(monkeypatch):
    def lacking(*_, **__):
        raise FileNotFoundError("nvidia-smi")

    monkeypatch.setattr(machine.subprocess, "run", lacking)
    assert machine.gpus_here() == []
