"""GRPO with TRL's `GRPOTrainer`: the realizable expert (paper, Section 2.1 and Table 2).

The objective is classic GRPO: advantages scaled by the group's standard deviation, each response's
token losses averaged before the mean over responses, PPO clipping, and the k3 estimate of the KL
to the base. TRL's defaults differ in every one of these (`dapo`, bias-corrected KL, no KL).
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerFast, TrainerCallback, set_seed
from trl import GRPOConfig, GRPOTrainer
from trl.trainer import grpo_trainer

from online_il.config.generation import Generation
from online_il.config.grpo import Grpo
from online_il.program.cli import log
from online_il.training import resume
from online_il.training.adapters import hand_over_merged, peft_config
from online_il.training.common import (
    Precision,
    Recorder,
    accumulation,
    main_process,
    processes,
    spare_overhead,
)
from online_il.training.resume import Saving
from online_il.training.rollouts import (
    Batch,
    LengthGrouping,
    LoopGeneration,
    PromptTokens,
    SortedScoring,
    colocated,
    end_at_all_ends,
)
from online_il.training.sharding import spread

Reward = Callable[..., list[float]]
MOST_WEIGHT = 3.0
"""The largest weight of `sampler_correction`, as TRL has it."""


class Spread:
    """Mixin for `GRPOTrainer`: counts an update's responses whose reward is not their group's mean.

    TRL divides by the group's standard deviation plus 1e-4: where all rewards of a group are equal,
    the rounding of their mean gives advantages of some 1e-3, and rewards 1e-5 apart give 0.05.
    """

    LEAST = 1e-2
    spread_and_all: tuple[int, int] = (0, 0)

    def compute_loss(self, model: Any, inputs: Any, *arguments: Any, **options: Any) -> Any:
        apart_B = inputs["advantages"].abs() > self.LEAST
        spread, rows = self.spread_and_all
        self.spread_and_all = (spread + int(apart_B.sum()), rows + len(apart_B))
        return super().compute_loss(model, inputs, *arguments, **options)  # type: ignore[misc]


class SpreadAlone(TrainerCallback):
    """Lets an update without any spread of reward change nothing, and says so the first time.

    AdamW normalises its gradient: the entropy bonus and the KL penalty alone would move the weights
    as far as a reward does. A parameter without a gradient is left as it is, moments and all.
    """

    def __init__(self, trainer: "Trainer") -> None:
        self.trainer = trainer
        self.said = False

    def on_pre_optimizer_step(
        self, args: Any, state: Any, control: Any, optimizer: Any = None, **_: Any
    ) -> None:
        counts = torch.tensor([self.trainer.spread_and_all], device=self.trainer.accelerator.device)
        self.trainer.spread_and_all = (0, 0)
        spread, rows = self.trainer.accelerator.gather(counts).sum(0).tolist()
        self.trainer._metrics["train"]["reward_spread"].append(spread / rows)
        if spread:
            return
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        if not self.said and main_process():
            logging.warning(
                "update %d: in no group of rollouts do the rewards differ, so that it changes "
                "nothing; so with every such update (`reward_spread` 0 in the training table)",
                state.global_step + 1,
            )
        self.said = True


class Rounding:
    """Mixin for `GRPOTrainer`: how many tokens the trainer and vLLM see differently.

    The share whose probability differs by more than the clip ratio (`sampler_gap`): both have the
    same weights, so it is rounding, which the ratios of the first update carry. Says it with the
    clip ratio and the KL of the first update, when the policy is still the base.
    """

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> Batch:
        batch: Batch = super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        ours_B_C, theirs_B_C = (
            batch.get(f"{name}_per_token_logps") for name in ("old", "sampling")
        )
        if ours_B_C is not None and theirs_B_C is not None:
            ratio_N = (ours_B_C - theirs_B_C)[batch["completion_mask"].bool()].exp()
            apart = ((ratio_N - 1).abs() > self.args.epsilon).sum()  # type: ignore[attr-defined]
            counts = torch.stack([apart, torch.tensor(len(ratio_N), device=apart.device)])
            apart, tokens = self.accelerator.gather(counts[None]).sum(0).tolist()  # type: ignore[attr-defined]
            self._metrics["train"]["sampler_gap"].append(apart / max(1, tokens))  # type: ignore[attr-defined]
        return batch

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        super().log(logs, start_time)  # type: ignore[misc]
        row = self.state.log_history[-1]  # type: ignore[attr-defined]
        if row["step"] == 1 and "loss" in row and main_process():
            keys = ("kl", "clip_ratio/region_mean", "sampler_gap")
            found = {key.partition("/")[0]: f"{row[key]:.3g}" for key in keys if key in row}
            log("first update", **found)


def cut_reference(model: PreTrainedModel, accelerator: Any) -> PreTrainedModel:
    """Cut the KL's reference over the GPUs as the policy is, in the place of TRL's `prepare_fsdp`.

    TRL would gather all of it for each pass, in single precision. It is kept in bfloat16, to which
    the policy's own weights are rounded for each pass, so that both start as the same function.
    """
    if accelerator.mixed_precision == "bf16":
        model.to(torch.bfloat16)
    spread(model, accelerator.device)
    return model.eval()


grpo_trainer.prepare_fsdp = cut_reference


class Trainer(
    Spread, Rounding, Precision, PromptTokens, LengthGrouping, SortedScoring, GRPOTrainer
):
    """TRL's trainer with micro-batches grouped by length."""


class LoopTrainer(LoopGeneration, Trainer):
    """The same with rollouts from our decode loop."""


def config(settings: Grpo, arguments: dict[str, Any], generation: Generation) -> GRPOConfig:
    """Configure TRL for a run; every setting that matters is written out."""
    rollouts = settings.prompts_per_step * settings.rollouts_per_prompt
    per_update = rollouts // settings.updates_per_step
    return GRPOConfig(
        **arguments,
        # Of the reference, which TRL loads by itself. With FSDP it would let every process lay it
        # over all GPUs ("auto"), as if they were its own. That it is ignored is said of the policy.
        model_init_kwargs={"device_map": None},
        per_device_train_batch_size=settings.micro_batch_size,
        gradient_accumulation_steps=accumulation(per_update, settings.micro_batch_size),
        generation_batch_size=rollouts,
        num_generations=settings.rollouts_per_prompt,
        num_iterations=1,
        max_completion_length=settings.max_new_tokens,
        temperature=settings.temperature,
        top_p=1.0,
        top_k=0,
        min_p=None,
        repetition_penalty=1.0,
        beta=settings.kl_coefficient,
        epsilon=settings.clip_ratio,
        epsilon_high=None,
        delta=None,
        loss_type="grpo",
        scale_rewards="group",
        importance_sampling_level="token",
        use_bias_correction_kl=False,
        entropy_coef=settings.entropy_coefficient,
        mask_truncated_completions=False,
        sync_ref_model=False,
        shuffle_dataset=False,
        remove_unused_columns=False,
        **colocated(generation, settings.max_prompt_tokens, settings.max_new_tokens),
        # By how far vLLM's probabilities are from the model's own; the paper has no such weight.
        vllm_importance_sampling_correction=settings.sampler_correction != "none",
        vllm_importance_sampling_mode=f"{settings.sampler_correction}_truncate",
        vllm_importance_sampling_clip_max=MOST_WEIGHT,
        vllm_importance_sampling_clip_min=None,
        disable_dropout=True,
        log_completions=False,
    )


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: list[dict[str, Any]],
    reward: Reward,
    settings: Grpo,
    *,
    generation: Generation,
    arguments: dict[str, Any],
    checkpoints: list[int],
    saving: Saving,
    progress: Path,
) -> Recorder:
    """Train on `prompts` (rows with `prompt` and what `reward` needs), in the given order."""
    spare_overhead(model)
    rollouts = settings.prompts_per_step * settings.rollouts_per_prompt
    recorder = Recorder(
        model=model,
        tokenizer=tokenizer,
        checkpoints=checkpoints,
        updates_per_step=settings.updates_per_step,
        samples_per_update=rollouts // settings.updates_per_step,
        tokens_of=None,
        folder=saving.published,
        progress=progress,
    )
    made = config(settings, arguments, generation)
    if generation.engine == "vllm":
        end_at_all_ends(made, model)
    trainer = (LoopTrainer if generation.engine == "loop" else Trainer)(
        model=model,
        reward_funcs=reward,
        args=made,
        train_dataset=Dataset.from_list(prompts),
        processing_class=tokenizer,
        callbacks=[recorder],
        peft_config=peft_config(settings.lora, model, processes()),
    )
    trainer.at_once = generation.batch_size
    trainer.add_callback(SpreadAlone(trainer))
    if generation.engine == "vllm" and settings.lora:
        hand_over_merged(trainer)
    if generation.engine == "vllm":
        # vLLM has just seeded torch with the number of its process, whatever the run's seed is.
        set_seed(trainer.args.seed, device_specific=True)
    resume.train(trainer, recorder, saving, settings.updates_per_step)
    still = sum(row["reward_spread"] == 0 for row in recorder.rows)
    if still and main_process():
        log("updates without spread of reward", changed_nothing=still, of=len(recorder.rows))
    return recorder
