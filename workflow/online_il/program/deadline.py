"""The end that a program keeps by itself, before a cluster ends its job.

A signal before the limit cannot be relied on: with proctrack/cgroup, Slurm's default, it reaches
the children of slurmstepd alone, which are Snakemake and not what trains. So a program is told its
limit, and saves and leaves in time; the next attempt goes on.
"""

import math
import os
import time

SHARE = 0.95
"""Of the time limit, what a program takes; saving has the rest, and the start of the job."""
NAME = "its time limit"
"""What stopped a program, in the place of a signal's name."""
BEGAN = "ONLINE_IL_JOB_BEGAN"
"""The variable in which a job's programs find when it began, seconds of `time.time`."""


def note_start() -> None:
    """Tell the programs of a cluster's job when it began: as its first Snakemake did."""
    import psutil  # type: ignore[import-untyped]

    os.environ.setdefault(BEGAN, str(psutil.Process().create_time()))


def until(limit_minutes: float) -> float:
    """Give the end of a program whose job has such a limit, in seconds of `time.monotonic`.

    It counts from the start of the job (`note_start`), else from now.
    """
    if math.isinf(limit_minutes):
        return math.inf
    now = time.time()
    began = float(os.environ.get(BEGAN, now))
    return time.monotonic() + SHARE * 60 * limit_minutes - max(0.0, now - began)


def passed(end: float) -> bool:
    """Tell whether an end has come."""
    return time.monotonic() >= end
