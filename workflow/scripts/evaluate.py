"""Evaluate every checkpoint of one run on every benchmark of its task.

Writes, for each checkpoint, `step<n>/<benchmark>.json` (sampled from the policy itself) and
`step<n>/<benchmark>.paper.json` (the paper's validation sampling), each with its responses as
Parquet beside it. The same random numbers serve all policies, prompt by prompt.
The forgetting benchmark is scored as MMLU is: the likeliest of a question's choices counts.
After a kill, the same command goes on after the last batch that was whole.
"""

import argparse
import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from online_il.config.evaluation import Evaluation as Settings
from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.errors import InputError
from online_il.files import made_aside, write_json, write_table
from online_il.generation.chat import messages_of
from online_il.generation.engines import Engine, open_engine
from online_il.generation.resume import Resume, loglikelihoods, respond
from online_il.grading import graded_sample
from online_il.models import form_hash, weights_hash
from online_il.program.cli import add_run, log, main, parser
from online_il.program.progress import report
from online_il.provenance import file_hash, identities, libraries, versions
from online_il.records import Checkpoint, Evaluation, Prompts, RunRecord, Samples, read_table
from online_il.statistics.errors import clustered_stderr
from online_il.tasks.miniature import check_rate

Rows = list[dict[str, Any]]


def sampled(
    engine: Engine,
    policy: str,
    prompts: pd.DataFrame,
    sampling: Sampling,
    count: int,
    seed: int,
    resume: Resume,
    options: argparse.Namespace,
) -> Rows:
    """Graded responses to the prompts, as many each as the benchmark has."""
    keys = [(p, s) for p in range(len(prompts)) for s in range(count)]
    responses = respond(
        engine,
        [prompts["text"][prompt] for prompt, _ in keys],
        keys,
        sampling=sampling,
        seed=seed,
        resume=resume,
    )
    return [
        graded_sample(
            prompt_id=prompts["prompt_id"][prompt],
            sample_index=index,
            policy=policy,
            seed=options.seed,
            answer=json.loads(prompts["answer"][prompt]),
            response=response,
        )
        for (prompt, index), response in zip(keys, responses, strict=True)
    ]


def chosen(
    engine: Engine, policy: str, prompts: pd.DataFrame, resume: Resume, options: argparse.Namespace
) -> Rows:
    """The likeliest choice of every question."""
    answers = [json.loads(answer) for answer in prompts["answer"]]
    choices = [[str(choice) for choice in answer["choices"]] for answer in answers]
    # A text is what lm-evaluation-harness asks for, with its space; a number is the miniature's.
    continuations = [
        [choice if isinstance(choice, str) else f" {choice}" for choice in answer["choices"]]
        for answer in answers
    ]
    scores = loglikelihoods(engine, list(prompts["text"]), continuations, resume)
    rows = []
    for prompt_id, answer, texts, nats in zip(
        prompts["prompt_id"], answers, choices, scores, strict=True
    ):
        text = texts[int(np.argmax(nats))]
        correct = text == str(answer["correct"])
        rows.append(
            {
                "prompt_id": prompt_id,
                "sample_index": 0,
                "policy": policy,
                "seed": options.seed,
                "text": text,
                "n_tokens": 1,
                "finish_reason": "loglikelihood",
                "token_ids": None,
                "reward": float(correct),
                "reward_tinyzero": math.nan,
                "correct_strict": math.nan,
                "correct": correct,
                "format_ok": True,
            }
        )
    return rows


def checks(rows: Rows, prompts: pd.DataFrame) -> tuple[float | None, float | None]:
    """(share of attempts with an honest check, attempts a response) of miniature responses.

    None where the prompts are not in the miniature's language.
    """
    if grader_of(prompts) != "countdown" or messages_of(prompts["text"][0]) is not None:
        return None, None
    targets = {
        prompt_id: json.loads(answer)["target"]
        for prompt_id, answer in zip(prompts["prompt_id"], prompts["answer"], strict=True)
    }
    counts = [check_rate(row["text"], targets[row["prompt_id"]]) for row in rows]
    attempts, honest = sum(c[0] for c in counts), sum(c[1] for c in counts)
    return (honest / attempts if attempts else None), attempts / len(rows)


def evaluate(
    engine: Engine,
    checkpoint: Checkpoint,
    benchmark: str,
    sampling: str,
    context: dict[str, Any],
    settings: Settings,
    prompts: pd.DataFrame,
    options: argparse.Namespace,
) -> Evaluation:
    """One evaluation: writes its responses and its record, and returns the record."""
    policy = f"{options.run}/step{checkpoint.step}"
    drawn: Sampling = getattr(settings, sampling)
    choice = grader_of(prompts) == "choice"
    count = 1 if choice else settings.responses.get(benchmark, settings.samples_per_prompt)
    name = benchmark if sampling == "policy" else f"{benchmark}.{sampling}"
    known = {k: v for k, v in context.items() if k not in ("code_hash", "versions")}
    own, *accepted = identities(
        options.code,
        **known,
        versions=libraries(),
        weights=checkpoint.weights_hash,
        form=form_hash(options.checkpoints / f"step{checkpoint.step}"),
        benchmark=benchmark,
        sampling=drawn.model_dump(),
        count=count,
        seed_of_samples=settings.seed,
        generation=options.generation,
    )
    state = options.state / f"step{checkpoint.step}.{name}.jsonl"
    resume = Resume(state, own, options.code, tuple(accepted))
    if choice:
        rows = chosen(engine, policy, prompts, resume, options)
    else:
        rows = sampled(engine, policy, prompts, drawn, count, settings.seed, resume, options)
    check_share, attempts = checks(rows, prompts)
    correct_N = np.array([row["correct"] for row in rows], dtype=float)
    strict_N = np.array([row["correct_strict"] for row in rows], dtype=float)
    record = Evaluation(
        **context,
        **checkpoint.model_dump(),
        benchmark=benchmark,
        sampling=sampling,
        sampling_settings={"scoring": "loglikelihood"} if choice else drawn.model_dump(),
        n_prompts=len(prompts),
        samples_per_prompt=count,
        accuracy=float(correct_N.mean()),
        accuracy_stderr=clustered_stderr(correct_N, np.array([row["prompt_id"] for row in rows])),
        accuracy_strict=None if np.isnan(strict_N).any() else float(strict_N.mean()),
        format_rate=None if choice else _mean(rows, "format_ok"),
        truncation_rate=None if choice else _share(rows, "finish_reason", "length"),
        mean_length=None if choice else _mean(rows, "n_tokens"),
        check_rate=check_share,
        attempts=attempts,
        data_revision=str(prompts["revision"][0]),
    )
    place = options.output / f"step{checkpoint.step}"
    write_table(rows, Samples, place / f"{name}.parquet", record.model_dump())
    write_json(record, place / f"{name}.json")
    return record


def _mean(rows: Rows, key: str) -> float:
    return float(np.mean([row[key] for row in rows]))


def _share(rows: Rows, key: str, value: str) -> float:
    return float(np.mean([row[key] == value for row in rows]))


def grader_of(prompts: pd.DataFrame) -> str:
    """What grades the answers to a benchmark's prompts."""
    return str(json.loads(prompts["answer"][0]).get("grader", "countdown"))


def plan(
    checkpoints: Sequence[Checkpoint],
    benchmarks: Sequence[str],
    prompts: dict[str, pd.DataFrame],
    settings: Settings,
) -> list[tuple[Checkpoint, str, str]]:
    """Every evaluation to make; choices are not sampled, so they have one sampling only."""
    both = ("policy", "paper") if settings.paper else ("policy",)
    return [
        (checkpoint, benchmark, sampling)
        for checkpoint in checkpoints
        for benchmark in benchmarks
        for sampling in (("policy",) if grader_of(prompts[benchmark]) == "choice" else both)
    ]


def run(options: argparse.Namespace) -> None:
    settings = Settings.model_validate_json(options.settings)
    record = RunRecord.model_validate_json(options.record.read_text())
    table = read_table(options.prompts, Prompts)
    for checkpoint in record.checkpoints:
        folder = options.checkpoints / f"step{checkpoint.step}"
        if weights_hash(folder) != checkpoint.weights_hash:
            raise InputError(
                f"{folder}: not the weights that {options.record} names; "
                f"delete {options.checkpoints} and start again: Snakemake trains the run anew"
            )
    context = {
        "task": options.task,
        "run": options.run,
        "method": record.method,
        "expert": record.expert,
        "seed": options.seed,
        "prompts_hash": file_hash(options.prompts),
        "code_hash": options.code,
        "versions": versions(),
    }
    shutil.rmtree(options.output, ignore_errors=True)
    benchmarks = options.benchmarks.split(",")
    prompts = {b: table[table["split"] == b].reset_index(drop=True) for b in benchmarks}
    for benchmark in (name for name, rows in prompts.items() if rows.empty):
        raise InputError(f"{options.prompts}: no prompt of benchmark {benchmark} in it")
    planned = plan(record.checkpoints, benchmarks, prompts, settings)
    engine = open_engine(Generation.model_validate_json(options.generation))
    loaded = None
    # The folder is an output of its own: it has its name once it is whole.
    with made_aside(options.output) as options.output:
        for done, (checkpoint, benchmark, sampling) in enumerate(planned):
            if checkpoint.step != loaded:
                engine.load(options.checkpoints / f"step{checkpoint.step}")
                loaded = checkpoint.step
            asked = prompts[benchmark]
            result = evaluate(
                engine, checkpoint, benchmark, sampling, context, settings, asked, options
            )
            log(
                "evaluated",
                step=checkpoint.step,
                benchmark=benchmark,
                sampling=sampling,
                accuracy=f"{result.accuracy:.3f}±{result.accuracy_stderr:.3f}",
                length=result.mean_length,
                checks=result.check_rate,
            )
            report(
                options.progress,
                done=done + 1,
                total=len(planned),
                unit="evaluation",
                accuracy=result.accuracy if benchmark == benchmarks[0] else None,
            )


if __name__ == "__main__":
    arguments = parser(__doc__)
    add_run(arguments)
    arguments.add_argument("--settings", required=True, help="settings of the evaluation, JSON")
    arguments.add_argument("--benchmarks", required=True, help="benchmarks, separated by commas")
    arguments.add_argument("--checkpoints", type=Path, required=True, help="the run's checkpoints")
    arguments.add_argument("--record", type=Path, required=True, help="the run's manifest")
    arguments.add_argument("--prompts", type=Path, required=True, help="table of prompts")
    arguments.add_argument("--generation", required=True, help="generation settings, JSON")
    arguments.add_argument("--state", type=Path, required=True, help="what it goes on from; kept")
    arguments.add_argument("--output", type=Path, required=True, help="folder to write")
    arguments.add_argument("--progress", type=Path, required=True, help="progress file")
    main(run, arguments)
