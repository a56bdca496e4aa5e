"""Reading two models' responses: what is measured of each, without keeping its text.

A file is one of our samples tables (Parquet), JSON, or another program's (`formats`). It is read in
batches, so that memory holds one batch of texts and a few numbers a response.
"""

import json
import math
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer

from online_il.discrepancy import formats
from online_il.discrepancy.files import BATCH, Place, RawRow, rows
from online_il.discrepancy.keywords import counter, words
from online_il.errors import ParameterError
from online_il.tasks import sent
from online_il.text import encodable

KEYS = ("prompt_id", "text", "correct", "answer", "reference", "finish_reason")
FILTER = "filter"
"""The one key whose value names no column but a filter of lm-evaluation-harness."""

OWN = {"policy", "seed"}
"""The columns of a study's own samples by which its seeds are known."""


class Responses(NamedTuple):
    """One model's responses; N responses, W keywords, V hashed words."""

    prompts: list[str]
    length_N: NDArray[np.int64]
    counts_N_W: NDArray[np.int64]
    """Counts of each keyword in each response."""
    correct_N: NDArray[np.float64]
    cut_N: NDArray[np.float64]
    """1 for a response that was cut off at the longest length, which counts like all others; NaN
    where no `finish_reason` says so or not."""
    words_N_V: sparse.csr_matrix
    filter: str | None
    """The filter whose rows were read of lm-evaluation-harness's files; None for other files."""
    seeds: tuple[int, ...] = ()
    """The policy's seed of each response; empty for files that are not a study's own."""

    @property
    def truncated(self) -> int | None:
        """How many are known to have been cut off; None where it is known of none."""
        return None if np.isnan(self.cut_N).all() else int(np.nansum(self.cut_N))

    def to(self, prompts: Sequence[str]) -> "Responses":
        """Give the responses to some of the prompts."""
        wanted = set(prompts)
        rows = [row for row, prompt in enumerate(self.prompts) if prompt in wanted]
        return self._replace(
            prompts=[self.prompts[row] for row in rows],
            length_N=self.length_N[rows],
            counts_N_W=self.counts_N_W[rows],
            correct_N=self.correct_N[rows],
            cut_N=self.cut_N[rows],
            words_N_V=self.words_N_V[rows],
            seeds=tuple(self.seeds[row] for row in rows) if self.seeds else (),
        )


def read(
    paths: Sequence[Path],
    *,
    keywords: Sequence[str],
    tokenizer: str | None,
    mapping: Mapping[str, str] | None = None,
    keep_empty: bool = False,
) -> Responses:
    """Read the responses in all `paths` together.

    Lengths are tokens of `tokenizer` (a folder or a hub name), or words without one. `mapping`
    gives a file's own name for each of `KEYS`, and the `FILTER` to read. Raises `ParameterError`
    naming file and line.
    """
    given = dict(mapping or {})
    names = _names(given)
    measure, count = _length_of(tokenizer), counter(keywords)
    hashing = HashingVectorizer(
        n_features=2**16, alternate_sign=False, norm=None, tokenizer=words, token_pattern=None
    )
    prompts: list[str] = []
    lengths: list[int] = []
    counts: list[list[int]] = []
    correct: list[float] = []
    hashed: list[sparse.csr_matrix] = []
    seeds: list[int] = []
    cut: list[float] = []
    reader = formats.FormatReader(names, given)
    for path in paths:
        found, before = (
            reader.rows(rows(path, {*names.values(), *formats.COLUMNS, *OWN})),
            len(prompts),
        )
        while batch := list(islice(found, BATCH)):
            texts = [_text(place, row, names, keep_empty) for place, row in batch]
            prompts += [_prompt(place, row, names) for place, row in batch]
            correct += [_grade(place, row, names) for place, row in batch]
            reasons = (row.get(names["finish_reason"]) for _, row in batch)
            cut += [formats.is_cut(one) if isinstance(one, str) else np.nan for one in reasons]
            # Elsewhere a seed is that of a request, and not of a training.
            own = [row["seed"] for _, row in batch if row.keys() >= OWN]
            seeds += [int(seed) for seed in own if isinstance(seed, int)]
            lengths += measure(texts)
            counts += [count(text) for text in texts]
            hashed.append(hashing.transform(texts))
        if len(prompts) == before:
            raise ParameterError(
                f"{path}: no response in it{reader.left_out()}; name a file that holds some"
            )
    return Responses(
        prompts,
        np.array(lengths, dtype=np.int64),
        np.array(counts, dtype=np.int64).reshape(len(prompts), len(keywords)),
        np.array(correct),
        np.array(cut, dtype=float),
        sparse.vstack(hashed).tocsr(),
        reader.chosen,
        tuple(seeds) if len(seeds) == len(prompts) else (),
    )


def common_filter(expert: Responses, student: Responses) -> str | None:
    """Find the harness's filter of both models' files. Raises `ParameterError` if they differ."""
    filters = sorted({one.filter for one in (expert, student) if one.filter is not None})
    if len(filters) > 1:
        raise ParameterError(
            f"the files are graded under different filters, {' and '.join(filters)}; choose one "
            "with `key` filter=NAME"
        )
    return filters[0] if filters else None


def common_prompts(expert: Responses, student: Responses, intersect: bool = False) -> list[str]:
    """List the prompts of both models, sorted.

    Raises `ParameterError` if they differ, or with `intersect` if they share fewer than two.
    """
    ours, theirs = set(expert.prompts), set(student.prompts)
    both = sorted(ours & theirs)
    if not both:
        raise ParameterError(
            f"0 match of the {len(ours)} and {len(theirs)} prompts in the files: the expert's is "
            f"{expert.prompts[0]!r:.60}, say, and the student's {student.prompts[0]!r:.60}; name "
            "the key that holds the same ids in both with `key` prompt_id=NAME"
        )
    if ours != theirs and not intersect:
        raise ParameterError(
            f"the files do not have the same prompts: {len(both)} match, {len(ours - theirs)} are "
            f"the expert's alone and {len(theirs - ours)} the student's; give `intersect` to go on "
            "with those that match"
        )
    if len(both) < 2:
        raise ParameterError(
            f"the files share {len(both)} prompts (prompt_id); the intervals need at least 2"
        )
    return both


def _names(mapping: Mapping[str, str]) -> dict[str, str]:
    """Look up a file's own name for each key. Raises `ParameterError`."""
    unknown = sorted(set(mapping) - {*KEYS, FILTER})
    if unknown:
        known = ", ".join((*KEYS, FILTER))
        raise ParameterError(f"`key` {unknown[0]}: not a key; the keys are {known}")
    names = {key: mapping.get(key, key) for key in KEYS}
    if names["answer"] == names["reference"]:
        raise ParameterError(
            f"`key` reference={names['reference']}: this is read as the model's answer, too; say "
            "where that stands with `key` answer=NAME (answer=text: in the response)"
        )
    return names


def _of(place: Place, row: RawRow, names: Mapping[str, str], key: str) -> Any:
    """Look up a row's value of a key; None for null, `[]` and NaN, as data frames write null."""
    name = names[key]
    if name not in row:
        keys = ", ".join(sorted(map(str, row))) or "none"
        raise ParameterError(
            f"{place}: no key '{name}'; there are: {keys}; name yours with `key` {key}=NAME"
        )
    value = row[name]
    while isinstance(value, list) and len(value) == 1:  # As lm-evaluation-harness has answers.
        value = value[0]
    return None if value == [] or (isinstance(value, float) and math.isnan(value)) else value


def _prompt(place: Place, row: RawRow, names: Mapping[str, str]) -> str:
    """Read a prompt's id as text: the same for 1, 1.0, "1" and "1.0", which data frames confuse;
    "01" is no number."""
    value = _of(place, row, names, "prompt_id")
    if isinstance(value, float | Decimal) and math.isfinite(value):
        value = int(value) if value == int(value) else str(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ParameterError(
            f"{place}: '{names['prompt_id']}' is {json.dumps(value, default=str):.60}; each "
            "response needs the id of its prompt, a text or a number"
        )
    return re.sub(r"\A(0|-?[1-9][0-9]*)\.0\Z", r"\1", encodable(str(value)))


def _text(place: Place, row: RawRow, names: Mapping[str, str], keep_empty: bool) -> str:
    text = _of(place, row, names, "text")
    text = "" if text is None else text
    if not isinstance(text, str):
        raise ParameterError(f"{place}: '{names['text']}' is no text but {type(text).__name__}")
    if not text.strip() and not keep_empty:
        raise ParameterError(
            f"{place}: an empty response; take it out, or count it with `keep_empty`"
        )
    return encodable(text)


def _grade(place: Place, row: RawRow, names: Mapping[str, str]) -> float:
    """Grade a response 1 or 0: as the file says, else by math-verify.

    No answer (null) is a wrong one, as an empty one is; no reference is an error.
    """
    given = _of(place, row, names, "correct") if names["correct"] in row else None
    if given is not None:
        if isinstance(given, bool | int | float) and 0 <= given <= 1:
            return float(given)
        raise ParameterError(f"{place}: '{names['correct']}' is {given!r}, not true, false or 0-1")
    if names["answer"] not in row or names["reference"] not in row:
        keys = ", ".join(sorted(map(str, row)))
        raise ParameterError(
            f"{place}: no grade: neither '{names['correct']}' nor both '{names['answer']}' and "
            f"'{names['reference']}'; there are: {keys}; name yours with `key` KEY=NAME"
        )
    reference = _of(place, row, names, "reference")
    if reference is None:
        raise ParameterError(
            f"{place}: '{names['reference']}' is null, so there is nothing to grade by; take the "
            f"row out, or give '{names['correct']}'"
        )
    answer = _of(place, row, names, "answer")
    for key, value in (("answer", answer), ("reference", reference)):
        if isinstance(value, list | dict):
            raise ParameterError(
                f"{place}: '{names[key]}' is {json.dumps(value, default=str):.60}; write one text, "
                f"or give '{names['correct']}'"
            )
    if answer is None:
        return 0.0
    return float(sent.right(str(answer), str(reference)))


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
            f"`tokenizer` {tokenizer}: cannot be loaded ({reason}); name a folder with a "
            "tokenizer.json, or a hub model that this machine can reach"
        ) from None

    def lengths(texts: list[str]) -> list[int]:
        return [len(one.ids) for one in loaded.encode_batch(texts, add_special_tokens=False)]

    return lengths


def _from_hub(name: str) -> Any:
    """Load a hub model's tokenizer from the cache, else from the hub, without retries."""
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
