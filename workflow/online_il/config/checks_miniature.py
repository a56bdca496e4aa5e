"""Checks of the miniature's data: can its language write it, is there enough, does it fit?"""

import random
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import combinations_with_replacement
from math import comb
from typing import Any, NamedTuple

from online_il.config.reading import ABSENT, Keys, Problem, integer, ints, pair, text, value_at
from online_il.tasks import miniature
from online_il.tasks.countdown import compact_prompt, reachable

OPERANDS = (2, 5)  # One number leaves nothing to combine; solving six takes minutes.
MAX_COUNTED = 3_000  # Sets of numbers that are solved to count instances: some 0.1 s.
DRAWS = 200  # Sets of numbers that are tried where there are too many to count.


class Ranges(NamedTuple):
    """A distribution of Countdown instances whose bounds have been checked."""

    operands: tuple[int, ...]
    numbers: tuple[int, int]
    answers: tuple[int, int]


def data_problems(task: dict[str, Any], here: Keys) -> Iterator[Problem]:
    """What is wrong with a miniature's `data`: `task` is that mapping, and `here` its place."""
    facts = list(_fact_problems(task, here))
    language = list(_language_problems(task, here))
    inside = list(_range_problems(task, "in_distribution", here))
    outside = list(_range_problems(task, "out_of_distribution", here))
    yield from [*facts, *language, *inside, *outside]
    # Where these are wrong, count with what allows the most: too few of those are too few anyway.
    operators, value_range = text(task, "operators"), pair(task, "value_range")
    if language or not operators or not value_range:
        operators, value_range = miniature.OPERATORS, (0, miniature.LARGEST)
    common, other = _ranges(task, "in_distribution"), _ranges(task, "out_of_distribution")
    if common and not inside:
        parts = [integer(task, key) for key in ("train", "validation", "id")]
        asked = sum(part for part in parts if part is not None)
        yield from _count_problems(
            (*here, "in_distribution"),
            "solvable instances",
            f"train + validation + id ask for {asked}",
            asked if None not in parts else None,
            _solvable(common, operators, value_range),
        )
    if common and other and not inside and not outside:
        parts = [integer(task, key) for key in ("pretraining", "ood")]
        asked = sum(part for part in parts if part is not None)
        yield from _count_problems(
            (*here, "out_of_distribution"),
            "solvable instances that leave the in-distribution ranges",
            f"pretraining + ood ask for {asked}",
            asked if None not in parts else None,
            _solvable(other, operators, value_range, common),
        )


def _fact_problems(task: dict[str, Any], here: Keys) -> Iterator[Problem]:
    numbers = miniature.LARGEST + 1
    for key, largest in (("count", numbers**2), ("choices", numbers)):
        value = integer(task, "facts", key)
        if value is not None and value > largest:
            message = f"the miniature's language can write {largest} at most"
            yield Problem((*here, "facts", key), value, message, f"choose at most {largest}")


def _language_problems(task: dict[str, Any], here: Keys) -> Iterator[Problem]:
    operators, value_range = text(task, "operators"), value_at(task, "value_range")
    unknown = sorted(set(operators) - set(miniature.OPERATORS))
    if unknown:
        yield Problem(
            (*here, "operators"),
            operators,
            f"the miniature's language cannot write {' '.join(unknown)}",
            f"choose from {' '.join(miniature.OPERATORS)}",
        )
    if value_range is ABSENT or value_range is None:
        yield Problem(
            (*here, "value_range"),
            value_range,
            f"the miniature's language can write only the numbers 0 to {miniature.LARGEST}",
            f"write [0, {miniature.LARGEST}]",
        )
    yield from _bound_problems(task, "value_range", here)


def _range_problems(task: dict[str, Any], key: str, here: Keys) -> Iterator[Problem]:
    instances, at = value_at(task, key), (*here, key)
    low, high = OPERANDS
    for index, count in enumerate(ints(instances, "operands") or []):
        if not low <= count <= high:
            message = f"the miniature's instances have {low} to {high} numbers"
            remedy = f"choose from {low} to {high}"
            yield Problem((*at, "operands", index), count, message, remedy)
    yield from _bound_problems(instances, "numbers", at)
    yield from _bound_problems(instances, "answers", at)


def _bound_problems(settings: object, key: str, here: Keys) -> Iterator[Problem]:
    bounds, at = pair(settings, key), (*here, key)
    if bounds and bounds[0] > bounds[1]:
        yield Problem(at, list(bounds), "the range is empty", "write [smallest, largest]")
    if bounds and not all(0 <= bound <= miniature.LARGEST for bound in bounds):
        yield Problem(
            at,
            list(bounds),
            f"the miniature's language can write only the numbers 0 to {miniature.LARGEST}",
            f"keep within [0, {miniature.LARGEST}]",
        )


def _ranges(task: dict[str, Any], key: str) -> Ranges | None:
    instances = value_at(task, key)
    operands = ints(instances, "operands")
    numbers, answers = pair(instances, "numbers"), pair(instances, "answers")
    return Ranges(tuple(operands), numbers, answers) if operands and numbers and answers else None


def _count_problems(
    at: Keys, which: str, asking: str, asked: int | None, solvable: int | None
) -> Iterator[Problem]:
    if solvable == 0:
        remedy = "widen numbers, answers or value_range"
        yield Problem(at, ABSENT, f"found no {which}", remedy)
    elif solvable is not None and asked is not None and asked > solvable:
        message = f"{asking}, and there are {solvable} {which}"
        yield Problem(at, ABSENT, message, "ask for fewer, or widen numbers or answers")


@cache
def _solvable(
    ranges: Ranges,
    operators: str,
    value_range: tuple[int, int],
    outside: Ranges | None = None,
) -> int | None:
    """How many instances there are, up to the order of their numbers; None for too many to count.

    With `outside`, only those that leave its ranges. Where there are too many to count, 0 says
    that not one of `DRAWS` sets of numbers makes an instance.
    """

    def count(numbers: tuple[int, ...]) -> int:
        low, high = ranges.answers
        found = {n for n in reachable(numbers, operators, value_range) if low <= n <= high}
        if outside and len(numbers) in outside.operands:
            low, high = outside.numbers
            if all(low <= number <= high for number in numbers):
                low, high = outside.answers
                found = {n for n in found if not low <= n <= high}
        return len(found)

    low, high = ranges.numbers
    sizes = sorted(set(ranges.operands))
    if max(sizes) <= 3 and sum(comb(high - low + size, size) for size in sizes) <= MAX_COUNTED:
        return sum(
            count(numbers)
            for size in sizes
            for numbers in combinations_with_replacement(range(low, high + 1), size)
        )
    rng = random.Random(0)
    draws = (tuple(rng.randint(low, high) for _ in range(rng.choice(sizes))) for _ in range(DRAWS))
    return None if any(count(numbers) for numbers in draws) else 0


def length_problems(raw: Mapping[str, Any], task: dict[str, Any], here: Keys) -> Iterator[Problem]:
    """The base has positions for `max_length` tokens: prompt and response must fit into them."""
    positions = integer(task, "base", "max_length")
    common = ints(task, "data", "in_distribution", "operands")
    other = ints(task, "data", "out_of_distribution", "operands")
    if not positions or not common:
        return
    prompt, longest = _prompt_tokens(common), _prompt_tokens(common + (other or []))
    for keys, before in (
        (("methods", "grpo", "max_new_tokens"), prompt),
        (("methods", "distill", "max_new_tokens"), prompt),
        (("evaluation", "policy", "max_new_tokens"), longest),
        (("evaluation", "paper", "max_new_tokens"), longest),
    ):
        value = integer(raw, *keys)
        if value is not None and before + value > positions:
            yield Problem(
                keys,
                value,
                f"with a prompt of {before} tokens this passes base.max_length {positions}",
                f"choose at most {positions - before}, or raise base.max_length",
            )
    attempts = integer(task, "base", "max_attempts")
    numbers = max(common)
    # An attempt `3 * 12 = 36 - 4 = 32 no`, and four tags, the answer and the end after the last.
    trace = prompt + (attempts or 0) * (4 * numbers - 2) + 4 * numbers
    if attempts and trace > positions:
        yield Problem(
            (*here, "base", "max_attempts"),
            attempts,
            f"the longest trace has {trace} tokens and passes base.max_length {positions}",
            "lower it, or raise base.max_length",
        )


def _prompt_tokens(operands: list[int]) -> int:
    return len(compact_prompt([0] * min(max(operands), OPERANDS[1]), 0).split())
