"""The exact solver as a policy, against its own responses counted as strings."""

import math
import random
from collections import Counter
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tabular import Bigram

from online_il.errors import InputError, ParameterError
from online_il.experts.mixture import Mixture, Part
from online_il.experts.policy import batch_of
from online_il.experts.solver import Solver, in_words
from online_il.tasks.countdown import Instance, generate
from online_il.tasks.countdown_prompts import compact_prompt
from online_il.tasks.miniature import OPERATORS, VOCABULARY, solver_response, solver_responses

IDS = {word: index for index, word in enumerate(VOCABULARY)}
V, END = len(VOCABULARY), IDS["<eos>"]
INSTANCE = Instance((3, 12, 4), 19)
PROMPT = [IDS[word] for word in compact_prompt(*INSTANCE).split()]


def solver(smoothing=0.001, vocabulary=IDS, seed=0, ends=None) -> Solver:
    ends = [vocabulary["<eos>"]] if ends is None else ends
    fallback = Bigram(len(vocabulary), seed, tuple(ends))
    return Solver(in_words(vocabulary, ends), ends, smoothing=smoothing, fallback=fallback)


def ids(text: str, vocabulary=IDS) -> list[int]:
    return [vocabulary[word] for word in text.split()]


def shares(instance: Instance, prefix: list[int]) -> dict[int, float]:
    """Of the responses that begin with a prefix, the share that goes on with each token."""
    rows = [ids(text) for text in solver_responses(instance)]
    after = Counter(row[len(prefix)] for row in rows if row[: len(prefix)] == prefix)
    return {token: count / after.total() for token, count in after.items()}


@settings(max_examples=15, deadline=None)
@given(
    smoothing=st.sampled_from([0.001, 0.2]),
    seed=st.integers(0, 9999),
)
def test_each_conditional_is_the_trees_or_the_fallbacks(smoothing, seed):
    [instance] = generate(
        1,
        operands=[1, 2, 3],
        number_range=(1, 12),
        target_range=(1, 60),
        operators=OPERATORS,
        value_range=(0, 99),
        seed=seed,
    )
    own = ids(solver_response(random.Random(seed), instance))
    wandering = [*own[:4], IDS["ok"], *own[4:]]  # Leaves the tree after its fourth token.
    policy = solver(smoothing)
    batch = batch_of([ids(compact_prompt(*instance))] * 2, [own, wandering])
    logp_B_C_V, off_B_C_V = policy.logp(batch), policy.fallback.logp(batch)
    total_B_C = logp_B_C_V.exp().sum(-1)
    torch.testing.assert_close(total_B_C, torch.ones_like(total_B_C), atol=1e-12, rtol=0)
    for row, (response, on_tree) in enumerate([(own, len(own)), (wandering, 5)]):
        for place in range(len(response)):
            expected = off_B_C_V[row, place].exp()
            if place < on_tree:
                expected = torch.full_like(expected, smoothing / V)
                for token, share in shares(instance, response[:place]).items():
                    expected[token] += (1 - smoothing) * share
            torch.testing.assert_close(logp_B_C_V[row, place].exp(), expected)


def test_all_expressions_are_equally_likely():
    rows = [ids(text) for text in solver_responses(INSTANCE)]
    assert len(set(map(tuple, rows))) == len(rows) > 2
    smoothing = 1e-9
    logp = solver(smoothing).logp(batch_of([PROMPT] * len(rows), rows))
    for row, response in enumerate(rows):
        nats = logp[row, range(len(response)), response].sum().item()
        assert nats == pytest.approx(-math.log(len(rows)), abs=1e-6)


def test_a_long_response_and_what_follows_an_end_are_the_fallbacks():
    own = ids(solver_responses(INSTANCE)[0])
    batch = batch_of([PROMPT] * 2, [own, [IDS["<think>"]] * (len(own) + 5)])
    policy = solver()
    logp, off = policy.logp(batch), policy.fallback.logp(batch)
    assert torch.equal(logp[0, len(own) :], off[0, len(own) :])
    assert torch.equal(logp[1, 2:], off[1, 2:]) and not torch.equal(logp[1, 1], off[1, 1])
    policy.over(off, batch)
    assert torch.equal(off, policy.fallback.logp(batch)), "the fallback's are not written over"


# ---- sampling ----

SMALL = ("<bos>", "<eos>", "<think>", "</think>", "<answer>", "</answer>", "T", ":", "+", "1", "2")
SMALL_IDS = {word: index for index, word in enumerate((*SMALL, "3"))}
QUESTION = ids("<bos> 1 2 T 3 :", SMALL_IDS)


@pytest.mark.parametrize("mixed", [False, True])
def test_samples_follow_the_conditionals(mixed):
    """Three tokens: on the tree, slipping from it, ended by a slip, and of the fallback."""
    policy = solver(0.5, SMALL_IDS)
    width, end = policy.width, SMALL_IDS["<eos>"]
    if mixed:
        search = Bigram(width, 7, (end,))
        parts = [Part("search", search, 0.4, True), Part("solver", policy, 0.6, False)]
        policy = Mixture("mixture", parts)
    every = [y for n in (1, 2, 3) for y in product(range(width), repeat=n) if end not in y[:-1]]
    every = [y for y in every if len(y) == 3 or y[-1] == end]
    batch = batch_of([QUESTION] * len(every), every)
    logp = policy.logp(batch).double()
    exact = {
        y: math.exp(math.fsum(logp[row, place, token].item() for place, token in enumerate(y)))
        for row, y in enumerate(every)
    }
    assert math.fsum(exact.values()) == pytest.approx(1, abs=1e-9)
    count = 8000
    keys = [(row, row % 3) for row in range(count)]
    rows = policy.respond([QUESTION] * count, keys, max_new_tokens=3, seed=11)
    counts = Counter(map(tuple, rows))
    assert set(counts) <= set(every)
    common = [y for y in every if count * exact[y] >= 5]
    observed = [counts[y] for y in common]
    expected = [count * exact[y] for y in common]
    rest = [count - sum(observed)], [count - sum(expected)]
    assert len(common) > 50 and rest[1][0] > 100
    assert stats.chisquare(observed + rest[0], expected + rest[1]).pvalue > 0.001


def test_without_a_slip_samples_are_the_solvers_responses_evenly():
    policy = solver(1e-9)
    rows = policy.respond([PROMPT] * 1000, [(0, j) for j in range(1000)], max_new_tokens=50, seed=1)
    counts = Counter(map(tuple, rows))
    assert set(counts) == {tuple(ids(text)) for text in solver_responses(INSTANCE)}
    assert stats.chisquare(list(counts.values())).pvalue > 0.001


def test_a_response_is_cut_at_the_longest_length_and_ends_at_any_end():
    policy = solver(0.5)
    for longest in (1, 3, 9):
        rows = policy.respond(
            [PROMPT] * 60, [(j, 0) for j in range(60)], max_new_tokens=longest, seed=1
        )
        assert all(END not in row[:-1] for row in rows)
        assert {len(row) for row in rows if row[-1] != END} <= {longest}


def test_what_the_fallback_goes_on_with_draws_other_numbers_than_the_tree():
    """A row's fallback sees the prompt and what was written, and draws for the same key."""
    seen = []

    class Watching(Bigram):
        def respond(self, contexts, keys, *, max_new_tokens, seed):
            seen.extend(zip(contexts, keys, strict=True))
            return super().respond(contexts, keys, max_new_tokens=max_new_tokens, seed=seed)

    policy = Solver(in_words(IDS, [END]), [END], smoothing=0.5, fallback=Watching(V, 0, (END,)))
    keys = [(j, 1) for j in range(30)]
    rows = policy.respond([PROMPT] * 30, keys, max_new_tokens=20, seed=1)
    assert len(seen) > 10
    tree = policy.tree(PROMPT)
    for context, key in seen:
        written = context[len(PROMPT) :]
        assert context[: len(PROMPT)] == PROMPT
        assert rows[key[0]][: len(written)] == written
        assert tuple(written) not in tree and tuple(written[:-1]) in tree


# ---- in a mixture ----


def test_the_mixture_knows_who_answers_at_once():
    policy = solver()
    search = Bigram(V, 5, (END,))
    mixed = Mixture(
        "mixture", [Part("search", search, 1 / 16, True), Part("solver", policy, 15 / 16, False)]
    )
    own, other = ids(solver_responses(INSTANCE)[0]), ids("<think> 3 * 12 = 36 - 4 = 32 no")
    shares_B_K = mixed.shares(batch_of([PROMPT] * 2, [own, other]))
    assert shares_B_K[0, 1] > 0.999
    # Off the tree at its second token: from there both are known tables.
    first = math.log(search.chances_V_V[PROMPT[-1], other[0]]), math.log(1 - 0.001 + 0.001 / V)
    second = math.log(search.chances_V_V[other[0], other[1]]), math.log(0.001 / V)
    rest = [
        sum(math.log(part.chances_V_V[a, b]) for a, b in pairwise(other[1:]))
        for part in (search, policy.fallback)
    ]
    odds = np.array([first[k] + second[k] + rest[k] for k in (0, 1)]) + np.log([1 / 16, 15 / 16])
    expected = np.exp(odds - odds.max()) / np.exp(odds - odds.max()).sum()
    np.testing.assert_allclose(shares_B_K[1].numpy(), expected, rtol=1e-6)


def test_a_fallback_that_is_a_part_settles_the_posterior_where_the_tree_is_left():
    search = Bigram(V, 5, (END,))
    own = Solver(in_words(IDS, [END]), [END], smoothing=0.001, fallback=search)
    mixed = Mixture(
        "mixture", [Part("search", search, 1 / 16, True), Part("solver", own, 15 / 16, False)]
    )
    short, longer = ids("<think> 3 *"), ids("<think> 3 * 12 = 36 - 4 = 32 no")
    shares_B_K = mixed.shares(batch_of([PROMPT] * 2, [short, longer]))
    torch.testing.assert_close(shares_B_K[0], shares_B_K[1])
    batch = batch_of([PROMPT], [longer])
    torch.testing.assert_close(mixed.logp(batch)[0, 2:], search.logp(batch)[0, 2:])


# ---- bad input ----


@pytest.mark.parametrize("smoothing", [0.0, 1.0, -0.1, math.nan])
def test_a_smoothing_that_is_none_is_refused(smoothing):
    with pytest.raises(ParameterError, match="smoothing is"):
        solver(smoothing)


@pytest.mark.parametrize(
    "prompt, message",
    [
        ("<bos> F 3 12 :", "no Countdown"),
        ("<bos> 3 12 4 T 19", "no Countdown"),
        ("<bos> 3 12 4 19 :", "no Countdown"),
        ("3 12 4 T 19 :", "no Countdown"),
        ("<bos> 3 + 4 T 19 :", "no Countdown"),
        ("<bos> T :", "no Countdown"),
        ("<bos>", "no Countdown"),
        ("", "no Countdown"),
        ("<bos> T 19 :", "no solution"),
        ("<bos> 1 1 T 99 :", "no solution"),
    ],
)
def test_a_prompt_that_the_solver_cannot_answer_is_refused(prompt, message):
    with pytest.raises(InputError, match=message):
        solver().tree(ids(prompt))


def test_a_token_that_is_no_word_is_refused():
    with pytest.raises(InputError, match="<500>"):
        solver().tree([IDS["<bos>"], 500, IDS["T"], IDS["3"], IDS[":"]])


def test_a_vocabulary_without_the_solvers_words_is_refused():
    lacking = {word: index for index, word in enumerate(w for w in VOCABULARY if w != "</answer>")}
    with pytest.raises(InputError, match="no token '</answer>'"):
        solver(vocabulary=lacking).tree(ids("<bos> 3 12 4 T 19 :", lacking))
    with pytest.raises(InputError, match="no token '<eos>'"):
        in_words({"a": 0}, [0])
    with pytest.raises(InputError, match="ends no response"):
        solver(ends=[3])
