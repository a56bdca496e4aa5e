"""Locks that end with their owners: of Snakemake's folder, and of a job.

Snakemake locks its folder with plain files, which outlive it, and asks for `--unlock` by hand. The
kernel's locks do not: every Snakemake of this project holds a shared one while it lives. Who gets
it alone for a moment knows that no other is alive, on this machine or, where the file system knows
such locks, on another, and may take the files away.

A Snakemake that is killed leaves its jobs running, and the next one starts them again. So a job
holds a lock, too, and a second process of it waits until the first has ended.
"""

import argparse
import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

SNAKEMAKE = Path(".snakemake")
WRITTEN = ("output", "output_stem", "out", "record", "database")
"""Options that name what a program writes, the telling ones first."""


def hold(folder: Path) -> IO[str] | None:
    """Hold the lock of Snakemake's folder; clear what dead ones left. Keep what it returns.

    None where no lock can be had (a folder that is not ours to write, a file system without locks):
    then nothing is cleared, and Snakemake's own rules are all there is.
    """
    try:
        (folder / "online-il").mkdir(parents=True, exist_ok=True)
        lock = (folder / "online-il" / "snakemake.lock").open("a")
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder / "locks", ignore_errors=True)
        (folder / "locks").mkdir(exist_ok=True)
    except BlockingIOError:
        pass  # Another one lives.
    except OSError:
        lock.close()
        return None
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


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
