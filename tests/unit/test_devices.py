"""Jobs on one machine with GPUs get each its own, and wait for them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from online_il.program import devices

ROOT = Path(__file__).parents[2]
NAMES = {str(index): f"GPU-{index}" for index in range(4)}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Makes a machine with some GPUs; gives the environment of a program there."""
    monkeypatch.setattr(devices.tempfile, "tempdir", str(tmp_path))

    def made(count: int, **variables: str) -> dict[str, str]:
        listed = "".join(f"echo {index}, GPU-{index}; " for index in range(count))
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{listed or 'exit 6'}\n")
        program.chmod(0o755)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CUDA_", "SLURM_"))}
        path = f"{tmp_path}:{os.environ['PATH']}"
        here = {"PATH": path, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT / "workflow")}
        return kept | here | variables

    return made


def start(environment: dict[str, str], count: int, command: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "online_il.program.devices", str(count), "sh", "-c", command]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.PIPE}
    return subprocess.Popen(words, env=environment, text=True, **streams)


SHOW = 'echo "$CUDA_VISIBLE_DEVICES"; read line'
"""Says which GPUs it sees, and ends as a line is sent to it."""


def test_jobs_beside_each_other_have_other_gpus_and_a_further_one_waits(machine):
    environment = machine(4)
    jobs = [start(environment, count, SHOW) for count in (2, 1, 1)]
    seen = [job.stdout.readline().strip().split(",") for job in jobs]
    assert [len(gpus) for gpus in seen] == [2, 1, 1]
    assert sorted(gpu for gpus in seen for gpu in gpus) == ["0", "1", "2", "3"]
    late = start(environment, 2, SHOW)
    assert late.stderr.readline() == "waiting for 2 of 4 GPUs: other jobs have them\n"
    jobs[1].communicate("\n")
    time.sleep(3.5)  # Longer than it waits between two looks: one GPU is not enough.
    assert late.poll() is None
    jobs[2].kill()  # However a job ends.
    assert sorted(late.stdout.readline().strip().split(",")) == sorted(seen[1] + seen[2])
    for job in (jobs[0], late):
        job.communicate("\n")
        assert job.returncode == 0


def test_of_the_gpus_that_are_named_others_are_not_taken(machine):
    job = start(machine(4, CUDA_VISIBLE_DEVICES="3,1"), 2, SHOW)
    assert job.communicate("\n")[0] == "3,1\n"


@pytest.mark.parametrize(
    ("there", "variables", "where"),
    [
        (1, {}, "this machine has 1"),
        (0, {}, "this machine has 0"),
        (4, {"CUDA_VISIBLE_DEVICES": "2"}, "CUDA_VISIBLE_DEVICES=2 names 1"),
        (4, {"CUDA_VISIBLE_DEVICES": ""}, "CUDA_VISIBLE_DEVICES= names 0"),
    ],
)
def test_fewer_than_a_job_asks_for_are_said(machine, there, variables, where):
    job = start(machine(there, **variables), 2, SHOW)
    _, said = job.communicate("\n")
    assert job.returncode == 1
    assert said == (
        f"error: the job asks for 2 GPUs, and {where}; lower resources.<rule>.gpu in the config, "
        "or start on a machine with more\n"
    )


def test_what_slurm_gave_a_job_is_not_asked_for_again(machine, tmp_path):
    environment = machine(4, SLURM_JOB_ID="7", CUDA_VISIBLE_DEVICES="0,1")
    jobs = [start(environment, 2, SHOW) for _ in range(2)]  # On two nodes, say.
    assert [job.communicate("\n")[0] for job in jobs] == ["0,1\n", "0,1\n"]
    assert not list(tmp_path.glob("*.lock"))
    # Within an allocation of several they are given out.
    jobs = [start(environment, 1, SHOW) for _ in range(2)]
    seen = [job.stdout.readline() for job in jobs]
    assert sorted(seen) == ["0\n", "1\n"]
    for job in jobs:
        job.communicate("\n")


def test_too_few_are_given_back(machine, tmp_path):
    machine(0)
    held = devices.free_ones(["0", "1"], NAMES, 2)
    assert list(held) == ["0", "1"]
    assert devices.free_ones(list(NAMES), NAMES, 3) is None
    others = devices.free_ones(list(NAMES), NAMES, 2)
    assert list(others) == ["2", "3"], "those that it could have were not kept"
    for handle in (*held.values(), *others.values()):
        os.close(handle)
