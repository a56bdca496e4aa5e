"""Responses of all policies to the same prompts, side by side."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow.parquet as parquet

from online_il.benchmarks import IN_DISTRIBUTION
from online_il.layout import Layout
from online_il.report.steps import CHECKS, Piece, pieces
from online_il.store import query
from online_il.tasks import english
from online_il.tasks.countdown import Instance

FIRST, DISAGREED = 2, 3
"""Prompts shown of a task: the first ones, and those on which the policies disagree most."""
LONGEST = 1500
"""Longer responses are shown in part, characters."""
ORDER = ("base", "expert", "sft-realizable", "sft-unrealizable", "distill-realizable")


class PolicyResponse(NamedTuple):
    """One response; `right` is whether its reward is 1."""

    run: str
    right: bool
    n_tokens: int
    cut: bool
    pieces: list[Piece]


class Example(NamedTuple):
    """One prompt and what each policy answered."""

    task: str
    title: str
    prompt: str
    reason: str
    responses: list[PolicyResponse]


def examples(database: Path, results: Path) -> list[Example]:
    """Read five prompts of each task, with the first response of each run's last checkpoint.

    The checkpoint is the last of the run's first seed that was measured.
    """
    rows = query(database, _sql())
    found: list[Example] = []
    for (task, _), part in rows.groupby(["task", "benchmark"], sort=False):
        if task not in {example.task for example in found}:
            prompts = _prompts(Layout(results).existing_prompts(str(task)))
            found += _of_task(str(task), part, prompts)
    return found


def _sql() -> str:
    benchmarks = ", ".join(f"'{name}'" for name in IN_DISTRIBUTION)
    return f"""
        SELECT task, benchmark, run, prompt_id, text, n_tokens, finish_reason, correct
        FROM samples
        WHERE benchmark IN ({benchmarks}) AND sampling = 'policy' AND sample_index = 0
        QUALIFY seed = min(seed) OVER (PARTITION BY task, run)
            AND step = max(step) OVER (PARTITION BY task, run, seed)
        ORDER BY task, list_position([{benchmarks}], benchmark), prompt_id, run
    """


def _prompts(tables: list[Path]) -> dict[str, dict[str, Any]]:
    columns = ["prompt_id", "text", "answer"]
    there = [parquet.read_table(path, columns=columns) for path in tables if path.is_file()]
    return {row["prompt_id"]: row for table in there for row in table.to_pylist()}


def _of_task(task: str, rows: pd.DataFrame, prompts: dict[str, dict[str, Any]]) -> list[Example]:
    rate = rows.groupby("prompt_id")["correct"].mean()
    first = list(rate.index[:FIRST])
    # The most disputed: as many right as wrong. Ties go to the earlier prompt.
    disputed = (rate - 0.5).abs().drop(first).sort_values(kind="stable").index[:DISAGREED]
    chosen = dict.fromkeys(first, "first of the benchmark")
    chosen |= dict.fromkeys(disputed, "the policies disagree")
    return [
        Example(
            task,
            _title(prompts.get(name), name),
            _shown(prompts[name]["text"]) if name in prompts else name,
            reason if rate[name] not in (0, 1) or name in first else "next of the benchmark",
            _responses(rows[rows["prompt_id"] == name], prompts.get(name)),
        )
        for name, reason in chosen.items()
    ]


def _title(prompt: dict[str, Any] | None, name: str) -> str:
    """Name the problem in short, or its prompt."""
    answer = json.loads(prompt["answer"]) if prompt else {}
    if "numbers" not in answer:
        return name
    return f"{', '.join(map(str, answer['numbers']))} → {answer['target']}"


def _shown(text: str) -> str:
    """Return what is read of a prompt: the user's message of a conversation."""
    if not text.startswith("["):
        return _short(text)
    try:
        return _short(json.loads(text)[-1]["content"])
    except (ValueError, KeyError, IndexError, TypeError):
        return _short(text)


def _responses(rows: pd.DataFrame, prompt: dict[str, Any] | None) -> list[PolicyResponse]:
    instance, checks = _instance(prompt), CHECKS
    if prompt and english.is_prompt(prompt["text"]):
        checks = (english.RIGHT, english.WRONG)
    found = [
        PolicyResponse(
            row["run"],
            row["correct"],
            row["n_tokens"],
            row["finish_reason"] == "length",
            pieces(row["text"], instance, checks) if instance else [Piece(_short(row["text"]))],
        )
        for row in rows.to_dict("records")
    ]
    return sorted(found, key=lambda r: ([*ORDER, r.run].index(r.run), r.run))


def _instance(prompt: dict[str, Any] | None) -> Instance | None:
    """Read the instance of a prompt whose responses have steps; those of others are prose."""
    if prompt is None:
        return None
    if not prompt["text"].startswith("<bos>") and not english.is_prompt(prompt["text"]):
        return None
    answer = json.loads(prompt["answer"])
    return Instance(tuple(answer["numbers"]), answer["target"]) if "numbers" in answer else None


def _short(text: str) -> str:
    left = len(text) - LONGEST
    half = LONGEST // 2
    return (
        text
        if left <= 0
        else f"{text[:half]}\n[… {left:,} characters are left out …]\n{text[-half:]}"
    )
