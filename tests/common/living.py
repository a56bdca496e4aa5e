"""The processes of a training, for who kills them."""

import contextlib
from pathlib import Path


def living(folder: Path) -> list[int]:
    """List the processes, launcher and all, of the training that writes to a folder.

    By their command lines, for the launcher gives its processes sessions of their own.
    """
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in (place / "cmdline").read_bytes().split(b"\0"):
                found.append(int(place.name))
    return sorted(found)
