"""Finds texts that ask what a benchmark asks, which a base must not be fine-tuned on.

What counts as the same question: the same words in the same order, whatever their case, spacing and
punctuation, and whatever stands around them; for Countdown the same numbers, in any order, with the
same target. A paraphrase, a translation and other LaTeX for the same formula are not found.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from online_il.chat import messages_of
from online_il.tasks import gsm8k, mmlu, problems

LONG = 8
"""Words from which on a question is told by itself, wherever it stands in a text."""
_WORD = re.compile(r"\w+")
_END_OF_SENTENCE = re.compile("[.?!:]\\s|[\n\u3002\uff01\uff1a\uff1f]")  # Also a Chinese one's.
_NUMBERS = re.compile(r"(?<!\d)\d++(?:(?:[\s,;|&$]|and\b)++\d++)+")  # At least two in a row.
_NUMBER = re.compile(r"\d+")

Words = tuple[str, ...]


def question(text: str, answer: Mapping[str, Any]) -> str:
    """Cut a prompt down to its question, without instructions, examples and choices."""
    messages = messages_of(text)
    if messages is None:
        return mmlu.question_of(text) if answer.get("grader") == "choice" else text
    asked = [message["content"] for message in messages if message["role"] == "user"]
    asked_text = asked[-1] if asked else messages[-1]["content"]
    for instruction in (gsm8k.INSTRUCTION, problems.INSTRUCTION):
        asked_text = asked_text.removesuffix(instruction)
    return asked_text


class Asked:
    """The questions of benchmarks, to be looked for in texts."""

    def __init__(self, prompts: Iterable[tuple[str, str, Mapping[str, Any]]]) -> None:
        """Take the prompts in: their split, their text and their answer."""
        self._targets: dict[Words, set[str]] = {}
        self._long: dict[Words, list[Words]] = {}
        short: Counter[Words] = Counter()
        seen: set[tuple[str, Words]] = set()
        for split, text, answer in prompts:
            if "target" in answer:
                numbers = tuple(sorted(map(str, answer["numbers"])))
                self._targets.setdefault(numbers, set()).add(str(answer["target"]))
                continue
            words = _words(question(text, answer))
            if len(words) < LONG:
                short[words] += 1
            elif (split, words) not in seen:
                seen.add((split, words))
                self._long.setdefault(words[:LONG], []).append(words)
        self._short = set(short) - {()}
        # "Which of these is true?" is asked of many things: found where it is the whole text.
        self._telling = {words for words in self._short if short[words] == 1}

    def __contains__(self, text: str) -> bool:
        """True for a text that asks any of the questions."""
        words = _words(text)
        return (
            words in self._short
            or self._has_long(words)
            or self._has_short(text)
            or self._has_instance(text)
        )

    def _has_long(self, words: Words) -> bool:
        return any(
            words[start : start + len(known)] == known
            for start in range(len(words) - LONG + 1)
            for known in self._long.get(words[start : start + LONG], ())
        )

    def _has_short(self, text: str) -> bool:
        """True where a run of sentences is one of the short questions."""
        sentences = [words for part in _END_OF_SENTENCE.split(text) if (words := _words(part))]
        for start in range(len(sentences)):
            run: Words = ()
            for sentence in sentences[start:]:
                run += sentence
                if len(run) >= LONG:
                    break
                if run in self._telling:
                    return True
        return False

    def _has_instance(self, text: str) -> bool:
        """True where a Countdown's numbers stand in a row, and its target behind or elsewhere."""
        for found in _NUMBERS.finditer(text) if self._targets else ():
            row = _NUMBER.findall(found[0])
            if row[-1] in self._targets.get(tuple(sorted(row[:-1])), ()):
                return True
            if targets := self._targets.get(tuple(sorted(row))):
                around = text[: found.start()] + " " + text[found.end() :]
                if not targets.isdisjoint(_NUMBER.findall(around)):
                    return True
        return False


def _words(text: str) -> Words:
    return tuple(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))
