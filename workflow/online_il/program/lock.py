"""Locks that end with their owners: Snakemake's own, and that of a job.

Snakemake locks what it reads and writes with plain files, which outlive it, and asks for `--unlock`
by hand. The kernel's locks do not: every Snakemake of this project holds one on each of its lock
files while it lives, on this machine or, where the file system knows such locks, on another. Who
gets that lock of a file knows that its owner is dead, and takes the file away.

A Snakemake that is killed leaves its jobs running, and the next one starts them again. So a job
holds a lock, too, and a second process of it waits until the first has ended.
"""

import argparse
import fcntl
import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

SNAKEMAKE = Path(".snakemake")
WRITTEN = ("output", "output_stem", "out", "record", "database")
"""Options that name what a program writes, the telling ones first."""
TURN = "online-il/turn.lock"
"""Who holds it may look at the lock files of the folder and change them; held for moments."""


def hold(folder: Path) -> None:
    """Clear the locks of dead Snakemakes, and have this one hold its own while it lives.

    Where no lock can be had (a folder that is not ours to write, a file system without locks),
    nothing is cleared, and Snakemake's own rules are all there is.
    """
    # Jobs import this file as well, and need no Snakemake.
    from snakemake.logging import logger  # type: ignore[import-untyped]
    from snakemake.persistence.file import FilePersistence  # type: ignore[import-untyped]

    try:
        (folder / TURN).parent.mkdir(parents=True, exist_ok=True)
        with (folder / TURN).open("a") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            for file in (folder / "locks").glob("*.lock"):
                _clear(file)
    except OSError as error:
        logger.warning(f"locks of dead Snakemakes are not cleared in {folder} ({error.strerror})")
        return
    # It is made after the Snakefile was read.
    FilePersistence.lock = _held
    FilePersistence._delete_locks = _delete_own


def _clear(file: Path) -> None:
    """Take away a lock file that no living Snakemake holds."""
    try:
        with file.open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.unlink()
    except OSError:
        pass  # A living one's, or not ours to take away.


@contextmanager
def _held(snakemake: Any) -> Iterator[None]:
    """Snakemake's own lock, with a lock of the kernel's on each of its files.

    It looks for others' locks and writes its own in one turn: of two that start at once one is
    refused, and a file that is not held yet is not taken for a dead one's.
    """
    from snakemake.persistence import PersistenceBase  # type: ignore[import-untyped]

    with (snakemake.path / TURN).open("a") as turn, ExitStack() as held:
        fcntl.flock(turn, fcntl.LOCK_EX)
        with PersistenceBase.lock(snakemake):
            for file in snakemake._lockfile.values():
                fcntl.flock(held.enter_context(Path(file).open()), fcntl.LOCK_SH)
            fcntl.flock(turn, fcntl.LOCK_UN)
            try:
                yield
            finally:
                fcntl.flock(turn, fcntl.LOCK_EX)


def _delete_own(snakemake: Any) -> None:
    """Delete the lock files of this Snakemake; its own way is to delete those of others, too."""
    for file in snakemake._lockfile.values():
        Path(file).unlink(missing_ok=True)
    snakemake._lockfile.clear()


@contextmanager
def alone(options: argparse.Namespace) -> Iterator[None]:
    """Lets one process at a time write what a program writes; a second one waits for the first.

    The lock is named after the output. A program that is started elsewhere than in the folder of a
    Snakemake has none, nor have the processes that help the first one to train.
    """
    place = next((getattr(options, name) for name in WRITTEN if hasattr(options, name)), None)
    first = os.environ.get("RANK", "0") == "0"
    if place is None or not SNAKEMAKE.is_dir() or not first:
        yield
        return
    lock = _lock_of(str(place))
    try:
        yield
    finally:
        if lock is not None:
            lock.close()


def _lock_of(place: str) -> IO[str] | None:
    """The lock of an output, once nobody else has it; None where there are no locks."""
    name = hashlib.sha256(place.encode()).hexdigest()[:24]
    try:
        (SNAKEMAKE / "online-il").mkdir(exist_ok=True)
        lock = (SNAKEMAKE / "online-il" / f"{name}.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logging.info("another process still makes %s; waiting until it ends", place)
            fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        logging.warning("%s is made without a lock (%s)", place, error.strerror)
        return None
    return lock
