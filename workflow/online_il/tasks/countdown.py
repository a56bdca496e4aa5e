"""Countdown: combine all the given numbers, each once, into an expression equal to a target.

Instances, exact solver, instance generator, and two scorers: `score` is ours, `score_tinyzero`
behaves as TinyZero's public scorer does. The prompts stand in `countdown_prompts`.

Departures from the paper: `score` reads the whole completion and only the four operations, exactly,
where TinyZero's reads the last line and takes what Python evaluates to within 1e-5 (`**`, `//`,
unary minus and decimals too). Both refuse (0.1) an answer longer than `MAX_ANSWER_CHARS`, and
`score_tinyzero` one that passes `MAX_INTEGER_BITS` on the way, so that past one linear scan no
completion can cost much time or memory; TinyZero's own has no such bounds. `value_range` serves the
miniature, which the paper does not have.
"""

import ast
import math
import operator
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from fractions import Fraction
from itertools import product
from typing import Any, NamedTuple

OPERATORS = "+-*/"
# An expression over four two-digit numbers takes some 30 characters. Python converts literals of
# up to 640 digits whatever its settings, so this cap also keeps int() from raising.
MAX_ANSWER_CHARS = 600
MAX_INTEGER_BITS = 20_000
# Draws in a row that add nothing before `generate` gives up.
MAX_FRUITLESS_DRAWS = 5_000

_EXACT: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_OPEN, _CLOSE = "<answer>", "</answer>"
_ANSWER_CHARS = re.compile(r"[0-9+\-*/()\s]*", re.ASCII)
# "07" splits into two adjacent literals, which the grammar refuses, as Python does.
_TOKEN = re.compile(r"0|[1-9][0-9]*|[-+*/()]")
# ")" ranks with the loosest operator: it closes every operation back to its "(".
_PRECEDENCE = {"(": 0, ")": 1, "+": 1, "-": 1, "*": 2, "/": 2}
# Not ASCII: TinyZero's patterns match any Unicode digit or space, which Python then cannot parse.
_TINYZERO_CHARS = re.compile(r"[\d+\-*/().\s]+")

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


def _apply(symbol: str, left: Fraction, right: Fraction) -> Fraction | None:
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
                        value = _apply(symbol, left[1], right[1])
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


def evaluate_expression(content: str) -> tuple[Fraction, list[int]] | None:
    """Evaluate `+ - * /`, parentheses and integers exactly; list the literals in order.

    Literals are non-negative, in ASCII digits without leading zeros; ASCII whitespace is free.
    None for anything else (unary minus, `**`, `//`, decimals, `=`), for a division by zero, and
    for more than `MAX_ANSWER_CHARS` characters.
    """
    if len(content) > MAX_ANSWER_CHARS or not _ANSWER_CHARS.fullmatch(content):
        return None
    literals: list[int] = []
    values: list[Fraction] = []
    # Shunting-yard, not recursion: nesting must not reach the stack. The whole content is taken
    # as if in one more pair of parentheses, so that the last ")" empties `pending`.
    pending = ["("]
    operand_next = True
    for token in [*_TOKEN.findall(content), ")"]:
        if not pending or operand_next != (token == "(" or token.isdigit()):
            return None
        if token == "(":
            pending.append(token)
        elif token.isdigit():
            literals.append(int(token))
            values.append(Fraction(literals[-1]))
            operand_next = False
        else:
            while _PRECEDENCE[pending[-1]] >= _PRECEDENCE[token]:
                right, left = values.pop(), values.pop()
                value = _apply(pending.pop(), left, right)
                if value is None:
                    return None
                values.append(value)
            if token == ")":
                pending.pop()
            else:
                pending.append(token)
                operand_next = True
    return None if pending else (values[0], literals)


def score(text: str, numbers: Sequence[int], target: int) -> float:
    """Reward a completion: 1.0 for a right answer, 0.1 for a wrong one, 0.0 for none.

    `text` is what follows the assistant marker. The answer is what stands between the last
    `</answer>` and the nearest `<answer>` before it, over several lines if need be. It is right if
    `evaluate_expression` reads it, it uses exactly the given numbers, each once, and it equals the
    target exactly. Never raises. A non-greedy left-to-right search differs in two odd nestings:
    in `<answer>a<answer>b</answer>` it answers `a<answer>b`, here `b`; in
    `<answer>a</answer>b</answer>` it answers `a`, here `a</answer>b`, which is never right.
    """
    end = text.rfind(_CLOSE)
    start = text.rfind(_OPEN, 0, end) if end >= 0 else -1
    if start < 0:
        return 0.0
    evaluated = evaluate_expression(text[start + len(_OPEN) : end])
    if evaluated is None:
        return 0.1
    value, literals = evaluated
    return 1.0 if sorted(literals) == sorted(numbers) and value == target else 0.1


def _power(left: Any, right: Any) -> Any:
    # At least this many bits would come out; for 0, 1 and -1 none, whatever the exponent.
    both_integers = isinstance(left, int) and isinstance(right, int)
    if both_integers and (left.bit_length() - 1) * right > MAX_INTEGER_BITS:
        raise ValueError("integer too long")
    return left**right


_PYTHON_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: _power,
}


def _python_value(content: str) -> Any:
    """Evaluate an expression by Python's arithmetic: an int, a float or a complex number.

    Raises ValueError on syntax other than numbers and their operators and on an integer of more
    than `MAX_INTEGER_BITS` bits, and whatever Python's parser or arithmetic raises.
    """
    root = ast.parse(content, mode="eval").body
    values: dict[ast.AST, Any] = {}
    # Breadth first, reversed: every operand is done before its operation, without recursion.
    for node in reversed(list(ast.walk(root))):
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            value: Any = node.value
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
            value = values[node.operand]
            value = -value if isinstance(node.op, ast.USub) else value
        elif isinstance(node, ast.BinOp) and type(node.op) in _PYTHON_OPERATIONS:
            value = _PYTHON_OPERATIONS[type(node.op)](values[node.left], values[node.right])
        elif isinstance(node, ast.operator | ast.unaryop | ast.expr_context):
            continue
        else:
            raise ValueError(f"not arithmetic: {type(node).__name__}")
        if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
            raise ValueError("integer too long")
        values[node] = value
    return values[root]


def score_tinyzero(text: str, numbers: Sequence[int], target: int) -> float:
    """Reward a completion as TinyZero's public Countdown scorer does: 1.0, 0.1 or 0.0.

    Of `text`, what follows the assistant marker, it keeps the last line and in it the last
    `<answer>...</answer>`, found left to right; none is 0.0. The runs of digits must be the given
    numbers, the characters digits, `+-*/().` and whitespace, and the content must be an expression
    that Python evaluates to within 1e-5 of the target: 1.0, else 0.1. Never raises; see the module
    docstring for the bounds.
    """
    # The non-greedy pattern by hand, for a regex is quadratic in unclosed tags: of the pieces that
    # end in a closing tag, the last with an opening one, from its first.
    closed = text[text.rfind("\n") + 1 :].split(_CLOSE)[:-1]
    content = next(
        (piece.partition(_OPEN)[2] for piece in reversed(closed) if _OPEN in piece), None
    )
    if content is None:
        return 0.0
    content = content.strip()
    if len(content) > MAX_ANSWER_CHARS or not _TINYZERO_CHARS.fullmatch(content):
        return 0.1
    if sorted(int(digits) for digits in re.findall(r"\d+", content)) != sorted(numbers):
        return 0.1
    try:
        return 1.0 if abs(_python_value(content) - target) < 1e-5 else 0.1
    except (SyntaxError, TypeError, ValueError, ArithmeticError, RecursionError, MemoryError):
        return 0.1
