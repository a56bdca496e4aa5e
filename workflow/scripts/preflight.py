"""Check what can be checked before anything of a study is started, and list every problem at once.

Keys, models, data sets, tokenizers, chat templates, lengths, memory of the GPUs, disk, programs
and what Slurm knows. Nothing is downloaded, asked or loaded; no value of a key is ever shown.
"""

import json
import sys
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pydantic import Field, Json

from online_il.config.study import load
from online_il.errors import ParameterError
from online_il.files import write_text
from online_il.preflight.cluster import check_slurm
from online_il.preflight.machine import (
    check_any_gpu,
    check_gpus,
    check_keys,
    check_programs,
    check_tracker,
    gpus_here,
)
from online_il.preflight.memory import check_disk, check_memory
from online_il.preflight.models import (
    check_adapters,
    check_context,
    check_ends,
    check_engine,
    check_files,
    check_tokenizers,
    check_weights,
)
from online_il.preflight.report import Report
from online_il.preflight.responses import check_responses
from online_il.preflight.templates import check_templates
from online_il.preflight.toolchain import check_toolchain
from online_il.program.cli import ProgramOptions, main
from online_il.program.dag import Job, graph_of_study, pending_jobs


class Options(ProgramOptions):
    config: Path = Field(description="config of the study")
    overrides: Json[dict[str, Any]] = Field({}, description="values over the config's, JSON")
    tasks: list[str] = Field([], alias="task", description="tasks to check; all without them")
    results: Path = Field(description="folder of the results")
    jobs: Path | None = Field(
        None,
        description="jobs still to be done, JSON: [[rule, task, run, seed], ...]; - is standard "
        "input; without it Snakemake is asked",
    )
    cores: int | None = Field(None, description="cores of this machine for the jobs")
    slurm: Path | None = Field(None, description="profile of the cluster; none without it")
    attempts: int = Field(1, ge=1, description="attempts that a job has on the cluster")
    checked: list[str] = Field([], description="names of what was checked, to end the reports with")
    output: list[Path] = Field(description="report to write, or one of each task")


def run(options: Options) -> None:
    study = load(options.config, options.overrides)
    named = [task.name for task in study.tasks]
    for name in options.tasks:
        if name not in named:
            raise ParameterError(f"--task {name}: no such task; there are: {', '.join(named)}")
    tasks = [task for task in study.tasks if task.name in (options.tasks or named)]
    if options.jobs is not None:
        listed = sys.stdin.read() if options.jobs == Path("-") else options.jobs.read_text()
        jobs = [Job(*row) for row in json.loads(listed)]
    else:
        jobs = pending_jobs(graph_of_study(options.config, options.overrides))
    report = Report()
    here = study.hardware == "gpu" and options.slurm is None
    gpus = gpus_here() if here else []
    # Without a number of cores jobs may run elsewhere, on a cluster that is not Slurm's.
    if here and not gpus and options.cores is not None:
        check_any_gpu(report)
    smallest = min(gpus, key=lambda gpu: gpu.gib, default=None)
    for task in tasks:
        check_keys(task, jobs, report)
        check_programs(study, task, report)
        folders = check_files(study, task, report)
        check_weights(task, folders, report)
        check_responses(task, report)
        check_tokenizers(task, folders, report, study.generation.engine)
        check_templates(task, folders, report)
        check_ends(task, folders, report)
        check_engine(study, task, folders, report)
        check_context(study, task, report)
        check_adapters(study, task, report)
        check_memory(study, task, report, smallest)
        if gpus:
            check_gpus(task, gpus, report)
    check_tracker(study, report)
    check_toolchain(study, report, cluster=options.slurm is not None)
    check_disk(study, tasks, jobs, options.results, report, options.cores)
    if options.slurm is not None:
        check_slurm(study, jobs, options.slurm, report, options.attempts)
    text = report.text(f"{study.scale}, {', '.join(task.name for task in tasks)}")
    print(text, end="")
    # A task's report lets its jobs start; the whole study's is there to be read.
    if not options.tasks or not report.problems:
        for place, name in zip_longest(options.output, options.checked):
            write_text(text + (f"  passed: {name}\n" if name else ""), place)
    if report.problems:
        sys.exit(1)


if __name__ == "__main__":
    main(run, Options, __doc__)
