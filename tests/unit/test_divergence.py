"""Divergences over whole responses against the enumeration of all responses of tiny languages."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from tabular import LONGEST, Tabular, chance, responses, table

from online_il.experts.divergence import (
    ROWS_AT_ONCE,
    Compared,
    compared,
    log_ratio_kl,
    log_ratio_quantiles,
    next_token_kl,
    shares_of,
    token_kl,
)
from online_il.experts.mixture import Mixture, Part

WIDTH = 3
OWN, OTHER = table(WIDTH, 31), table(WIDTH, 32)
# Three samples a prompt.
N = 6000
PROMPT_N = np.arange(N) // 3


def exact_kl(own, other) -> float:
    return math.fsum(
        p * math.log(p / chance(other, y)) for y in responses(WIDTH) if (p := chance(own, y)) > 0
    )


@pytest.fixture(scope="module")
def pair():
    policy = Tabular(OWN)
    rows = policy.respond(
        [[1]] * N, [(i // 3, i % 3) for i in range(N)], max_new_tokens=LONGEST, seed=4
    )
    return rows, compared(policy, Tabular(OTHER), [[1]] * N, rows, batch_size=500)


def test_log_probabilities_are_those_of_each_response(pair):
    rows, found = pair
    for row, response in list(enumerate(rows))[:200]:
        own, other = chance(OWN, tuple(response)), chance(OTHER, tuple(response))
        assert found.log_own_N[row] == pytest.approx(math.log(own), abs=1e-9)
        assert found.log_other_N[row] == pytest.approx(math.log(other), abs=1e-9)


def test_both_estimates_are_within_their_errors_of_the_exact_kl(pair):
    exact, wrong_way = exact_kl(OWN, OTHER), exact_kl(OTHER, OWN)
    ratio, tokens = log_ratio_kl(pair[1], PROMPT_N), token_kl(pair[1], PROMPT_N)
    for estimate in (ratio, tokens):
        assert abs(estimate.mean - exact) < 4 * estimate.stderr
        assert estimate.stderr < abs(exact - wrong_way) / 10, "the other direction would be seen"
    assert tokens.stderr < 0.9 * ratio.stderr


def test_next_token_kls_of_all_responses_make_the_exact_kl():
    """Each response weighted by its probability: no sampling."""
    every = responses(WIDTH)
    found = compared(Tabular(OWN), Tabular(OTHER), [[1]] * len(every), every, batch_size=7)
    weight_N = np.array([chance(OWN, y) for y in every])
    assert weight_N @ found.token_kl_N == pytest.approx(exact_kl(OWN, OTHER), abs=1e-10)
    assert weight_N @ (found.log_own_N - found.log_other_N) == pytest.approx(
        exact_kl(OWN, OTHER), abs=1e-10
    )


def test_standard_errors_are_clustered_by_prompt():
    """Responses of a prompt that are all the same count as one."""
    value_N = np.repeat([1.0, 2.0, 4.0, 9.0], 5)
    found = Compared(value_N, np.zeros(20), value_N)
    prompt_N = np.repeat(["a", "b", "c", "d"], 5)
    expected = np.std([1, 2, 4, 9], ddof=1) / 2
    assert log_ratio_kl(found, prompt_N) == pytest.approx((4.0, expected))
    assert token_kl(found, prompt_N) == pytest.approx((4.0, expected))


def test_quantiles_are_values_of_responses():
    found = Compared(np.array([3.0, 0.0, 1.0, 2.0]), np.array([0, 0, 0, -math.inf]), np.zeros(4))
    assert log_ratio_quantiles(found, [0, 0.25, 0.5, 0.75, 1]).tolist() == [0, 0, 1, 3, math.inf]
    assert log_ratio_kl(found, np.arange(4)).mean == math.inf
    assert math.isnan(log_ratio_kl(found, np.arange(4)).stderr)


def test_tokens_without_probability():
    p = torch.tensor([[[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]]).log()
    q = torch.tensor([[[0.25, 0.75, 0.0], [1.0, 0.0, 0.0], [0.5, 0.0, 0.5]]]).log()
    found = next_token_kl(p, q)[0].tolist()
    expected = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert found == pytest.approx([expected, math.inf, math.log(2)])


def test_shares_come_row_by_row(pair):
    rows = pair[0][:50]
    mixed = Mixture(
        "m", [Part("a", Tabular(OWN), 0.25, True), Part("b", Tabular(OTHER), 0.75, False)]
    )
    found = shares_of(mixed, [[1]] * 50, rows, batch_size=8)
    lengths = [len(row) for row in rows]
    assert any(a > b for a, b in pairwise(lengths)), "not in the order of their batches"
    for row, response in enumerate(rows):
        own, other = 0.25 * chance(OWN, tuple(response)), 0.75 * chance(OTHER, tuple(response))
        assert found[row].tolist() == pytest.approx([own / (own + other), other / (own + other)])


def test_a_policy_reads_so_many_responses_at_once_at_most(pair, monkeypatch):
    sizes = []
    logp = Tabular.logp
    monkeypatch.setattr(
        Tabular, "logp", lambda p, b: sizes.append(len(b.response_ids_B_C)) or logp(p, b)
    )
    compared(Tabular(OWN), Tabular(OTHER), [[1]] * 100, pair[0][:100], batch_size=256)
    assert max(sizes) == ROWS_AT_ONCE and sum(sizes) == 2 * 100
    sizes.clear()
    compared(Tabular(OWN), Tabular(OTHER), [[1]] * 100, pair[0][:100], batch_size=8)
    assert max(sizes) == 8, "the settings may ask for fewer"
