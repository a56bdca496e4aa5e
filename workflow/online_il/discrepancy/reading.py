"""Reading two models' responses: what is measured of each, without keeping its text.

A file is one of our samples tables (Parquet) or JSON Lines. It is read in batches, so that memory
holds one batch of texts and a few numbers a response.
"""

import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import pyarrow as arrow
import pyarrow.parquet as parquet
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer

from online_il.cli import ParameterError
from online_il.generation.response import whole
from online_il.tasks import sent

BATCH = 500
KEYS = ("prompt_id", "text", "correct", "answer", "reference", "finish_reason")
Row = dict[str, Any]
Place = str


class Responses(NamedTuple):
    """One model's responses; N responses, W keywords, V hashed words."""

    prompts: list[str]
    length_N: NDArray[np.int64]
    counts_N_W: NDArray[np.int64]
    """How often each keyword stands in each response."""
    correct_N: NDArray[np.float64]
    truncated: int
    """Responses that were cut off at the longest length; they are counted like all others."""
    words_N_V: sparse.csr_matrix


def read(
    paths: Sequence[Path],
    *,
    keywords: Sequence[str],
    tokenizer: str | None,
    mapping: Mapping[str, str] | None = None,
    keep_empty: bool = False,
) -> Responses:
    """The responses in all `paths` together.

    Lengths are tokens of `tokenizer` (a folder or a hub name), or words without one. `mapping`
    gives a file's own name for each of `KEYS`. Raises `ParameterError` naming file and line.
    """
    names = {key: key for key in KEYS} | dict(mapping or {})
    unknown = sorted(set(names) - set(KEYS))
    if unknown:
        raise ParameterError(f"--key {unknown[0]}: not a key; the keys are {', '.join(KEYS)}")
    measure = _length_of(tokenizer)
    patterns = [re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE) for word in keywords]
    hashing = HashingVectorizer(
        n_features=2**16, alternate_sign=False, norm=None, token_pattern=r"\S+"
    )
    prompts: list[str] = []
    lengths: list[int] = []
    counts: list[list[int]] = []
    correct: list[float] = []
    words: list[sparse.csr_matrix] = []
    truncated = 0
    for path in paths:
        rows, before = _rows(path, names), len(prompts)
        while batch := list(islice(rows, BATCH)):
            texts = [_text(place, row, names, keep_empty) for place, row in batch]
            prompts += [str(_of(place, row, names, "prompt_id")) for place, row in batch]
            correct += [_grade(place, row, names) for place, row in batch]
            truncated += sum(row.get(names["finish_reason"]) == "length" for _, row in batch)
            lengths += measure(texts)
            counts += [[len(pattern.findall(text)) for pattern in patterns] for text in texts]
            words.append(hashing.transform(texts))
        if len(prompts) == before:
            raise ParameterError(f"{path}: no response in it; name a file that holds some")
    return Responses(
        prompts,
        np.array(lengths, dtype=np.int64),
        np.array(counts, dtype=np.int64).reshape(len(prompts), len(keywords)),
        np.array(correct),
        truncated,
        sparse.vstack(words).tocsr(),
    )


def _rows(path: Path, names: Mapping[str, str]) -> Iterator[tuple[Place, Row]]:
    """The rows of a file, each with its place."""
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
    except OSError as error:
        raise ParameterError(f"{path}: cannot be read: {error.strerror}") from None
    if head == b"PAR1":
        yield from _parquet_rows(path, names)
        return
    with path.open(encoding="utf-8") as lines:
        number = 0
        try:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield f"{path}:{number}", _json(path, number, line)
        except UnicodeDecodeError:
            place = f"{path}:{number + 1}"
            raise ParameterError(f"{place}: not UTF-8 from about here; save it as UTF-8") from None


def _json(path: Path, number: int, line: str) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", "nested too deeply")
        raise ParameterError(f"{path}:{number}: not JSON: {reason}; mend this line") from None
    if not isinstance(row, dict):
        raise ParameterError(f"{path}:{number}: not a JSON object; a response is one a line")
    return row


def _parquet_rows(path: Path, names: Mapping[str, str]) -> Iterator[tuple[Place, Row]]:
    try:
        table = parquet.ParquetFile(path)
        columns = [name for name in table.schema_arrow.names if name in set(names.values())]
        number = 0
        for batch in table.iter_batches(BATCH, columns=columns or table.schema_arrow.names):
            for row in batch.to_pylist():
                number += 1
                yield f"{path}: row {number}", row
    except (arrow.ArrowException, OSError):
        raise ParameterError(f"{path}: not a whole Parquet file; make it anew") from None


def _of(place: Place, row: Row, names: Mapping[str, str], key: str) -> Any:
    name = names[key]
    if row.get(name) is None:
        there = ", ".join(sorted(map(str, row))) or "none"
        raise ParameterError(
            f"{place}: no key '{name}'; there are: {there}; name yours with --key {key}=NAME"
        )
    return row[name]


def _text(place: Place, row: Row, names: Mapping[str, str], keep_empty: bool) -> str:
    text = _of(place, row, names, "text")
    if not isinstance(text, str):
        raise ParameterError(f"{place}: '{names['text']}' is no text but {type(text).__name__}")
    if not text.strip() and not keep_empty:
        raise ParameterError(
            f"{place}: an empty response; take it out, or count it with --keep-empty"
        )
    return whole(text)


def _grade(place: Place, row: Row, names: Mapping[str, str]) -> float:
    """1 for a right response, 0 for a wrong one: as the file says, else by math-verify."""
    given = row.get(names["correct"])
    if given is not None:
        if isinstance(given, bool | int | float) and 0 <= given <= 1:
            return float(given)
        raise ParameterError(f"{place}: '{names['correct']}' is {given!r}, not true, false or 0-1")
    if row.get(names["answer"]) is None or row.get(names["reference"]) is None:
        there = ", ".join(sorted(map(str, row)))
        raise ParameterError(
            f"{place}: no grade: neither '{names['correct']}' nor both '{names['answer']}' and "
            f"'{names['reference']}'; there are: {there}; name yours with --key KEY=NAME"
        )
    answer, reference = str(row[names["answer"]]), str(row[names["reference"]])
    return float(sent.right(answer, reference))


def _length_of(tokenizer: str | None) -> Callable[[list[str]], list[int]]:
    if tokenizer is None:
        return lambda texts: [len(text.split()) for text in texts]
    from tokenizers import Tokenizer

    file = Path(tokenizer) / "tokenizer.json"
    try:
        loaded = Tokenizer.from_file(str(file)) if file.is_file() else _from_hub(tokenizer)
    except Exception as error:  # The library raises plain exceptions of many kinds.
        reason = " ".join(str(error).split())[:120]
        raise ParameterError(
            f"--tokenizer {tokenizer}: cannot be loaded ({reason}); name a folder with a "
            "tokenizer.json, or a hub model that this machine can reach"
        ) from None

    def lengths(texts: list[str]) -> list[int]:
        return [len(one.ids) for one in loaded.encode_batch(texts, add_special_tokens=False)]

    return lengths


def _from_hub(name: str) -> Any:
    """A hub model's tokenizer, from the cache or else the hub; without retries if it is away."""
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError
    from tokenizers import Tokenizer

    try:
        path = hf_hub_download(name, "tokenizer.json", local_files_only=True)
    except LocalEntryNotFoundError:
        host = urlsplit(constants.ENDPOINT).hostname
        socket.create_connection((host, 443), timeout=5).close()
        path = hf_hub_download(name, "tokenizer.json")
    return Tokenizer.from_file(path)
