"""Passages of a text: how they are cut, what is computed of them, what is refused."""

import math
import re

import pandas as pd
import pytest
from decode_models import hf_logits
from hypothesis import given
from hypothesis import strategies as st
from test_engines import make_policy, opened

from online_il.config.knowledge import Prose
from online_il.cost import rules
from online_il.errors import InputError
from online_il.generation.resume import Resume
from online_il.generation.tokens import Tokens
from online_il.models import load_model
from online_il.perplexity import measures, read_passages
from online_il.tasks import prose
from online_il.tasks.beside_data import numbered


def cut(folder, text, **settings):
    path = folder / "text.txt"
    path.write_text(text, encoding="utf-8")
    found = prose.passages(Prose(file=str(path), **settings))
    return [(one.text, one.answer["text"]) for one in found]


def test_passages_by_hand(tmp_path):
    text = "  One two,  three.\nFour five six\n\nseven eight nine."
    assert cut(tmp_path, text, words=3, context=2) == [
        ("One two,", "  three.\nFour five"),
        ("Four five", " six\n\nseven eight"),
    ]


@given(
    st.lists(st.sampled_from(["a", "bb", "c.", "é"]), min_size=12, max_size=40),
    st.lists(st.sampled_from([" ", "\n", "  "]), min_size=40, max_size=40),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_passages_follow_each_other_and_nothing_is_read_twice(
    tmp_path_factory, words, spaces, n, before
):
    text = "".join(word + space for word, space in zip(words, spaces, strict=False))
    found = cut(tmp_path_factory.mktemp("text"), text, words=n, context=before)
    scored = "".join(passage for _, passage in found)
    assert text.startswith(found[0][0] + scored)
    left = re.findall(r"\S+", text[len(found[0][0] + scored) :])
    assert len(left) < n
    for context, passage in found:
        assert len(context.split()) == before and len(passage.split()) == n
        assert context + passage in text


def test_the_text_that_comes_with_the_project():
    text = prose.FILE.read_text(encoding="utf-8")
    assert text.startswith("Because of an hereditary recklessness, I have been playing always a ")
    assert "Gutenberg" not in text and "CHAPTER" not in text and "[" not in text
    assert len(prose.passages(Prose())) == rules.PASSAGES


def test_a_text_that_is_none_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"text.txt: 5 words, too few .* lower `prose.words`"):
        cut(tmp_path, "One two three four five", words=3, context=2)
    with pytest.raises(InputError, match=r"none.txt: no text in it \(No such file"):
        prose.passages(Prose(file=str(tmp_path / "none.txt")))
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 " * 999)
    with pytest.raises(InputError, match=r"latin.txt: no text in it \(it is not UTF-8"):
        prose.passages(Prose(file=str(tmp_path / "latin.txt")))
    with pytest.raises(InputError, match="it holds prompts, and no text"):
        cut(tmp_path, '[{"role": "user", "content": "a"}] b c d e f g', words=1, context=4)


# ---- what is computed ----


def test_measures_by_hand():
    rows = [
        {"nats": 3.0, "n_tokens": 2, "n_bytes": 8},
        {"nats": 1.0, "n_tokens": 2, "n_bytes": 2},
        {"nats": 4.0, "n_tokens": 4, "n_bytes": 6},
    ]
    found = measures(rows)
    # Eight nats on eight tokens and sixteen bytes.
    assert found["nats_per_token"] == 1.0
    assert found["perplexity"] == pytest.approx(math.e)
    assert found["bits_per_byte"] == pytest.approx(0.5 / math.log(2))
    # They are off by 1, -1 and 0: the root of 3/2 times 2, over eight tokens.
    assert found["nats_per_token_stderr"] == pytest.approx(math.sqrt(3) / 8)


@pytest.mark.parametrize("engine", ["loop", "transformers"])
def test_every_token_of_a_passage_counts_and_none_before_it(tmp_path, engine):
    policy = make_policy(tmp_path / "step0")
    (tmp_path / "text.txt").write_text("3 12 4 T 19 : 5 6 T 30 : F 98 7 : 1 2 3 4 T 10 :")
    settings = Prose(file=str(tmp_path / "text.txt"), words=4, context=3)
    prompts = pd.DataFrame(numbered("t", prose.passages(settings)))
    assert len(prompts) == 4
    resume = Resume(tmp_path / "state.jsonl", "one job")
    running, tokens = opened(engine, policy), Tokens(policy)
    rows = read_passages(running, tokens, prompts, resume, policy="base/step0", seed=1)

    model, ids = load_model(policy), tokens.prompt((tmp_path / "text.txt").read_text())
    for number, row in enumerate(rows):
        start = 3 + 4 * number
        logp = hf_logits(model, ids[start - 3 : start + 4]).double().log_softmax(-1)
        nats = -sum(logp[2 + place, ids[start + place]].item() for place in range(4))
        assert row["nats"] == pytest.approx(nats, abs=1e-4)
        assert row["n_tokens"] == 4
    assert [row["prompt_id"] for row in rows] == [f"prose-0000{n}" for n in range(4)]
    assert rows[0]["n_bytes"] == len(" T 19 : 5")
