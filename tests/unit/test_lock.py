"""Locks whose owners are dead, and two processes that would do the same job."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from snakemake.persistence.file import FilePersistence

from online_il.program.lock import hold

JOB = """
import sys, time
from pathlib import Path
from online_il.program.cli import ProgramOptions, main

class Options(ProgramOptions):
    output: Path
    seconds: float

def run(options):
    with (options.output.parent / "times").open("a") as times:
        times.write("begin\\n"); times.flush()
        time.sleep(options.seconds)
        times.write("end\\n")

main(run, Options, "waits")
"""
SNAKEFILE = """
from online_il.program.lock import hold

if workflow.is_main_process:
    hold(Path(".snakemake"))

rule waits:
    output: "{name}.txt"
    shell:
        "touch {wildcards.name}.begun;"
        " until [ -e {wildcards.name}.end ]; do sleep 0.1; done;"
        " touch {output}"
"""
LOCKS_AGAIN_AND_AGAIN = """
import sys
from pathlib import Path
from online_il.program.lock import hold
from snakemake.exceptions import LockException
from snakemake.persistence.file import FilePersistence

hold(Path(".snakemake"))
snakemake = FilePersistence()
snakemake.all_inputfiles = lambda: []
snakemake.all_outputfiles = lambda: ["results"]
had = 0
while had < int(sys.argv[1]):
    hold(Path(".snakemake"))
    try:
        with snakemake.lock():
            Path("had").touch(exist_ok=False)
            hold(Path(".snakemake"))
            assert len(list(Path(".snakemake/locks").iterdir())) == 1
            Path("had").unlink()
            had += 1
    except LockException:
        pass
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
def started(tmp_path):
    """Starts a Snakemake for a file; what is left at the end is killed, jobs and all."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    running = []

    def start(name: str) -> subprocess.Popen:
        (tmp_path / f"{name}.begun").unlink(missing_ok=True)
        command = [sys.executable, "-m", "snakemake", "--cores", "1", f"{name}.txt"]
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        running.append(subprocess.Popen(command, cwd=tmp_path, start_new_session=True, **output))
        return running[-1]

    yield start
    for snakemake in running:
        with suppress(ProcessLookupError):
            os.killpg(snakemake.pid, signal.SIGKILL)
        snakemake.communicate()


def exists(file: Path) -> None:
    """Wait until a file is there."""
    deadline = time.monotonic() + 120
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def finish(snakemake: subprocess.Popen, end: Path) -> None:
    """Let the job of a Snakemake end, and wait for both."""
    end.touch()
    said = snakemake.communicate(timeout=120)[0]
    assert snakemake.returncode == 0, said


def locked(folder: Path) -> list[str]:
    """What the lock files name."""
    return sorted(file.read_text() for file in (folder / ".snakemake" / "locks").iterdir())


def test_the_lock_of_a_dead_snakemake_goes_while_that_of_a_living_one_stays(tmp_path, started):
    living = started("living")
    exists(tmp_path / "living.begun")
    killed = started("killed")
    exists(tmp_path / "killed.begun")
    killed.kill()
    killed.wait(60)
    assert locked(tmp_path) == ["killed.txt\n", "living.txt\n"]
    again = started("killed")
    exists(tmp_path / "killed.begun")
    assert locked(tmp_path) == ["killed.txt\n", "living.txt\n"]
    finish(again, tmp_path / "killed.end")
    # One that ends takes away nobody's lock but its own.
    assert locked(tmp_path) == ["living.txt\n"]
    refused = started("living")
    assert "cannot be locked" in refused.communicate(timeout=120)[0]
    assert refused.returncode == 1
    assert locked(tmp_path) == ["living.txt\n"]
    finish(living, tmp_path / "living.end")
    assert locked(tmp_path) == []


def test_of_many_that_start_at_once_one_has_the_lock(tmp_path):
    command = [sys.executable, "-c", LOCKS_AGAIN_AND_AGAIN, "100"]
    many = [subprocess.Popen(command, cwd=tmp_path) for _ in range(3)]
    assert [one.wait(120) for one in many] == [0, 0, 0]


def test_where_there_are_no_locks_nothing_is_cleared(tmp_path, monkeypatch, caplog):
    def without(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", without)
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "0.output.lock").write_text("results/a\n")
    hold(tmp_path)
    assert (tmp_path / "locks" / "0.output.lock").exists()
    assert "No locks available" in caplog.text
    assert "lock" not in vars(FilePersistence)  # Snakemake's own rules are all there is.


def test_a_folder_that_cannot_be_written_is_left_alone(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    hold(tmp_path / "file")
    assert "are not cleared" in caplog.text
