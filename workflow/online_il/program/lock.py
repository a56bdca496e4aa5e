"""Locks that end with their owners: one Snakemake a study, one process an output.

Snakemake locks what it reads and writes with plain files, which outlive it and have to be cleared
by hand (`--unlock`). The kernel's locks end with the process that holds them, on this machine or,
where the file system knows such locks, on another.

A Snakemake that is killed leaves its jobs running, and the next one starts them again. So a job
holds a lock, too, and a second process of it waits until the first has ended.

Some clusters' file systems know locks on one machine alone (Lustre's `localflock`). So the file of
a lock names its owner, process and host, who touches it as long as he lives; one that another
machine has touched lately is taken for locked.
"""

import argparse
import fcntl
import hashlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

SNAKEMAKE = Path(".snakemake")
LOCKS = SNAKEMAKE / "online-il"
BEAT_S, DEAD_S = 30.0, 300.0
"""An owner touches his lock so often; another machine's that was not touched so long is dead."""
WRITTEN = ("output", "output_stem", "out", "record", "database")
"""Options that name what a program writes, the telling ones first."""


def one_snakemake_per_study(scale: str) -> None:
    """Refuse to start while another Snakemake makes the same study, in the place of its own locks.

    Where no lock can be had (a folder that is not ours to write, a file system without locks),
    Snakemake's own locks are all there is.
    """
    # Jobs import this file as well, and need no Snakemake.
    from snakemake.logging import logger  # type: ignore[import-untyped]
    from snakemake.persistence import PersistenceBase  # type: ignore[import-untyped]
    from snakemake.persistence.file import FilePersistence  # type: ignore[import-untyped]

    @contextmanager
    def locked(snakemake: Any) -> Iterator[None]:
        if only_says(snakemake.dag):
            yield
            return
        try:
            file = _lock(f"study-{scale}")
        except BlockingIOError as held:
            # No error of Snakemake's, which it would show with places in this file.
            sys.exit(
                f"error: another Snakemake makes the study {scale} in this folder ({held}); "
                "nothing was started: wait until it has ended, or end it"
            )
        except OSError as error:
            logger.warning(f"the study {scale} is not locked by the kernel ({error.strerror})")
            with PersistenceBase.lock(snakemake):
                yield
            return
        with file, _signed(file):
            yield

    FilePersistence.lock = locked


def only_says(dag: Any) -> bool:
    """Tell whether a start makes nothing, such as a plan: it may be asked while a study runs."""
    return not any(job.output for job in dag.jobs)


def was_locked(scale: str) -> bool:
    """Tell whether a study was ever started in this folder: its lock's file outlives the lock."""
    return (LOCKS / f"study-{scale}.lock").exists()


@contextmanager
def one_process_per_output(options: argparse.Namespace) -> Iterator[None]:
    """Let one process at a time write what a program writes; a second one waits for the first.

    The lock is named after the output. A program that is started elsewhere than in the folder of a
    Snakemake has none, nor have the processes that help the first one to train.
    """
    output = next((getattr(options, name) for name in WRITTEN if hasattr(options, name)), None)
    is_first = os.environ.get("RANK", "0") == "0"
    if output is None or not SNAKEMAKE.is_dir() or not is_first:
        yield
        return
    name = hashlib.sha256(str(output).encode()).hexdigest()[:24]
    try:
        try:
            file = _lock(name)
        except BlockingIOError as held:
            logging.info("another process still makes %s (%s); waiting until it ends", output, held)
            file = _lock(name, wait=True)
    except OSError as error:
        logging.warning("%s is made without a lock (%s)", output, error.strerror)
        yield
        return
    with file, _signed(file):
        yield


def _lock(name: str, wait: bool = False) -> IO[str]:
    """Lock a file until it is closed. Raises `BlockingIOError`, which names the owner."""
    LOCKS.mkdir(parents=True, exist_ok=True)
    file = (LOCKS / f"{name}.lock").open("a+")
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise BlockingIOError(_owner(file) or "unknown") from None
        while owner := _elsewhere(file):
            if not wait:
                raise BlockingIOError(owner)
            time.sleep(1)
    except BaseException:
        file.close()
        raise
    return file


def _owner(file: IO[str]) -> str:
    """Read who holds a lock, or held it when he died: `process 4711 on node3`."""
    file.seek(0)
    return file.readline().strip()


def _elsewhere(file: IO[str]) -> str:
    """Read who on another machine holds a lock that this machine's kernel has just given away."""
    owner = _owner(file)
    is_alive = time.time() - os.fstat(file.fileno()).st_mtime < DEAD_S
    here = f" on {socket.gethostname()}"
    return owner if owner and is_alive and not owner.endswith(here) else ""


@contextmanager
def _signed(file: IO[str]) -> Iterator[None]:
    """Name this process in the file of its lock, and touch the file as long as it is held."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_S):
            with suppress(OSError, ValueError):  # Ended meanwhile.
                os.utime(file.fileno())

    with suppress(OSError):  # A full disk is for the program to tell of.
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        with suppress(OSError):
            file.truncate(0)
