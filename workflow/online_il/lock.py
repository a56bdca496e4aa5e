"""The lock that a killed Snakemake leaves, taken away where its owner is dead.

Snakemake locks its folder with plain files, which outlive it, and asks for `--unlock` by hand. The
kernel's locks do not: every Snakemake of this project holds a shared one while it lives. Who gets
it alone for a moment knows that no other is alive, on this machine or, where the file system knows
such locks, on another, and may take the files away.
"""

import fcntl
import shutil
from pathlib import Path
from typing import IO


def hold(folder: Path) -> IO[str] | None:
    """Hold the lock of `.snakemake`; clear what dead ones left. The caller keeps what it returns.

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
        (folder / "locks").mkdir()
    except BlockingIOError:
        pass  # Another one lives.
    except OSError:
        lock.close()
        return None
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock
