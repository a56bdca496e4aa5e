"""What every start says before anything is done, a dry run too, and what it writes down."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from online_il.files import write_text
from online_il.layout import Layout
from online_il.program.accepted import Ledger
from online_il.program.lock import only_says, was_locked
from online_il.program.progress import is_shown
from online_il.program.reasons import explain
from online_il.program.retraining import REMEDY, Expected, in_words, require_word, retrained


def attend_every_start(
    ledger: Ledger, scale: str, expected: Expected, *, retrain: bool, notes: Sequence[str]
) -> None:
    """Let every start say what it takes and makes again, and want a word before it retrains.

    `retrain` is that word, `notes` are said as well. Not in `onstart`: that is not run dry, nor
    where nothing is left to do.
    """
    from snakemake.logging import logger  # type: ignore[import-untyped]
    from snakemake.persistence.file import FilePersistence  # type: ignore[import-untyped]

    lock = FilePersistence.lock

    def tell(dag: Any, elsewhere: bool) -> str:
        for note in notes:
            logger.info(note)
        done = [job for job in dag.jobs if job.output and not dag.needrun(job)]
        if elsewhere and done:
            logger.info(
                f"{len(done)} jobs were finished elsewhere and are taken as they are: what is "
                "finished is decided by identity, whatever its time stamps"
            )
        explain(dag, ledger)
        found = retrained(dag, ledger)
        return in_words(found, expected) if found else ""

    @contextmanager
    def started(persistence: Any) -> Iterator[None]:
        dag, elsewhere = persistence.dag, not was_locked(scale)
        with lock(persistence):
            words = tell(dag, elsewhere)
            if words and (retrain or dag.workflow.touch):
                logger.info(words)
            elif words:
                require_word(words)
            if ledger.acceptances or any(dag.needrun_jobs()):
                ledger.write()
            if not only_says(dag):  # What is written down is the study's that may be running.
                _write_asked(dag, ledger.layout)
            yield

    @contextmanager
    def dry(persistence: Any) -> Iterator[None]:
        if words := tell(persistence.dag, not was_locked(scale)):
            logger.info(f"{words}; {REMEDY}" if not retrain else words)
        yield

    FilePersistence.lock, FilePersistence.lock_warn_only = started, dry


def _write_asked(dag: Any, layout: Layout) -> None:
    """Write down what this start was asked for, of what the end of a finished one shows.

    Of evaluations it shows those that are asked for themselves, by the name of a run.
    """
    made = {Path(output) for job in dag.jobs for output in job.output}
    found = {path for path in made if is_shown(layout, path)}
    wanted = {Path(path) for job in dag.targetjobs for path in (*job.input, *job.output)}
    evaluations = str(layout.evaluations("*", "*", "*"))
    found |= {path for path in wanted if path.match(evaluations)}
    names = sorted(str(path.relative_to(layout.results)) for path in found)
    if names or layout.asked.is_file():
        write_text(json.dumps(names, indent=2) + "\n", layout.asked)
