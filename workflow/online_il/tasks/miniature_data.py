"""Checks of data that are generated: can they be written, is there enough, does it fit?

The config knows no task; `online_il.studies` has these run when a study is loaded.
"""

import random
from collections.abc import Iterator
from functools import cache
from itertools import combinations_with_replacement
from math import comb
from typing import NamedTuple

from online_il.config.bases import Scratch
from online_il.config.miniature import Bounds, EnglishData, Generated, Instances, MiniatureData
from online_il.config.partial import if_known, readable, spared
from online_il.config.problem import ABSENT, Keys, Problem
from online_il.config.settings import Settings
from online_il.config.tasks import Task
from online_il.methods import METHODS
from online_il.tasks import miniature
from online_il.tasks.countdown import reachable
from online_il.tasks.countdown_prompts import compact_prompt

OPERANDS = (2, 5)  # One number leaves nothing to combine; solving six takes minutes.
MAX_COUNTED = 3_000  # Sets of numbers that are solved to count instances: some 0.1 s.
DRAWS = 200  # Sets of numbers that are tried where there are too many to count.
WRITABLE = f"the searcher can write only the numbers 0 to {miniature.LARGEST}"


class Ranges(NamedTuple):
    """The ranges of `Instances`, as a key of a cache."""

    operands: tuple[int, ...]
    numbers: Bounds
    answers: Bounds


def data_problems(data: Generated) -> Iterator[Problem]:
    """Tell what is wrong with data that are generated."""
    language = [*_operator_problems(data), *_value_range_problems(data)]
    inside = list(range_problems(data, "in_distribution"))
    outside = list(range_problems(data, "out_of_distribution"))
    yield from [*_fact_problems(data), *language, *inside, *outside]
    # Where these are wrong, count with what allows the most: too few of those are too few anyway.
    operators, value_range = if_known(data, "operators"), if_known(data, "value_range")
    if language or operators is None or value_range is None:
        operators, value_range = miniature.OPERATORS, (0, miniature.LARGEST)
    if not inside:
        yield from _inside_count_problems(data, operators, value_range)
    if not inside and not outside:
        yield from _outside_count_problems(data, operators, value_range)


def whole_benchmarks(data: Generated) -> list[str]:
    """Name the benchmarks whose prompts are all that there are, and no sample of more.

    The facts are; and the in-distribution instances where no solvable one is left out.
    """
    written = data.value_range or (0, miniature.LARGEST)
    there = solvable(ranges_of(data.in_distribution), data.operators, written)
    asked = data.train + data.validation + data.id
    facts = ["forgetting"] if isinstance(data, MiniatureData) else []
    return [*facts, *(["id"] if there == asked else [])]


@spared
def _inside_count_problems(
    data: Generated, operators: str, value_range: Bounds
) -> Iterator[Problem]:
    yield from count_problems(
        ("in_distribution",),
        "solvable instances",
        "train + validation + id",
        data.train + data.validation + data.id,
        solvable(ranges_of(data.in_distribution), operators, value_range),
    )


@spared
def _outside_count_problems(
    data: Generated, operators: str, value_range: Bounds
) -> Iterator[Problem]:
    common, other = ranges_of(data.in_distribution), ranges_of(data.out_of_distribution)
    yield from count_problems(
        ("out_of_distribution",),
        "solvable instances that leave the in-distribution ranges",
        "pretraining + ood",
        data.pretraining + data.ood,
        solvable(other, operators, value_range, common),
    )


@spared
def length_problems(task: Task) -> Iterator[Problem]:
    """Tell of prompts and responses that do not fit into a base's `max_length` positions."""
    places: list[tuple[Keys, object]] = [(("base",), if_known(task, "base"))]
    places += [(("bases", row), base) for row, base in enumerate(if_known(task, "bases") or [])]
    methods: list[Keys] = [("methods", name) for name in METHODS]
    for place, base in places:
        if isinstance(task.data, MiniatureData) and isinstance(base, Scratch):
            yield from _trace_problems(task.data, base, place)
            further = task.further.asked.values() if task.further else ()
            tested = [count for one in further for count in one.operands or []]
            for keys in (*methods, ("evaluation", "policy"), ("evaluation", "paper")):
                part = if_known(if_known(task, str(keys[0])), str(keys[1]))
                yield from _limit_problems(task.data, tested, (base, place), part, keys)
            for row, run in readable(if_known(task, "runs") or []):
                yield from _limit_problems(task.data, tested, (base, place), run, ("runs", row))


@spared
def _trace_problems(data: MiniatureData, base: Scratch, place: Keys) -> Iterator[Problem]:
    common = data.in_distribution.operands
    prompt, numbers = _prompt_tokens(common), max(common)
    # An attempt `3 * 12 = 36 - 4 = 32 no`, and four tags, the answer and the end after the last.
    trace = prompt + base.max_attempts * (4 * numbers - 2) + 4 * numbers
    if trace > base.max_length:
        yield Problem(
            (*place, "max_attempts"),
            base.max_attempts,
            f"the longest trace has {trace} tokens and passes {_named(place)}.max_length "
            f"{base.max_length}",
            f"lower it, or raise {_named(place)}.max_length",
        )


@spared
def _limit_problems(
    data: MiniatureData, tested: list[int], at: tuple[Scratch, Keys], part: object, keys: Keys
) -> Iterator[Problem]:
    """Tell of a `max_new_tokens` for which no room is left after the longest prompt."""
    value = getattr(part, "max_new_tokens", None)
    base, place = at
    operands = data.in_distribution.operands
    if keys[0] == "evaluation":
        operands = operands + data.out_of_distribution.operands + tested
    before = _prompt_tokens(operands)
    if value is not None and before + value > base.max_length:
        yield Problem(
            (*keys, "max_new_tokens"),
            value,
            f"with a prompt of {before} tokens this passes {_named(place)}.max_length "
            f"{base.max_length}",
            f"choose at most {base.max_length - before}, or raise {_named(place)}.max_length",
        )


def _named(place: Keys) -> str:
    return "base" if len(place) == 1 else f"bases[{place[1]}]"


def _fact_problems(data: Generated) -> Iterator[Problem]:
    numbers = miniature.LARGEST + 1
    for key, largest in (("count", numbers**2), ("choices", numbers)):
        value = if_known(if_known(data, "facts"), key)
        if value is not None and value > largest:
            message = f"the miniature's language can write {largest} at most"
            yield Problem(("facts", key), value, message, f"choose at most {largest}")


@spared
def _operator_problems(data: Generated) -> Iterator[Problem]:
    unknown = sorted(set(data.operators) - set(miniature.OPERATORS))
    if unknown:
        yield Problem(
            ("operators",),
            data.operators,
            f"the searcher cannot write {' '.join(unknown)}",
            f"choose from {' '.join(miniature.OPERATORS)}",
        )
    elif isinstance(data, EnglishData) and set(data.operators) != set(miniature.OPERATORS):
        yield Problem(
            ("operators",),
            data.operators,
            f"the prompts ask for {' '.join(miniature.OPERATORS)}, and so does the searcher try",
            f'write "{miniature.OPERATORS}"',
        )


@spared
def _value_range_problems(data: Generated) -> Iterator[Problem]:
    if data.value_range is None:
        remedy = f"write [0, {miniature.LARGEST}]"
        yield Problem(("value_range",), data.given("value_range"), WRITABLE, remedy)
    else:
        yield from _bound_problems(data.value_range, ("value_range",))


def range_problems(part: Settings, key: str) -> Iterator[Problem]:
    """Tell of ranges of instances that are empty, or that the searcher cannot write."""
    low, high = OPERANDS
    instances = if_known(part, key)
    for index, count in readable(if_known(instances, "operands") or []):
        if not low <= count <= high:
            message = f"the instances have {low} to {high} numbers"
            remedy = f"choose from {low} to {high}"
            yield Problem((key, "operands", index), count, message, remedy)
    for name in ("numbers", "answers"):
        if (bounds := if_known(instances, name)) is not None:
            yield from _bound_problems(bounds, (key, name))


@spared
def _bound_problems(bounds: Bounds, keys: Keys) -> Iterator[Problem]:
    if bounds[0] > bounds[1]:
        yield Problem(keys, list(bounds), "the range is empty", "write [smallest, largest]")
    if not all(0 <= bound <= miniature.LARGEST for bound in bounds):
        yield Problem(keys, list(bounds), WRITABLE, f"keep within [0, {miniature.LARGEST}]")


def count_problems(
    keys: Keys, which: str, asking: str, asked: int, there: int | None
) -> Iterator[Problem]:
    """Tell where more instances are asked for than there are."""
    if there == 0:
        yield Problem(keys, ABSENT, f"found no {which}", "widen numbers, answers or value_range")
    elif there is not None and asked > there:
        message = f"{asking} ask for {asked}, and there are {there} {which}"
        yield Problem(keys, ABSENT, message, "ask for fewer, or widen numbers or answers")


@cache
def solvable(
    ranges: Ranges, operators: str, value_range: Bounds, outside: Ranges | None = None
) -> int | None:
    """Count the instances, up to the order of their numbers; None for too many to count.

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


def _prompt_tokens(operands: list[int]) -> int:
    return len(compact_prompt([0] * min(max(operands), OPERANDS[1]), 0).split())


def ranges_of(instances: Instances) -> Ranges:
    """Make ranges the key of a cache."""
    return Ranges(tuple(instances.operands), instances.numbers, instances.answers)
