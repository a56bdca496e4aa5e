"""Asks before finished policies are trained again: which, how many, how long, because of what.

What is trained for the first time, what goes on from a stop and what a person forces is not asked
about, nor what follows from that alone.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from online_il.program.accepted import Ledger
from online_il.program.dag import TRAINING, Job, job_of, policies_in_words
from online_il.program.progress import seconds_of
from online_il.program.reasons import changes

REMEDY = (
    "say yes with `--config retrain=true` (make: RETRAIN=true), or take back what changed; "
    "`snakemake -n` says what else is made again"
)
Expected = Callable[[list[Job]], Mapping[str, float]]
"""Gives by rule the seconds that a study's plan expects of each of some jobs."""


def retrained(dag: Any, ledger: Ledger) -> dict[Any, frozenset[str]]:
    """Find the jobs that train a finished policy again without being forced, and what changed."""
    persistence = dag.workflow.persistence

    def is_there(job: Any) -> bool:
        broken_off = dag.reason(job).incomplete_output
        return not broken_off and any(Path(f).exists() for f in job.output)

    @cache
    def because(job: Any) -> frozenset[str]:
        if not dag.needrun(job) or dag.reason(job).forced:
            return frozenset()
        if own := changes(persistence, job, ledger):
            return frozenset(own)
        if is_there(job) and not any(map(persistence.metadata, job.output)):
            # Made by other means than this study of this name, as in a folder that was renamed.
            return frozenset([f"what {job.rule.name} made is not on record in this study"])
        before = frozenset[str]().union(*map(because, dag.dependencies[job]))
        if not before and job.output and not is_there(job):
            return frozenset([f"what {job.rule.name} made is gone"])
        return before

    jobs = [job for job in dag.needrun_jobs() if job.rule.name in TRAINING and is_there(job)]
    return {job: why for job in jobs if (why := because(job))}


def in_words(found: Mapping[Any, Iterable[str]], expected: Expected) -> str:
    """Say which finished policies are trained again, for how long, and what changed."""
    count = len(found)
    policies = "1 finished policy is" if count == 1 else f"{count} finished policies are"
    why = sorted({text for texts in found.values() for text in texts})
    return (
        f"{policies} trained again, {_time(found, expected)}: {policies_in_words(found)}; "
        f"because of {'; '.join(why)}"
    )


def _time(found: Iterable[Any], expected: Expected) -> str:
    """Say how long some jobs take, by what they took, or else by the study's plan."""
    seconds, unknown = 0.0, 0
    for job in found:
        took = seconds_of(Path(job.benchmark or "")) or expected([job_of(job)]).get(job.rule.name)
        seconds, unknown = seconds + (took or 0.0), unknown + (took is None)
    if not seconds:
        return "for how long is not known"
    more = f" and {unknown} more of unknown length" if unknown else ""
    hours = seconds / 3600
    return f"about {hours:.1f} hours of jobs{more}" if hours >= 0.1 else f"some minutes{more}"


def require_word(words: str) -> None:
    """Ask in the terminal whether to go on; ends this process where nobody is there or says no."""
    try:
        # The keyboard is ours: a start in the background would be stopped for reading from it.
        is_asked = os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
        if is_asked:
            # Snakemake's own output may go to a program that shows how far it is.
            with Path("/dev/tty").open("r+b", buffering=0) as terminal:
                terminal.write(f"\n{words}.\nTrain again? [y/N] ".encode())
                if terminal.readline().strip().lower() in (b"y", b"yes"):
                    return
    except OSError:
        pass  # No terminal after all.
    sys.exit(f"error: nothing was started: {words}; {REMEDY}")
