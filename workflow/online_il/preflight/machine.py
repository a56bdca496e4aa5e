"""Checks of where the jobs run: keys, programs, and what Slurm knows of."""

import importlib.util
import os
import re
import subprocess
from pathlib import Path

from online_il.config.experts import EndpointExpert
from online_il.config.site import SiteError, site_block
from online_il.config.study import Study, resources_of, seeds_of
from online_il.config.tasks import Task
from online_il.cost.jobs import finetuning_of
from online_il.layout import Layout
from online_il.preflight.report import Report

SECONDS = 30
"""How long `sinfo` may take."""


def check_keys(study: Study, task: Task, results: Path, report: Report) -> None:
    """The key of every endpoint that is still to be asked is in the environment; never shown."""
    layout = Layout(results)
    wanted = {
        (run.expert or "", layout.samples(task.name, run.expert or "", seed))
        for run in task.runs
        if run.method == "sft"
        for seed in seeds_of(task, run)
    }
    for pair in study.discrepancy.models if study.discrepancy else []:
        if pair.task == task.name:
            wanted |= {
                (name, layout.responses(task.name, name, seed))
                for name in (pair.expert, pair.student)
                for seed in task.seeds
            }
    for expert in task.experts:
        if not isinstance(expert, EndpointExpert) or expert.key_variable is None:
            continue
        files = [file for name, file in wanted if name == expert.name]
        missing = [file for file in files if not file.is_file()]
        if missing and not os.environ.get(expert.key_variable):
            report.problem(
                f"{task.name}/{expert.name}",
                f"the environment has no {expert.key_variable}, the key of {expert.url}",
                f"export {expert.key_variable} in the shell that starts Snakemake",
            )


def check_programs(study: Study, task: Task, report: Report) -> None:
    """What starts the training and generates the responses is installed."""
    needed = []
    if study.hardware == "gpu" and (task.runs or finetuning_of(task)):
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


def check_slurm(study: Study, tasks: list[Task], profile: Path, report: Report) -> None:
    """Slurm knows the partitions and GPUs of the profile's `site` block."""
    try:
        site, wrong = site_block(profile)
    except SiteError as error:
        message = f"no `site` block that can be read ({error})"
        report.problem(str(profile), message, "take the repository's file and fill it in")
        return
    for problem in wrong:
        report.problem(str(profile), *problem.rsplit("; ", 1))
    partitions = {key: site.get(key) for key in ("gpu_partition", "cpu_partition")}
    try:
        done = subprocess.run(
            ["sinfo", "--noheader", "--format=%R %G"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
    except FileNotFoundError:
        report.notes.append("Slurm was not asked: there is no `sinfo` on this machine")
        return
    except (subprocess.SubprocessError, OSError) as error:
        said = str(getattr(error, "stderr", None) or error).strip().splitlines()
        reason = said[-1][:120] if said else "no answer"
        report.problem("Slurm", f"sinfo fails ({reason})", "start where Slurm's commands work")
        return
    rows = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line.strip()]
    known = sorted({row[0] for row in rows})
    for key, name in partitions.items():
        for part in str(name).split(",") if name is not None else []:
            if part not in known:
                report.problem(
                    f"{profile}, site.{key}",
                    f"Slurm knows no partition {part}",
                    f"choose of {', '.join(known)}, or null for the default",
                )
    at = str(partitions["gpu_partition"]).split(",") if partitions["gpu_partition"] else known
    gpus: dict[str, int] = {}
    for row in rows:
        if row[0] in at:
            for model, count in re.findall(r"gpu:(?:([^:,()\s]+):)?(\d+)", (*row, "")[1]):
                gpus[model] = max(gpus.get(model, 0), int(count))
    _check_gpus(study, tasks, site.get("gpu_model"), gpus, profile, report)


def _check_gpus(
    study: Study,
    tasks: list[Task],
    model: str | None,
    gpus: dict[str, int],
    profile: Path,
    report: Report,
) -> None:
    """`gpus`: the most GPUs of each model that a node has."""
    asked = {
        f"{task.name}, {rule}": resources_of(study, task, rule).gpu
        for task in tasks
        for rule in _rules(task)
    }
    if not any(asked.values()):
        return
    there_are = ", ".join(f"{count} {name}".strip() for name, count in gpus.items()) or "none"
    if model is not None and model not in gpus:
        report.problem(
            f"{profile}, site.gpu_model",
            f"no node of the partition has GPUs of type {model}",
            f"choose of those there are (most on a node: {there_are})",
        )
        return
    most = gpus.get(model, 0) if model is not None else max(gpus.values(), default=0)
    for where, count in asked.items():
        if count > most:
            report.problem(
                where,
                f"asks for {count} GPUs on one node, and none has more than {most}",
                "lower `gpu` under resources, or choose another gpu_model or partition",
            )


def _rules(task: Task) -> list[str]:
    """The rules whose jobs a task has and that may ask for GPUs."""
    rules: list[str] = sorted({run.method for run in task.runs})
    if task.base is not None:
        rules += ["evaluate"] + (["finetune"] if finetuning_of(task) else [])
    return [*rules, "sample"]
