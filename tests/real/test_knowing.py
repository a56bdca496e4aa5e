"""What the real model knows and how it reads: by every engine as by plain torch, above chance."""

import json
import math

import pandas as pd
import pytest
import torch

from online_il.config.generation import Generation
from online_il.config.knowledge import Benchmarked
from online_il.evaluation import likeliest_choices
from online_il.generation.engines import open_engine
from online_il.generation.resume import Resume
from online_il.generation.tokens import Tokens
from online_il.perplexity import measures, read_passages
from online_il.tasks.beside_data import limited, numbered, prompts

pytestmark = pytest.mark.slow
CLOSE = 1e-4
"""Nats. Both sides compute in doubles: in single precision, layers round to some 1e-4 a token."""
ASKED = Benchmarked.model_validate(
    {
        "knowledge": {"seed": 1},
        "prose": {"words": 40, "context": 10},
        "rows": {"knowledge": 48, "prose": 3},
    }
)


@pytest.fixture(scope="module")
def tables():
    rows = pd.DataFrame(limited(numbered("t", prompts(ASKED)), ASKED))
    return {name: rows[rows["split"] == name].reset_index(drop=True) for name in ASKED.rows}


@pytest.fixture(params=["loop", "transformers"])
def exact(request, policy):
    """An engine whose weights, and all that it computes but the positions, are doubles."""
    running = open_engine(Generation(engine=request.param, batch_size=16))
    running.load(policy)
    if request.param == "transformers":
        running._model.double()
    else:
        running._model = doubled(running._model)
        torch.set_default_dtype(torch.float64)  # Of the cache.
    yield running
    torch.set_default_dtype(torch.float32)


def doubled(part):
    """The weights of the decode loop as doubles."""
    if isinstance(part, torch.Tensor):
        return part.double()
    if isinstance(part, tuple):
        of = map(doubled, part)
        return type(part)(*of) if hasattr(part, "_fields") else tuple(of)
    return part


@pytest.fixture(scope="module")
def doubles(policy):
    """The model in plain transformers and torch, double precision."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(policy, dtype="float64").eval()


def plainly(doubles, context: list[int], continuation: list[int]) -> float:
    """The log-likelihood by one forward pass of transformers over one row, in nats."""
    with torch.no_grad():
        logits = doubles(torch.tensor([[*context, *continuation]])).logits[0]
    logp = logits[len(context) - 1 : -1].log_softmax(-1)
    return sum(logp[place, token].item() for place, token in enumerate(continuation))


def test_choices_of_several_tokens_are_scored_as_by_plain_torch(exact, policy, doubles):
    tokens = Tokens(policy)
    asked = ["The capital of France is", "Conakry is the capital of"]
    ends = [[" Paris.", " Paris", " Ouagadougou."], [" Guinea.", " Guinea", " Guinea-Bissau."]]
    found = exact.loglikelihoods(asked, ends)
    lengths = set()
    for text, choices, scores in zip(asked, ends, found, strict=True):
        for choice, score in zip(choices, scores, strict=True):
            context, continuation = tokens.scored(text, choice)
            lengths.add(len(continuation))
            assert score == pytest.approx(plainly(doubles, context, continuation), abs=CLOSE)
    assert len(lengths) > 2, "of several lengths"
    for whole, begun, longer in found:
        assert begun > max(whole, longer)


def test_it_knows_much_more_than_chance(policy, tables, tmp_path):
    engine = open_engine(Generation(engine="loop", batch_size=16))
    engine.load(policy)
    resume = Resume(tmp_path / "state.jsonl", "one job")
    rows = likeliest_choices(engine, tables["knowledge"], resume, policy="base/step0", seed=1)
    # Chance is a quarter, with a standard deviation of 0.06.
    assert sum(row["correct"] for row in rows) / len(rows) > 0.45


def test_it_reads_english(exact, policy, doubles, tables, tmp_path):
    tokens, passages = Tokens(policy), tables["prose"]
    resume = Resume(tmp_path / "state.jsonl", "one job")
    rows = read_passages(exact, tokens, passages, resume, policy="base/step0", seed=1)
    for row, before, answer in zip(rows, passages["text"], passages["answer"], strict=True):
        context, continuation = tokens.scored(before, json.loads(answer)["text"])
        assert row["n_tokens"] == len(continuation) >= 40
        assert row["nats"] == pytest.approx(-plainly(doubles, context, continuation), abs=CLOSE)
    found = measures(rows)
    total = sum(row["nats"] for row in rows) / sum(row["n_tokens"] for row in rows)
    assert found["perplexity"] == pytest.approx(math.exp(total))
    assert 5 < found["perplexity"] < 100
