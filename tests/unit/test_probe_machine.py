"""What the probe finds of a node: packages, disk, caches, and GPUs that a stand-in pretends."""

import shutil
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from online_il.config.study import load
from online_il.preflight.toolchain import Unfit
from online_il.probe import cards, machine
from online_il.probe.trial import Trial

ROOT = Path(__file__).parents[2]
GIB = 2**30
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(scope="module")
def smoke():
    return load(ROOT / "config" / "smoke.yaml")


@pytest.fixture(scope="module")
def paper():
    return load(ROOT / "config" / "paper.yaml")


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """A home and caches of the test's own; nothing of the hub is there."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("HF_HOME", "XDG_CACHE_HOME", "VLLM_CACHE_ROOT", "TRITON_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine, "WRITTEN", 2**20)
    monkeypatch.setattr(machine, "_fetched", lambda source: False)
    return tmp_path / "home"


def lack(look, *arguments) -> Unfit:
    with pytest.raises(Unfit) as raised:
        look(*arguments)
    assert raised.value.remedy
    return raised.value


# ---- packages ----


def test_the_packages_of_this_environment_are_those_of_its_list(smoke):
    assert "packages as pinned" in machine.packages(smoke)


def test_packages_that_are_missing_or_of_another_version_are_named(smoke, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "ENVS", tmp_path)
    (tmp_path / "cpu.txt").write_text(
        "-c constraints.txt\npydantic==0.1.0  # settings\nno-such-package[extra]==1.0\n"
    )
    error = lack(machine.packages, smoke)
    assert "pydantic is" in error.found and "not 0.1.0" in error.found
    assert "no-such-package is not there, not 1.0" in error.found and "make setup" in error.remedy


# ---- disk and caches ----


def test_a_study_without_gpus_needs_its_results_alone(smoke, tmp_path, caches):
    said = machine.disk(smoke, tmp_path / "results")
    assert "MiB/s" in said and "nothing of the hub is needed" in said
    assert not list((tmp_path / "results").iterdir()), "what was tried is gone"


def test_results_that_cannot_be_written_are_named(smoke, tmp_path, caches):
    (tmp_path / "file").touch()
    error = lack(machine.disk, smoke, tmp_path / "file" / "results")
    assert "cannot be written to" in error.found and "link to a disk" in error.remedy


@pytest.mark.parametrize("name", ["VLLM_CACHE_ROOT", "TRITON_CACHE_DIR"])
def test_a_cache_that_cannot_be_written_names_the_variable_that_moves_it(
    name, paper, tmp_path, caches, monkeypatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv(name, str(tmp_path / "file" / "cache"))
    error = lack(machine.disk, paper, tmp_path / "results")
    assert str(tmp_path / "file") in error.found and f"export {name}=" in error.remedy


def test_a_quota_shows_when_something_is_written(smoke, tmp_path, caches, monkeypatch):
    def full(self, content):
        raise OSError(122, "Disk quota exceeded", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    assert "Disk quota exceeded" in lack(machine.disk, smoke, tmp_path / "results").found


def test_models_to_be_fetched_do_not_go_to_the_home_folder(paper, tmp_path, caches, monkeypatch):
    error = lack(machine.disk, paper, tmp_path / "results")
    assert "HF_HOME is not set" in error.found and str(caches) in error.found
    assert "export HF_HOME=" in error.remedy and "make download-paper" in error.remedy
    monkeypatch.setenv("HF_HOME", str(tmp_path / "large"))
    assert f"0 of 14 models and data sets of the hub in {tmp_path / 'large'}" in machine.disk(
        paper, tmp_path / "results"
    )


def test_models_that_are_in_the_home_folder_already_may_stay(paper, tmp_path, caches, monkeypatch):
    monkeypatch.setattr(machine, "_fetched", lambda source: True)
    assert "14 of 14 models" in machine.disk(paper, tmp_path / "results")


def test_a_cache_on_a_full_disk_and_short_shared_memory_are_named(
    paper, tmp_path, caches, monkeypatch
):
    real, small = shutil.disk_usage, {}

    def usage(path):
        return small.get(str(path)) or real(path)

    monkeypatch.setattr(machine.shutil, "disk_usage", usage)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "large"))
    small["/dev/shm"] = Usage(64 * 2**20, 0, 64 * 2**20)
    error = lack(machine.disk, paper, tmp_path / "results")
    assert "/dev/shm has 64.0 MiB" in error.found and "--shm-size" in error.remedy
    small[str(caches / ".cache" / "vllm")] = Usage(10 * GIB, 9 * GIB, GIB)
    error = lack(machine.disk, paper, tmp_path / "results")
    assert "1.0 GiB free" in error.found and "VLLM_CACHE_ROOT" in error.remedy


# ---- GPUs ----


@pytest.fixture
def pretended(monkeypatch, paper, tmp_path):
    """Pretends GPUs to torch; gives a probe on them and what they are."""
    facts = SimpleNamespace(
        count=2, name="NVIDIA H100", capability=(9, 0), free=78.0, total=79.1, there=True
    )

    def initialise():
        raise RuntimeError("The NVIDIA driver on your system is too old")

    for name, value in {
        "is_available": lambda: facts.there,
        "init": initialise,
        "device_count": lambda: facts.count,
        "get_device_name": lambda number: facts.name,
        "get_device_capability": lambda number: facts.capability,
        "mem_get_info": lambda number: (facts.free * GIB, facts.total * GIB),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda *size, device, **options: ones(*size, **options))
    return Trial(paper, tmp_path, tmp_path, tmp_path, gpus=2), facts


def test_gpus_that_multiply_are_named(pretended):
    trial, facts = pretended
    assert cards.gpu(trial) == "2 x NVIDIA H100, CUDA 13.0"
    facts.count = 1
    assert "1 x NVIDIA H100 (2 were asked for)" in cards.gpu(trial)


def test_torch_without_cuda_or_without_a_gpu_is_told_apart(pretended, monkeypatch):
    trial, facts = pretended
    facts.there = False
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    error = lack(cards.gpu, trial)
    assert "driver on your system is too old" in error.found
    assert "CUDA_VISIBLE_DEVICES is ''" in error.found and "`driver`" in error.remedy
    monkeypatch.setattr(torch.version, "cuda", None)
    error = lack(cards.gpu, trial)
    assert "without CUDA" in error.found and "make setup-gpu" in error.remedy


def test_a_gpu_without_bfloat16_is_named(pretended):
    trial, facts = pretended
    facts.name, facts.capability = "Tesla T4", (7, 5)
    error = lack(cards.gpu, trial)
    assert "Tesla T4, has compute capability 7.5" in error.found and "gpu_model" in error.remedy


def test_memory_that_is_free_and_as_much_as_planned_will_do(pretended):
    trial, _ = pretended
    assert cards.memory(trial) == "79.1, 79.1 GiB, free"


def test_memory_that_something_else_holds_is_named(pretended):
    trial, facts = pretended
    facts.free = 40.0
    error = lack(cards.memory, trial)
    assert "40.0 of 79.1 GiB free" in error.found and "--exclusive" in error.remedy


def test_less_memory_than_the_plan_counts_on_is_named(pretended):
    trial, facts = pretended
    facts.free, facts.total = 39.0, 39.4
    error = lack(cards.memory, trial)
    assert "39.4 GiB, and the plan counts on 79" in error.found
    assert "plan.gpu_memory_gib to 39" in error.remedy
