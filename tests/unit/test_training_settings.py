"""Every setting of TRL that matters is the stated one."""

import trl.trainer.grpo_trainer
from training_runs import DISTILL, GRPO, LOOP, arguments, run_grpo

from online_il.training import distill, grpo

# ---- settings ----


def asserted(config, expected) -> None:
    assert {name: getattr(config, name) for name in expected} == expected


COMMON = {
    "learning_rate": 0.01,
    "max_grad_norm": 0.7,
    "weight_decay": 0.0,
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "adam_epsilon": 1e-8,
    "warmup_steps": 0,
    "bf16": False,
    "fp16": False,
    "gradient_checkpointing": False,
    "disable_dropout": True,
    "use_cpu": True,
    "seed": 5,
    "data_seed": 5,
    "shuffle_dataset": False,
    "logging_nan_inf_filter": False,
    "label_smoothing_factor": 0.0,
}


def test_every_grpo_setting_that_matters_is_the_stated_one(tmp_path):
    config = grpo.config(GRPO, arguments(tmp_path, updates=4), LOOP)
    asserted(
        config,
        COMMON
        | {
            "max_steps": 4,
            "loss_type": "grpo",
            "scale_rewards": "group",
            "beta": 0.3,
            "epsilon": 0.1,
            "epsilon_high": None,
            "delta": None,
            "use_bias_correction_kl": False,
            "importance_sampling_level": "token",
            "entropy_coef": 0.05,
            "top_entropy_quantile": 1.0,
            "off_policy_mask_threshold": None,
            "mask_truncated_completions": False,
            "num_iterations": 1,
            "num_generations": 4,
            "generation_batch_size": 16,
            "temperature": 0.9,
            "top_k": 0,
            "top_p": 1.0,
            "min_p": None,
            "repetition_penalty": 1.0,
            "max_completion_length": 11,
            "sync_ref_model": False,
            "multi_objective_aggregation": "sum_then_normalize",
        },
    )
    assert config.lr_scheduler_type == "constant" and config.optim == "adamw_torch"
    # 16 rollouts in micro-batches of 2, two updates of 4 micro-batches each.
    assert config.per_device_train_batch_size == 2
    assert config.gradient_accumulation_steps == 4
    assert config.steps_per_generation == 8


def test_no_process_lays_the_reference_over_gpus_that_are_not_its_own(tmp_path, monkeypatch):
    asked, load = [], trl.trainer.grpo_trainer.create_model_from_path

    def watched(*arguments, **options):
        asked.append(dict(options))
        return load(*arguments, **options)

    monkeypatch.setattr(trl.trainer.grpo_trainer, "create_model_from_path", watched)
    run_grpo(tmp_path, steps=1)
    (options,) = asked
    # Without the key TRL fills in "auto" where it sees GPUs.
    assert options["device_map"] is None


def test_every_distillation_setting_that_matters_is_the_stated_one(tmp_path):
    config = distill.config(DISTILL, arguments(tmp_path, updates=4), LOOP)
    asserted(
        config,
        COMMON
        | {
            "max_steps": 4,
            "beta": 1.0,
            "temperature": 0.8,
            "top_k": 0,
            "top_p": 1.0,
            "min_p": None,
            "repetition_penalty": 1.0,
            "max_completion_length": 11,
            "per_device_train_batch_size": 2,
            "gradient_accumulation_steps": 4,
        },
    )
    assert config.lr_scheduler_type == "constant" and config.optim == "adamw_torch"
