"""A study as files, without any training: evaluations, responses, runs, training tables."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from online_il.files import write_json, write_table
from online_il.records import Checkpoint, EvaluationRecord, RunRecord, Samples, Training

VERSIONS = {"online_il": "0"}
# run: method, expert, checkpoints (step, updates, samples), accuracy at the end
RUNS = {
    "base": ("pretrain", None, [(0, 0, 0)], 0.16),
    "expert": ("grpo", None, [(2, 4, 512), (6, 12, 1536)], 0.67),
    "sft-realizable": ("sft", "expert", [(8, 8, 512), (24, 24, 1536)], 0.66),
}
PROMPTS = 12


def fake_study(
    results: Path,
    *,
    tasks=("countdown",),
    seeds=(1, 2, 3),
    runs=RUNS,
    n_prompts=PROMPTS,
    samplings=("policy", "paper"),
    benchmarks=("id", "ood", "forgetting"),
    at_last=1,
    seeds_of=None,
) -> None:
    """Write evaluations, responses, runs and training tables as a study would.

    Each seed has a base of its own; `seeds_of` single runs are others; `at_last` are the responses
    at a run's last checkpoint.
    """
    rng = np.random.default_rng(1)
    for task in tasks:
        for run, (method, expert, checkpoints, last) in runs.items():
            for seed in (seeds_of or {}).get(run, seeds):
                _fake_run(results, rng, task, run, method, expert, seed, checkpoints)
                for step, updates, samples in checkpoints:
                    done = 1 - np.exp(-4 * updates / max(checkpoints[-1][1], 1))
                    ability = 0.16 + (last - 0.16) * done
                    for benchmark in benchmarks:
                        for sampling in samplings if benchmark != "forgetting" else ("policy",):
                            p = {"id": 0, "ood": -0.1, "forgetting": 0.5}[benchmark] + ability
                            _fake_evaluation(
                                results,
                                rng,
                                task,
                                run,
                                method,
                                expert,
                                seed,
                                step,
                                updates,
                                samples,
                                benchmark,
                                sampling,
                                min(p, 0.95),
                                n_prompts,
                                at_last if step == checkpoints[-1][0] else 1,
                            )


def _fake_run(results, rng, task, run, method, expert, seed, checkpoints) -> None:
    folder = results / "runs" / task / run / f"seed{seed}"
    record = RunRecord(
        task=task,
        run=run,
        method=method,
        expert=expert,
        seed=seed,
        settings={"steps": 1},
        checkpoints=[
            Checkpoint(
                step=s, updates=u, samples=n, tokens=40 * n, device_seconds=n / 50, weights_hash="w"
            )
            for s, u, n in checkpoints
        ],
        initial_weights_hash=None,
        expert_hash=None,
        prompts_hash="p",
        code_hash="c",
        versions=VERSIONS,
    )
    write_json(record, folder / "run.json")
    nan = float("nan")
    write_table(
        [
            {
                "update": u,
                "step": u,
                "samples": 64 * u,
                "tokens": 640 * u,
                "device_seconds": 1.5 * u,
                "loss": 1 / u,
                "learning_rate": 1e-4,
                "grad_norm": 1.0,
                "entropy": nan,
                "reward": nan,
                "kl": nan,
                "mean_length": nan,
                "truncation_rate": nan,
            }
            for u in (1, 2)
        ],
        Training,
        folder / "training.parquet",
        {},
    )


def _fake_evaluation(
    results,
    rng,
    task,
    run,
    method,
    expert,
    seed,
    step,
    updates,
    samples,
    benchmark,
    sampling,
    p,
    n_prompts,
    responses,
) -> None:
    folder = results / "eval" / task / run / f"seed{seed}" / f"step{step}"
    name = benchmark if sampling == "policy" else f"{benchmark}.{sampling}"
    responses = 1 if benchmark == "forgetting" else responses
    correct = rng.random(n_prompts * responses) < p + (0.02 * ((seed - 1) % 10 - 1))
    rows = pd.DataFrame(
        {
            "prompt_id": [f"{task}-{benchmark}-{i // responses}" for i in range(len(correct))],
            "sample_index": np.arange(len(correct)) % responses,
            "policy": f"{run}/step{step}",
            "seed": seed,
            "text": "1 + 2 =",
            "n_tokens": 40,
            "finish_reason": "stop",
            "reward": np.where(correct, 1.0, 0.1),
            "reward_tinyzero": np.nan,
            "correct_strict": np.nan,
            "correct": correct,
            "format_ok": True,
        }
    )
    record = EvaluationRecord(
        task=task,
        benchmark=benchmark,
        run=run,
        method=method,
        expert=expert,
        seed=seed,
        step=step,
        updates=updates,
        samples=samples,
        tokens=40 * samples,
        device_seconds=samples / 50 * (1 + 0.03 * seed),
        weights_hash="w",
        sampling=sampling,
        sampling_settings={"temperature": 1.0},
        n_prompts=n_prompts,
        samples_per_prompt=responses,
        accuracy=float(correct.mean()),
        accuracy_stderr=0.01,
        format_rate=None,
        truncation_rate=0.02,
        mean_length=40.0,
        check_rate=0.97 if benchmark == "id" else None,
        attempts=None,
        prompts_hash=f"h-{task}",
        data_revision="r",
        code_hash="c",
        versions=VERSIONS,
    )
    write_table(rows, Samples, folder / f"{name}.parquet", {})
    write_json(record, folder / f"{name}.json")


def edit(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
