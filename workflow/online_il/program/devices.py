"""Gives a job its GPUs: as many as it asks for, and to no two jobs of this machine the same.

    python -m online_il.program.devices COUNT COMMAND...

The command sees these alone (CUDA_VISIBLE_DEVICES), whatever starts processes in it. Slurm gives a
job its own already; there, and where the job is given exactly as many, nothing is chosen. Else a
GPU is taken by a lock on a file of the machine's folder of temporary files, which the kernel
releases with the command that took the place of this program. A job for which none is left waits.
"""

import fcntl
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

SECONDS = 30
"""The longest that NVIDIA's program may take to answer."""
PAUSE = (1.0, 3.0)
"""Seconds between two looks for GPUs; drawn, so that two jobs do not take turns in vain."""


def names_by_index() -> dict[str, str]:
    """Give the GPUs of this machine, each by its number: the name by which no other is called."""
    command = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    rows = [line.partition(",") for line in done.stdout.splitlines() if done.returncode == 0]
    return {index.strip(): name.strip() for index, _, name in rows}


def free_ones(gpus: Sequence[str], names: dict[str, str], count: int) -> dict[str, int] | None:
    """Lock `count` of some GPUs, and give the handles by GPU; None, and no lock, for fewer."""
    held: dict[str, int] = {}
    for gpu in gpus:
        if len(held) < count and (handle := _locked(names.get(gpu, gpu))) is not None:
            held[gpu] = handle
    if len(held) == count:
        return held
    for handle in held.values():
        os.close(handle)
    return None


def _locked(name: str) -> int | None:
    path = Path(tempfile.gettempdir()) / f"online-il-gpu-{name}.lock"
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o666))
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    os.set_inheritable(handle, True)
    return handle


def taken(count: int) -> list[str] | None:
    """Wait for `count` GPUs and lock them; None where there is nothing to choose.

    The locks last as long as this process and what takes its place. Ends the program where the
    machine has fewer.
    """
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    asked = [] if given is None else [name.strip() for name in given.split(",") if name.strip()]
    if "SLURM_JOB_ID" in os.environ and len(asked) == count:
        return None
    names = names_by_index()
    gpus = list(names) if given is None else asked
    if len(gpus) < count:
        where = "this machine has" if given is None else f"CUDA_VISIBLE_DEVICES={given} names"
        sys.exit(
            f"error: the job asks for {count} GPUs, and {where} {len(gpus)}; lower "
            "resources.<rule>.gpu in the config, or start on a machine with more"
        )
    held, said = free_ones(gpus, names, count), False
    while held is None:
        if not said:
            print(f"waiting for {count} of {len(gpus)} GPUs: other jobs have them", file=sys.stderr)
            said = True
        time.sleep(random.uniform(*PAUSE))
        held = free_ones(gpus, names, count)
    return list(held)


def main() -> None:
    """Take the GPUs, and let the command take the place of this program."""
    count, command = int(sys.argv[1]), sys.argv[2:]
    gpus = taken(count)
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
        # In the order of NVIDIA's program; CUDA's own puts the fastest first.
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
