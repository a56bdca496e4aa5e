"""How honestly a response of the miniature, or of one in English, checks its own attempts."""

from collections.abc import Sequence
from fractions import Fraction

from online_il.tasks.countdown_scores import MAX_ANSWER_CHARS, evaluate_expression


def check_rate(response: str, target: int) -> tuple[int, int, int]:
    """Count (attempts, attempts with an honest check, attempts checked `ok`) in one response.

    An attempt is honest when each of its equations holds and its word (`ok` or `no`) says truly
    whether the last value is the target. GRPO on a base that does not check honestly collapses
    to one short attempt (docs/log.md), so this is measured and shown before an expert is trained.
    """
    thought = response.partition("<think>")[2].partition("</think>")[0].split()
    return counted(thought, target, "ok", "no")


def counted(words: Sequence[str], target: int, right: str, wrong: str) -> tuple[int, int, int]:
    """Count the same in the words of a thought, given the two words that are checks."""
    attempts = honest = positive = 0
    current: list[str] = []
    for word in words:
        if word not in (right, wrong):
            current.append(word)
            continue
        attempts += 1
        positive += word == right
        value = _honest_value(current)
        honest += value is not None and (value == target) == (word == right)
        current = []
    return attempts, honest, positive


def _honest_value(words: list[str]) -> Fraction | None:
    """Return the last value of `3 * 12 = 36 - 4 = 32`; None where an equation is wrong."""
    parts = " ".join(words).split(" = ")
    if len(parts) < 2:
        return None
    running = evaluate_expression(parts[0])
    for part in parts[1:]:
        claimed = (part.split() or [""])[0]
        # Python refuses to read a number of more than some thousand digits.
        number = len(claimed) <= MAX_ANSWER_CHARS and claimed.isascii() and claimed.isdecimal()
        if running is None or not number or running[0] != int(claimed):
            return None
        running = evaluate_expression(part)
    return running[0] if running is not None else None
