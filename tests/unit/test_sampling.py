"""The sampling distribution of the decode loop against the warpers of `transformers`."""

import math

import pytest
import torch
from decode_models import prompts_of
from scipy.stats import chisquare
from transformers import (
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from online_il.config.sampling import Sampling
from online_il.generation import decode

# ---- the sampling distribution ----

SAMPLINGS = [
    {"temperature": 1.0},
    {"temperature": 0.7},
    {"temperature": 1.6, "top_k": 5},
    {"temperature": 1.0, "top_p": 0.7},
    {"temperature": 1.0, "top_k": 50, "top_p": 0.7},
    {"temperature": 0.5, "top_k": 7, "top_p": 0.95},
    {"temperature": 1.0, "top_k": 1},
    {"temperature": 1.0, "top_p": 1e-6},
    {"temperature": 1.0, "top_k": 1000},
]


def hf_probabilities(logits, sampling) -> torch.Tensor:
    """Softmax after the warpers of `generate`, in the order in which it applies them."""
    warpers = [TemperatureLogitsWarper(float(sampling.temperature))]
    if sampling.top_k:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        warpers.append(TopPLogitsWarper(sampling.top_p))
    for warper in warpers:
        logits = warper(None, logits)
    return logits.softmax(-1)


@pytest.mark.parametrize("options", SAMPLINGS, ids=str)
def test_probabilities_are_those_of_the_warpers_of_transformers(options):
    sampling = Sampling(max_new_tokens=1, **options)
    generator = torch.Generator().manual_seed(1)
    for scale in (0.1, 1.0, 6.0):
        logits = scale * torch.randn(40, 61, generator=generator)
        torch.testing.assert_close(
            decode.probabilities(logits, sampling), hf_probabilities(logits, sampling)
        )


def test_probabilities_leave_their_argument_as_it_is():
    logits = torch.randn(3, 9)
    before = logits.clone()
    decode.probabilities(logits, Sampling(temperature=0.5, top_k=2, top_p=0.5, max_new_tokens=1))
    assert torch.equal(logits, before)


def test_ties_at_the_cut_of_top_k_are_all_kept():
    logits = torch.tensor([[2.0, 1.0, 1.0, 1.0, 0.0]])
    sampling = Sampling(top_k=2, max_new_tokens=1)
    weights = torch.tensor([[math.e, 1.0, 1.0, 1.0, 0.0]])
    torch.testing.assert_close(decode.probabilities(logits, sampling), weights / weights.sum())
    torch.testing.assert_close(
        decode.probabilities(logits, sampling), hf_probabilities(logits, sampling)
    )


@pytest.mark.parametrize("top_p, n_kept", [(0.1, 1), (0.2, 2), (0.3, 3), (0.9, 8), (1.0, 8)])
def test_ties_at_the_cut_of_top_p_keep_as_many_as_reach_the_mass(top_p, n_kept):
    probs = decode.probabilities(torch.zeros(1, 8), Sampling(top_p=top_p, max_new_tokens=1))[0]
    assert int((probs > 0).sum()) == n_kept
    torch.testing.assert_close(probs[probs > 0], torch.full((n_kept,), 1 / n_kept))


def test_top_p_keeps_the_least_set_that_reaches_the_mass():
    exact = torch.tensor([[0.5, 0.3, 0.15, 0.05]])
    for top_p, kept in ((0.45, 1), (0.55, 2), (0.79, 2), (0.85, 3), (0.99, 4)):
        probs = decode.probabilities(exact.log(), Sampling(top_p=top_p, max_new_tokens=1))
        expected = torch.where(torch.arange(4) < kept, exact, 0.0)
        torch.testing.assert_close(probs, expected / expected.sum())


@pytest.mark.parametrize("options", [{}, {"top_k": 6}, {"temperature": 0.6, "top_p": 0.8}], ids=str)
def test_tokens_are_chosen_as_often_as_their_probabilities_say(options):
    sampling = Sampling(max_new_tokens=1, **options)
    logits = 1.5 * torch.randn(1, 12, generator=torch.Generator().manual_seed(2))
    n_draws = 40_000
    uniform = torch.rand(n_draws, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    counts = decode.choose(logits.expand(n_draws, -1), sampling, uniform).bincount(minlength=12)
    expected = hf_probabilities(logits, sampling)[0].double()
    assert int(counts[expected == 0].sum()) == 0
    kept = expected > 0
    observed = counts[kept].double()
    share = (expected / expected.sum())[kept] * n_draws
    assert chisquare(observed.numpy(), share.numpy(), sum_check=False).pvalue > 1e-3


def test_a_uniform_number_chooses_the_token_whose_interval_holds_it():
    logits = torch.tensor([0.1, 0.2, 0.0, 0.4, 0.3]).log()[None]
    uniform = torch.tensor([0.0, 0.05, 0.15, 0.29, 0.31, 0.69, 0.71, 0.999], dtype=torch.float64)
    chosen = decode.choose(logits.expand(8, -1), Sampling(max_new_tokens=1), uniform)
    assert chosen.tolist() == [0, 0, 1, 1, 3, 3, 4, 4]


@pytest.mark.parametrize("uniform", [0.0, 5e-324, 1 - 2**-53, 1 - 2**-24])
def test_no_uniform_number_chooses_a_token_of_probability_zero(uniform):
    generator = torch.Generator().manual_seed(4)
    logits = 5 * torch.randn(3000, 37, generator=generator)
    logits[torch.rand(3000, 37, generator=generator) < 0.4] = -torch.inf
    logits[:, 0] = logits[:, -1] = -torch.inf  # Where 0 and almost 1 would fall.
    logits[:, 17] = 0.0
    for options in ({}, {"top_k": 3}, {"top_p": 0.5}):
        sampling = Sampling(max_new_tokens=1, **options)
        chosen = decode.choose(logits, sampling, torch.full((3000,), uniform, dtype=torch.float64))
        probs = decode.probabilities(logits, sampling).gather(1, chosen[:, None])
        assert bool((probs > 0).all())


def test_temperature_zero_chooses_the_likeliest():
    logits = torch.tensor([[0.0, 3.0, 1.0], [2.0, -1.0, 0.0]])
    sampling = Sampling(temperature=0.0, max_new_tokens=1)
    assert decode.choose(logits, sampling, torch.tensor([0.99, 0.99])).tolist() == [1, 0]


def test_uniform_numbers_depend_on_seed_and_key_alone():
    keys = [(0, 0), (0, 1), (1, 0), (7, 3)]
    rows = decode.uniforms(5, keys, 50)
    assert rows.dtype == torch.float64
    assert bool(((rows >= 0) & (rows < 1)).all())
    for key, row in zip(keys, rows, strict=True):
        assert torch.equal(decode.uniforms(5, [key], 50)[0], row)
        assert not torch.equal(decode.uniforms(6, [key], 50)[0], row)
    assert len({tuple(row.tolist()) for row in rows}) == 4
    assert torch.equal(decode.uniforms(5, keys, 20), rows[:, :20]), "a longer limit changes nothing"


def test_batches_are_full_and_hold_every_row_once_and_like_lengths():
    prompts = prompts_of([3, 1, 3, 2, 3, 1, 3])
    for size in (1, 2, 3, 100):
        cut = list(decode.batches(prompts, size))
        lengths = [len(prompts[row]) for rows in cut for row in rows]
        assert sorted(row for rows in cut for row in rows) == list(range(7))
        assert lengths == [1, 1, 2, 3, 3, 3, 3]
        assert all(len(rows) == size for rows in cut[:-1]) and len(cut[-1]) <= size


def test_rows_of_one_length_keep_their_order():
    assert list(decode.batches(prompts_of([7] * 7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
