"""Keeps Snakemake's scheduler from looking for jobs more and more often.

Snakemake 9.27 limits how many jobs it starts a second. After each look at what is ready it starts a
timer for the next look, and every finished job causes a look of its own, so that there is one more
timer a job: after 190 jobs of a study it looked some 190 times a second, with half of a core.
"""

import threading

from snakemake.scheduling.job_scheduler import JobScheduler  # type: ignore[import-untyped]


def look_once_a_timespan() -> None:
    """Let the scheduler of this process have one timer at a time."""

    def schedule(scheduler: JobScheduler, delay: float) -> None:
        def look() -> None:
            scheduler.looks_soon = False
            scheduler._open_jobs.release()

        if not getattr(scheduler, "looks_soon", False):
            scheduler.looks_soon = True
            threading.Timer(delay, look).start()

    JobScheduler._schedule_reevalutation = schedule
