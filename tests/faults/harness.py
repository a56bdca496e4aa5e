"""Kills the real DAG at random moments until it finishes, and tells what its artifacts are.

Used by the test beside it and, with a larger count, by benchmarks/faults.py.
"""

import contextlib
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as parquet

KINDS = ("snakemake", "group", "job", "stop", "child")
"""What is killed: Snakemake alone; it and all its jobs, as when the machine dies; one job; one job
that is asked to stop first; Snakemake, which alone is asked to stop, and all of them some time
later, as by a Slurm with proctrack/cgroup, whose signal before a time limit reaches srun's child
alone. After a job Snakemake, too, should it still be going on."""
CLOCKS = ("device_seconds", "datasets", "files")
"""What holds measured times and so differs from run to run: the times, the data of a drawing, and
the hashes of files that hold times (the files themselves are compared without)."""
DRAWN = (
    *(f"figure{number}.{kind}" for number in (1, 2) for kind in ("svg", "html")),
    "summary.txt",
    "report.html",
    "live.html",
)
LONGEST = 9.0
"""Seconds from the first job of a start to the kill, at most."""
PATIENCE = 900.0


def start(folder: Path, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Snakemake in a session of its own, always with the same command."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    with log.open("ab") as stream:
        return subprocess.Popen(
            command, cwd=folder, stdout=stream, stderr=stream, start_new_session=True
        )


def jobs(folder: Path) -> list[int]:
    """The processes of a checkout's scripts."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            is_script = command[1:2] and command[1].startswith(b"workflow/scripts/")
            if is_script and (process / "cwd").readlink() == folder:
                found.append(int(process.name))
        except OSError:
            continue  # Ended meanwhile.
    return found


def kill(kind: str, snakemake: subprocess.Popen[bytes], folder: Path, draw: random.Random) -> bool:
    """Kill once; whether there was something to kill. Then Snakemake is dead, or has ended."""
    if kind in ("job", "stop"):
        running = first_jobs(snakemake, folder)
        if running:
            end(draw.choice(running), signal.SIGTERM if kind == "stop" else signal.SIGKILL)
        # Snakemake goes on with all that does not need that job, which may be most of the study.
        with contextlib.suppress(subprocess.TimeoutExpired):
            snakemake.wait(timeout=LONGEST)
        if not running or snakemake.poll() is not None:
            return bool(running)
    if kind == "child":
        snakemake.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            snakemake.wait(timeout=draw.uniform(0.0, LONGEST))
    snakemake.kill()
    snakemake.wait(timeout=PATIENCE)
    while kind in ("group", "child") and (session := in_session(snakemake.pid, folder)):
        for process in session:
            end(process, signal.SIGKILL)
        time.sleep(0.02)
    return True


def end(process: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def in_session(session: int, folder: Path) -> list[int]:
    """The living processes of a session, and a checkout's scripts."""
    found = set(jobs(folder))
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.add(int(process.name))
    return sorted(found)


def run_to_its_end(
    folder: Path, seed: int, kills: int, say: Callable[[str], None], *arguments: str
) -> int:
    """Start a study, kill it `kills` times at most and start it again until it finishes.

    Returns the number of kills. Raises `AssertionError` where a start fails that nobody killed.
    """
    draw = random.Random(seed)
    log = folder / "snakemake.txt"
    done = 0
    while True:
        kind = KINDS[draw.randrange(len(KINDS))]
        delay = draw.uniform(0.0, LONGEST)
        before = log.stat().st_size if log.exists() else 0
        snakemake = start(folder, log, *arguments)
        if done < kills and first_jobs(snakemake, folder):
            try:
                snakemake.wait(timeout=delay)
            except subprocess.TimeoutExpired:
                if kill(kind, snakemake, folder, draw):
                    done += 1
                    say(f"seed {seed}, kill {done}: {kind} after {delay:.2f} s")
                continue
        status = snakemake.wait(timeout=PATIENCE)
        told = log.read_bytes()[before:].decode(errors="replace")
        assert status == 0, f"seed {seed}, after {done} kills:\n{told[-4000:]}"
        return done


def first_jobs(snakemake: subprocess.Popen[bytes], folder: Path) -> list[int]:
    """Wait for jobs; none where Snakemake ends without one."""
    while snakemake.poll() is None:
        if running := jobs(folder):
            return running
        time.sleep(0.05)
    return []


def artifacts(results: Path) -> dict[str, str]:
    """The hash of every artifact, without what its making took in time or records of its jobs.

    Drawings of that time (a panel of Figures 1 and 2, summary, report) count by their names:
    what they are drawn from is compared, and the figures' specifications without their data.
    """
    left_out = ("logs", "benchmarks", "progress", "state", "preflight", "provenance")
    mark = ".snakemake_timestamp"  # Empty: when Snakemake saw a folder, if it lived long enough.
    return {
        str(path.relative_to(results)): hashlib.sha256(_content(path)).hexdigest()[:16]
        for path in sorted(results.rglob("*"))
        if path.is_file()
        and path.name != mark
        and path.relative_to(results).parts[0] not in left_out
    }


def _content(path: Path) -> bytes:
    if path.name in DRAWN:
        return b"of time"
    if path.name in ("figure1.vl.json", "figure2.vl.json"):
        return re.sub(r"data-[0-9a-f]{32}", "", _json(json.loads(path.read_text()))).encode()
    if path.suffix == ".parquet":
        table = parquet.read_table(path).to_pandas()
        origin = json.loads((parquet.read_schema(path).metadata or {}).get(b"online_il", b"{}"))
        table = table.drop(columns=[name for name in CLOCKS if name in table])
        return (table.to_json() + _json(origin)).encode()
    if path.suffix == ".duckdb":
        return _json(_tables(path)).encode()
    if path.suffix == ".json":
        return _json(json.loads(path.read_text())).encode()
    return path.read_bytes()


def _tables(path: Path) -> dict[str, list[str]]:
    """The rows of a database's tables, in an order of their own."""
    with duckdb.connect(str(path), read_only=True) as database:
        names = database.sql("select table_name from duckdb_tables()").fetchall()
        return {
            name: sorted(
                _json(json.loads(row))
                for (row,) in database.sql(f'select to_json(t)::varchar from "{name}" t').fetchall()
            )
            for (name,) in names
        }


def _json(value: Any) -> str:
    return json.dumps(_without_clocks(value), sort_keys=True)


def _without_clocks(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_clocks(v) for k, v in value.items() if k not in CLOCKS}
    return [_without_clocks(v) for v in value] if isinstance(value, list) else value
