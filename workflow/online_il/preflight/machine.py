"""Checks of where the jobs run: keys, programs, and this machine's GPUs."""

import importlib.util
import math
import netrc
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from online_il.config.experts import EndpointExpert
from online_il.config.study import Study
from online_il.config.tasks import Task
from online_il.errors import InputError
from online_il.generation.endpoint import key_of
from online_il.preflight.report import Report
from online_il.program.dag import Job

BY_TRL = ("comet_ml", "trackio", "wandb")
"""The trackers that TRL imports in every training where they are installed."""
SECONDS = 30
"""The longest that Slurm may take to answer."""


def check_keys(task: Task, jobs: Iterable[Job], report: Report) -> None:
    """Check that the environment has the key of every endpoint still to be asked; never show it.

    `jobs` are those that are still to be done.
    """
    working = {job.run for job in jobs if job.task == task.name}
    for expert in task.experts:
        if not isinstance(expert, EndpointExpert) or expert.name not in working:
            continue
        if expert.key_variable is None:
            continue
        where = f"{task.name}/{expert.name}"
        remedy = f"export {expert.key_variable} in the shell that starts Snakemake"
        if not os.environ.get(expert.key_variable, "").strip():
            message = f"the environment has no {expert.key_variable}, the key of {expert.url}"
            report.problem(where, message, remedy)
            continue
        try:
            key_of(expert)
        except InputError as error:
            report.problem(where, str(error).partition(";")[0], remedy)


def check_programs(study: Study, task: Task, report: Report) -> None:
    """Check that the programs that train and generate are installed."""
    needed = []
    if study.hardware == "gpu" and (task.runs or task.finetuning):
        needed.append(("accelerate", "hardware is gpu"))
    if study.generation.engine == "vllm":
        needed.append(("vllm", "generation.engine is vllm"))
    for name, reason in needed:
        if importlib.util.find_spec(name) is None:
            report.problem(
                "environment",
                f"{reason}, and {name} is not installed",
                "run `make setup-gpu`, or start Snakemake with --sdm conda",
            )


def check_tracker(study: Study, report: Report) -> None:
    """Check that the tracker is installed where it is told, and that wandb has an account's key.

    Those that nobody tells anything must be whole as well, where they are there (`BY_TRL`).
    """
    name = study.tracker
    for package in sorted({name, *BY_TRL} - {"none"}):
        if importlib.util.find_spec(package) and (reason := _unimportable(package)):
            report.problem(
                "environment",
                f"{package} is installed and cannot be imported: {reason}",
                f"run `{shlex.quote(sys.executable)} -m pip install {package}` for what it lacks, "
                "or uninstall it",
            )
    if name != "none" and importlib.util.find_spec(name) is None:
        report.problem(
            "environment",
            f"tracker is {name}, and {name} is not installed",
            f"run `{shlex.quote(sys.executable)} -m pip install {name}`, or set tracker to none",
        )
    if name == "wandb" and not (os.environ.get("WANDB_API_KEY") or _needs_no_key()):
        report.problem(
            "environment",
            "tracker is wandb, and there is no key of an account",
            "export WANDB_API_KEY, run `wandb login`, or export WANDB_MODE=offline to send later",
        )


def _unimportable(package: str) -> str:
    """Give the last line of the error with which a package cannot be imported; empty for none."""
    command = [sys.executable, "-P", "-c", f"import {package}"]
    done = subprocess.run(command, capture_output=True, text=True)
    *_, last = ["", *done.stderr.strip().splitlines()]
    return (last or f"exit status {done.returncode}") if done.returncode else ""


def _needs_no_key() -> bool:
    """Tell whether wandb sends nothing, or finds a key in ~/.netrc."""
    if os.environ.get("WANDB_MODE") in ("offline", "disabled"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


class Gpu(NamedTuple):
    """A GPU of this machine."""

    name: str
    gib: float
    """Its memory, GiB; without end where nothing says how much it is."""


def gpus_here() -> list[Gpu]:
    """List the GPUs of this machine; none where NVIDIA's program is not there or knows none."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return []
    rows = [line.rpartition(",") for line in done.stdout.splitlines() if done.returncode == 0]
    # MIG and Grace say [N/A] of some.
    return [
        Gpu(name.strip(), int(mib) / 1024 if mib.strip().isdigit() else math.inf)
        for name, comma, mib in rows
        if comma
    ]


DEVICES = ("/dev/nvidia[0-9]*", "/dev/kfd", "/dev/dxg")
"""Where Linux has GPUs of NVIDIA and AMD, and those of Windows below it."""


def check_any_gpu(report: Report) -> None:
    """Check that this machine has a GPU at all, whatever is known of it."""
    found = (path for one in DEVICES for path in Path(one).parent.glob(Path(one).name))
    if not any(found):
        report.problem(
            "environment",
            "hardware is gpu, and this machine has no GPU",
            "start on a machine with one, or on a cluster with --profile slurm",
        )


def check_gpus(task: Task, gpus: Sequence[Gpu], report: Report) -> None:
    """Check that a job that trains or generates here finds as many GPUs as it asks for."""
    rules = {run.method for run in task.runs} | ({"finetune"} if task.finetuning else set())
    rules |= {rule for rule in ("sample", "evaluate") if getattr(task.resources, rule)}
    for rule in sorted(rules):
        asked = getattr(task.resources, rule).gpu
        if asked > len(gpus):
            report.problem(
                f"{task.name}, {rule}",
                f"resources.{rule}.gpu: {asked}, and this machine has {len(gpus) or 'none'}",
                f"set it to {len(gpus)}, or start on a machine with more"
                if gpus
                else "start where `nvidia-smi` lists one or, on a cluster, with --profile slurm",
            )
