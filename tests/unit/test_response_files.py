"""Files of responses as others write them: ids, nulls, and bytes before and around the text."""

import bz2
import gzip
import json
import lzma
from pathlib import Path

import pandas as pd
import pyarrow as arrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online_il.discrepancy.reading import Responses, common_prompts, read
from online_il.errors import ParameterError

ROWS = [
    {"prompt_id": "a", "text": "wait – 等等\u2028so", "correct": True},
    {"prompt_id": "b", "text": "it is", "correct": False, "finish_reason": "length"},
]
LINES = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in ROWS)


def taken(path: Path, content: bytes | str, **options) -> Responses:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read([path], keywords=["wait", "等等"], tokenizer=None, **options)


def refused(path: Path, content: bytes | str, **options) -> str:
    with pytest.raises(ParameterError) as caught:
        taken(path, content, **options)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def one(**more) -> str:
    return json.dumps({"prompt_id": "a", "text": "x"} | more) + "\n"


# ---- bytes before and around the text ----

ENCODED = {
    "plain": LINES.encode(),
    "utf-8 mark": LINES.encode("utf-8-sig"),
    "marks where files were joined": b"".join(
        (line + "\n").encode("utf-8-sig") for line in LINES.split("\n") if line
    ),
    "utf-16": LINES.encode("utf-16"),
    "utf-16 big-endian": b"\xfe\xff" + LINES.encode("utf-16-be"),
    "utf-32": LINES.encode("utf-32"),
    "carriage returns": LINES.replace("\n", "\r\n").encode(),
    "empty lines": ("\n \n" + LINES.replace("\n", "\n\n")).encode(),
    "no last newline": LINES.rstrip("\n").encode(),
    "array": json.dumps(ROWS).encode(),
    "indented array with a mark": ("\n" + json.dumps(ROWS, indent=2)).encode("utf-8-sig"),
}
PACKED = {
    "": lambda data: data,
    "gzip": gzip.compress,
    "gzip, joined": lambda data: (
        gzip.compress(data[:20], mtime=0) + gzip.compress(data[20:], mtime=0)
    ),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "Zstandard": lambda data: arrow.compress(data, codec="zstd", asbytes=True),
}


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("encoded", ENCODED)
def test_the_same_responses_are_read_however_they_are_wrapped(tmp_path, encoded, packed):
    # The name says nothing of what is in it.
    found = taken(tmp_path / "file.txt", PACKED[packed](ENCODED[encoded]))
    assert found.prompts == ["a", "b"] and found.correct_N.tolist() == [1, 0]
    assert found.counts_N_W.tolist() == [[1, 1], [0, 0]]
    assert found.length_N.tolist() == [4, 2] and found.truncated == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no response in it"),
        (b"\xef\xbb\xbf", "no response in it"),
        (b"\n \r\n", "no response in it"),
        (gzip.compress(b"", mtime=0), "no response in it"),
        (b"[]", "no response in it"),
        (b"\0" * 64, "file:1: not JSON: it holds NUL bytes; save it as UTF-8"),
        (LINES.encode("utf-16-le"), "file:1: not "),
        (LINES.encode("utf-16")[:-1], "not UTF-16 from about here"),
        (b'{"prompt_id": "\xe9"}\n', "file:1: not UTF-8 from about here"),
        (gzip.compress(LINES.encode(), mtime=0)[:-9], "damaged or cut off"),
        (gzip.compress(LINES.encode(), mtime=0) + b"more", "damaged or cut off"),
        (bz2.compress(LINES.encode())[:-9], "damaged or cut off"),
        (lzma.compress(LINES.encode())[:-9], "damaged or cut off"),
        (arrow.compress(LINES.encode(), codec="zstd", asbytes=True)[:-3], "damaged or cut off"),
        (b"PK\x03\x04 and so on", "a zip archive; unpack it"),
        (gzip.compress(b"PAR1 and so on", mtime=0), "a packed Parquet file; unpack it"),
        (b'[{"prompt_id": "a"}, 3]', "file:1: item 2 of the array is not a JSON object"),
        (b'[{"prompt_id": "a"}]', "file: item 1: no key 'text'; there are: prompt_id"),
        (b"[\n\n[1]]", "file:1: item 1 of the array is not a JSON object"),
        (
            json.dumps(ROWS[0], indent=1).encode(),
            "an object ends on another line, or not",
        ),
        (b'[{"prompt_id": "a"},\n{"prompt_id"}]', "file:2: not JSON: Expecting ':'"),
        (b'{"prompt_id": ' + b"9" * 5_000 + b"}", "file:1: not JSON: nested too deeply, or a"),
        (b"[" * 100_000, "file:1: not JSON: nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(tmp_path, content, words):
    assert words in refused(tmp_path / "file", content)


# ---- null ----


def graded(folder: Path, **fields) -> float:
    return taken(folder / "f", one(**fields)).correct_N[0]


def test_no_answer_is_a_wrong_one(tmp_path):
    for answer in (None, "", float("nan"), [None], []):
        assert graded(tmp_path, answer=answer, reference="8") == 0
        assert graded(tmp_path, correct=None, answer=answer, reference="8") == 0
    assert graded(tmp_path, correct=None, answer="\\boxed{8}", reference="8") == 1
    # The file's own grade comes first.
    assert graded(tmp_path, correct=True, answer=None, reference=None) == 1
    table = pd.DataFrame([{"prompt_id": 1, "text": "x", "answer": None, "reference": "8"}])
    table.astype({"answer": "string"}).to_parquet(tmp_path / "p")
    found = read([tmp_path / "p"], keywords=[], tokenizer=None)
    assert found.correct_N.tolist() == [0] and found.prompts == ["1"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"answer": "8", "reference": None}, "'reference' is null, so there is nothing to grade"),
        ({"answer": None, "reference": None}, "'reference' is null"),
        ({"correct": None}, "no grade: neither 'correct' nor both"),
        ({"reference": "8"}, "no grade"),
        ({"answer": "8", "reference": ["8", "9"]}, '\'reference\' is ["8", "9"]; write one text'),
        ({"answer": ["8", "9"], "reference": "8"}, '\'answer\' is ["8", "9"]; write one text'),
        ({"answer": {"a": 8}, "reference": "8"}, "'answer' is {\"a\": 8}; write one text"),
        ({"prompt_id": None, "correct": 1}, "'prompt_id' is null; each response needs the id"),
        ({"prompt_id": float("nan"), "correct": 1}, "'prompt_id' is null"),
        ({"prompt_id": float("inf"), "correct": 1}, "'prompt_id' is Infinity"),
        ({"prompt_id": True, "correct": 1}, "'prompt_id' is true"),
        ({"prompt_id": {"a": 1}, "correct": 1}, "'prompt_id' is {"),
        ({"text": None, "correct": 1}, "an empty response; take it out, or count it"),
        ({"text": {"a": 1}, "correct": 1}, "'text' is no text but dict"),
        ({"correct": float("inf")}, "'correct' is inf, not true"),
    ],
)
def test_a_value_that_says_nothing_is_named(tmp_path, fields, words):
    assert words in refused(tmp_path / "file", one(**fields))


def test_no_text_is_an_empty_response_and_no_end_is_no_cut(tmp_path):
    lines = one(text=None, correct=1, finish_reason=None) + one(
        correct=1, finish_reason="MAX_TOKENS"
    )
    found = taken(tmp_path / "f", lines, keep_empty=True)
    assert found.length_N.tolist() == [0, 1] and found.truncated == 1


# ---- ids ----


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(-(2**53), 2**53))
def test_a_number_is_the_same_id_however_it_is_written(tmp_path_factory, number):
    forms = [number, float(number), str(number), f"{number}.0"]
    file = tmp_path_factory.getbasetemp() / "ids.jsonl"
    found = taken(file, "".join(one(prompt_id=form, correct=1) for form in forms))
    assert set(found.prompts) == {str(number)}


def test_ids_that_look_like_numbers_and_are_none_stay_apart(tmp_path):
    ids = ["01", "1", 1.5, "1.5", "1.50", "2.00", "1e0", " 1", "+1", "1.0.0", "v1.0", "-0.0"]
    found = taken(tmp_path / "f", "".join(one(prompt_id=name, correct=1) for name in ids))
    assert found.prompts == [str(name) for name in ids]


def test_a_data_frame_with_a_gap_has_the_same_ids(tmp_path):
    # pandas makes floats of integers where one is missing.
    frame = pd.DataFrame({"prompt_id": [1, 2, None], "text": "x", "correct": 1})[:2]
    frame.to_parquet(tmp_path / "f.parquet")
    frame.to_json(tmp_path / "f.json", orient="records")
    for name in ("f.parquet", "f.json"):
        assert read([tmp_path / name], keywords=[], tokenizer=None).prompts == ["1", "2"]


def test_where_no_id_matches_one_of_each_file_is_shown(tmp_path):
    both = [
        taken(tmp_path / name, one(prompt_id=name, correct=1)) for name in ("math_1", "algebra-1")
    ]
    for intersect in (False, True):
        with pytest.raises(ParameterError) as caught:
            common_prompts(*both, intersect)
        message = str(caught.value)
        assert "0 match" in message and "`key` prompt_id=NAME" in message
        assert "'math_1'" in message and "'algebra-1'" in message
        assert "`intersect`" not in message
