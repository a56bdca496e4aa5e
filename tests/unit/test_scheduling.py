"""Snakemake's scheduler, in a process of its own."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import time
from threading import Semaphore
from snakemake.scheduling.job_scheduler import JobScheduler
from online_il.program.scheduling import look_once_a_timespan

class Scheduler:
    _open_jobs = Semaphore(0)

before, scheduler = JobScheduler._schedule_reevalutation, Scheduler()
look_once_a_timespan()
assert JobScheduler._schedule_reevalutation is not before
for _ in range(2):
    for _ in range(20):
        JobScheduler._schedule_reevalutation(scheduler, 0.05)
    # One look for twenty that were asked for, and none is lost.
    assert scheduler._open_jobs.acquire(timeout=30)
    assert not scheduler._open_jobs.acquire(timeout=0.2)
"""


def test_the_scheduler_looks_once_a_timespan():
    library = str(Path(__file__).parents[2] / "workflow")
    ended = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {library!r})\n{PROGRAM}"],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
