"""Distillation with TRL's `DistillationTrainer` (paper, Equation 5), in all its ways.

By default the student samples its own responses; the loss is the reverse KL between its next-token
distribution and the expert's over the full vocabulary, averaged over all response tokens of an
update. As in common practice the gradient does not flow through the sampling, so the part of
Equation 5's gradient that stems from which states the student visits is left out; `level: response`
adds it. `divergence: forward` turns the KL round, and with `prefixes: expert` the responses are the
expert's demonstrations: SFT with soft labels.
"""

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerFast, set_seed
from trl import DistillationConfig, DistillationTrainer

from online_il.config.distill import Distill
from online_il.config.generation import Generation
from online_il.errors import InputError
from online_il.training import resume
from online_il.training.adapters import hand_over_merged, peft_config
from online_il.training.common import Precision, Recorder, accumulation, processes, spare_overhead
from online_il.training.imitation import (
    ExpertPrefixes,
    GivenProbabilities,
    WholeResponses,
    check_head,
)
from online_il.training.resume import Saving
from online_il.training.rollouts import (
    LengthGrouping,
    LoopGeneration,
    PromptTokens,
    colocated,
    end_at_all_ends,
)
from online_il.training.sharding import spread


class Trainer(Precision, PromptTokens, LengthGrouping, GivenProbabilities, DistillationTrainer):
    """TRL's trainer with micro-batches grouped by length, in the precision that it is asked for."""

    def autocast_smart_context_manager(self, cache_enabled: bool | None = True) -> Any:
        """Let the loss be computed under autocast on one device.

        accelerate puts autocast into the model's `forward`, and this loss goes past that. Several
        devices have FSDP, which casts by itself.
        """
        return self.accelerator.autocast() if processes() == 1 else nullcontext()


class LoopTrainer(LoopGeneration, Trainer):
    """The same with student responses from our decode loop."""


class ExpertTrainer(ExpertPrefixes, Trainer):
    """The same on the expert's responses."""


class WholeTrainer(WholeResponses, Trainer):
    """The same with the price of what comes later."""


class WholeLoopTrainer(WholeResponses, LoopTrainer):
    """The same with student responses from our decode loop."""


def trainer_class(settings: Distill, generation: Generation) -> type[Trainer]:
    """Which trainer does what the settings ask for."""
    loop = generation.engine == "loop"
    if settings.prefixes == "expert":
        return ExpertTrainer
    if settings.level == "response" or settings.divergence == "constant":
        return WholeLoopTrainer if loop else WholeTrainer
    return LoopTrainer if loop else Trainer


def config(
    settings: Distill, arguments: dict[str, Any], generation: Generation
) -> DistillationConfig:
    """Configure TRL for a run; every setting that matters is written out."""
    return DistillationConfig(
        **arguments,
        per_device_train_batch_size=settings.micro_batch_size,
        gradient_accumulation_steps=accumulation(settings.batch_size, settings.micro_batch_size),
        max_completion_length=settings.max_new_tokens,
        temperature=settings.temperature,
        top_p=1.0,
        top_k=0,
        min_p=None,
        repetition_penalty=1.0,
        beta=0.0 if settings.divergence == "forward" else 1.0,  # 1 is the reverse KL.
        shuffle_dataset=False,
        remove_unused_columns=False,
        # Nothing is sampled on the expert's prefixes.
        **(
            {}
            if settings.prefixes == "expert"
            else colocated(generation, settings.max_prompt_tokens, settings.max_new_tokens)
        ),
        disable_dropout=True,
        log_completions=False,
    )


def check_demonstrations(rows: list[dict[str, Any]]) -> None:
    """Raises `InputError` where a demonstration has no token to learn."""
    empty = [number for number, row in enumerate(rows) if not row["response"]]
    if empty:
        raise InputError(
            f"demonstration {empty[0]} of the planned order (and {len(empty) - 1} more) has no "
            "token; leave it out of the expert's samples"
        )


def larger(teacher: torch.nn.Module, student: PreTrainedModel) -> bool:
    """Say whether an expert has more parameters than the student; a mixture never counts so.

    The plan's estimate of memory asks the same (`online_il.cost.memory`).
    """
    if not isinstance(teacher, PreTrainedModel):
        return False
    return teacher.num_parameters() > student.num_parameters()


def train(
    model: PreTrainedModel,
    teacher: torch.nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    rows: list[dict[str, Any]],
    settings: Distill,
    *,
    generation: Generation,
    arguments: dict[str, Any],
    checkpoints: list[int],
    saving: Saving,
    progress: Path,
) -> Recorder:
    """Train the student on `rows` (`prompt` and, for expert prefixes, `response`), in their order.

    `response` is a demonstration's token ids, its end among them. Each row is repeated as often as
    a prompt is answered. Raises `InputError` where rows or models do not fit the settings.
    """
    chosen = trainer_class(settings, generation)
    if settings.prefixes == "expert":
        check_demonstrations(rows)
    if issubclass(chosen, WholeResponses):
        check_head(model)
        check_head(teacher)
    if settings.batch_size % (settings.responses_per_prompt * processes()):
        raise InputError(
            f"{processes()} processes do not divide the {settings.batch_size} responses of an "
            f"update into whole groups of responses_per_prompt: {settings.responses_per_prompt}; "
            "choose numbers that divide"
        )
    rows = [row for row in rows for _ in range(settings.responses_per_prompt)]
    spare_overhead(model)
    recorder = Recorder(
        model=model,
        tokenizer=tokenizer,
        checkpoints=checkpoints,
        updates_per_step=1,
        samples_per_update=settings.batch_size,
        tokens_of=None,
        folder=saving.published,
        progress=progress,
    )
    made = config(settings, arguments, generation)
    if made.use_vllm:
        end_at_all_ends(made, model)
    if larger(teacher, model) and processes() > 1:
        spread(teacher, made.device)
        logging.info("the expert is cut over %d devices", processes())
    else:
        # With FSDP accelerate leaves a model that is not trained where it is.
        teacher.to(made.device)
    trainer = chosen(
        model=model,
        teacher_model=teacher,
        args=made,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[recorder],
        peft_config=peft_config(settings.lora, model, processes()),
    )
    trainer.at_once = generation.batch_size
    trainer.divergence = settings.divergence
    trainer.responses_per_prompt = settings.responses_per_prompt
    if made.use_vllm and settings.lora:
        hand_over_merged(trainer)
    if made.use_vllm:
        # vLLM has just seeded torch with the number of its process, whatever the run's seed is.
        set_seed(trainer.args.seed, device_specific=True)
    resume.train(trainer, recorder, saving, 1)
    return recorder
