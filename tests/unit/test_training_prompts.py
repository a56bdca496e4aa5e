"""Which prompts a training uses, in which order, and that no other is tokenised."""

import json
import random

import pytest
from training_runs import WORDS

from online_il.errors import InputError
from online_il.files import write_table
from online_il.models import word_tokenizer
from online_il.records import Prompts
from online_il.training import prompts

LETTERS = "abcdefghi"


@pytest.fixture
def table(tmp_path):
    """Forty training prompts of two to nine tokens, and one of another split."""
    rows = [
        {
            "prompt_id": f"{'train' if n else 'id'}-{n}",
            "task": "countdown",
            "split": "train" if n else "id",
            "text": " ".join(["<bos>", *LETTERS[: 1 + n % 8]]) + f" {LETTERS[n % 9]}" * (n // 9),
            "answer": json.dumps({"numbers": [1, n], "target": n + 1}),
            "source": "made here",
            "revision": "1",
        }
        for n in range(41)
    ]
    write_table(rows, Prompts, tmp_path / "prompts.parquet", {})
    return tmp_path / "prompts.parquet"


@pytest.fixture
def read(table, monkeypatch):
    """Reads training prompts; gives them and the texts that were tokenised."""
    monkeypatch.setattr(prompts, "trained_end", lambda *_, **__: None)
    encode, seen = prompts.prompt_ids, []
    monkeypatch.setattr(
        prompts,
        "prompt_ids",
        lambda tokenizer, texts: seen.extend(texts) or encode(tokenizer, texts),
    )

    def of(count: int, longest: int | None, seed: int = 3):
        seen.clear()
        rows = prompts.training_prompts(
            table, table.parent, word_tokenizer(WORDS), count, seed, longest
        )
        return rows, list(seen)

    return of


def test_prompts_that_no_update_comes_to_are_not_tokenised(read):
    rows, tokenised = read(5, longest=100)
    assert len(rows) == 5 and set(tokenised) == {row["prompt"] for row in rows}
    rows, tokenised = read(5, longest=None)
    assert len(rows) == 5 and not tokenised


def test_where_none_is_too_long_the_order_is_that_of_shuffled_passes(read):
    everything, _ = read(40, longest=None)
    assert len({row["answer"] for row in everything}) == 40, "each once a pass"
    known = sorted(everything, key=lambda row: json.loads(row["answer"])["target"])
    rng = random.Random(3)
    expected = [*rng.sample(known, 40), *rng.sample(known, 40), *rng.sample(known, 40)][:100]
    for longest in (None, 100):
        assert read(100, longest)[0] == expected


def test_longer_ones_are_left_out_of_every_pass(read):
    rows, tokenised = read(200, longest=6)
    lengths = [len(row["prompt"].split()) for row in rows]
    assert max(lengths) <= 6 < max(len(text.split()) for text in tokenised)
    assert len(tokenised) == len(set(tokenised)), "each once"
    short = {row["answer"] for row in rows}
    per_pass = [row["answer"] for row in rows[: len(short)]]
    assert set(per_pass) == short, "a pass has each once"


def test_a_longest_that_leaves_none_is_said(read):
    with pytest.raises(InputError, match="no training prompt of at most 1 tokens in it"):
        read(5, longest=1)
