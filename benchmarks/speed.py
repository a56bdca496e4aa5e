"""Compare our training steps and our sampling with TRL's and transformers' own, side by side.

    PYTHONPATH=workflow python benchmarks/speed.py --rounds 3 --updates 6

Same weights, prompts, objective, learning rate and number of updates in both arms; the arms take
turns in one process on one thread, and swap order every round. "stock" is `GRPOTrainer`,
`SFTTrainer`, `DistillationTrainer` and `generate` as their documentation shows them: responses by
`generate`, SFT rows in random order, a whole update in one pass, TRL's own tile widths.

Useful tokens are those of the responses, with the end token; padding and prompts do not count. The
time runs from the end of the warm-up step to the end of the last update, so rollouts, rewards,
scoring and the optimizer are in it.

The fraction of peak is the least work that the method needs (OPERATIONS times the parameters and
the real tokens, prompts included, attention left out) over the time and over the speed of the
fastest matrix product in the same run, so padding lowers it. At the end, `lengths` compares the
decode loop with `generate` on prompts of many lengths, for a random model of SmolLM2-135M's shape;
`missing_cell` puts imitating the mixture beside imitating its realizable part.
"""

import contextlib
import io
import json
import os
import platform
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from unittest.mock import patch

import datasets
import lengths
import missing_cell
import torch
import transformers
import trl
from arms import (
    STOCK_TILES,
    TRAINERS,
    Work,
    per_step,
    respond,
    tiles,
    train_ours,
    train_stock,
)
from pydantic import Field
from rich.console import Console
from rich.table import Table

from online_il.config.study import load
from online_il.errors import InputError
from online_il.layout import Layout, step
from online_il.models import load_model, load_tokenizer, newest_step
from online_il.program.cli import ProgramOptions, main
from online_il.records import Prompts, read_table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "mini"
# Per parameter and real token. Every trainer: 6. On-policy: 2 to sample. GRPO: 2 each to score the
# rollouts under the old and the reference policy. Distillation: 2 for the expert.
OPERATIONS = {"grpo": 12, "sft": 6, "distill": 10, "sampling": 2}
N_SAMPLED = 512
console = Console(width=100)


class Result(NamedTuple):
    """One arm in one round; `real` counts the prompts too, `tiles` are TRL's tile widths."""

    useful: int
    real: int
    seconds: float
    tiles: tuple[int, int]


@contextlib.contextmanager
def counted(trainer: Any) -> Iterator[list[tuple[int, int]]]:
    """(useful, real) tokens of each micro-batch that reaches the loss while the context lasts."""
    counts: list[tuple[int, int]] = []
    compute_loss = trainer.compute_loss

    def count(self: Any, model: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        if "labels" in inputs:
            useful, real = (inputs["labels"] != -100).sum(), inputs["attention_mask"].sum()
        else:
            useful = inputs["completion_mask"].sum()
            real = useful + inputs["prompt_mask"].sum()
        counts.append((int(useful), int(real)))
        return compute_loss(self, model, inputs, *rest, **options)

    with patch.object(trainer, "compute_loss", count):
        yield counts


def train(work: Work, method: str, arm: str, seed: int) -> Result:
    """One arm of one method from a fresh copy of the weights; its first step is warm-up."""
    trainer = {"ours": train_ours, "stock": train_stock}[arm]
    with (
        tempfile.TemporaryDirectory() as folder,
        counted(TRAINERS[method]) as counts,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        rows = trainer(work, method, seed, Path(folder)).rows
    warm_up = per_step(work, method)
    assert len(rows) == warm_up + work.updates and (tiles() == STOCK_TILES) == (arm == "stock")
    useful, real = zip(*counts[len(counts) * warm_up // len(rows) :], strict=True)
    seconds = rows[-1]["device_seconds"] - rows[warm_up - 1]["device_seconds"]
    return Result(sum(useful), sum(real), seconds, tiles())


def sample(work: Work, _: str, arm: str, seed: int) -> Result:
    """One arm of the sampling; loading the model is not in its time."""
    texts = [row["prompt"] for row in work.prompts]
    sampling = work.study.evaluation.policy
    responses, seconds = respond(work, work.policy, texts, arm, sampling, seed)
    useful = sum(map(len, responses))
    real = useful + sum(map(len, work.tokenizer(texts)["input_ids"]))
    return Result(useful, real, seconds, tiles())


def matmul_peak() -> float:
    """Operations a second of the fastest single-precision matrix product."""
    fastest = 0.0
    for size in (512, 1024, 2048) * 3:
        left, right = torch.rand(size, size), torch.rand(size, size)
        begin = time.perf_counter()
        left @ right
        fastest = max(fastest, 2 * size**3 / (time.perf_counter() - begin))
    return fastest


LAYOUT = Layout(RESULTS)


class Options(ProgramOptions):
    """The policies are those of `make mini` unless others are named."""

    rounds: int = Field(3, description="times that each arm runs")
    updates: int = Field(6, description="updates that are timed")
    policy: Path = Field(
        step(LAYOUT.checkpoints("countdown", "base", 11)), description="policy to start from"
    )
    expert: Path = Field(
        LAYOUT.checkpoints("countdown", "expert", 11), description="policy to imitate, or its run"
    )
    prompts: Path = Field(LAYOUT.prompts("countdown"), description="table of prompts")
    output: Path | None = Field(None, description="JSON file for the raw numbers")


def prepare(options: Options) -> Work:
    """Read policies and prompts; the demonstrations of SFT are the expert's responses."""
    for path in (options.policy, options.expert, options.prompts):
        # An untrained model's response lengths say nothing, so none stands in for a missing one.
        if not path.exists():
            raise InputError(f"{path}: not there; run `make mini` first, or name another")
    study, tokenizer = load(ROOT / "config" / "mini.yaml"), load_tokenizer(options.policy)
    per_step, size = study.methods.grpo.updates_per_step, study.methods.sft.batch_size
    if options.rounds < 1 or options.updates < 1 or options.updates % per_step:
        raise InputError(f"--rounds must be positive and --updates a multiple of {per_step}")
    table = read_table(options.prompts, Prompts)
    table = table[table["split"] == "train"].sample(frac=1, random_state=0)
    prompts = [
        {"prompt": text, "answer": answer}
        for text, answer in zip(table["text"], table["answer"], strict=True)
    ]
    is_policy = (options.expert / "config.json").exists()
    expert = options.expert if is_policy else newest_step(options.expert)
    work = Work(study, options.policy, expert, tokenizer, prompts[:N_SAMPLED], [], options.updates)
    texts = [row["prompt"] for row in prompts]
    responses, _ = respond(work, expert, texts, "ours", study.evaluation.policy, 0)
    ended = [
        (prompt, tokenizer.decode(ids, skip_special_tokens=True))
        for prompt, ids in zip(texts, responses, strict=True)
        if ids[-1] == tokenizer.eos_token_id
    ]
    # Whole batches, so that no update of either arm is smaller than another.
    count = min(len(ended) // size, 1 + options.updates) * size
    if not count:
        raise InputError(f"{expert}: fewer than {size} of its {len(texts)} responses end")
    return work._replace(demonstrations=ended[:count])


def same_greedy_tokens(work: Work) -> int:
    """For how many prompts both arms give the same tokens when nothing is drawn."""
    greedy = work.study.evaluation.policy.model_copy(update={"temperature": 0.0})
    texts = [row["prompt"] for row in work.prompts]
    ours, stock = (respond(work, work.policy, texts, a, greedy, 0)[0] for a in ("ours", "stock"))
    return sum(one == other for one, other in zip(ours, stock, strict=True))


def machine() -> dict[str, Any]:
    """What the numbers are measured on and with."""
    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", cpuinfo.read_text() if cpuinfo.exists() else "")
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "trl": trl.__version__,
    }


def spread(values: list[float], form: str) -> str:
    """`median [smallest - largest]`."""
    return f"{median(values):{form}} [{min(values):{form}} - {max(values):{form}}]"


def show(results: dict[str, dict[str, list[Result]]], parameters: int, peak: float) -> None:
    """The table: speeds, their ratio round by round, and the fraction of the machine's peak."""
    table = Table("", "arm", "useful tokens/s", "ours / stock", "of matmul peak", "tile widths")
    for name, arms in results.items():
        speeds = {arm: [r.useful / r.seconds for r in rounds] for arm, rounds in arms.items()}
        ratios = [one / other for one, other in zip(speeds["ours"], speeds["stock"], strict=True)]
        for arm, rounds in arms.items():
            worked = median(OPERATIONS[name] * parameters * r.real / r.seconds for r in rounds)
            table.add_row(
                name if arm == "ours" else "",
                arm,
                spread(speeds[arm], ",.0f"),
                spread(ratios, ".2f") if arm == "ours" else "",
                f"{worked / peak:.1%}",
                "" if name == "sampling" else "{} {}".format(*rounds[0].tiles),
            )
    console.print(table)


def run(options: Options) -> None:
    """Let the arms take turns; print the table; write the raw numbers where that is asked for."""
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    work, about, peak = prepare(options), machine(), 0.0
    parameters = load_model(work.policy).num_parameters()
    console.print(", ".join(f"{key} {value}" for key, value in about.items()))
    # This also warms both arms of the sampling up.
    same = same_greedy_tokens(work)
    console.print(f"greedy tokens identical for {same} of {len(work.prompts)} prompts")
    results: dict[str, dict[str, list[Result]]] = {n: {"ours": [], "stock": []} for n in OPERATIONS}
    for number in range(options.rounds):
        peak = max(peak, matmul_peak())
        for name in OPERATIONS:
            for arm in ("ours", "stock") if number % 2 == 0 else ("stock", "ours"):
                measure = sample if name == "sampling" else train
                result = measure(work, name, arm, number)
                results[name][arm].append(result)
                console.print(f"round {number + 1}, {name}, {arm}: {result}")
    console.print(f"{parameters:,} parameters; fastest matmul {peak / 1e9:.1f} GFLOP/s")
    show(results, parameters, peak)
    mixed = lengths.measure(options.rounds)
    for kind, ratios in mixed.items():
        console.print(f"SmolLM2-135M's shape, {kind}: ours / stock {spread(ratios, '.2f')}")
    cells = missing_cell.measure(missing_cell.Options(rounds=options.rounds))
    for arm, ratios in cells.items():
        baseline = missing_cell.BASELINES[arm]
        console.print(f"{arm} / {baseline}, time of a useful token: {spread(ratios, '.2f')}")
    if options.output:
        raw = {n: {a: [r._asdict() for r in rs] for a, rs in x.items()} for n, x in results.items()}
        head = {"machine": about, "parameters": parameters, "matmul_peak": peak}
        head |= {"updates": work.updates, "greedy_identical": same}
        head |= {"mixed_lengths": mixed, "missing_cell": cells}
        options.output.write_text(json.dumps({**head, "results": raw}, indent=1) + "\n")


if __name__ == "__main__":
    main(run, Options, __doc__)
