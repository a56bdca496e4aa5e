"""How much memory and time a student takes that is distilled from a larger teacher beside it.

    PYTHONPATH=workflow python benchmarks/larger_teacher.py --run distill-larger --out made.json

A few updates of a run of config/paper-larger.yaml on one GPU of 80 GB, by the project's own
`distill`: both models at their real shapes with random weights, the teacher in bfloat16 and cut to
the student's vocabulary, the student in single precision, gradient checkpointing, AdamW. Prompts
are made up, and responses are as long as they may be, for random weights hardly ever end one.
Written are the most memory that was held, as the device and as PyTorch's allocator count it, beside
the preflight's estimate, and seconds an update beside the plan's. `transformers` writes the
student's responses, so that their time says nothing of vLLM's. `--small` tries it on a CPU.
"""

import argparse
import json
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import transformers
import trl
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from online_il.config.plan import ModelShape
from online_il.config.run import Run
from online_il.config.study import Study, load
from online_il.cost.jobs import cost_of
from online_il.cost.memory import GIB
from online_il.cost.shape import parameters
from online_il.models import byte_tokenizer, cut_vocabulary
from online_il.preflight.memory import training_memory
from online_il.program.dag import Job
from online_il.training import common, distill
from online_il.training.resume import Saving

CONFIG = Path(__file__).resolve().parents[1] / "config" / "paper-larger.yaml"
TASK = "countdown"
TINY = {"hidden": 32, "intermediate": 64, "layers": 2, "heads": 2, "kv_heads": 1, "head_dim": 16}
SMALL = {
    "Qwen/Qwen2.5-3B-Instruct": TINY | {"vocabulary": 300},
    "Qwen/Qwen2.5-7B-Instruct": TINY | {"hidden": 64, "heads": 4, "vocabulary": 320},
}


def study_of(options: argparse.Namespace) -> Study:
    """The study with this benchmark's sizes, every response as long as it may be, on one GPU."""
    long = options.new_tokens
    sizes = {name: getattr(options, name) for name in ("batch_size", "micro_batch_size")}
    sizes["max_new_tokens"] = long
    changes: dict[str, Any] = {
        "generation": {"engine": "transformers"},
        "set": [
            f"tasks.{TASK}.resources.distill.gpu=1",
            f"tasks.{TASK}.methods={json.dumps({'distill': sizes})}",
            f"tasks.{TASK}.evaluation={json.dumps({'policy': {'max_new_tokens': long}})}",
            f"plan.tokens.{TASK}.prompt_tokens={options.prompt_tokens}",
            f"plan.tokens.{TASK}.response_tokens={long}",
        ],
    }
    if options.small:
        changes["plan"] = {"models": SMALL}
    return load(CONFIG, changes)


def random_model(shape: ModelShape, tokenizer: Any, dtype: torch.dtype, device: str) -> Any:
    """A model of a shape, its random weights made where it will be."""
    special = {name: getattr(tokenizer, name) for name in ("pad_token_id", "eos_token_id")}
    config = AutoConfig.for_model(
        shape.family,
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        max_position_embeddings=shape.positions,
        tie_word_embeddings=shape.output == "tied",
        **special,
    )
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    assert model.num_parameters() == parameters(shape), "the plan counts another model"
    model.generation_config = GenerationConfig(**special)
    return model


def rows_of(options: argparse.Namespace, settings: Any, tokenizer: Any) -> list[dict[str, Any]]:
    """Made-up prompts, a token a letter, with responses of as many tokens as there may be."""
    rng = random.Random(0)
    letters = [tokenizer.convert_tokens_to_ids(letter) for letter in "abcdefgh"]
    rows = []
    for _ in range(options.updates * settings.batch_size // settings.responses_per_prompt):
        row: dict[str, Any] = {"prompt": "".join(rng.choices("abcdefgh", k=options.prompt_tokens))}
        if settings.prefixes == "expert":
            row["response"] = rng.choices(letters, k=settings.max_new_tokens)
        rows.append(row)
    return rows


@contextmanager
def held_memory(device: str) -> Iterator[list[int]]:
    """The device's memory in use, all processes' together, read every 10 ms, bytes."""
    held, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            free, total = torch.cuda.mem_get_info()
            held.append(total - free)

    watcher = threading.Thread(target=watch)
    if device == "cuda":
        watcher.start()
    try:
        yield held
    finally:
        done.set()
        if watcher.ident:
            watcher.join()


@contextmanager
def timed_generation(device: str) -> Iterator[list[float]]:
    """The seconds in which the student wrote its responses, a number an update."""
    seconds: list[float] = []
    generate = trl.DistillationTrainer._generate_single_turn

    def timed(*args: Any, **options: Any) -> Any:
        start = time.perf_counter()
        found = generate(*args, **options)
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
        return found

    trl.DistillationTrainer._generate_single_turn = timed
    try:
        yield seconds
    finally:
        trl.DistillationTrainer._generate_single_turn = generate


def measured(options: argparse.Namespace, study: Study, run: Run, settings: Any) -> dict[str, Any]:
    """Train for a few updates; what was held and how long it took."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    (task,) = [task for task in study.tasks if task.name == TASK]
    policy, tokenizer = task.models_behind(run.expert or "")[0], byte_tokenizer()
    assert study.plan is not None
    ours, theirs = (study.plan.models[model.repo] for model in (task.base, policy))
    start = time.perf_counter()
    torch.manual_seed(0)
    teacher = random_model(theirs, tokenizer, torch.bfloat16, device)
    cut_vocabulary(teacher, ours.vocabulary)
    student = random_model(ours, tokenizer, torch.float32, device)
    found: dict[str, Any] = {"seconds_to_make_models": time.perf_counter() - start}
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        found["models_gib"] = torch.cuda.memory_allocated() / GIB
    with (
        tempfile.TemporaryDirectory() as folder,
        held_memory(device) as held,
        timed_generation(device) as writing,
    ):
        place, ran_out, rows = Path(folder), None, []
        try:
            recorder = distill.train(
                student,
                teacher,
                tokenizer,
                rows_of(options, settings, tokenizer),
                settings,
                generation=study.generation,
                arguments=common.arguments(
                    output=place / "state",
                    updates=options.updates,
                    learning_rate=run.learning_rate,
                    max_grad_norm=settings.max_grad_norm,
                    seed=1,
                    hardware="gpu" if device == "cuda" else "cpu",
                ),
                checkpoints=[],
                saving=Saving(place / "saved", "a benchmark", 1e9),
                progress=place / "progress.json",
            )
            rows = recorder.rows
        except torch.OutOfMemoryError as error:
            ran_out = str(error)
    ends = [0.0, *(row["device_seconds"] for row in rows)]
    found |= {
        "out_of_memory": ran_out,
        "losses": [row["loss"] for row in rows],
        "tokens_an_update": rows[0]["tokens"] if rows else None,
        "seconds_an_update": [after - before for before, after in pairwise(ends)],
        "seconds_of_writing": writing,
    }
    if device == "cuda":
        found |= {
            "device": torch.cuda.get_device_name(),
            "device_gib": torch.cuda.mem_get_info()[1] / GIB,
            "peak_gib": max(held) / GIB,
            "peak_reserved_gib": torch.cuda.max_memory_reserved() / GIB,
            "peak_allocated_gib": torch.cuda.max_memory_allocated() / GIB,
        }
    return found


def estimated(study: Study, run: Run) -> dict[str, Any]:
    """What preflight and plan say of the run."""
    (task,) = [task for task in study.tasks if task.name == TASK]
    plan = study.plan
    assert plan is not None
    alone = task.model_copy(update={"runs": [run]})
    memory = training_memory(study, plan, alone)["distill"]
    cost = cost_of(Job("distill", TASK, run.name, task.seeds[0]), study, plan)
    rate = plan.training_mfu * plan.peak_tflops * 1e12
    return {
        "peak_gib": memory.peak / GIB,
        "parts_gib": {name: value / GIB for name, value in memory._asdict().items()},
        "seconds_an_update": cost.gpu_hours * 3600 / run.steps,
        "seconds_an_update_without_writing": cost.work.compute / rate / run.steps,
        "operations_an_update": cost.work.compute / run.steps,
    }


def main() -> None:
    found = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--run", default="soft-reverse-larger", help=f"a run of {TASK}'s")
    found.add_argument("--updates", type=int, default=4, help="how many, the first not counted")
    found.add_argument("--batch-size", type=int, default=32, help="responses an update")
    found.add_argument("--micro-batch-size", type=int, default=8, help="responses a forward pass")
    found.add_argument("--prompt-tokens", type=int, default=150, help="length of a prompt")
    found.add_argument("--new-tokens", type=int, default=1024, help="length of a response")
    found.add_argument("--small", action="store_true", help="tiny models")
    found.add_argument("--out", type=Path, help="file to write, JSON")
    options = found.parse_args()
    study = study_of(options)
    (task,) = [task for task in study.tasks if task.name == TASK]
    (run,) = [run for run in task.runs if run.name == options.run]
    settings = task.settings_of(run)
    made = {
        "run": run.name,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "settings": settings.model_dump(exclude={"checkpoints"}),
        "estimated": estimated(study, run),
        "measured": measured(options, study, run, settings),
    }
    later = made["measured"]["seconds_an_update"][1:]
    if later:
        made["measured"]["seconds_a_later_update"] = statistics.median(later)
        seconds = statistics.median(later) - statistics.median(
            made["measured"]["seconds_of_writing"][1:] or [0.0]
        )
        made["measured"]["tflops_without_writing"] = (
            made["estimated"]["operations_an_update"] / seconds / 1e12
        )
    text = json.dumps(made, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
