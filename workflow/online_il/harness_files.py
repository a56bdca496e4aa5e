"""Evaluations as lm-evaluation-harness writes them, for the tools that read its files.

A checkpoint's folder holds `results_<date>.json` and, with a document a line, for each benchmark
`samples_<benchmark>_<date>.jsonl`. What the harness does not know has names of its own: `correct`,
`n_tokens` and `finish_reason` of each of a document's responses, and the records (`online_il`).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as parquet

import online_il
from online_il.benchmarks import FORGETTING, LANGUAGE
from online_il.errors import InputError
from online_il.files import made_aside
from online_il.layout import Layout, Policy, existing_steps, responses_of
from online_il.records import EvaluationRecord, Prompts, read_record, read_table

FILTER = "none"
"""The name of a filter that changes nothing."""
METRICS = {
    "acc": "accuracy",
    "acc_strict": "accuracy_strict",
    "format": "format_rate",
    "truncated": "truncation_rate",
    "length": "mean_length",
    "nats_per_token": "nats_per_token",
    "perplexity": "perplexity",
    "bits_per_byte": "bits_per_byte",
}
"""What each of the record's measures is called there."""
ERRORS = {"acc": "accuracy_stderr", "nats_per_token": "nats_per_token_stderr"}
LESS_IS_BETTER = {"truncated", "length", "nats_per_token", "perplexity", "bits_per_byte"}


def write(results: Path, policies: Sequence[Policy], folder: Path) -> int:
    """Write all evaluations of some policies, and count them; the folder is complete or absent.

    Raises `InputError` for a damaged file, and where there is no evaluation.
    """
    layout, count = Layout(results), 0
    prompts: dict[str, dict[str, Any]] = {}
    with made_aside(folder) as aside:
        for policy in policies:
            if policy.task not in prompts:
                tables = [read_table(p, Prompts) for p in layout.existing_prompts(policy.task)]
                prompts[policy.task] = _documents(pd.concat(tables, ignore_index=True))
            for step in existing_steps(layout.evaluations(*policy)):
                name = f"{policy.task}__{policy.run}__seed{policy.seed}__{step.name}"
                records = sorted(step.glob("[!.]*.json"))
                _write_policy(aside / name, name, records, prompts[policy.task])
                count += len(records)
        if not count:
            raise InputError(f"{results}: no evaluation in it; run the study first")
    return count


def _documents(prompts: pd.DataFrame) -> dict[str, Any]:
    """By prompt: its number among those of its benchmark, and the document itself."""
    numbers = prompts.groupby("split").cumcount()
    rows = zip(prompts.to_dict("records"), numbers, strict=True)
    return {row["prompt_id"]: (int(number), row) for row, number in rows}


def _write_policy(
    folder: Path, name: str, records: Sequence[Path], documents: Mapping[str, Any]
) -> None:
    folder.mkdir()
    found = {path.stem: (path, read_record(path, EvaluationRecord)) for path in records}
    when = datetime.fromtimestamp(max(path.stat().st_mtime for path in records), UTC)
    date = when.strftime("%Y-%m-%dT%H-%M-%S.%f")
    for task, (path, record) in found.items():
        with (folder / f"samples_{task}_{date}.jsonl").open("w", encoding="utf-8") as stream:
            for row in _samples(path, record, documents):
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    text = json.dumps(
        _results(name, when, {task: one for task, (_, one) in found.items()}), indent=2
    )
    (folder / f"results_{date}.json").write_text(text + "\n", encoding="utf-8")


def _results(name: str, when: datetime, records: Mapping[str, EvaluationRecord]) -> dict[str, Any]:
    measured = {
        task: {metric for metric, key in METRICS.items() if getattr(one, key) is not None}
        for task, one in records.items()
    }
    first = next(iter(records.values()))
    return {
        "results": {
            task: {"alias": task, "sample_len": one.n_prompts}
            | {f"{metric},{FILTER}": getattr(one, METRICS[metric]) for metric in measured[task]}
            | {
                f"{metric}_stderr,{FILTER}": getattr(one, key)
                for metric, key in ERRORS.items()
                if metric in measured[task]
            }
            for task, one in records.items()
        },
        "group_subtasks": {task: [] for task in records},
        "configs": {task: _config(task, one) for task, one in records.items()},
        "versions": {task: one.data_revision for task, one in records.items()},
        "n-shot": dict.fromkeys(records, 0),
        "higher_is_better": {
            task: {metric: metric not in LESS_IS_BETTER for metric in sorted(measured[task])}
            for task in records
        },
        "n-samples": {
            task: {"original": one.n_prompts, "effective": one.n_prompts}
            for task, one in records.items()
        },
        "config": {
            "model": "online-il",
            "model_args": f"run={first.run},seed={first.seed},step={first.step}",
            "random_seed": first.seed,
        },
        "git_hash": None,
        "date": when.timestamp(),
        "transformers_version": first.versions.get("transformers"),
        "lm_eval_version": first.versions.get("lm-eval"),
        "task_hashes": {task: one.prompts_hash for task, one in records.items()},
        "model_source": "online-il",
        "model_name": name,
        "model_name_sanitized": name,
        "model_sha": first.weights_hash,
        "online_il": {
            "version": online_il.__version__,
            "evaluations": {task: one.model_dump() for task, one in records.items()},
        },
    }


def _config(task: str, record: EvaluationRecord) -> dict[str, Any]:
    kind = "generate_until"
    kind = "multiple_choice" if record.benchmark in FORGETTING else kind
    kind = "loglikelihood_rolling" if record.benchmark in LANGUAGE else kind
    return {
        "task": task,
        "dataset_path": record.task,
        "test_split": record.benchmark,
        "output_type": kind,
        "generation_kwargs": record.sampling_settings,
        "repeats": record.samples_per_prompt,
        "num_fewshot": 0,
        "metric_list": [{"metric": "acc" if record.accuracy is not None else "bits_per_byte"}],
    }


def _samples(
    record_path: Path, record: EvaluationRecord, documents: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield a line a prompt, with all of its responses."""
    table = parquet.read_table(responses_of(record_path)).to_pandas()
    for prompt, rows in table.groupby("prompt_id", sort=False):
        if str(prompt) not in documents:
            raise InputError(
                f"{record_path}: its prompt {prompt} is not among {record.task}'s prompts any "
                f"more; delete {record_path.parents[1]} and start again: Snakemake makes it anew"
            )
        number, document = documents[str(prompt)]
        text, target = document["text"], document["answer"]
        line = {
            "doc_id": number,
            "doc": document,
            "target": target,
            "arguments": {"gen_args_0": {"arg_0": text, "arg_1": record.sampling_settings}},
            "filter": FILTER,
            "doc_hash": _hash(json.dumps(document, indent=2, ensure_ascii=False)),
            "prompt_hash": _hash(text),
            "target_hash": _hash(target),
        }
        yield line | (_passage(rows) if "nats" in rows else _responses(rows))


def _responses(rows: pd.DataFrame) -> dict[str, Any]:
    rows = rows.sort_values("sample_index")
    return {
        "resps": [rows["text"].tolist()],
        "filtered_resps": rows["text"].tolist(),
        "metrics": ["acc"],
        "acc": float(rows["correct"].mean()),
        "correct": rows["correct"].tolist(),
        "n_tokens": rows["n_tokens"].tolist(),
        "finish_reason": rows["finish_reason"].tolist(),
    }


def _passage(rows: pd.DataFrame) -> dict[str, Any]:
    """Say how well a passage is read: the harness has its log-likelihood in the place of a text."""
    (row,) = rows.to_dict("records")
    return {
        "resps": [[-row["nats"]]],
        "filtered_resps": [-row["nats"]],
        "metrics": ["nats_per_token"],
        "nats_per_token": row["nats"] / row["n_tokens"],
        "n_tokens": [row["n_tokens"]],
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
