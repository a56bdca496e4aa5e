"""Locks whose owners are dead, and two processes that would do the same job."""

import argparse
import errno
import fcntl
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.persistence.file import FilePersistence

from online_il.program import lock
from online_il.program.lock import one_snakemake_per_study

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
from online_il.program.lock import one_snakemake_per_study

if workflow.is_main_process:
    one_snakemake_per_study(config["scale"])

rule waits:
    output: "{name}.txt"
    shell:
        "touch {wildcards.name}.begun;"
        " until [ -e {wildcards.name}.end ]; do sleep 0.1; done;"
        " touch {output}"
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

    def start(name: str, scale: str = "mini") -> subprocess.Popen:
        (tmp_path / f"{name}.begun").unlink(missing_ok=True)
        command = [sys.executable, "-m", "snakemake", "--cores", "1", f"{name}.txt"]
        command += ["--config", f"scale={scale}"]
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


def test_a_living_snakemake_keeps_others_from_its_study_and_a_dead_one_does_not(tmp_path, started):
    killed = started("killed")
    exists(tmp_path / "killed.begun")
    killed.kill()  # Its job lives on.
    killed.wait(60)
    living = started("living")
    exists(tmp_path / "living.begun")
    refused = started("other")
    said = refused.communicate(timeout=120)[0]
    assert said.splitlines()[-1].startswith("error: another Snakemake makes the study mini in")
    assert "Traceback" not in said and "lock.py" not in said
    assert refused.returncode == 1 and not (tmp_path / "other.begun").exists()
    beside = started("beside", scale="smoke")
    exists(tmp_path / "beside.begun")
    finish(living, tmp_path / "living.end")
    finish(beside, tmp_path / "beside.end")
    again = started("killed")
    exists(tmp_path / "killed.begun")
    finish(again, tmp_path / "killed.end")


# ---- a file system whose locks hold on one machine alone ----


def owned(path: Path, owner: str, seconds_ago: float = 0.0) -> Path:
    """A lock's file as an owner on another machine leaves it, who touched it so long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{owner}\n")
    touched = time.time() - seconds_ago
    os.utime(path, (touched, touched))
    return path


def lock_of(output: Path) -> Path:
    name = hashlib.sha256(str(output).encode()).hexdigest()[:24]
    return output.parent / ".snakemake" / "online-il" / f"{name}.lock"


def test_a_job_waits_for_a_process_on_another_machine_that_the_kernel_knows_nothing_of(tmp_path):
    file = owned(lock_of(tmp_path / "a.json"), "process 7 on node3")
    waiting = job(tmp_path, seconds=0.0)
    assert waiting.stderr is not None
    assert "another process still makes" in (said := waiting.stderr.readline())
    assert "(process 7 on node3)" in said
    assert not (tmp_path / "times").exists()
    file.write_text("")  # As it ends.
    assert waiting.wait(60) == 0


def test_a_machine_that_died_holds_nothing(tmp_path):
    owned(lock_of(tmp_path / "a.json"), "process 7 on node3", seconds_ago=lock.DEAD_S + 1)
    assert job(tmp_path, seconds=0.0).wait(60) == 0


def test_an_owner_names_itself_while_it_works_and_leaves_no_name(tmp_path):
    (tmp_path / ".snakemake").mkdir()
    first = job(tmp_path, seconds=600)
    begun(tmp_path, 1)
    file = lock_of(tmp_path / "a.json")
    assert file.read_text() == f"process {first.pid} on {socket.gethostname()}\n"
    second = job(tmp_path, seconds=0.0)
    assert second.stderr is not None and f"(process {first.pid} on" in second.stderr.readline()
    first.kill()  # It leaves its name; here the kernel knows that it is dead.
    assert (first.wait(60), second.wait(60)) == (-signal.SIGKILL, 0)
    assert file.read_text() == ""


def test_an_owner_touches_its_lock_as_long_as_it_lives(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lock, "BEAT_S", 0.01)
    (tmp_path / ".snakemake").mkdir()
    file = lock_of(tmp_path / "a.json")
    with lock.one_process_per_output(argparse.Namespace(output=tmp_path / "a.json")):
        for _ in range(2):
            os.utime(file, (0, 0))
            deadline = time.monotonic() + 20
            while file.stat().st_mtime == 0:
                assert time.monotonic() < deadline
                time.sleep(0.01)


class Unlockable(FilePersistence):
    """Snakemake's records, which say what its own lock does."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    dag = SimpleNamespace(jobs=[SimpleNamespace(output=["results"])])

    def all_inputfiles(self) -> list[str]:
        return []

    def all_outputfiles(self) -> list[str]:
        return ["results"]

    def _read_locks(self) -> list[tuple[str, str]]:
        return []

    def _write_locks(self, kind: str, keys: object) -> None:
        self.calls.append(f"lock {kind}")

    def _delete_locks(self) -> None:
        self.calls.append("unlock")


@pytest.fixture
def persistence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(FilePersistence, "lock", FilePersistence.lock)
    one_snakemake_per_study("mini")
    return Unlockable()


def test_where_there_are_no_locks_snakemakes_own_are_used(persistence, monkeypatch, caplog):
    def without(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", without)
    with persistence.lock():
        assert persistence.calls == ["lock input", "lock output"]
    assert persistence.calls[-1] == "unlock"
    assert "No locks available" in caplog.text


def test_a_plan_can_be_asked_for_while_the_study_runs(persistence):
    asks = Unlockable()
    asks.dag = SimpleNamespace(jobs=[SimpleNamespace(output=[])])
    with persistence.lock(), asks.lock():
        pass
    assert asks.calls == []


def test_where_there_is_the_kernels_lock_snakemakes_own_is_not_used(persistence):
    for _ in range(2):
        refused = pytest.raises(SystemExit, match="study mini")
        with persistence.lock(), refused, Unlockable().lock():
            pass
    assert persistence.calls == []


def test_a_snakemake_on_another_login_node_keeps_others_from_its_study(persistence):
    file = Path(".snakemake", "online-il", "study-mini.lock")
    owned(file, "process 4711 on login2")
    with pytest.raises(SystemExit, match=r"\(process 4711 on login2\)"), persistence.lock():
        pass
    assert file.read_text() == "process 4711 on login2\n"
    owned(file, "process 4711 on login2", seconds_ago=lock.DEAD_S + 1)
    with persistence.lock():
        assert file.read_text() == f"process {os.getpid()} on {socket.gethostname()}\n"


def test_a_folder_that_cannot_be_written_has_snakemakes_own_locks(persistence, caplog):
    Path(".snakemake").write_text("")
    with persistence.lock():
        assert "unlock" not in persistence.calls
    assert persistence.calls[-1] == "unlock" and "is not locked by the kernel" in caplog.text
