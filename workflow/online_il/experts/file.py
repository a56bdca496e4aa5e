"""An expert that is a file of responses: what of it answers which training prompt, row by row."""

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from online_il.chat import as_text, messages_of
from online_il.discrepancy.files import rows
from online_il.discrepancy.formats import is_cut
from online_il.errors import InputError, ParameterError
from online_il.tasks.miniature import SPECIAL, VOCABULARY

TRAIN = "train"
END = "<eos>"
"""What ends each response of the miniature, whether a file writes it or not."""
COLUMNS = ("prompt_id", "prompt", "response", "text", "finish_reason")
SHOWN = 5
"""Wrong rows that an error names; it counts all."""


class Answer(NamedTuple):
    """One response of the file: to which prompt, and whether it was cut off."""

    prompt_id: str
    text: str
    cut: bool


class _Wrong(ValueError):
    """A row that nothing can be learned from; the text says why, and what to do."""


def answers(path: Path, prompts: pd.DataFrame) -> list[Answer]:
    """Read the responses in a file, in their order, each with the training prompt that it answers.

    `prompts` has prompt_id, split and text. A row names its prompt by prompt_id, or by prompt: its
    text, its messages, or what the user says in them. Raises `InputError` that names the rows of
    which no response to a training prompt can be made.
    """
    known = _Known(prompts)
    found, wrong, count = [], [], 0
    try:
        for place, row in rows(path, COLUMNS):
            count += 1
            try:
                found.append(known.answer(row))
            except _Wrong as error:
                wrong.append(f"{place}: {error}")
    except ParameterError as error:  # Of a file that is none of JSON or Parquet.
        raise InputError(str(error)) from None
    if wrong:
        more = f" | and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise InputError(
            f"{path}: {len(wrong)} of {count} rows cannot be learned from: "
            + " | ".join(wrong[:SHOWN])
            + more
        )
    if not found:
        raise InputError(f"{path}: no response in it; name a file that holds some")
    return found


def numbered(found: Collection[Answer]) -> list[int]:
    """Number the responses to each prompt, from 0."""
    counts: Counter[str] = Counter()
    numbers = []
    for answer in found:
        numbers.append(counts[answer.prompt_id])
        counts[answer.prompt_id] += 1
    return numbers


class _Known:
    """The prompts of a task, by name and by what is asked."""

    def __init__(self, prompts: pd.DataFrame) -> None:
        self.splits = dict(zip(prompts["prompt_id"], prompts["split"], strict=True))
        train = prompts[prompts["split"] == TRAIN]
        self.names = list(train["prompt_id"])
        self.asked: dict[str, str] = {}
        # A training prompt comes before another one of the same words.
        for table in (train, prompts):
            for name, text in zip(table["prompt_id"], table["text"], strict=True):
                for form in _forms(text):
                    self.asked.setdefault(form, name)
        self.is_miniature = bool(self.names) and train["text"].str.startswith("<bos> ").all()

    def answer(self, row: Mapping[str, Any]) -> Answer:
        """Find what a row answers, and check that it can be learned from. Raises `_Wrong`."""
        name = self._prompt(row)
        if (split := self.splits[name]) != TRAIN:
            raise _Wrong(
                f"it answers {name}, on which students are measured (split {split}); keep answers "
                "to training prompts"
            )
        text = row.get("response") if row.get("response") is not None else row.get("text")
        if not isinstance(text, str) or not text.strip():
            given = "no `response`" if text is None else f"`response` is {text!r:.40}"
            raise _Wrong(f"{given}; give the text that comes after the prompt, or take the row out")
        if self.is_miniature:
            text = text.strip().removesuffix(END).strip()
            odd = [w for w in text.split() if w not in VOCABULARY or w in SPECIAL]
        if self.is_miniature and (odd or not text):
            raise _Wrong(
                f"{[*odd, END][0]!r:.40} is no word of the miniature's language; correct it"
            )
        return Answer(name, text, is_cut(row.get("finish_reason")))

    def _prompt(self, row: Mapping[str, Any]) -> str:
        if (name := row.get("prompt_id")) is not None:
            if not isinstance(name, str) or name not in self.splits:
                ends = f"{self.names[0]} to {self.names[-1]}" if self.names else "none"
                raise _Wrong(f"no prompt has the prompt_id {name!r:.40}; training prompts: {ends}")
            return name
        prompt = row.get("prompt")
        if prompt is None:
            keys = ", ".join(sorted(map(str, row))) or "none"
            raise _Wrong(f"neither `prompt_id` nor `prompt`; there are: {keys}")
        text = as_text(prompt) if isinstance(prompt, list) else str(prompt)
        if text.strip() not in self.asked:
            raise _Wrong(
                f"no prompt of the task asks {text!r:.60}; copy `text` or give `prompt_id`"
            )
        return self.asked[text.strip()]


def _forms(text: str) -> list[str]:
    """List how a prompt may be written: its text, and what the user says where it is messages."""
    said = [turn["content"] for turn in messages_of(text) or [] if turn["role"] == "user"]
    return [text.strip(), *(one.strip() for one in said[-1:])]
