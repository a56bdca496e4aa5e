"""What the trainer and vLLM see differently is counted, said at once, and corrected where asked."""

import logging
import math

import pytest
import torch
from training_runs import GRPO, LOOP, arguments, run_grpo, token_logps

from online_il.files import write_table
from online_il.models import load_model
from online_il.records import Training
from online_il.training import grpo, rollouts

SHIFT = 0.2  # In log-probability: 18 % or 22 % in probability, more than the clip ratio of 10 %.


@pytest.fixture
def vllm(monkeypatch, tmp_path):
    """Rollouts with log-probabilities as vLLM gives them, every third one off; their counts."""
    drawn, counts = rollouts.LoopGeneration._generate_single_turn, {"off": 0, "all": 0}

    def generated(trainer, prompts, *rest, **options):
        responses, _ = drawn(trainer, prompts, *rest, **options)
        policy = load_model(tmp_path / "base")  # As it is in the first batch.
        logps = []
        for prompt, response in zip(prompts, responses, strict=True):
            with torch.no_grad():
                row = token_logps(policy, prompt, response, trainer.temperature)
            row[::3] -= SHIFT
            counts["off"] += len(row[::3])
            counts["all"] += len(row)
            logps.append(row.tolist())
        return responses, logps

    monkeypatch.setattr(rollouts.LoopGeneration, "_generate_single_turn", generated)
    return counts


def test_tokens_that_differ_by_more_than_the_clip_ratio_are_counted_and_said(
    vllm, tmp_path, caplog
):
    with caplog.at_level(logging.INFO):
        recorder = run_grpo(tmp_path, steps=1)
    first, second = recorder.rows
    assert 0 < vllm["off"] < vllm["all"]
    assert first["sampler_gap"] == pytest.approx(vllm["off"] / vllm["all"])
    assert second["sampler_gap"] == first["sampler_gap"], "the same rollouts serve both updates"
    assert first["clip_ratio"] == 0 and first["kl"] == pytest.approx(0, abs=1e-5)
    (line,) = [line for line in caplog.messages if line.startswith("first update")]
    assert f"sampler_gap={first['sampler_gap']:.3g}" in line
    assert " clip_ratio=0 " in line and " kl=" in line
    write_table(recorder.rows, Training, tmp_path / "training.parquet", {})


def test_without_vllm_there_is_nothing_to_count(tmp_path):
    recorder = run_grpo(tmp_path, steps=1)
    assert all(math.isnan(row["sampler_gap"]) for row in recorder.rows)
    assert all(0 <= row["clip_ratio"] <= 1 for row in recorder.rows)


@pytest.mark.parametrize(
    ("key", "mode"), [("token", "token_truncate"), ("sequence", "sequence_truncate")]
)
def test_the_correction_is_a_key_and_off_by_itself(key, mode, tmp_path):
    off = grpo.config(GRPO, arguments(tmp_path, updates=4), LOOP)
    assert off.vllm_importance_sampling_correction is False
    settings = GRPO.model_copy(update={"sampler_correction": key})
    on = grpo.config(settings, arguments(tmp_path, updates=4), LOOP)
    assert on.vllm_importance_sampling_correction is True
    assert on.vllm_importance_sampling_mode == mode
    assert (on.vllm_importance_sampling_clip_max, on.vllm_importance_sampling_clip_min) == (3, None)
