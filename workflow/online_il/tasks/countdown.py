"""Countdown: combine all the given numbers, each once, into an expression equal to a target.

Instances, exact solver and instance generator. The scorers stand in `countdown_scores`, the prompts
in `countdown_prompts`. `value_range` serves the miniature, which the paper does not have.
"""

import math
import operator
import random
from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from fractions import Fraction
from itertools import product
from typing import NamedTuple

OPERATORS = "+-*/"
# Draws in a row that add nothing before `generate` gives up.
MAX_FRUITLESS_DRAWS = 5_000

_EXACT: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
# Why a draw added no instance, and what to do.
_MISSES = {
    "target": "no reachable target: widen target_range or value_range",
    "taken": "already taken or excluded: widen number_range or operands, or ask less",
    "refused": "refused by accept: widen number_range or target_range",
}

# A rational in lowest terms, (numerator, positive denominator): several times faster than Fraction.
_Ratio = tuple[int, int]
Key = tuple[tuple[int, ...], int]


class Instance(NamedTuple):
    """One problem: the numbers in the order shown, and the target."""

    numbers: tuple[int, ...]
    target: int


def key(numbers: Sequence[int], target: int) -> Key:
    """Identify an instance up to reordering of its numbers."""
    return tuple(sorted(numbers)), target


def _check_operators(operators: str) -> None:
    if not operators or not set(operators) <= set(OPERATORS):
        raise ValueError(f"operators must be some of {OPERATORS!r}, got {operators!r}")


def _splits(mask: int) -> list[tuple[int, int]]:
    """Part a bit mask into two non-empty masks in every way, each unordered pair once."""
    return [(part, mask ^ part) for part in range(mask) if part & mask == part > mask ^ part]


def _combine(lefts: set[_Ratio], rights: set[_Ratio], operators: str) -> set[_Ratio]:
    """Combine every value of either set by one operation, in both orders, in lowest terms."""
    raw = []
    for a, b in lefts:
        for c, d in rights:
            if "+" in operators:
                raw.append((a * d + c * b, b * d))
            if "-" in operators:
                raw.append((a * d - c * b, b * d))
                raw.append((c * b - a * d, b * d))
            if "*" in operators:
                raw.append((a * c, b * d))
            if "/" in operators:
                if c:
                    raw.append((a * d, b * c))
                if a:
                    raw.append((c * b, d * a))
    found = set()
    for over, under in set(raw):
        shared = math.gcd(over, under) if under > 0 else -math.gcd(over, under)
        found.add((over // shared, under // shared))
    return found


def reachable(
    numbers: Sequence[int],
    operators: str = OPERATORS,
    value_range: tuple[int, int] | None = None,
) -> set[int]:
    """List all integers obtainable from all the numbers, each used once, exactly.

    With `value_range` (low, high), every number, intermediate and final value must be an integer
    in that inclusive range. The cost grows some twentyfold with each operand past three. Raises
    ValueError on an unknown operator.
    """
    _check_operators(operators)
    values: list[set[_Ratio]] = [set() for _ in range(1 << len(numbers))]
    for mask in range(1, len(values)):
        found = values[mask]
        if mask.bit_count() == 1:
            found.add((numbers[mask.bit_length() - 1], 1))
        for one, other in _splits(mask):
            found |= _combine(values[one], values[other], operators)
        if value_range is not None:
            low, high = value_range
            values[mask] = {(n, d) for n, d in found if d == 1 and low <= n <= high}
    return {over for over, under in values[-1] if under == 1}


def apply(symbol: str, left: Fraction, right: Fraction) -> Fraction | None:
    """Apply one operation; None for a division by zero."""
    if symbol == "/" and right == 0:
        return None
    return _EXACT[symbol](left, right)


def solve(
    numbers: Sequence[int],
    target: int,
    operators: str = OPERATORS,
    value_range: tuple[int, int] | None = None,
) -> list[str]:
    """List the distinct expressions of all numbers that equal the target, in sorted order.

    Two expressions are the same if one becomes the other by swapping the operands of `+` or `*`
    anywhere in the syntax tree; equal numbers are interchangeable. Regrouping is not sameness:
    `( 1 + 2 ) + 3` and `( 1 + 3 ) + 2` are two. Under `+` and `*` the operand with more numbers
    is written first, then the larger value. Every inner operation is parenthesised, tokens are
    one space apart, and the order of `numbers` does not matter. `value_range` is as in
    `reachable`. Returns [] if there is none; raises ValueError on an unknown operator.
    """
    _check_operators(operators)
    full = (1 << len(numbers)) - 1
    # Per subset of the numbers: the text of each tree (outermost parentheses included), its value.
    trees: list[dict[str, Fraction]] = [{} for _ in range(full + 1)]
    for mask in range(1, full + 1):
        found = trees[mask]
        if mask.bit_count() == 1:
            number = numbers[mask.bit_length() - 1]
            found[str(number)] = Fraction(number)
        for one, other in _splits(mask):
            lefts = [(one.bit_count(), value, text) for text, value in trees[one].items()]
            rights = [(other.bit_count(), value, text) for text, value in trees[other].items()]
            for pair in product(lefts, rights):
                second, first = sorted(pair)
                for symbol in operators:
                    orders = [(first, second), (second, first)]
                    for left, right in orders[:1] if symbol in "+*" else orders:
                        value = apply(symbol, left[1], right[1])
                        if value is not None and (mask != full or value == target):
                            found[f"( {left[2]} {symbol} {right[2]} )"] = value
        if value_range is not None:
            low, high = value_range
            trees[mask] = {
                text: value
                for text, value in found.items()
                if value.denominator == 1 and low <= value <= high
            }
    return sorted(
        text[2:-2] if len(numbers) > 1 else text
        for text, value in trees[full].items()
        if value == target
    )


def generate(
    count: int,
    *,
    operands: Sequence[int],
    number_range: tuple[int, int],
    target_range: tuple[int, int],
    operators: str = OPERATORS,
    seed: int,
    value_range: tuple[int, int] | None = None,
    exclude: AbstractSet[Key] = frozenset(),
    accept: Callable[[Instance], bool] | None = None,
) -> list[Instance]:
    """Draw `count` solvable instances, distinct by `key`, none with its key in `exclude`.

    How many numbers is drawn uniformly from `operands`, the numbers uniformly from `number_range`,
    then the target uniformly from those reachable within `target_range` (ranges inclusive), so
    numbers with nothing reachable there are drawn again. An instance that `accept` refuses is
    passed over. Deterministic in `seed`. Raises ValueError on malformed arguments, and when
    `MAX_FRUITLESS_DRAWS` draws in a row add nothing.
    """
    _check_operators(operators)
    if count < 0:
        raise ValueError(f"count must be at least 0, got {count}")
    if not operands or min(operands) < 1:
        raise ValueError(f"operands must be one or more positive counts, got {list(operands)}")
    ranges = {"number": number_range, "target": target_range, "value": value_range}
    for name, bounds in ranges.items():
        if bounds is not None and bounds[0] > bounds[1]:
            raise ValueError(f"{name}_range must be (low, high) with low <= high, got {bounds}")
    if number_range[0] < 0:
        raise ValueError(f"number_range must not go below 0 (no unary minus), got {number_range}")
    rng = random.Random(seed)
    found: list[Instance] = []
    taken = set(exclude)
    # Why the draws since the last success added nothing, to name the argument to widen.
    misses: Counter[str] = Counter()
    while len(found) < count:
        if misses.total() >= MAX_FRUITLESS_DRAWS:
            often = misses.most_common(1)[0][0]
            raise ValueError(
                f"asked for {count} instances, found {len(found)} before {MAX_FRUITLESS_DRAWS} "
                f"draws in a row added none; most often: {_MISSES[often]} "
                f"(operands {list(operands)}, operators {operators!r}, ranges {ranges}, "
                f"{len(exclude)} excluded)"
            )
        numbers = tuple(rng.randint(*number_range) for _ in range(rng.choice(operands)))
        low, high = target_range
        targets = sorted(t for t in reachable(numbers, operators, value_range) if low <= t <= high)
        if not targets:
            misses["target"] += 1
            continue
        instance = Instance(numbers, rng.choice(targets))
        if key(*instance) in taken:
            misses["taken"] += 1
        elif accept is not None and not accept(instance):
            misses["refused"] += 1
        else:
            misses.clear()
            taken.add(key(*instance))
            found.append(instance)
    return found
