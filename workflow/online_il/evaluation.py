"""Evaluating the checkpoints of a run: responses are drawn and graded, choices are scored.

Every benchmark is sampled from the policy itself and, where the settings name it, by the paper's
validation sampling. The same random numbers serve all policies of a seed, prompt by prompt, so that
what is paired differs by less; each seed has its own, so that their noise averages out. A benchmark
of choices is scored as MMLU is: the likeliest of a question's choices counts, as it stands (no
length is divided out), and of equals the first. Of a text the likelihood is read.
"""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from online_il.chat import messages_of
from online_il.config.evaluation import Evaluation
from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.files import write_json, write_table
from online_il.generation.engines import Engine
from online_il.generation.resume import Resume, loglikelihoods, respond
from online_il.generation.tokens import Tokens
from online_il.grading import graded_samples, grader_of
from online_il.layout import evaluation, responses_of, step
from online_il.models import form_hash
from online_il.perplexity import finite, measures, read_passages
from online_il.provenance import identities, libraries, versions
from online_il.records import Checkpoint, EvaluationRecord, Passages, Samples
from online_il.statistics.errors import clustered_stderr
from online_il.tasks import english, english_checks
from online_il.tasks.miniature_checks import check_rate

Rows = list[dict[str, Any]]
"""Rows of the samples table."""
SCORED = ("choice", "text")
"""Graders of prompts to which nothing is sampled."""


class Job(NamedTuple):
    """The settings and folders that the evaluations of one run's checkpoints share."""

    names: dict[str, Any]
    """The fields of `EvaluationRecord` from `task` to `seed`, and `prompts_hash`."""
    settings: Evaluation
    generation: Generation
    code: str
    """Hash of the code."""
    checkpoints: Path
    """Folder of the run's checkpoints, `step<n>`."""
    state: Path
    """Folder of what was generated so far."""
    output: Path
    """Folder to write: `step<n>/<benchmark>.json` and the responses as Parquet."""
    add_shares: Callable[[Rows, pd.DataFrame], None] | None = None
    """Adds the columns of a mixture's shares to the rows of a benchmark's prompts."""
    until: float = math.inf
    unit_rows: int = 0
    """As `Resume` has them."""


class Planned(NamedTuple):
    """One evaluation that is to be made."""

    checkpoint: Checkpoint
    benchmark: str
    sampling: str
    """`policy` or `paper`."""
    responses: int
    """Responses a prompt."""


def planned(
    checkpoints: Sequence[Checkpoint],
    prompts: dict[str, pd.DataFrame],
    settings: Evaluation,
) -> list[Planned]:
    """List the evaluations of every checkpoint; what is not sampled is evaluated once at each.

    `prompts` holds the prompts of every benchmark.
    """
    last = max(checkpoint.step for checkpoint in checkpoints)
    found = []
    for checkpoint in checkpoints:
        is_last = checkpoint.step == last
        for benchmark, rows in prompts.items():
            if _grader(rows) in SCORED:
                found.append(Planned(checkpoint, benchmark, "policy", 1))
                continue
            drawn = settings.count(benchmark, last=is_last)
            found.append(Planned(checkpoint, benchmark, "policy", drawn))
            if settings.paper and (is_last or settings.paper_checkpoints == "all"):
                drawn = settings.count(benchmark, last=False)
                found.append(Planned(checkpoint, benchmark, "paper", drawn))
    return found


def seed_of_samples(seed: int, policy_seed: int) -> int:
    """Derive the seed of the samples of all policies of one seed: 32 bits."""
    return int(np.random.SeedSequence([seed, policy_seed]).generate_state(1)[0])


def evaluate(engine: Engine, job: Job, plan: Planned, prompts: pd.DataFrame) -> EvaluationRecord:
    """Evaluate the checkpoint that the engine has loaded; write responses and record.

    After a kill, the same call goes on after the last batch that was written in full.
    """
    checkpoint, benchmark, sampling, count = plan
    settings: Sampling = getattr(job.settings, sampling)
    grader = _grader(prompts)
    seed = seed_of_samples(job.settings.seed, job.names["seed"])
    place = evaluation(job.output, checkpoint.step, benchmark, sampling)
    checkpoint_name = place.parent.name
    own, *accepted = identities(
        job.code,
        **job.names,
        versions=libraries(),
        weights=checkpoint.weights_hash,
        form=form_hash(step(job.checkpoints, checkpoint.step)),
        benchmark=benchmark,
        sampling=settings.model_dump(),
        count=count,
        seed_of_samples=seed,
        generation=job.generation.model_dump(),
    )
    state = job.state / f"{checkpoint_name}.{place.stem}.jsonl"
    resume = Resume(state, own, job.code, tuple(accepted), job.until, job.unit_rows)
    policy = {"policy": f"{job.names['run']}/{checkpoint_name}", "seed": job.names["seed"]}
    common: dict[str, Any] = {
        **job.names,
        "code_hash": job.code,
        "versions": versions(),
        **checkpoint.model_dump(),
        "benchmark": benchmark,
        "sampling": sampling,
        "sampling_settings": {"scoring": "loglikelihood"}
        if grader in SCORED
        else settings.model_dump(),
        "n_prompts": len(prompts),
        "samples_per_prompt": count,
        "data_revision": str(prompts["revision"][0]),
    }
    if grader == "text":
        tokens = Tokens(step(job.checkpoints, checkpoint.step))
        rows = read_passages(engine, tokens, prompts, resume, **policy)
        record, table = EvaluationRecord(**common, **NO_ANSWERS, **measures(rows)), Passages
    else:
        if grader == "choice":
            rows = likeliest_choices(engine, prompts, resume, **policy)
        else:
            rows = _responses(engine, prompts, resume, settings, count, seed, **policy)
            if job.add_shares:
                job.add_shares(rows, prompts)
        answered = _of_answers(rows, prompts, is_sampled=grader not in SCORED)
        record, table = EvaluationRecord(**common, **answered), Samples
    write_table(rows, table, responses_of(place), record.model_dump())
    write_json(record, place)
    return record


NO_ANSWERS = dict.fromkeys(
    (
        "accuracy",
        "accuracy_stderr",
        "format_rate",
        "truncation_rate",
        "mean_length",
        "check_rate",
        "attempts",
    )
)
"""The fields of `EvaluationRecord` that must be given and tell of answers, where there are none."""


def _of_answers(rows: Rows, prompts: pd.DataFrame, *, is_sampled: bool) -> dict[str, Any]:
    """Give the fields of `EvaluationRecord` that tell of answers."""
    honest_share, attempts = _checks(rows, prompts)
    correct_N = np.array([row["correct"] for row in rows], dtype=float)
    strict_N = np.array([row["correct_strict"] for row in rows], dtype=float)
    ids_N = np.array([row["prompt_id"] for row in rows])
    drawn = rows if is_sampled else None
    return {
        "accuracy": float(correct_N.mean()),
        "accuracy_stderr": clustered_stderr(correct_N, ids_N),
        "accuracy_strict": None if np.isnan(strict_N).any() else float(strict_N.mean()),
        "format_rate": drawn and _mean(row["format_ok"] for row in drawn),
        "truncation_rate": drawn and _mean(row["finish_reason"] == "length" for row in drawn),
        "mean_length": drawn and _mean(row["n_tokens"] for row in drawn),
        "check_rate": honest_share,
        "attempts": attempts,
        "direct": _mean(row["direct"] for row in rows) if rows and "direct" in rows[0] else None,
    }


def likeliest_choices(
    engine: Engine, prompts: pd.DataFrame, resume: Resume, *, policy: str, seed: int
) -> Rows:
    """Take the likeliest choice of every question as its response."""
    answers = [json.loads(answer) for answer in prompts["answer"]]
    # A text is what lm-evaluation-harness asks for, with its space; a number is the miniature's.
    continuations = [
        [choice if isinstance(choice, str) else f" {choice}" for choice in answer["choices"]]
        for answer in answers
    ]
    scores = loglikelihoods(engine, list(prompts["text"]), continuations, resume)
    rows = []
    for prompt_id, answer, nats in zip(prompts["prompt_id"], answers, scores, strict=True):
        likeliest = int(np.argmax([finite(one, f"{policy}, seed {seed}") for one in nats]))
        text = str(answer["choices"][likeliest])
        correct = text == str(answer["correct"])
        rows.append(
            {
                "prompt_id": prompt_id,
                "sample_index": 0,
                "policy": policy,
                "seed": seed,
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


def _responses(
    engine: Engine,
    prompts: pd.DataFrame,
    resume: Resume,
    sampling: Sampling,
    count: int,
    drawn_from: int,
    *,
    policy: str,
    seed: int,
) -> Rows:
    """Draw and grade `count` responses to each prompt."""
    keys = [(p, s) for p in range(len(prompts)) for s in range(count)]
    texts = [prompts["text"][prompt] for prompt, _ in keys]
    responses = respond(engine, texts, keys, sampling=sampling, seed=drawn_from, resume=resume)
    return graded_samples(prompts, keys, responses, policy=policy, seed=seed)


def _checks(rows: Rows, prompts: pd.DataFrame) -> tuple[float | None, float | None]:
    """Return (share of attempts with an honest check, attempts a response) of searching responses.

    None for prompts that are neither in the miniature's language nor in English.
    """
    count = check_rate
    if messages_of(prompts["text"][0]) is not None:
        count = english_checks.check_rate
        if not english.is_prompt(prompts["text"][0]):
            return None, None
    if _grader(prompts) != "countdown":
        return None, None
    targets = {
        prompt_id: json.loads(answer)["target"]
        for prompt_id, answer in zip(prompts["prompt_id"], prompts["answer"], strict=True)
    }
    counts = [count(row["text"], targets[row["prompt_id"]]) for row in rows]
    attempts, honest = sum(c[0] for c in counts), sum(c[1] for c in counts)
    return (honest / attempts if attempts else None), attempts / len(rows)


def _grader(prompts: pd.DataFrame) -> str:
    """Name the grader of a benchmark's prompts, which is the same for all of them."""
    return grader_of(json.loads(prompts["answer"][0]))


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))
