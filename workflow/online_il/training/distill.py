"""On-policy distillation with TRL's `DistillationTrainer` (paper, Equation 5).

The student samples its own responses; the loss is the reverse KL between its next-token
distribution and the expert's over the full vocabulary, averaged over all response tokens of an
update. As in common practice the gradient does not flow through the sampling, so the part of
Equation 5's gradient that stems from which states the student visits is left out.
"""

from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerFast, set_seed
from trl import DistillationConfig, DistillationTrainer

from online_il.config.distill import Distill
from online_il.config.generation import Generation
from online_il.training import resume
from online_il.training.common import Precision, Recorder, accumulation, spare_overhead
from online_il.training.resume import Saving
from online_il.training.rollouts import (
    LengthGrouping,
    LoopGeneration,
    PromptTokens,
    colocated,
    end_at_all_ends,
)


class Trainer(Precision, PromptTokens, LengthGrouping, DistillationTrainer):
    """TRL's trainer with micro-batches grouped by length."""


class LoopTrainer(LoopGeneration, Trainer):
    """The same with student responses from our decode loop."""


def config(
    settings: Distill, arguments: dict[str, Any], generation: Generation
) -> DistillationConfig:
    """TRL's configuration of a run; every setting that matters is written out."""
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
        beta=1.0,  # Reverse KL.
        shuffle_dataset=False,
        remove_unused_columns=False,
        **colocated(generation, settings.max_prompt_tokens, settings.max_new_tokens),
        disable_dropout=True,
        log_completions=False,
    )


def train(
    model: PreTrainedModel,
    teacher: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: list[dict[str, Any]],
    settings: Distill,
    *,
    generation: Generation,
    arguments: dict[str, Any],
    checkpoints: list[int],
    saving: Saving,
    progress: Path,
) -> Recorder:
    """Train the student on `prompts` (rows with `prompt`), in the given order."""
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
    if generation.engine == "vllm":
        end_at_all_ends(made, model)
    # With FSDP accelerate leaves a model that is not trained where it is.
    teacher.to(made.device)
    trainer = (LoopTrainer if generation.engine == "loop" else Trainer)(
        model=model,
        teacher_model=teacher,
        args=made,
        train_dataset=Dataset.from_list(prompts),
        processing_class=tokenizer,
        callbacks=[recorder],
    )
    trainer.at_once = generation.batch_size
    if generation.engine == "vllm":
        # vLLM has just seeded torch with the number of its process, whatever the run's seed is.
        set_seed(trainer.args.seed, device_specific=True)
    resume.train(trainer, recorder, saving, 1)
    return recorder
