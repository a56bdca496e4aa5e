"""What it costs to imitate the mixture instead of its realizable part: a useful token's time.

    PYTHONPATH=workflow python benchmarks/missing_cell.py --rounds 3 --updates 6

Each arm is timed beside a baseline that differs in the expert alone and is named in the table: SFT
on the mixture's demonstrations, and on the learnable ones, beside SFT on the expert's; on-policy
distillation from the mixture beside that from the expert. The arms take turns in one process on one
thread and swap order every round; the first update is warm-up. `speed.py` shows this, too.
"""

import contextlib
import io
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import torch
import transformers
from arms import LOOP, Work, arguments
from pydantic import Field

from online_il.config.study import load
from online_il.experts.opening import opened_mixture
from online_il.experts.teacher import Teacher
from online_il.layout import Layout, step
from online_il.models import load_model, load_tokenizer, newest_step
from online_il.program.cli import ProgramOptions, main
from online_il.records import Prompts, read_table
from online_il.training import distill, supervised
from online_il.training.demonstrations import demonstrations
from online_il.training.resume import Saving

ROOT = Path(__file__).resolve().parents[1]
LAYOUT = Layout(ROOT / "results" / "mini")
BASELINES = {"sft-mixture": "sft", "learnable-mixture": "sft", "distill-mixture": "distill"}
"""What each arm is put beside: the same from the realizable expert."""


class Options(ProgramOptions):
    """The policies are those of `make mini`."""

    rounds: int = Field(3, gt=0, description="times that each arm runs")
    updates: int = Field(6, gt=0, description="updates that are timed")
    seed: int = Field(11, description="block of the study whose policies are taken")


def work_of(options: Options) -> Work:
    """Read what all arms are given; demonstrations are each arm's own."""
    study = load(ROOT / "config" / "mini.yaml")
    base = step(LAYOUT.checkpoints("countdown", "base", options.seed))
    table = read_table(LAYOUT.prompts("countdown"), Prompts)
    rows = table[table["split"] == "train"]
    prompts = [
        {"prompt": text, "answer": answer}
        for text, answer in zip(rows["text"], rows["answer"], strict=True)
    ]
    expert = newest_step(LAYOUT.checkpoints("countdown", "expert", options.seed))
    return Work(study, base, expert, load_tokenizer(base), prompts, [], options.updates)


def seconds_a_token(work: Work, arm: str, seed: int) -> float:
    """Train one arm from a fresh copy of the base; seconds a useful token after the warm-up."""
    method = "distill" if arm.startswith("distill") else "sft"
    settings = getattr(work.study.methods, method)
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
        folder = Path(name)
        common: dict[str, Any] = {"arguments": arguments(work, method, seed, folder)}
        common |= {"checkpoints": [], "progress": folder / "progress.json"}
        common |= {"saving": Saving(folder, "benchmark", 60)}
        student = load_model(work.policy)
        if method == "distill":
            expert = _mixture(seed) if arm == "distill-mixture" else load_model(work.expert)
            given = (student, expert, work.tokenizer, work.prompts, settings)
            rows = distill.train(*given, generation=LOOP, **common).rows
        else:
            found = _demonstrations(work, arm, seed)
            updates = supervised.plan(len(found), 1 + work.updates, settings.batch_size, seed)
            micro = settings.micro_batch_size
            given_rows = (student, work.tokenizer, found, updates)
            rows = supervised.train(*given_rows, micro_batch_size=micro, **common).rows
    first, last = rows[0], rows[-1]
    return float(
        (last["device_seconds"] - first["device_seconds"]) / (last["tokens"] - first["tokens"])
    )


def _mixture(seed: int) -> Teacher:
    folder = newest_step(LAYOUT.checkpoints("countdown", "mixture", seed))
    return Teacher(opened_mixture(folder, LOOP))


def _demonstrations(work: Work, arm: str, seed: int) -> list[supervised.Demonstration]:
    samples = LAYOUT.samples("countdown", "expert" if arm == "sft" else "mixture", seed)
    table = read_table(LAYOUT.prompts("countdown"), Prompts)
    prompts: pd.Series[str] = table.set_index("prompt_id")["text"]
    chosen = "learnable" if arm == "learnable-mixture" else "none"
    return list(demonstrations(work.policy, work.tokenizer, prompts, samples, chosen))


def measure(options: Options) -> dict[str, list[float]]:
    """Time the arms in turns; each round's seconds a useful token over the baseline's."""
    work, ratios = work_of(options), {arm: list[float]() for arm in BASELINES}
    for number in range(options.rounds):
        for arm, baseline in BASELINES.items():
            pair = (arm, baseline) if number % 2 == 0 else (baseline, arm)
            taken = {name: seconds_a_token(work, name, options.seed) for name in pair}
            ratios[arm].append(taken[arm] / taken[baseline])
    return ratios


def run(options: Options) -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    for arm, ratios in measure(options).items():
        low, high = min(ratios), max(ratios)
        print(
            f"{arm} / {BASELINES[arm]}: {median(ratios):.2f} [{low:.2f} - {high:.2f}] of the time"
        )


if __name__ == "__main__":
    main(run, Options, __doc__)
