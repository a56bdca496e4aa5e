"""A policy with its prompts and evaluations as a study lays them out, made by hand."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from online_il.files import write_json, write_table
from online_il.layout import Layout, evaluation, responses_of, step
from online_il.models import link_tree, weights_hash
from online_il.records import Checkpoint, EvaluationRecord, Prompts, RunRecord, Samples

TASK = "countdown"


def write_prompts(results: Path, texts: Sequence[str]) -> None:
    """The task's table: every text is one of the benchmark, and the last one also to train on."""
    rows = [
        {
            "prompt_id": f"{split}-{number}",
            "task": TASK,
            "split": split,
            "text": text,
            "answer": "{}",
            "source": "own/data",
            "revision": "seed 1",
        }
        for split, chosen in (("train", texts[-1:]), ("id", texts))
        for number, text in enumerate(chosen)
    ]
    write_table(rows, Prompts, Layout(results).prompts(TASK), {})


def lay(results: Path, folder: Path, run: str, **record: Any) -> RunRecord:
    """Lay the policy in a folder down as the one step of a run, seed 1, with its manifest."""
    layout = Layout(results)
    number = record.pop("step", 0)
    link_tree(folder, step(layout.checkpoints(TASK, run, 1), number))
    counts = {"updates": 10 * number, "samples": 640 * number, "tokens": 0, "device_seconds": 0.0}
    known: dict[str, Any] = {
        "method": "pretrain",
        "expert": None,
        "settings": {},
        "initial_weights_hash": None,
        "expert_hash": None,
    }
    written = RunRecord(
        task=TASK,
        run=run,
        seed=1,
        checkpoints=[Checkpoint(step=number, weights_hash=weights_hash(folder), **counts)],
        prompts_hash="9" * 64,
        code_hash="c0de",
        versions={"online_il": "0"},
        **(known | record),
    )
    write_json(written, layout.record(TASK, run, 1))
    return written


def evaluate(
    results: Path,
    run: RunRecord,
    texts: Sequence[str],
    *,
    correct: Sequence[bool],
    sampling: dict[str, Any],
) -> None:
    """Write the evaluation of a policy: a response to each prompt of the benchmark."""
    (point,) = run.checkpoints
    path = evaluation(Layout(results).evaluations(TASK, run.run, 1), point.step, "id", "policy")
    rows = [
        {
            "prompt_id": f"id-{number}",
            "sample_index": 0,
            "policy": f"{run.run}/step{point.step}",
            "seed": 1,
            "text": text,
            "n_tokens": 1,
            "finish_reason": "stop",
            "reward": float(right),
            "reward_tinyzero": float(right),
            "correct_strict": float("nan"),
            "correct": right,
            "format_ok": True,
        }
        for number, (text, right) in enumerate(zip(texts, correct, strict=True))
    ]
    write_table(rows, Samples, responses_of(path), {})
    values = dict.fromkeys(EvaluationRecord.model_fields) | run.model_dump(
        include={"task", "run", "method", "expert", "seed", "start", "prompts_hash", "versions"}
    )
    values |= point.model_dump() | {
        "benchmark": "id",
        "sampling": "policy",
        "sampling_settings": sampling,
        "n_prompts": len(rows),
        "samples_per_prompt": 1,
        "accuracy": sum(correct) / len(rows),
        "data_revision": "seed 1",
        "code_hash": "c0de",
    }
    path.write_text(json.dumps(EvaluationRecord.model_validate(values).model_dump()))
