"""Evaluate every checkpoint of one run on every benchmark of its task.

Writes, for each checkpoint, `step<n>/<benchmark>.json` (sampled from the policy itself) and
`step<n>/<benchmark>.paper.json` (the paper's validation sampling), each with its responses as
Parquet beside it. The same random numbers serve all policies of a seed, prompt by prompt.
What is forgotten is scored as MMLU is: the likeliest of a question's choices counts. Of a text the
likelihood is read.
After a kill, the same command goes on after the last batch that was written in full.
"""

import math
import shutil
from pathlib import Path

import pandas as pd
from pydantic import Field, Json

from online_il import evaluation
from online_il.config.evaluation import Evaluation
from online_il.config.generation import Generation
from online_il.errors import InputError
from online_il.experts.opening import Shares, engine_for
from online_il.files import made_aside
from online_il.layout import step
from online_il.models import newest_step, weights_hash
from online_il.program import deadline
from online_il.program.cli import RunOptions, log, main
from online_il.program.progress import report
from online_il.provenance import file_hash
from online_il.records import Prompts, RunRecord, read_record, read_table


class Options(RunOptions):
    settings: Json[Evaluation] = Field(description="settings of the evaluation, JSON")
    benchmarks: str = Field(description="benchmarks, separated by commas")
    checkpoints: Path = Field(description="the run's checkpoints")
    record: Path = Field(description="the run's manifest")
    prompts: list[Path] = Field(description="tables of prompts")
    generation: Json[Generation] = Field(description="generation settings, JSON")
    mixture: Path | None = Field(None, description="folder of a mixture that shares are told of")
    state: Path = Field(description="what it goes on from; kept")
    output: Path = Field(description="folder to write")
    progress: Path = Field(description="progress file")
    limit_minutes: float = Field(
        math.inf, description="time limit of the job, before which it ends"
    )
    unit_rows: int = Field(0, ge=0, description="most responses of a batch that is kept; 0: any")


def run(options: Options) -> None:
    settings = options.settings
    record = read_record(options.record, RunRecord)
    benchmarks = options.benchmarks.split(",")
    hashes, prompts = _prompts(options.prompts, benchmarks)
    for checkpoint in record.checkpoints:
        folder = step(options.checkpoints, checkpoint.step)
        if weights_hash(folder) != checkpoint.weights_hash:
            raise InputError(
                f"{folder}: not the weights that {options.record} names; "
                f"delete {options.checkpoints} and start again: Snakemake trains the run anew"
            )
    names = {
        "task": options.task,
        "run": options.run,
        "method": record.method,
        "expert": record.expert,
        "start": record.start,
        "seed": options.seed,
    }
    shutil.rmtree(options.output, ignore_errors=True)
    plans = evaluation.planned(record.checkpoints, prompts, settings)
    engine = engine_for(newest_step(options.checkpoints), options.generation)
    loaded = None
    # The folder is an output of its own: it has its name once it is complete.
    with made_aside(options.output) as output:
        job = evaluation.Job(
            names,
            settings,
            options.generation,
            options.code,
            options.checkpoints,
            options.state,
            output,
            Shares(newest_step(options.mixture), options.generation).add
            if options.mixture
            else None,
            deadline.until(options.limit_minutes),
            options.unit_rows,
        )
        for done, plan in enumerate(plans, 1):
            number, benchmark = plan.checkpoint.step, plan.benchmark
            if number != loaded:
                engine.load(step(options.checkpoints, number))
                loaded = number
            here = job._replace(names=names | {"prompts_hash": hashes[benchmark]})
            result = evaluation.evaluate(engine, here, plan, prompts[benchmark])
            found = (
                {"perplexity": f"{result.perplexity:.2f}"}
                if result.accuracy is None
                else {
                    "accuracy": f"{result.accuracy:.3f}±{result.accuracy_stderr:.3f}",
                    "length": result.mean_length,
                    "checks": result.check_rate,
                }
            )
            log(
                "evaluated",
                step=number,
                benchmark=benchmark,
                sampling=plan.sampling,
                **found,
            )
            report(
                options.progress,
                done=done,
                total=len(plans),
                unit="evaluation",
                accuracy=result.accuracy if benchmark == benchmarks[0] else None,
            )


def _prompts(
    paths: list[Path], benchmarks: list[str]
) -> tuple[dict[str, str], dict[str, pd.DataFrame]]:
    """Read each benchmark's prompts, and the hash of the table that they lie in."""
    hashes, prompts = {}, {}
    for path in paths:
        table, prompts_hash = read_table(path, Prompts), file_hash(path)
        for benchmark in benchmarks:
            rows = table[table["split"] == benchmark].reset_index(drop=True)
            if len(rows):
                hashes[benchmark], prompts[benchmark] = prompts_hash, rows
    for benchmark in benchmarks:
        if benchmark not in prompts:
            listed = ", ".join(map(str, paths))
            raise InputError(f"{listed}: no prompt of benchmark {benchmark} in it")
    # In the order in which they are asked for, as evaluations are made.
    return hashes, {benchmark: prompts[benchmark] for benchmark in benchmarks}


if __name__ == "__main__":
    main(run, Options, __doc__)
