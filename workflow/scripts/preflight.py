"""Check what can be checked before anything of a study is started, and list every problem at once.

Keys, models, data sets, tokenizers, chat templates, lengths, memory of the GPUs, disk, programs
and what Slurm knows. Nothing is downloaded, asked or loaded; no value of a key is ever shown.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import Field, Json

from online_il.config.study import load
from online_il.errors import ParameterError
from online_il.files import write_text
from online_il.preflight.machine import (
    check_gpus,
    check_keys,
    check_programs,
    check_slurm,
    gpus_here,
)
from online_il.preflight.memory import check_disk, check_memory
from online_il.preflight.models import (
    check_context,
    check_ends,
    check_engine,
    check_files,
    check_tokenizers,
)
from online_il.preflight.report import Report
from online_il.preflight.templates import check_templates
from online_il.preflight.toolchain import check_toolchain
from online_il.program.cli import ProgramOptions, main
from online_il.program.dag import Job, graph_of_study, pending_jobs


class Options(ProgramOptions):
    config: Path = Field(description="config of the study")
    overrides: Json[dict[str, Any]] = Field({}, description="values over the config's, JSON")
    task: str | None = Field(None, description="the one task to check; all without it")
    results: Path = Field(description="folder of the results")
    jobs: Path | None = Field(
        None,
        description="jobs still to be done, JSON: [[rule, task, run, seed], ...]; - is standard "
        "input; without it Snakemake is asked",
    )
    cores: int | None = Field(None, description="cores of this machine for the jobs")
    slurm: Path | None = Field(None, description="profile of the cluster; none without it")
    checked: str | None = Field(None, description="name of these settings, to end the report with")
    output: Path = Field(description="report to write")


def run(options: Options) -> None:
    study = load(options.config, options.overrides)
    tasks = [task for task in study.tasks if options.task in (None, task.name)]
    if not tasks:
        names = ", ".join(task.name for task in study.tasks)
        raise ParameterError(f"--task {options.task}: no such task; there are: {names}")
    if options.jobs is not None:
        listed = sys.stdin.read() if options.jobs == Path("-") else options.jobs.read_text()
        jobs = [Job(*row) for row in json.loads(listed)]
    else:
        jobs = pending_jobs(graph_of_study(options.config, options.overrides))
    report = Report()
    gpus = gpus_here() if study.hardware == "gpu" and options.slurm is None else []
    smallest = min(gpus, key=lambda gpu: gpu.gib, default=None)
    for task in tasks:
        check_keys(task, jobs, report)
        check_programs(study, task, report)
        folders = check_files(study, task, report)
        check_tokenizers(task, folders, report, study.generation.engine)
        check_templates(task, folders, report)
        check_ends(task, folders, report)
        check_engine(study, task, folders, report)
        check_context(study, task, report)
        check_memory(study, task, report, smallest)
        if gpus:
            check_gpus(task, gpus, report)
    check_toolchain(study, report, cluster=options.slurm is not None)
    check_disk(study, tasks, jobs, options.results, report, options.cores)
    if options.slurm is not None:
        check_slurm(study, jobs, options.slurm, report)
    text = report.text(f"{study.scale}, {', '.join(task.name for task in tasks)}")
    print(text, end="")
    # A task's report lets its jobs start; the whole study's is there to be read.
    if options.task is None or not report.problems:
        ending = f"  passed: {options.checked}\n" if options.checked else ""
        write_text(text + ending, options.output)
    if report.problems:
        sys.exit(1)


if __name__ == "__main__":
    main(run, Options, __doc__)
