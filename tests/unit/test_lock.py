"""Locks whose owners are dead, and two processes that would do the same job."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from online_il.lock import hold

JOB = """
import sys, time
from pathlib import Path
from online_il.cli import main, parser

def run(options):
    with (options.output.parent / "times").open("a") as times:
        times.write("begin\\n"); times.flush()
        time.sleep(options.seconds)
        times.write("end\\n")

arguments = parser("waits")
arguments.add_argument("--output", type=Path)
arguments.add_argument("--seconds", type=float)
main(run, arguments)
"""
HOLDS = """
import time
from pathlib import Path
from online_il.lock import hold
lock = hold(Path(".snakemake"))
print("held", flush=True)
time.sleep(600)
"""


def job(folder: Path, output: str = "a.json", seconds: float = 1.0) -> subprocess.Popen:
    command = [sys.executable, "-c", JOB, "--output", str(folder / output)]
    return subprocess.Popen(
        [*command, "--seconds", str(seconds)], cwd=folder, stderr=subprocess.PIPE, text=True
    )


def begun(folder: Path, count: int) -> None:
    """Wait until so many jobs have begun."""
    times, deadline = folder / "times", time.monotonic() + 60
    while not times.is_file() or times.read_text().count("begin") < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_job_waits_for_the_process_that_still_does_it(tmp_path):
    (tmp_path / ".snakemake").mkdir()
    first = job(tmp_path, seconds=600)
    begun(tmp_path, 1)
    second = job(tmp_path, seconds=0.0)
    assert second.stderr is not None
    assert "another process still makes" in second.stderr.readline()
    assert (tmp_path / "times").read_text().split() == ["begin"]
    first.terminate()
    assert (first.wait(60), second.wait(60)) == (75, 0)
    assert (tmp_path / "times").read_text().split() == ["begin", "begin", "end"]


def test_a_dead_process_holds_no_job_and_other_jobs_run_beside_it(tmp_path):
    (tmp_path / ".snakemake").mkdir()
    first = job(tmp_path, seconds=600)
    begun(tmp_path, 1)
    other = job(tmp_path, "b.json", seconds=0.0)
    assert other.wait(60) == 0
    first.kill()
    first.wait(60)
    assert job(tmp_path, seconds=0.0).wait(60) == 0


def test_a_job_that_is_asked_to_stop_says_so_with_the_status_for_again(tmp_path):
    first = job(tmp_path, seconds=600)
    begun(tmp_path, 1)
    first.send_signal(signal.SIGTERM)
    _, said = first.communicate(timeout=60)
    assert first.returncode == 75
    assert said.splitlines()[-1] == "stopped by SIGTERM; the same command goes on"


@pytest.fixture
def left(tmp_path, monkeypatch) -> Path:
    """A folder with the files of Snakemake's lock in it."""
    monkeypatch.chdir(tmp_path)
    locks = tmp_path / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text("results/a\n")
    return locks


def test_the_lock_of_a_living_snakemake_stays_and_that_of_a_dead_one_goes(left):
    owner = subprocess.Popen([sys.executable, "-c", HOLDS], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None and owner.stdout.readline() == "held\n"
    assert list(left.iterdir()) == []  # Nobody else was alive.
    (left / "0.output.lock").write_text("results/a\n")
    beside = hold(Path(".snakemake"))
    assert beside is not None and len(list(left.iterdir())) == 1
    beside.close()
    owner.kill()
    owner.wait(60)
    after = hold(Path(".snakemake"))
    assert after is not None and list(left.iterdir()) == []
    after.close()


def test_a_folder_that_cannot_be_written_is_left_alone(tmp_path):
    (tmp_path / "file").write_text("")
    assert hold(tmp_path / "file") is None
