"""Driver, compiler and Python.h: what is here, and what is said of each that does not do."""

import subprocess
import sysconfig
from pathlib import Path

import pytest

from online_il.config.study import load
from online_il.preflight import toolchain
from online_il.preflight.report import Report
from online_il.preflight.toolchain import Unfit

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bin_alone(tmp_path, monkeypatch) -> Path:
    """A PATH with nothing but what a test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CC", raising=False)
    return folder


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def lack(look) -> Unfit:
    with pytest.raises(Unfit) as raised:
        look()
    assert raised.value.remedy and "\n" not in str(raised.value)
    return raised.value


# ---- the driver ----


@pytest.mark.parametrize("version", ["580.95.05", "595.3", "1000.1.1"])
def test_a_driver_that_speaks_cuda_13_will_do(version, bin_alone):
    program(
        bin_alone, "nvidia-smi", f"echo '{version}, NVIDIA H100'; echo '{version}, NVIDIA H100'"
    )
    assert toolchain.driver() == f"driver {version}, 2 x NVIDIA H100"


@pytest.mark.parametrize("version", ["579.99", "535.230.02", "58.0"])
def test_an_older_driver_is_refused_but_for_a_compatibility_library(
    version, bin_alone, monkeypatch
):
    program(bin_alone, "nvidia-smi", f"echo '{version}, NVIDIA A100-SXM4-80GB'")
    monkeypatch.setattr(toolchain, "cuda_of_library", lambda: None)
    error = lack(toolchain.driver)
    assert version in error.found and "580" in error.found
    assert "newer driver" in error.remedy and "cuda-compat" in error.remedy
    monkeypatch.setattr(toolchain, "cuda_of_library", lambda: 12040)
    assert "580" in lack(toolchain.driver).found
    monkeypatch.setattr(toolchain, "cuda_of_library", lambda: 13000)
    assert "compatibility library" in toolchain.driver()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'No devices were found'; exit 6", "No devices were found"),
        ('echo "couldn\'t communicate with the NVIDIA driver" >&2; exit 9', "communicate"),
        ("exit 0", "it lists no GPU"),
        ("echo '[N/A], NVIDIA GH200'", "no version of the driver"),
    ],
)
def test_a_driver_that_does_not_answer_rightly_is_named(script, said, bin_alone):
    program(bin_alone, "nvidia-smi", script)
    error = lack(toolchain.driver)
    assert said in error.found and "snakemake probe --profile slurm" in error.remedy


def test_no_driver_is_said(bin_alone):
    assert "no nvidia-smi" in lack(toolchain.driver).found


def test_a_driver_that_hangs_is_no_hang_here(bin_alone, monkeypatch):
    program(bin_alone, "nvidia-smi", "exec /bin/sleep 60")
    monkeypatch.setattr(toolchain, "SECONDS", 0.3)
    error = lack(toolchain.driver)
    assert "no answer in 0.3 s" in error.found and "sbatch --exclude" in error.remedy


def test_the_library_of_the_driver_is_asked_where_it_is(monkeypatch):
    class Library:
        @staticmethod
        def cuDriverGetVersion(place):
            place._obj.value = 13020
            return 0

    monkeypatch.setattr(toolchain.ctypes, "CDLL", lambda _: Library)
    assert toolchain.cuda_of_library() == 13020

    def lacking(_):
        raise OSError("no libcuda.so.1")

    monkeypatch.setattr(toolchain.ctypes, "CDLL", lacking)
    assert toolchain.cuda_of_library() is None


# ---- the compiler ----


def test_a_module_is_compiled_and_loaded_with_the_compiler_that_is_here():
    said = toolchain.compiler()
    assert "Python.h of 3.11" in said


def test_no_compiler_is_said(bin_alone):
    error = lack(toolchain.compiler)
    assert "no gcc and no clang" in error.found and "module load gcc" in error.remedy


def test_a_compiler_that_cc_names_and_is_not_here_is_said(monkeypatch):
    monkeypatch.setenv("CC", "/opt/none/bin/gcc -pipe")
    assert "CC is /opt/none/bin/gcc -pipe, which is not here" in lack(toolchain.compiler).found


def test_no_header_of_python_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    error = lack(toolchain.compiler)
    assert f"no Python.h in {tmp_path}" in error.found and "python3.11-dev" in error.remedy


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'tried.c:1: fatal error: stdio.h: No such file' >&2; exit 1", "stdio.h"),
        ("exec /bin/sleep 60", "no answer"),
        # Writes what is no module: after `-o`.
        ('while [ "$1" != -o ]; do shift; done; echo nonsense > "$2"', "cannot be loaded"),
    ],
)
def test_a_compiler_that_does_not_do_is_said(script, said, bin_alone, monkeypatch):
    program(bin_alone, "gcc", script)
    monkeypatch.setattr(toolchain, "SECONDS", 0.5)
    assert said in lack(toolchain.compiler).found


# ---- what preflight says ----


def test_preflight_names_what_this_machine_lacks_and_what_nodes_need(bin_alone):
    study, here, cluster = load(ROOT / "config" / "paper.yaml"), Report(), Report()
    toolchain.check_toolchain(study, here, cluster=False)
    assert [problem.partition(":")[0] for problem in here.problems] == ["driver", "compiler"]
    toolchain.check_toolchain(study, cluster, cluster=True)
    assert cluster.problems == []
    (note,) = cluster.notes
    assert all(word in note for word in ("580", "C compiler", "Python.h", "snakemake probe"))


def test_preflight_asks_a_study_without_gpus_for_none_of_it(bin_alone):
    report = Report()
    toolchain.check_toolchain(load(ROOT / "config" / "mini.yaml"), report, cluster=False)
    assert (report.problems, report.notes) == ([], [])


def test_preflight_passes_a_machine_that_has_it(monkeypatch):
    def answer(command, **_):
        return subprocess.CompletedProcess(command, 0, "580.95.05, NVIDIA H100\n", "")

    monkeypatch.setattr(toolchain, "compiler", lambda: "/usr/bin/gcc, Python.h of 3.11.7")
    monkeypatch.setattr(toolchain.subprocess, "run", answer)
    report = Report()
    toolchain.check_toolchain(load(ROOT / "config" / "paper.yaml"), report, cluster=False)
    assert report.problems == [] and "580.95.05" in report.notes[0]
