"""Say what a study costs before anything of it is started: GPUs, GPU-hours, tokens, money.

Takes the jobs from Snakemake's DAG and their sizes from the config; nothing is trained, downloaded
or asked. Prints the totals, and writes the plan as a table (.parquet), as Markdown (.md) and as a
page of its own (.html) where asked to. With a budget it says which parts of the study that buys.
"""

import json
import shlex
from pathlib import Path
from typing import Any

from pydantic import Field, Json
from rich import box
from rich.console import Console
from rich.table import Table

from online_il.config.study import load
from online_il.cost.budget import parts_of, sentences
from online_il.cost.jobs import costs_of, jobs_of_figures
from online_il.cost.memory import GIB
from online_il.cost.page import figure_sentences, markdown, page, totals_rows
from online_il.cost.totals import PlannedRuns, rows_of, total, totals
from online_il.errors import InputError, ParameterError
from online_il.files import write_table, write_text
from online_il.preflight.memory import MOST_GPUS, too_large
from online_il.program.cli import ProgramOptions, main
from online_il.program.dag import graph_of_study

LEAST_WIDTH = 100


class Options(ProgramOptions):
    config: Path = Field(description="config of the study")
    overrides: Json[dict[str, Any]] = Field({}, description="values over the config's, JSON")
    tasks: list[str] = Field([], alias="task", description="plan for this task; may be repeated")
    seeds: list[int] = Field([], alias="seed", description="plan for this seed; repeatable")
    budget: float | None = Field(None, gt=0, description="US dollars that are to be spent")
    code: str | None = Field(None, description="hash of the code, for provenance")
    output: list[Path] = Field([], description="files to write")


def run(options: Options) -> None:
    overrides = options.overrides
    chosen = {key: getattr(options, key) for key in ("tasks", "seeds") if getattr(options, key)}
    study = load(options.config, overrides)
    if study.plan is not None and chosen:
        study = load(options.config, overrides | {"plan": overrides.get("plan", {}) | chosen})
    plan = study.plan
    if plan is None:
        raise InputError(
            f"{options.config}: no `plan`, which says what GPU and which lengths are assumed; add "
            "it as config/paper.yaml has it"
        )
    graph = graph_of_study(options.config, overrides)
    costs = costs_of(study, plan, graph)
    if not costs:
        raise ParameterError("plan: the tasks and seeds asked for have no job in common")
    figures = jobs_of_figures(graph, costs)
    planned, sums = rows_of(study, costs, figures), totals(study, costs, figures)
    sums["gpu"] = {
        other.gpu: total(costs_of(study, plan.on(other), graph), costs) for other in plan.other_gpus
    }
    parts = [", ".join(plan.tasks or []), ", ".join(f"seed {seed}" for seed in plan.seeds or [])]
    subset = "; ".join(part for part in parts if part)
    title = f"What the study {study.scale} costs{f' ({subset})' if subset else ''}"
    for path in options.output:
        if path.suffix == ".parquet":
            where = {"code_hash": options.code, "plan": plan.model_dump()}
            write_table(planned, PlannedRuns, path, where)
        else:
            write = {".md": markdown, ".html": page}[path.suffix]
            write_text(write(planned, sums, plan, title), path)
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, LEAST_WIDTH)
    head, rows = totals_rows(sums, plan)
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for place, name in enumerate(head):
        table.add_column(name, justify="right" if place else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for line in figure_sentences(sums, plan):
        console.print(line)
    if options.budget is not None:
        parts = parts_of(study, graph, costs, figures)
        given = [f"{key}={json.dumps(value)}" for key, value in overrides.items() if key != "plan"]
        start = ["--configfile", str(options.config), *(["--config", *given] if given else [])]
        for line in sentences(study, parts, costs, plan, options.budget, shlex.join(start)):
            console.print(line, soft_wrap=True)
    for row in planned:
        if row["longest_hours"] > row["limit_hours"]:
            seed = "all seeds" if row["seed"] is None else f"seed {row['seed']}"
            console.print(
                f"WARNING: {row['task']}/{row['run']}, {seed}: a job is expected to "
                f"take {row['longest_hours']:.0f} h and asks for {row['limit_hours']:.0f} h; raise "
                "its `runtime` or its `gpu` under `resources`."
            )
    for task in study.tasks if study.hardware == "gpu" else []:
        if plan.tasks is not None and task.name not in plan.tasks:
            continue
        for rule, (estimate, enough) in too_large(study, plan, task).items():
            remedy = f"it fits {enough}" if enough else f"nor does it fit {MOST_GPUS}"
            console.print(
                f"WARNING: {task.name}, {rule}: a job takes about {estimate.peak / GIB:.0f} GiB of "
                f"each of its GPUs, which have {plan.gpu_memory_gib:g}; {remedy}: `gpu` under "
                "`resources`. A teacher larger than its student is cut over all of them."
            )


if __name__ == "__main__":
    main(run, Options, __doc__)
