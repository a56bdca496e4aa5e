"""Why a program of the probe failed, as its log tells, and what to do: causes known beforehand."""

import re
from pathlib import Path

from online_il.preflight.toolchain import LEAST_DRIVER

KNOWN = (
    (
        r"Could not find nvcc|nvcc.*not found|\bnvcc: No such file",
        "something compiles CUDA code here: export VLLM_USE_FLASHINFER_SAMPLER=0, or load the "
        "site's CUDA toolkit (module load cuda)",
    ),
    (
        r"Failed to find C compiler|Python\.h: No such file",
        "see the check `compiler`",
    ),
    (
        r"driver version is insufficient|driver on your system is too old|forward compatibility was"
        r" attempted",
        f"the driver is older than {LEAST_DRIVER}: see the check `driver`",
    ),
    (
        r"no kernel image is available|is not compatible with the current PyTorch installation",
        "this GPU is older than the wheels (compute capability below 7.5): take a newer one",
    ),
    (
        r"Free memory on device .* is less than desired|Error in memory profiling",
        "another process holds or frees memory of this GPU: ask for a GPU of your own (exclusive)",
    ),
    (
        r"CUDA out of memory|CUDA error: out of memory|No available memory for the cache blocks",
        "end what else runs on this GPU, or take one with more memory",
    ),
    (
        r"CUDA error: (?:uncorrectable ECC|an illegal|unspecified launch)|\bXid\b",
        "this GPU may be broken: tell the site, and leave the node out (sbatch --exclude)",
    ),
    (
        r"/dev/shm|unable to (?:open|write to|mmap) shared memory|[Bb]us error",
        "shared memory is short: give the container more of /dev/shm (docker: --shm-size=16g)",
    ),
    (
        r"No space left on device|Disk quota exceeded",
        "a disk is full: see the check `disk`",
    ),
    (
        r"NCCL (?:error|WARN)|ncclUnhandledCudaError|ncclSystemError|ncclInternalError",
        "the GPUs do not reach each other: run it with NCCL_DEBUG=INFO, then try "
        "NCCL_P2P_DISABLE=1 and NCCL_SOCKET_IFNAME=lo",
    ),
    (
        r"(?:oom-kill|Out of memory: Killed|signal SIGKILL|[Ee]xitcode:? -9)",
        "the kernel killed it, most likely for want of memory: ask for more (resources)",
    ),
)
LAST = 20_000
"""So many characters of the end of a log are read."""


def cause(log: Path) -> tuple[str, str] | None:
    """Find a known cause in a log: the line that tells it, and what to do. None for none."""
    text = tail(log)
    for pattern, remedy in KNOWN:
        if found := re.search(rf"^.*(?:{pattern}).*$", text, re.MULTILINE):
            return " ".join(found[0].split())[:200], remedy
    return None


def tail(log: Path) -> str:
    """Read the end of a log; empty where there is none."""
    try:
        return log.read_text(encoding="utf-8", errors="replace")[-LAST:]
    except OSError:
        return ""


def last_words(log: Path) -> str:
    """Quote the last line of a log that says something."""
    lines = [line.strip() for line in tail(log).splitlines()]
    return next((line[:200] for line in reversed(lines) if re.search(r"\w", line)), "")
