"""Log-likelihoods of continuations: plain torch's numbers, each context read once."""

import pytest
import torch
from decode_models import V, hf_logits, loop, make
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig

from online_il.generation import decode, scoring
from online_il.generation.loop_engine import LoopReader
from online_il.generation.transformers_engine import TransformersEngine

ENGINES = ["loop", "transformers"]


def reader(name, model):
    """What reads for an engine, with a model that lies in memory."""
    if name == "loop":
        return LoopReader(loop(model))
    engine = TransformersEngine.__new__(TransformersEngine)
    engine._model, engine._device = model, "cpu"
    return engine


def plain(model, rows) -> list[float]:
    """The same by a whole forward pass of transformers for each row."""
    scores = []
    for context, continuation in rows:
        logp = hf_logits(model, [*context, *continuation]).double().log_softmax(-1)
        places = range(len(context) - 1, len(context) + len(continuation) - 1)
        scores.append(sum(logp[t, i].item() for t, i in zip(places, continuation, strict=True)))
    return scores


def drawn(lengths, seed=6):
    """Rows of a context and continuations of these lengths: [(context, continuations), ...]."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for context, continuations in lengths:
        ids = torch.randint(0, V, (context,), generator=generator).tolist()
        rows += [
            (ids, torch.randint(0, V, (n,), generator=generator).tolist()) for n in continuations
        ]
    return rows


MIXED = drawn([(3, [1, 4, 1]), (5, [4]), (5, [4, 2]), (1, [7, 1]), (2, [6]), (17, [1, 1, 1, 1])])


@pytest.mark.parametrize("batch_size", [1, 2, 3, 256])
@pytest.mark.parametrize("name", ENGINES)
def test_scores_are_sums_of_log_softmax(model, name, batch_size):
    rows = [*MIXED, MIXED[0], MIXED[5], MIXED[0]]  # Some twice: choices may be the same.
    scores = scoring.loglikelihoods(reader(name, model), rows, batch_size)
    assert scores == pytest.approx(plain(model, rows), abs=2e-5)
    assert scores[-3:] == [scores[0], scores[5], scores[0]]


@pytest.fixture(scope="module")
def small():
    return make(LlamaConfig, {"num_key_value_heads": 2, "num_hidden_layers": 1})


tokens = st.integers(0, V - 1)
questions = st.lists(
    st.tuples(
        st.lists(tokens, min_size=1, max_size=12),
        st.lists(st.lists(tokens, min_size=1, max_size=5), min_size=1, max_size=4),
    ),
    max_size=5,
)


@pytest.mark.parametrize("name", ENGINES)
@settings(max_examples=25, deadline=None)
@given(asked=questions, batch_size=st.integers(1, 7))
@pytest.mark.slow
def test_scores_of_any_questions_are_sums_of_log_softmax(small, name, asked, batch_size):
    rows = [(context, choice) for context, choices in asked for choice in choices]
    scores = scoring.loglikelihoods(reader(name, small), rows, batch_size)
    assert scores == pytest.approx(plain(small, rows), abs=2e-5)


class Counting:
    """A reader that notes what it reads and the logits that it gives."""

    def __init__(self, inner) -> None:
        self.inner, self.contexts, self.logits = inner, [], []

    def read(self, contexts):
        self.contexts.append([tuple(context) for context in contexts])
        logits, kept = self.inner.read(contexts)
        self.logits.append(logits.numel() // V)
        return logits, kept

    def read_on(self, kept, contexts, ids):
        logits = self.inner.read_on(kept, contexts, ids)
        self.logits.append(logits.numel() // V)
        return logits


@pytest.mark.parametrize("batch_size", [1, 2, 5, 256])
@pytest.mark.parametrize("name", ENGINES)
def test_a_context_is_read_once_and_batches_are_no_larger_than_asked(small, name, batch_size):
    counting = Counting(reader(name, small))
    scoring.loglikelihoods(counting, MIXED, batch_size)
    read = [context for batch in counting.contexts for context in batch]
    assert sorted(read) == sorted({tuple(context) for context, _ in MIXED})
    assert max(map(len, counting.contexts)) <= batch_size
    # A continuation of seven tokens needs the logits of six positions besides its context's.
    assert max(counting.logits) <= max(batch_size, 6)


def test_long_contexts_are_read_few_at_a_time(small, monkeypatch):
    monkeypatch.setattr(scoring, "TOKENS", 40)
    counting = Counting(reader("loop", small))
    rows = drawn([(length, [1, 2]) for length in (50, 10, 10, 10, 10, 12, 60)])
    assert scoring.loglikelihoods(counting, rows, 256) == pytest.approx(
        plain(small, rows), abs=2e-5
    )
    assert [len(batch) for batch in counting.contexts] == [4, 1, 1, 1]


def test_letters_are_scored_by_one_row_of_logits_a_question(small, monkeypatch):
    shapes, linear = [], torch.nn.functional.linear

    def counted(x, weight, *rest):
        if len(weight) == V:
            shapes.append(tuple(x.shape[:-1]))
        return linear(x, weight, *rest)

    monkeypatch.setattr(decode.F, "linear", counted)
    rows = [(context, [choice]) for context in ([3, 4, 5], [6, 7, 8, 9]) for choice in range(4)]
    scoring.loglikelihoods(reader("loop", small), rows, 256)
    assert shapes == [(2,)]


class Wide:
    """A reader of the same made-up logits whatever it reads, as wide as a language model's."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(2)
        self.logits_C_V = 3 * torch.randn(8, 49_152, generator=generator)

    def read(self, contexts):
        return self.logits_C_V[:1].expand(len(contexts), -1), None

    def read_on(self, kept, contexts, ids):
        return self.logits_C_V[None, 1 : ids.shape[1] + 1].expand(len(contexts), -1, -1)


def test_a_wide_vocabulary_is_summed_without_a_bias():
    wide, ids = Wide(), [5, 600, 7_000, 40_000, 11, 12, 13, 14]
    logp = wide.logits_C_V.double().log_softmax(-1)
    expected = [sum(logp[t, i].item() for t, i in enumerate(ids[:n])) for n in (8, 5)]
    scores = scoring.loglikelihoods(wide, [([1, 2], ids), ([1, 2], ids[:5])], 16)
    assert scores == pytest.approx(expected, abs=3e-5)
