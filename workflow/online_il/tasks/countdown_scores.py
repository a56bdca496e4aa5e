"""The rewards of Countdown: 1 for a right answer, 0.1 for a wrong one, 0 for none (appendix D.1).

`score` is ours, `score_tinyzero` behaves as TinyZero's public scorer does.

Departures from the paper: `score` reads the whole completion and only the four operations, exactly,
where TinyZero's reads the last line and takes what Python evaluates to within 1e-5 (`**`, `//`,
unary minus and decimals too). Both refuse (0.1) an answer longer than `MAX_ANSWER_CHARS`, and
`score_tinyzero` one that passes `MAX_INTEGER_BITS` on the way, so that past one linear scan no
completion can cost much time or memory; TinyZero's own has no such bounds.
"""

import ast
import operator
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from online_il.tasks.countdown import apply

# An expression over four two-digit numbers takes some 30 characters. Python converts literals of
# up to 640 digits whatever its settings, so this cap also keeps int() from raising.
MAX_ANSWER_CHARS = 600
MAX_INTEGER_BITS = 20_000
_OPEN, _CLOSE = "<answer>", "</answer>"
_ANSWER_CHARS = re.compile(r"[0-9+\-*/()\s]*", re.ASCII)
# "07" splits into two adjacent literals, which the grammar refuses, as Python does.
_TOKEN = re.compile(r"0|[1-9][0-9]*|[-+*/()]")
# ")" ranks with the loosest operator: it closes every operation back to its "(".
_PRECEDENCE = {"(": 0, ")": 1, "+": 1, "-": 1, "*": 2, "/": 2}
# Not ASCII: TinyZero's patterns match any Unicode digit or space, which Python then cannot parse.
_TINYZERO_CHARS = re.compile(r"[\d+\-*/().\s]+")


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
                value = apply(pending.pop(), left, right)
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
