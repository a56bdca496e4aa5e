"""Checks of a cluster: whether Slurm takes every attempt of a job, and grants enough time."""

import math
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from online_il.config.resources import Resources
from online_il.config.site import Site, SiteError, capped, load_site
from online_il.config.study import Study
from online_il.cost.jobs import cost_of
from online_il.cost.rules import COSTS
from online_il.errors import InputError
from online_il.preflight.report import Report
from online_il.program.dag import Job
from online_il.program.deadline import SHARE

SECONDS = 30
"""The longest that Slurm may take to answer."""
WAITS = "down, drained or reserved"
"""Slurm says this of nodes that may come back."""
DEFAULT = Resources(mem_mb=2000, runtime=60)
"""The profile asks for this where a rule has no `resources` (`default-resources`)."""
ERROR = 2.0
"""The plan's hours may be so many times too few; it also leaves out starting and saving."""
MOST_ATTEMPTS = 100
"""More attempts than these are no remedy."""


class Request(NamedTuple):
    """What jobs ask Slurm for."""

    place: str
    """Who asks."""
    resources: Resources
    is_cut: bool
    """Whether later attempts are cut to what the site grants."""

    def minutes(self, site: Site, attempt: int) -> int:
        """Give the time limit of an attempt."""
        return capped(self.resources.runtime, attempt, site.max_runtime if self.is_cut else None)

    def partition(self, site: Site) -> str | None:
        """Name the partition; None for the site's default."""
        return site.gpu_partition if self.resources.gpu else site.cpu_partition

    def options(self, site: Site, attempt: int) -> tuple[str, ...]:
        """List the options with which Snakemake submits a job at an attempt."""
        asked, partition = self.resources, self.partition(site)
        memory = capped(asked.mem_mb, attempt, site.max_mem_mb if self.is_cut else None)
        options = [f"--time={self.minutes(site, attempt)}", f"--mem={memory}"]
        options += [f"--account={site.account}"] if site.account else []
        options += [f"--qos={site.qos}"] if site.qos else []
        options += [f"--partition={partition}"] if partition else []
        if not asked.gpu:
            return (*options, f"--cpus-per-task={asked.threads}")
        model = f"{site.gpu_model}:" if site.gpu_model else ""
        gpus = [f"--gpus={model}{asked.gpu}", f"--cpus-per-gpu={site.cpus_per_gpu}"]
        return (*options, "--nodes=1", *gpus)


def check_slurm(
    study: Study, jobs: Iterable[Job], profile: Path, report: Report, attempts: int = 1
) -> None:
    """Check that Slurm would take the jobs still to be done, and that its time will do.

    Asks Slurm itself, once for each distinct request of every attempt that a job may have
    (`sbatch --test-only`); nothing is submitted.
    """
    try:
        site = load_site(profile)
    except SiteError as error:
        for line in str(error).splitlines()[1:] or [str(error)]:
            message, _, remedy = line.strip().rpartition("; ")
            report.problem(str(profile), message.removeprefix(f"{profile}:") or line, remedy)
        return
    jobs = list(jobs)
    _check_hours(study, jobs, site, profile, report, attempts)
    if shutil.which("sbatch") is None:
        report.notes.append("Slurm was not asked: there is no `sbatch` on this machine")
        return
    answers: dict[tuple[str, ...], str | None] = {}
    granted = _limits()
    for request in _requests(study, jobs):
        for attempt in range(1, attempts + 1):
            options = request.options(site, attempt)
            known = options in answers
            if not known:
                minutes = request.minutes(site, attempt)
                too_long = _too_long(minutes, request.partition(site), granted)
                answers[options] = too_long or _refusal(options)
            refusal = answers[options]
            if refusal is None:
                continue
            if not known:
                _tell(request.place, attempt, refusal, options, profile, report)
            break  # Later attempts ask for more.


def _tell(
    place: str, attempt: int, refusal: str, options: tuple[str, ...], profile: Path, report: Report
) -> None:
    """Say which request Slurm refuses, and what to do about it."""
    if WAITS in refusal:
        report.notes.append(f"{place}: Slurm lets this wait ({refusal})")
        return
    which = "this job" if attempt == 1 else f"attempt {attempt} of this job, which asks for more"
    remedy = (
        f"correct the `site` block of {profile} (`max_runtime` and `max_mem_mb`: the most that the "
        "site grants, to which attempts are cut), or the study's `resources`"
    )
    report.problem(
        place,
        f"Slurm refuses {which}: {refusal} (sbatch {' '.join(options)})",
        f"{remedy}; `sinfo --format='%P %G %l %m'` shows partitions, GPUs, time limits and memory",
    )


def _requests(study: Study, jobs: Iterable[Job]) -> Iterator[Request]:
    """List what the jobs ask for, and who asks; a rule without `resources` asks for the default."""
    tasks = {task.name: task for task in study.tasks}
    for rule, name in sorted({(job.rule, job.task) for job in jobs}):
        _, key = COSTS.get(rule, (None, None))
        if key is not None:
            yield Request(f"{name}, {rule}", getattr(tasks[name].resources, key), True)
    yield Request("all other jobs", DEFAULT, False)


def _check_hours(
    study: Study, jobs: list[Job], site: Site, profile: Path, report: Report, attempts: int
) -> None:
    """Say which jobs may take longer, by the plan, than all their attempts together have."""
    if study.plan is None:
        return
    longest: dict[tuple[str, str], tuple[float, Job]] = {}
    for job in jobs:
        if job.rule not in COSTS:
            continue
        try:
            hours = cost_of(job, study, study.plan).hours
        except InputError:  # `check_files` names a model that is not here.
            continue
        kind = (job.task, job.rule)
        longest[kind] = max(longest.get(kind, (0.0, job)), (hours, job), key=lambda one: one[0])
    tasks = {task.name: task for task in study.tasks}
    for (name, rule), (hours, job) in longest.items():
        key = COSTS[rule][1]
        if key is None or not hours:
            continue
        runtime = getattr(tasks[name].resources, key).runtime
        tried = range(1, max(MOST_ATTEMPTS, attempts) + 1)
        limits = (SHARE * capped(runtime, n, site.max_runtime) / 60 for n in tried)
        granted = list(accumulate(limits))
        if ERROR * hours <= granted[attempts - 1]:
            continue
        enough = next((n for n, total in enumerate(granted, 1) if total >= ERROR * hours), None)
        more = f"`retries: {enough - 1}` in {profile}, " if enough else ""
        report.notes.append(
            f"{name}, {rule}: {job.run} takes about {hours:.0f} hours by the plan, which may err "
            f"by a factor of {ERROR:g}, and its {attempts} attempts have "
            f"{granted[attempts - 1]:.0f}: it then ends as failed, with all that it has saved, and "
            f"the same command goes on; or give it {more}resources.{key}.gpu (more), or "
            f"resources.{key}.runtime and site.max_runtime (longer)"
        )


def _limits() -> dict[str, float]:
    """Ask Slurm for the longest time of each partition, minutes; that of the default also as ""."""
    command = ["sinfo", "--noheader", "--format=%P|%l"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    found: dict[str, float] = {}
    for line in done.stdout.splitlines() if done.returncode == 0 else []:
        name, _, text = line.strip().partition("|")
        if (minutes := minutes_of(text)) is not None:
            found[name.removesuffix("*")] = minutes
            if name.endswith("*"):
                found[""] = minutes
    return found


def minutes_of(text: str) -> float | None:
    """Read a time limit as Slurm writes it, `1-00:00:00` or `30:00`; None where it is no time."""
    if text == "infinite":
        return math.inf
    days, _, clock = text.rpartition("-")
    parts = clock.split(":")
    if not (2 <= len(parts) <= 3 and all(map(str.isdecimal, [days or "0", *parts]))):
        return None
    hours, minutes, seconds = [0, *map(int, parts)][-3:]
    return 1440 * int(days or 0) + 60 * hours + minutes + seconds / 60


def _too_long(minutes: int, partition: str | None, granted: dict[str, float]) -> str | None:
    """Say that no partition of a job grants its time: most sites let it wait, and never run it."""
    limits = [granted.get(name) for name in (partition or "").split(",")]
    if any(limit is None or limit >= minutes for limit in limits):
        return None
    most = max(limit for limit in limits if limit is not None)
    return f"{partition or 'the default partition'} grants {most:g} minutes, and it asks {minutes}"


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
