"""Checks of where the jobs run: keys, programs, and what Slurm knows of."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from online_il.config.experts import EndpointExpert
from online_il.config.resources import Resources
from online_il.config.site import Site, SiteError, capped, load_site
from online_il.config.study import Study
from online_il.config.tasks import Task
from online_il.cost.rules import COSTS
from online_il.preflight.report import Report
from online_il.program.dag import Job

SECONDS = 30
"""The longest that Slurm may take to answer."""
WAITS = "down, drained or reserved"
"""Slurm says this of nodes that may come back."""
DEFAULT = Resources(mem_mb=2000, runtime=60)
"""The profile asks for this where a rule has no `resources` (`default-resources`)."""


def check_keys(task: Task, jobs: Iterable[Job], report: Report) -> None:
    """Check that the environment has the key of every endpoint still to be asked; never show it.

    `jobs` are those that are still to be done.
    """
    working = {job.run for job in jobs if job.task == task.name}
    for expert in task.experts:
        if not isinstance(expert, EndpointExpert) or expert.name not in working:
            continue
        if expert.key_variable is not None and not os.environ.get(expert.key_variable):
            report.problem(
                f"{task.name}/{expert.name}",
                f"the environment has no {expert.key_variable}, the key of {expert.url}",
                f"export {expert.key_variable} in the shell that starts Snakemake",
            )


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


class Gpu(NamedTuple):
    """A GPU of this machine."""

    name: str
    gib: float
    """Its memory, GiB."""


def gpus_here() -> list[Gpu]:
    """List the GPUs of this machine; none where NVIDIA's program is not there or knows none."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return []
    rows = [line.rpartition(",") for line in done.stdout.splitlines() if done.returncode == 0]
    # MIG and Grace say [N/A] of some.
    return [Gpu(n.strip(), int(mib) / 1024) for n, _, mib in rows if mib.strip().isdigit()]


def check_gpus(task: Task, gpus: Sequence[Gpu], report: Report) -> None:
    """Check that a job that trains or generates here finds as many GPUs as it asks for."""
    rules = {run.method for run in task.runs} | ({"finetune"} if task.finetuning else set())
    rules |= {rule for rule in ("sample", "evaluate") if getattr(task.resources, rule)}
    for rule in sorted(rules):
        asked = getattr(task.resources, rule).gpu
        if asked > len(gpus):
            report.problem(
                f"{task.name}, {rule}",
                f"resources.{rule}.gpu: {asked}, and this machine has {len(gpus)}",
                f"set it to {len(gpus)}, or start on a machine with more",
            )


def check_slurm(study: Study, jobs: Iterable[Job], profile: Path, report: Report) -> None:
    """Check that Slurm would take the jobs still to be done, as the profile's `site` block asks.

    Asks Slurm itself, once for each distinct request (`sbatch --test-only`); nothing is submitted.
    """
    try:
        site = load_site(profile)
    except SiteError as error:
        for line in str(error).splitlines()[1:] or [str(error)]:
            message, _, remedy = line.strip().rpartition("; ")
            report.problem(str(profile), message.removeprefix(f"{profile}:") or line, remedy)
        return
    if shutil.which("sbatch") is None:
        report.notes.append("Slurm was not asked: there is no `sbatch` on this machine")
        return
    asked: dict[tuple[str, ...], str] = {}
    for place, resources in _requests(study, jobs):
        asked.setdefault(_options(site, resources), place)
    for options, place in asked.items():
        refusal = _refusal(options)
        if refusal is None:
            continue
        if WAITS in refusal:
            report.notes.append(f"{place}: Slurm lets this wait ({refusal})")
            continue
        report.problem(
            place,
            f"Slurm refuses this job: {refusal} (sbatch {' '.join(options)})",
            f"correct the `site` block of {profile}, or the study's `resources`; "
            "`sinfo --format='%P %G %l %m'` shows partitions, GPUs, time limits and memory",
        )


def _requests(study: Study, jobs: Iterable[Job]) -> Iterator[tuple[str, Resources]]:
    """List what the jobs ask for, and who asks; a rule without `resources` asks for the default."""
    tasks = {task.name: task for task in study.tasks}
    for rule, name in sorted({(job.rule, job.task) for job in jobs}):
        _, key = COSTS.get(rule, (None, None))
        if key is not None:
            yield f"{name}, {rule}", getattr(tasks[name].resources, key)
    yield "all other jobs", DEFAULT


def _options(site: Site, resources: Resources) -> tuple[str, ...]:
    """List the options with which Snakemake submits a job."""
    options = [
        f"--time={capped(resources.runtime, 1, site.max_runtime)}",
        f"--mem={capped(resources.mem_mb, 1, site.max_mem_mb)}",
    ]
    options += [f"--account={site.account}"] if site.account else []
    options += [f"--qos={site.qos}"] if site.qos else []
    partition = site.gpu_partition if resources.gpu else site.cpu_partition
    options += [f"--partition={partition}"] if partition else []
    if not resources.gpu:
        return (*options, f"--cpus-per-task={resources.threads}")
    model = f"{site.gpu_model}:" if site.gpu_model else ""
    gpus = [f"--gpus={model}{resources.gpu}", f"--cpus-per-gpu={site.cpus_per_gpu}"]
    return (*options, "--nodes=1", *gpus)


def _refusal(options: tuple[str, ...]) -> str | None:
    """Ask Slurm for the reason why it would not take such a job; None where it would."""
    command = ["sbatch", "--test-only", *options, "--wrap=true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"no answer in {SECONDS} seconds"
    lines = done.stderr.strip().splitlines()
    if done.returncode == 0:
        return None
    return lines[-1].rpartition(": ")[2] if lines else f"status {done.returncode}"
