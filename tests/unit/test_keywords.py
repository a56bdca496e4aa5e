"""Keywords in text of any script, counted as a reader counts them."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online_il.discrepancy.keywords import counter, words
from online_il.tasks import miniature

SIGNS = "Really? Is it 5? No... x=5 and 3*4!"


@pytest.mark.parametrize(
    ("keyword", "text", "count"),
    [
        # Beside letters of scripts without spaces, and in such scripts.
        ("wait", "我们wait一下", 1),
        ("wait", "ーwaitー รอwaitรอ", 2),
        ("等等", "但是等等，让我", 1),
        ("等等", "等等等等", 2),
        ("待って", "ちょっと待ってください", 1),
        ("รอ", "ฉันรออยู่", 1),
        ("5", "第5章", 1),
        # Korean: particles and endings are written onto words.
        ("답", "답은 정답 답", 2),
        ("wait", "그래wait라고", 1),
        # Marks and symbols beside anything.
        ("?", SIGNS, 2),
        ("...", SIGNS, 1),
        ("=", SIGNS, 1),
        ("*", SIGNS, 1),
        ("!", SIGNS, 1),
        ("$", "$x$ costs 5$", 3),
        ("<think>", "a<think>b</think>", 1),
        ("c++", "C++11 and c++", 2),
        ("❤", "I❤\ufe0fyou", 1),
        ("_", "a_b", 1),
        # No parts of words.
        ("wait", "awaits waiting awaited WAITS", 0),
        ("wait", "wait5 5wait wait_for await_wait", 0),
        ("wait", "Wait, wait-and-see _wait_ __wait__ 'wait' “wait”", 6),
        ("5", "15 5a x5 55", 0),
        ("x", "x² x", 2),
        ("cafe", "cafe\u0301", 0),
        ("क", "की क", 1),
        ("ждать", "ЖДАТЬ, подождать", 1),
        ("οχι", "ΟΧΙ όχι", 1),
        # Apostrophes.
        ("don't", "Don’t. DON'T donʼt", 3),
        ("don", "don’t don", 1),
        ("can", "can't CAN", 1),
        ("it", "it's", 1),
        ("attente", "l'attente", 1),
        # Case and accents, however they are encoded.
        ("straße", "STRASSE Straße strasse", 3),
        ("istanbul", "İSTANBUL İstanbul ISTANBUL", 3),
        ("İstanbul", "istanbul", 1),
        ("café", "cafe\u0301 CAFÉ CAFE\u0301", 3),
        ("cafe\u0301", "café", 1),
        ("ς", "Σ σ", 2),
        ("wait", "wa\u00adit", 1),
        # Several words, any white space.
        ("wait a minute", "Wait a\n  minute; wait\u3000a minute", 2),
        ("\u00ad", "soft\u00adhyphen", 0),
    ],
)
def test_a_keyword_is_counted_as_a_reader_counts(keyword, text, count):
    assert counter([keyword])(text) == [count]


PIECES = ["wait", "Wait", "awaits", "waiting", "wait_x", "等", "あ", "ร", "?", "*", " ", "\n", "-"]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PIECES)))
def test_words_count_wherever_no_spaced_letter_touches_them(pieces):
    text = ""
    for piece in pieces:
        # Two pieces of Latin letters are one word unless something stands between them.
        text += " " * (piece[0].isascii() and piece[0].isalpha() and text[-1:].isascii()) + piece
    assert counter(["wait", "等", "*"])(text) == [
        sum(piece.lower() == "wait" for piece in pieces),
        pieces.count("等"),
        pieces.count("*"),
    ]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(), st.text(min_size=1))
def test_any_text_and_any_keyword_is_counted_without_an_error(text, keyword):
    assert counter([keyword])(text)[0] <= len(text) + len(keyword)


def test_the_miniatures_keywords_count_as_before():
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(miniature.VOCABULARY, 80)) for _ in range(200)]
    old = [re.compile(rf"(?<!\w){re.escape(w)}(?!\w)", re.IGNORECASE) for w in ("no", "ok", "*")]
    count = counter(["no", "ok", "*"])
    for text in texts:
        assert count(text) == [len(pattern.findall(text)) for pattern in old]


def test_words_of_scripts_without_spaces_are_their_letters():
    assert words("wait 等等 a-b, รอ") == ["wait", "等", "等", "a-b,", "ร", "อ"]
    assert words("  Really? x=5\n") == ["Really?", "x=5"]
