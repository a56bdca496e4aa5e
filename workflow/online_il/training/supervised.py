"""Supervised training with TRL's `SFTTrainer`: the base model's pretraining and every SFT run.

The order of the rows is planned here and the trainer reads them in sequence: each update's rows
are drawn without regard to their length and then sorted by it, so that micro-batches hold little
padding. The loss is the mean over all response tokens of an update (Equation 3), whatever the
micro-batches are.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

from online_il.config.lora import Lora
from online_il.training import resume
from online_il.training.adapters import peft_config
from online_il.training.common import (
    Demonstration,
    Precision,
    Recorder,
    accumulation,
    processes,
    shuffled_passes,
    spare_overhead,
)
from online_il.training.resume import Saving
from online_il.training.token_file import Tokens, in_memory


class Trainer(Precision, SFTTrainer):
    """TRL's trainer with sums in single precision."""


def plan(n_rows: int, updates: int, batch_size: int, seed: int) -> list[list[int]]:
    """Plan which rows each update takes: shuffled passes over all rows, one after another."""
    order = shuffled_passes(range(n_rows), updates * batch_size, seed)
    return [order[u * batch_size : (u + 1) * batch_size] for u in range(updates)]


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    rows: Tokens | Sequence[Demonstration],
    updates: list[list[int]],
    *,
    arguments: dict[str, Any],
    micro_batch_size: int,
    checkpoints: list[int],
    saving: Saving,
    progress: Path,
    lora: Lora | None = None,
) -> Recorder:
    """Train on `rows`, update u on the rows `updates[u]`; returns what was recorded.

    All weights, or an adapter in their place.
    """
    spare_overhead(model)
    batch_size = len(updates[0])
    found = rows if isinstance(rows, Tokens) else in_memory(rows)
    lengths = found.lengths
    planned = [index for update in updates for index in sorted(update, key=lengths.__getitem__)]
    # A row that is used often stands here once.
    dataset = found.rows.select_columns(["input_ids", "labels"]).select(planned)
    counts = found.trained
    tokens = [sum(counts[index] for index in update) for update in updates]
    recorder = Recorder(
        model=model,
        tokenizer=tokenizer,
        checkpoints=checkpoints,
        updates_per_step=1,
        samples_per_update=batch_size,
        tokens_of=lambda update: tokens[update - 1],
        folder=saving.published,
        progress=progress,
    )
    config = SFTConfig(
        **arguments,
        per_device_train_batch_size=micro_batch_size,
        gradient_accumulation_steps=accumulation(batch_size, micro_batch_size),
        loss_type="nll",
        completion_only_loss=None,  # The labels say it row by row.
        packing=False,
        padding_free=False,
        max_length=None,
        train_sampling_strategy="sequential",
        shuffle_dataset=False,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    trainer = Trainer(
        model=model,
        args=config,
        train_dataset=dataset,
        processing_class=tokenizer,
        callbacks=[recorder],
        peft_config=peft_config(lora, model, processes()),
    )
    resume.train(trainer, recorder, saving, 1)
    return recorder
