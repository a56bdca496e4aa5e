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


def until(limit_minutes: float) -> float:
    """Give the end of a program whose job has such a limit, in seconds of `time.monotonic`.

    It counts from the start of the job, where Slurm names it (23.02 and later), else from now.
    """
    if math.isinf(limit_minutes):
        return math.inf
    now = time.time()
    began = float(os.environ.get("SLURM_JOB_START_TIME", now))
    return time.monotonic() + SHARE * 60 * limit_minutes - max(0.0, now - began)


def passed(end: float) -> bool:
    """Tell whether an end has come."""
    return time.monotonic() >= end
