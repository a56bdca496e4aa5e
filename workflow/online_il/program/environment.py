"""The environment of the rules' programs."""

import os
import sys
from pathlib import Path
from typing import Any

from online_il.errors import InputError

BLOCK_BYTES = "4000000000"
LAUNCHER = {
    "PET_SHUTDOWN_TIMEOUT": "3600",
    "PET_SIGNALS_TO_HANDLE": "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1",
}
"""torch's launcher of several processes kills them 30 s after it was asked to stop, and is itself
killed by SIGUSR1. A training saves when its batch of rollouts has served, which may take longer."""


def prepare(root: Path, hardware: str) -> None:
    """Let rules run this installation's `python` on this checkout's library, activated or not.

    On GPUs that is the `python` of `.venv-gpu` where it is there: the environment that submits jobs
    cannot hold vLLM too (envs/gpu.txt).

    On a CPU glibc also keeps large blocks of memory instead of returning them at once, which gives
    a small model's training a quarter more throughput (docs/performance.md). Beside a GPU it would
    keep all of the gigabytes that were needed once, to read a model or to tokenise.
    """
    programs = Path(sys.executable).parent
    if hardware == "gpu" and (root / ".venv-gpu" / "ready").is_file():
        programs = root / ".venv-gpu" / "bin"
    os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
    os.environ.update(VLLM | LAUNCHER)
    os.environ["PYTHONPATH"] = str(root / "workflow")
    if hardware == "cpu":
        os.environ["MALLOC_MMAP_THRESHOLD_"] = BLOCK_BYTES
        os.environ["MALLOC_TRIM_THRESHOLD_"] = BLOCK_BYTES


VLLM = {
    # It would report to its makers.
    "VLLM_NO_USAGE_STATS": "1",
    # FlashInfer's sampler is compiled as vLLM warms up, with nvcc, which compute nodes lack. It is
    # never used here: torch samples requests with seeds of their own, and rollouts have no top-p.
    "VLLM_USE_FLASHINFER_SAMPLER": "0",
}
"""What vLLM reads from the environment, in a job's own process and beside training."""


def image(root: Path, deployment: Any) -> str:
    """Give the image in which `--sdm apptainer` runs the rules of a study on GPUs.

    `deployment` are Snakemake's settings. Raises `InputError` where it is asked for and not built.
    """
    built = root / "envs" / "gpu.sif"
    asked = deployment is not None and "APPTAINER" in {
        method.name for method in deployment.deployment_method
    }
    if asked and not built.is_file():
        raise InputError(
            f"--sdm apptainer: there is no {built}; run `make container`, where there is a network"
        )
    return str(built)
