"""GRPO where the rewards of no group differ: such an update changes nothing, and it is said."""

import logging
import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from training_runs import GRPO, TRANSFORMERS, copied, reward, run_grpo, tiny

from online_il.training import grpo
from online_il.training.grpo import Spread

ALL_TERMS = GRPO.model_copy(update={"kl_coefficient": 0.3, "entropy_coefficient": 0.05})


def weights_of(folder, step=1):
    return load_file(folder / "saved" / "published" / f"step{step}" / "model.safetensors")


def same(one, two) -> bool:
    return all(torch.equal(one[name], two[name]) for name in one)


def by_prompt(completions, prompts, **_) -> list[float]:
    """Each group its own reward, and all of its responses the same."""
    return [len(prompt) / 7 for prompt in prompts]


@pytest.mark.parametrize(
    "rewarded", [lambda completions, **_: [0.1] * len(completions), by_prompt], ids=["0.1", "group"]
)
@pytest.mark.parametrize("generation", ["loop", "transformers"])
@pytest.mark.slow
def test_updates_without_spread_change_nothing(tmp_path, caplog, rewarded, generation):
    options = {"generation": TRANSFORMERS} if generation == "transformers" else {}
    with caplog.at_level(logging.INFO):
        recorder = run_grpo(tmp_path, ALL_TERMS, steps=1, rewarded=rewarded, **options)
    base = tiny().state_dict()
    trained = weights_of(tmp_path)
    assert same(trained, base)
    assert [row["reward_spread"] for row in recorder.rows] == [0, 0]
    warned = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert len([line for line in warned if "changes nothing" in line]) == 1
    assert "changed_nothing=2 of=2" in caplog.text


@pytest.mark.slow
def test_an_update_with_spread_moves_the_weights_and_the_next_without_it_does_not(
    tmp_path, monkeypatch
):
    """Not by the momentum of the update before, either."""
    batches, states = [], []

    def first_batch_only(completions, **others):
        batches.append(None)
        return reward(completions) if len(batches) == 1 else [0.5] * len(completions)

    class Seeing(grpo.LoopTrainer):
        def compute_loss(self, model, inputs, *rest, **options):
            states.append((self.state.global_step, copied(model)))
            return super().compute_loss(model, inputs, *rest, **options)

    monkeypatch.setattr(grpo, "LoopTrainer", Seeing)
    recorder = run_grpo(tmp_path, ALL_TERMS, steps=2, rewarded=first_batch_only)
    before = [next(state for step, state in states if step == update) for update in range(4)]
    assert not same(before[0], before[1]) and not same(before[1], before[2])
    assert same(before[2], before[3])
    spread = [row["reward_spread"] for row in recorder.rows]
    assert spread[0] > 0 and spread[1] > 0 and spread[2:] == [0, 0]
    assert all(math.isfinite(row["loss"]) for row in recorder.rows)


@pytest.mark.slow
def test_one_response_that_differs_is_a_spread(tmp_path):
    def one(completions, **_):
        return [0.0] * (len(completions) - 1) + [0.1]

    settings_of_one = ALL_TERMS.model_copy(update={"updates_per_step": 1})
    recorder = run_grpo(tmp_path, settings_of_one, rewarded=one, steps=1)
    # One group of four: its other three are not at its mean either.
    assert recorder.rows[0]["reward_spread"] == pytest.approx(4 / 16)
    assert not same(weights_of(tmp_path), tiny().state_dict())


@settings(deadline=None)
@example(value=0.8244878649711609, size=40, gap=0.0)
@given(
    value=st.floats(0, 1, width=32),
    size=st.integers(2, 64),
    gap=st.sampled_from([0.0, 1e-5, 0.1, 0.9, 1.0]),
)
def test_rounding_is_no_spread_and_the_least_difference_is(value, size, gap):
    """Advantages as TRL computes them: (reward - mean) / (standard deviation + 1e-4)."""
    rewards = torch.full((size,), value, dtype=torch.float32)
    rewards[0] = rewards[0] + gap
    apart = rewards - rewards.mean()
    advantages = apart / (rewards.std() + 1e-4)
    assert bool((advantages.abs() > Spread.LEAST).any()) == (rewards.unique().numel() > 1)
