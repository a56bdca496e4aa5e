"""Mixtures of policies against the enumeration of all responses of tiny languages."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tabular import LONGEST, Tabular, chance, responses, table

from online_il.errors import InputError
from online_il.experts.mixture import Mixture, Part
from online_il.experts.policy import batch_of

PROMPT = [1]


def mixture(weights, tables, dtype=torch.double) -> Mixture:
    return Mixture(
        "mixture",
        [
            Part(f"part{k}", Tabular(conditionals, dtype), weight, k == 0)
            for k, (weight, conditionals) in enumerate(zip(weights, tables, strict=True))
        ],
    )


def all_responses(width):
    every = responses(width)
    return every, batch_of([PROMPT] * len(every), every)


def begins(weights, tables, prefix) -> float:
    """Probability that the mixture's response begins with these tokens."""
    return math.fsum(w * chance(t, prefix) for w, t in zip(weights, tables, strict=True))


@settings(max_examples=12, deadline=None)
@given(
    width=st.integers(2, 3),
    raw=st.lists(st.floats(1e-3, 1), min_size=1, max_size=3),
    seed=st.integers(0, 999),
    zeros=st.sampled_from([0.0, 0.4]),
)
@pytest.mark.parametrize("dtype, close", [(torch.double, 1e-10), (torch.float, 1e-5)])
def test_next_tokens_and_shares_are_those_of_the_enumeration(dtype, close, width, raw, seed, zeros):
    weights = [one / sum(raw) for one in raw]
    tables = [table(width, seed + k, zeros) for k in range(len(weights))]
    mixed = mixture(weights, tables, dtype)
    every, batch = all_responses(width)
    chance_of = {y: begins(weights, tables, y) for y in every}
    assert math.fsum(chance_of.values()) == pytest.approx(1, abs=1e-12)
    logp_B_C_V, shares_B_K = mixed.logp(batch), mixed.shares(batch)
    assert logp_B_C_V.dtype == dtype and not logp_B_C_V.isnan().any()
    torch.testing.assert_close(
        logp_B_C_V.double().exp().sum(-1),
        torch.ones(len(every), LONGEST, dtype=torch.double),
        atol=close,
        rtol=0,
    )
    torch.testing.assert_close(
        shares_B_K.sum(-1), torch.ones(len(every), dtype=torch.double), atol=1e-12, rtol=0
    )
    for row, response in enumerate(every):
        for place in range(len(response)):
            prefix = response[:place]
            # By the responses themselves, not by the parts' conditionals.
            whole = math.fsum(p for y, p in chance_of.items() if y[:place] == prefix)
            for token in range(width) if whole > 0 else ():
                longer = math.fsum(
                    p for y, p in chance_of.items() if y[: place + 1] == (*prefix, token)
                )
                found = logp_B_C_V[row, place, token].double().exp().item()
                assert found == pytest.approx(longer / whole, abs=close)
        if chance_of[response] > 0:
            for k, (weight, conditionals) in enumerate(zip(weights, tables, strict=True)):
                share = weight * chance(conditionals, response) / chance_of[response]
                assert shares_B_K[row, k].item() == pytest.approx(share, abs=close)


def drawn_counts(mixed, count):
    keys = [(row // 2, row % 2) for row in range(count)]
    rows = mixed.respond([PROMPT] * count, keys, max_new_tokens=LONGEST, seed=3)
    return Counter(map(tuple, rows))


def p_value(counts, weights, tables, width) -> float:
    """Of the counts under the enumeration, rare responses taken together."""
    total = counts.total()
    common = [y for y in responses(width) if total * begins(weights, tables, y) >= 5]
    observed = [counts[y] for y in common]
    expected = [total * begins(weights, tables, y) for y in common]
    observed.append(total - sum(observed))
    expected.append(total - sum(expected))
    return float(stats.chisquare(observed, expected).pvalue)


def test_samples_follow_the_enumeration():
    weights, tables = [0.7, 0.2, 0.1], [table(3, k) for k in (5, 6, 7)]
    counts = drawn_counts(mixture(weights, tables), 6000)
    assert set(counts) <= set(responses(3))
    assert p_value(counts, weights, tables, 3) > 0.001
    assert p_value(counts, [1 / 3] * 3, tables, 3) < 1e-9, "other weights would be seen"


def test_a_row_depends_on_its_key_and_the_seed_alone():
    mixed = mixture([0.5, 0.5], [table(3, 1), table(3, 2)])
    keys = [(row, 0) for row in range(40)]
    whole = mixed.respond([PROMPT] * 40, keys, max_new_tokens=LONGEST, seed=1)
    some = mixed.respond([PROMPT] * 3, keys[10:13], max_new_tokens=LONGEST, seed=1)
    assert some == whole[10:13]
    assert whole != mixed.respond([PROMPT] * 40, keys, max_new_tokens=LONGEST, seed=2)


def test_a_ragged_batch_gives_each_row_what_it_gets_alone():
    mixed = mixture([0.3, 0.7], [table(3, 1), table(3, 2)])
    every, batch = all_responses(3)
    logp_B_C_V, shares_B_K = mixed.logp(batch), mixed.shares(batch)
    for row in (0, 5, len(every) - 1):
        alone = batch_of([PROMPT], [every[row]])
        n = len(every[row])
        torch.testing.assert_close(mixed.logp(alone)[0], logp_B_C_V[row, :n])
        torch.testing.assert_close(mixed.shares(alone)[0], shares_B_K[row])


def test_what_no_part_can_write_gives_the_weights_for_a_posterior():
    tables = [table(2, 1), table(2, 2)]
    for conditionals in tables:
        conditionals[()] = torch.tensor([1.0, 0.0]).numpy()
    mixed = mixture([0.25, 0.75], tables)
    batch = batch_of([PROMPT], [[1, 1]])
    assert mixed.logp(batch)[0, 0, 1].item() == -math.inf
    expected = 0.25 * tables[0][(1,)] + 0.75 * tables[1][(1,)]
    torch.testing.assert_close(mixed.logp(batch)[0, 1].exp(), torch.tensor(expected))
    torch.testing.assert_close(
        mixed.shares(batch)[0], torch.tensor([0.25, 0.75], dtype=torch.double)
    )


def test_improbable_responses_of_many_tokens_keep_their_posterior():
    """Each of 300 tokens has probability e^-50 or e^-51: the product underflows in any float."""

    class Steady:
        width = 2

        def __init__(self, nats):
            self.nats = nats

        def logp(self, batch):
            rare = torch.full((*batch.response_ids_B_C.shape, 1), -self.nats)
            return torch.cat((torch.log1p(-rare.exp()), rare), dim=-1)

    parts = [Part("a", Steady(50.0), 0.5, True), Part("b", Steady(50.01), 0.5, False)]
    batch = batch_of([PROMPT], [[1] * 300])
    share = Mixture("mixture", parts).shares(batch)[0, 0].item()
    assert share == pytest.approx(1 / (1 + math.exp(-3)), rel=1e-3)


def test_coverage_is_one_over_the_weight_of_the_learnable_part():
    tables = [table(2, 1), table(2, 2)]
    assert mixture([1 / 16, 15 / 16], tables).coverage == pytest.approx(16)
    a, b = Tabular(tables[0]), Tabular(tables[1])
    assert Mixture("m", [Part("a", a, 0.5, False), Part("b", b, 0.5, False)]).coverage == math.inf


def test_a_policy_that_serves_twice_is_asked_once():
    one = Tabular(table(2, 1))
    mixed = Mixture("m", [Part("a", one, 0.5, True), Part("b", one, 0.5, True)])
    mixed.logp(all_responses(2)[1])
    assert one.asked == 1


@pytest.mark.parametrize(
    "weights, message",
    [
        ([], "has no part"),
        ([0.5, 0.4], "sum to 0.9"),
        ([0.5, 0.6], r"sum to 1.1 \(0.5 \+ 0.6\)"),
        ([1.0, 0.0], "weight of part1 is 0;"),
        ([1.5, -0.5], "weight of part1 is -0.5;"),
        ([0.5, math.nan], "weight of part1 is nan;"),
        ([math.inf, 1.0], "sum to inf"),
    ],
)
def test_wrong_weights_are_refused(weights, message):
    with pytest.raises(InputError, match=message):
        mixture(weights, [table(2, k) for k in range(len(weights))])


def test_weights_that_are_rounded_are_taken():
    mixed = mixture([0.333333, 0.666667], [table(2, 1), table(2, 2)])
    total = mixed.logp(all_responses(2)[1]).exp().sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-12, rtol=0)


def test_parts_of_other_widths_are_refused():
    with pytest.raises(InputError, match="part0 are 2 wide and those of part1 3"):
        mixture([0.5, 0.5], [table(2, 1), table(3, 1)])
