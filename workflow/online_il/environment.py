"""The environment of the rules' programs."""

import os
import sys
from pathlib import Path

BLOCK_BYTES = "4000000000"


def prepare(root: Path) -> None:
    """Let rules run this installation's `python` on this checkout's library, activated or not.

    glibc also keeps large blocks of memory instead of returning them at once, which gives a small
    model's training a quarter more throughput (docs/performance.md).
    """
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    os.environ["PYTHONPATH"] = str(root / "workflow")
    os.environ["MALLOC_MMAP_THRESHOLD_"] = BLOCK_BYTES
    os.environ["MALLOC_TRIM_THRESHOLD_"] = BLOCK_BYTES
