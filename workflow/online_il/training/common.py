"""Shared by all trainers: arguments that are never left to a default, the training table,
checkpoints, progress.
"""

import math
import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
import trl.kernels.chunked_divergence
import trl.trainer.utils
from torch.distributed.fsdp import MixedPrecisionPolicy
from transformers import PreTrainedModel, PreTrainedTokenizerFast, TrainerCallback

from online_il import layout
from online_il.config.schedule import Schedule
from online_il.errors import InputError
from online_il.models import save_policy, weights_hash
from online_il.program.progress import report
from online_il.records import Checkpoint
from online_il.training.adapters import has_adapter, named_weights

T = TypeVar("T")


def processes() -> int:
    """Count the processes that train together: one a device, as `accelerate launch` says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def arguments(
    *,
    output: Path,
    updates: int,
    learning_rate: float,
    max_grad_norm: float,
    seed: int,
    hardware: str = "cpu",
    precision: str | None = None,
    schedule: Schedule = "constant",
) -> dict[str, Any]:
    """Set what TRL or transformers would choose for us, for every trainer.

    AdamW with PyTorch's betas and no weight decay, a learning rate that follows `schedule`, no
    checkpoint of the trainer's own, nothing reported to a service. On a CPU single precision, or
    where `precision` is mixed bfloat16 with single-precision weights; on GPUs always that, and
    activations that are computed again instead of kept.
    """
    gpu = hardware == "gpu"
    return {
        "output_dir": str(output),
        "max_steps": updates,
        "learning_rate": learning_rate,
        "lr_scheduler_type": schedule,
        "warmup_steps": 0,
        "optim": "adamw_torch",
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-8,
        "weight_decay": 0.0,
        "max_grad_norm": max_grad_norm,
        "seed": seed,
        "data_seed": seed,
        "bf16": gpu or precision == "mixed",
        "gradient_checkpointing": gpu,
        "gradient_checkpointing_kwargs": {"use_reentrant": False} if gpu else None,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
        "logging_steps": 1,
        "logging_strategy": "steps",
        "logging_nan_inf_filter": False,  # Else a loss that is no number is logged as an average.
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "push_to_hub": False,
        "use_cpu": not gpu,
        # Otherwise each device keeps whole gradients between micro-batches, in bfloat16.
        "accelerator_config": {"gradient_accumulation_kwargs": {"sync_each_batch": True}}
        if processes() > 1
        else None,
    }


def main_process() -> bool:
    """True in the one process that writes."""
    return int(os.environ.get("RANK", "0")) == 0


def accumulation(per_update: int, micro_batch_size: int) -> int:
    """Divide an update into micro-batches a device. Raises `InputError` for a remainder."""
    together = micro_batch_size * processes()
    if per_update % together:
        raise InputError(
            f"an update has {per_update} sequences, and {processes()} processes with micro-batches "
            f"of {micro_batch_size} take {together} at a time; choose numbers that divide"
        )
    return per_update // together


def fit_tiles(vocabulary_size: int) -> None:
    """Let TRL's chunked losses use tiles no wider than the vocabulary.

    TRL computes log-probabilities in tiles 32,768 columns wide and uses the first V of each row.
    With V = 120 each row then lies 128 KiB from the next, and the loss takes longer than the rest
    of the forward pass (docs/performance.md). The values are the same.
    """
    width = min(vocabulary_size, trl.kernels.chunked_divergence.VOCAB_CHUNK_SIZE)
    trl.kernels.chunked_divergence.VOCAB_CHUNK_SIZE = width
    trl.trainer.utils._CHUNKED_LOGPROB_CHUNK_SIZE = width


def spare_overhead(model: PreTrainedModel) -> None:
    """Fit the losses' tiles to the model, and let transformers not count its operations.

    The count walks over all modules at every micro-batch, 3 % of a small model's training, and
    nothing reads it.
    """
    fit_tiles(model.config.vocab_size)
    model.floating_point_ops = lambda *_, **__: 0


def shuffled_passes(rows: Sequence[T], count: int, seed: int) -> list[T]:
    """Draw `count` rows in the order in which they are used: one shuffled pass after another."""
    rng = random.Random(seed)
    order: list[T] = []
    while len(order) < count:
        order += rng.sample(rows, len(rows))
    return order[:count]


class Demonstration(NamedTuple):
    """One demonstration as token ids; `trained` says which of the response count, None for all."""

    prompt: list[int]
    response: list[int]
    trained: list[bool] | None = None

    def labels(self) -> list[int]:
        """Return what the trainer learns to predict at each position; -100 for nothing."""
        trained = self.trained or [True] * len(self.response)
        response = [t if yes else -100 for t, yes in zip(self.response, trained, strict=True)]
        return [-100] * len(self.prompt) + response


class Precision:
    """Mixin for TRL's trainers: with FSDP, what a model returns and what is summed keep their bits.

    accelerate would round the log-probabilities that TRL's models return, and the gradients that
    micro-batches and devices add up, to bfloat16.
    """

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()  # type: ignore[misc]
        state = self.accelerator.state  # type: ignore[attr-defined]
        if getattr(self.accelerator, "is_fsdp2", False) and self.args.bf16:  # type: ignore[attr-defined]
            state.fsdp_plugin.mixed_precision_policy = MixedPrecisionPolicy(
                param_dtype=torch.bfloat16, reduce_dtype=torch.float32, output_dtype=None
            )


class Recorder(TrainerCallback):
    """Keeps the training table, publishes checkpoints and tells how far training is.

    `tokens_of(update)` gives the response tokens of one update where the trainer does not log
    them. Time counts from the first update to the last, without the saving, on all devices.
    `trainer` is set once it is there; with several processes the first one alone writes.
    """

    def __init__(
        self,
        *,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        checkpoints: list[int],
        updates_per_step: int,
        samples_per_update: int,
        tokens_of: Callable[[int], int] | None,
        folder: Path,
        progress: Path,
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.steps = set(checkpoints)
        self.updates_per_step, self.samples_per_update = updates_per_step, samples_per_update
        self.tokens_of, self.folder, self.progress = tokens_of, folder, progress
        self.trainer: Any = None
        self.rows: list[dict[str, Any]] = []
        self.checkpoints: list[Checkpoint] = []
        self.tokens = 0.0
        self.seconds = 0.0
        self.resumed_at = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.resumed_at = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.seconds += (time.perf_counter() - self.resumed_at) * processes()
        self.resumed_at = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return
        update = state.global_step
        # The mean length of one update's own responses; rollouts that serve two updates are logged
        # once, so the second update repeats the first one's numbers.
        previous = self.rows[-1] if self.rows else {}
        length = _logged(logs, "completions/mean_length", previous.get("mean_length", math.nan))
        if self.tokens_of is not None:
            self.tokens += self.tokens_of(update)
        else:
            # Not rounded here: half of a step's tokens need not be a whole number.
            self.tokens += length * self.samples_per_update
        row = {
            "update": update,
            "step": math.ceil(update / self.updates_per_step),
            "samples": update * self.samples_per_update,
            "tokens": round(self.tokens),
            "device_seconds": self.seconds,
            "loss": float(logs["loss"]),
            "learning_rate": float(logs["learning_rate"]),
            "grad_norm": _logged(logs, "grad_norm"),
            "entropy": _logged(logs, "entropy"),
            "reward": _logged(logs, "reward", previous.get("reward", math.nan)),
            "kl": _logged(logs, "kl"),
            "mean_length": length,
            "truncation_rate": _logged(
                logs, "completions/clipped_ratio", previous.get("truncation_rate", math.nan)
            ),
            "reward_spread": _logged(logs, "reward_spread"),
            "clip_ratio": _logged(logs, "clip_ratio/region_mean"),
            "sampler_gap": _logged(logs, "sampler_gap", previous.get("sampler_gap", math.nan)),
        }
        if not math.isfinite(row["loss"]):
            raise FloatingPointError(
                f"the loss is {row['loss']} at update {update}; lower the learning rate"
            )
        self.rows.append(row)
        self._tell(state.max_steps)
        if update % self.updates_per_step == 0 and update // self.updates_per_step in self.steps:
            self._publish(update // self.updates_per_step)

    def save(self, folder: Path) -> None:
        """Write the policy as it is now; with several processes all of them must call this.

        Weights that were trained on GPUs, in single precision for arithmetic in bfloat16, are
        written in bfloat16: so they are sampled, and a checkpoint takes half of the disk.
        """
        state = None
        if processes() > 1:  # Every process takes part in gathering what is spread over them.
            state = self.trainer.accelerator.get_state_dict(self.trainer.model_wrapped)
        if main_process():
            args = self.trainer and self.trainer.args
            if args and args.bf16 and not args.use_cpu:
                weights = named_weights(self.model) if state is None else state.items()
                state = {name: tensor.to("cpu", torch.bfloat16) for name, tensor in weights}
            elif has_adapter(self.model):
                state = dict(named_weights(self.model))
            save_policy(self.model, self.tokenizer, folder, state)

    def _publish(self, step: int) -> None:
        row = self.rows[-1]
        folder = layout.step(self.folder, step)
        self.save(folder)
        if not main_process():
            self.resumed_at = time.perf_counter()
            return
        self.checkpoints.append(
            Checkpoint(
                step=step,
                updates=row["update"],
                samples=row["samples"],
                tokens=row["tokens"],
                device_seconds=row["device_seconds"],
                weights_hash=weights_hash(folder),
            )
        )
        self.resumed_at = time.perf_counter()

    def _tell(self, updates: int) -> None:
        if not main_process():
            return
        row = self.rows[-1]
        report(
            self.progress,
            done=row["update"],
            total=updates,
            unit="update",
            loss=row["loss"],
            reward=None if math.isnan(row["reward"]) else row["reward"],
            tokens_per_second=self.tokens / self.seconds if self.seconds else None,
            rows=self.rows,
        )


def _logged(logs: dict[str, Any], key: str, otherwise: float = math.nan) -> float:
    value = logs.get(key)
    return otherwise if value is None else float(value)
