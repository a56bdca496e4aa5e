"""Marks the wrong steps of a response in the miniature's language, or in Countdown's English.

A step of a response is an equation (`3 * 12 = 36`), a check (`ok` or `no`; `yes.` or `no.`) or the
answer. A wrong one is marked with the reason. Responses of other tasks are prose, in which no step
can be found.
"""

import re
from fractions import Fraction
from typing import NamedTuple

from online_il.tasks.countdown import Instance
from online_il.tasks.countdown_scores import MAX_ANSWER_CHARS, evaluate_expression

CHECKS = ("ok", "no")
"""The miniature's checks of an attempt: that it is right, that it is wrong."""
_TAG = re.compile(r"(</?(?:think|answer)>)")


class Piece(NamedTuple):
    """A part of a response; `wrong` says what is wrong with it, and is empty where nothing is."""

    text: str
    wrong: str = ""


def pieces(response: str, instance: Instance, checks: tuple[str, str] = CHECKS) -> list[Piece]:
    """Cut a response into pieces, wrong steps marked; each attempt is a line of its own.

    `checks` are the two words that close an attempt: the one for a right one comes first.
    """
    found: list[Piece] = []
    attempt: list[str] = []
    answer: list[str] | None = None
    for word in _TAG.sub(r" \1 ", response).split():
        if word == "</answer>" and answer is not None:
            found.append(_answer(answer, instance))
            answer = None
        if answer is not None:
            answer.append(word)
        elif word in checks:
            steps, value = _equations(attempt)
            says_right = word == checks[0]
            found += [*steps, _check(word, says_right, value, instance.target), Piece("\n")]
            attempt = []
        elif word.startswith("<"):
            # An attempt that is cut off has no check.
            found += [*_equations(attempt)[0], Piece(word)]
            attempt = []
            answer = [] if word == "<answer>" else None
        else:
            attempt.append(word)
    rest = [Piece(" ".join(answer))] if answer else _equations(attempt)[0]
    return _joined([*found, *rest])


def _equations(words: list[str]) -> tuple[list[Piece], Fraction | None]:
    """Split an attempt into equations, and read its last value: None where there is none."""
    # `3 * 12 = 36 - 4 = 32`: each value but the last is the left end of the next equation.
    equals = [place for place, word in enumerate(words) if word == "="]
    pieces_, start, claimed = [], 0, None
    for place in equals:
        said = " ".join(words[start:place])
        left = evaluate_expression(said)
        end = min(place + 2, len(words))
        claimed = words[place + 1] if place + 1 < len(words) else None
        wrong = ""
        if claimed is None or not _is_number(claimed):
            claimed = None
        elif left is None and any(map(str.isalpha, said)):
            pass  # Prose: `so 3 + 4 = 7`.
        elif left is None:
            wrong = f"{said} is not an expression"
        elif left[0] != int(claimed):
            wrong = f"{said} is {left[0]}, not {claimed}"
        # The left end stands in the piece before.
        pieces_.append(Piece(" ".join(words[start + (start > 0) : end]), wrong))
        start = place + 1
    last = equals[-1] + 2 if equals else 0
    pieces_.append(Piece(" ".join(words[last:])))
    value = Fraction(claimed) if claimed is not None and last == len(words) else None
    return [piece for piece in pieces_ if piece.text], value


def _is_number(word: str) -> bool:
    # Python refuses to read a number of more than some thousand digits.
    return len(word) <= MAX_ANSWER_CHARS and word.isascii() and word.isdecimal()


def _check(word: str, says_right: bool, value: Fraction | None, target: int) -> Piece:
    """Mark a check whose word does not say whether the value just written is the target."""
    if value is None or (value == target) == says_right:
        return Piece(word)
    return Piece(word, f"{value} is {'not ' if value != target else ''}the target {target}")


def _answer(words: list[str], instance: Instance) -> Piece:
    text = " ".join(words)
    value = evaluate_expression(text)
    if value is None:
        return Piece(text, "the answer is not an expression")
    if value[0] != instance.target:
        return Piece(text, f"the answer is {value[0]}, not {instance.target}")
    if sorted(value[1]) != sorted(instance.numbers):
        return Piece(text, "the answer does not use each number once")
    return Piece(text)


def _joined(found: list[Piece]) -> list[Piece]:
    """Join neighbours without a fault."""
    joined: list[Piece] = []
    for piece in found:
        if joined and not piece.wrong and not joined[-1].wrong:
            text = f"{joined[-1].text} {piece.text}"
            joined[-1] = Piece(text.replace(" \n", "\n").replace("\n ", "\n"))
        elif piece.text:
            joined.append(piece)
    return joined
