"""The two arms of the speed comparison: how our code trains and samples, and how stock TRL does."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import transformers
import trl
from trl.kernels import chunked_divergence
from trl.trainer import utils as trl_utils

from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.config.study import Study
from online_il.generation import decode
from online_il.grading import reward
from online_il.models import load_model
from online_il.training import distill, grpo, supervised
from online_il.training.common import Recorder
from online_il.training.common import arguments as trainer_arguments
from online_il.training.resume import Saving

TRAINERS = {"grpo": trl.GRPOTrainer, "sft": trl.SFTTrainer, "distill": trl.DistillationTrainer}
BATCH_SIZE = 256
LOOP = Generation(engine="loop", batch_size=BATCH_SIZE)


class Work(NamedTuple):
    """What both arms are given; a demonstration is a prompt and a response, both texts."""

    study: Study
    policy: Path
    expert: Path
    tokenizer: Any
    prompts: list[dict[str, Any]]
    demonstrations: list[tuple[str, str]]
    updates: int


def tiles() -> tuple[int, int]:
    """The widths of TRL's tiles at this moment."""
    return chunked_divergence.VOCAB_CHUNK_SIZE, trl_utils._CHUNKED_LOGPROB_CHUNK_SIZE


STOCK_TILES = tiles()


def per_step(work: Work, method: str) -> int:
    """Updates that share one batch of responses; the first so many are warm-up."""
    return work.study.methods.grpo.updates_per_step if method == "grpo" else 1


def arguments(work: Work, method: str, seed: int, folder: Path) -> dict[str, Any]:
    """The trainers' common arguments, the same in both arms."""
    run = next(r for task in work.study.tasks for r in task.runs if r.method == method)
    return trainer_arguments(
        output=folder,
        updates=per_step(work, method) + work.updates,
        learning_rate=run.learning_rate,
        max_grad_norm=getattr(work.study.methods, method).max_grad_norm,
        seed=seed,
    )


def train_ours(work: Work, method: str, seed: int, folder: Path) -> Recorder:
    """Train as the workflow's scripts do."""
    settings = getattr(work.study.methods, method)
    policy = (load_model(work.policy), work.tokenizer)
    common: dict[str, Any] = {"arguments": arguments(work, method, seed, folder), "checkpoints": []}
    common |= {"saving": Saving(folder, "benchmark", 60), "progress": folder / "progress.json"}
    if method == "grpo":
        return grpo.train(*policy, work.prompts, reward, settings, generation=LOOP, **common)
    if method == "distill":
        student, expert = policy[0], load_model(work.expert)
        given = (student, expert, work.tokenizer, work.prompts, settings)
        return distill.train(*given, generation=LOOP, **common)
    encode, eos = work.tokenizer.encode, work.tokenizer.eos_token_id
    rows = [
        supervised.Demonstration(encode(p), [*encode(text), eos]) for p, text in work.demonstrations
    ]
    updates = supervised.plan(len(rows), 1 + work.updates, settings.batch_size, seed)
    micro = settings.micro_batch_size
    return supervised.train(*policy, rows, updates, micro_batch_size=micro, **common)


def train_stock(work: Work, method: str, seed: int, folder: Path) -> Recorder:
    """Train with TRL's trainer; the recorder is there for its clock alone."""
    # Our trainers narrow the tiles for the whole process.
    chunked_divergence.VOCAB_CHUNK_SIZE, trl_utils._CHUNKED_LOGPROB_CHUNK_SIZE = STOCK_TILES
    settings, common = getattr(work.study.methods, method), arguments(work, method, seed, folder)
    model, rows = load_model(work.policy), work.prompts
    recorder = Recorder(
        model=model,
        tokenizer=work.tokenizer,
        checkpoints=[],
        updates_per_step=per_step(work, method),
        samples_per_update=0,
        tokens_of=lambda _: 0,
        folder=folder,
        progress=folder / "progress.json",
    )
    options: dict[str, Any] = {"callbacks": [recorder], "processing_class": work.tokenizer}
    if method == "grpo":
        whole = settings.prompts_per_step * settings.rollouts_per_prompt // per_step(work, method)
        one = settings.model_copy(update={"micro_batch_size": whole})
        args = grpo.config(one, common, LOOP)
        options["reward_funcs"] = reward
    elif method == "distill":
        whole = settings.batch_size
        args = distill.config(settings.model_copy(update={"micro_batch_size": whole}), common, LOOP)
        options["teacher_model"] = load_model(work.expert)
    else:
        args = trl.SFTConfig(**common, per_device_train_batch_size=settings.batch_size)
        # Words are tokens: the space keeps the prompt's last and the response's first apart.
        rows = [{"prompt": p, "completion": f" {text}"} for p, text in work.demonstrations]
    dataset = datasets.Dataset.from_list(rows)
    TRAINERS[method](model=model, args=args, train_dataset=dataset, **options).train()
    return recorder


def respond(
    work: Work, policy: Path, texts: list[str], arm: str, sampling: Sampling, seed: int
) -> tuple[list[list[int]], float]:
    """Responses as token ids from our decode loop or from `generate`, and the seconds they took."""
    eos, responses, model = work.tokenizer.eos_token_id, [], load_model(policy).eval()
    drawn = sampling.model_dump(exclude={"max_new_tokens"}) if sampling.temperature else {}
    transformers.set_seed(seed)
    begin = time.perf_counter()
    if arm == "ours":
        responses = decode.generate(
            decode.decoder(model.state_dict(), model.config.to_dict()),
            work.tokenizer(texts)["input_ids"],
            [(row, 0) for row in range(len(texts))],
            sampling=sampling,
            seed=seed,
            eos_token_id=eos,
            batch_size=BATCH_SIZE,
        )
        return responses, time.perf_counter() - begin
    for start in range(0, len(texts), BATCH_SIZE):
        batch = work.tokenizer(texts[start : start + BATCH_SIZE], padding=True, return_tensors="pt")
        batch = {key: batch[key] for key in ("input_ids", "attention_mask")}
        length = sampling.max_new_tokens
        ids = model.generate(**batch, max_new_tokens=length, do_sample=bool(drawn), **drawn)
        for row in ids[:, batch["input_ids"].shape[1] :].tolist():
            responses.append(row[: row.index(eos) + 1] if eos in row else row)
    return responses, time.perf_counter() - begin
