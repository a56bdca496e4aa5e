"""An evaluator of Countdown's expressions that shares nothing with the project's own.

Python's parser reads the expression, and a walk over a whitelisted tree computes it in fractions.
"""

import ast
import operator
import re
from fractions import Fraction

LONGEST = 600
_ALLOWED = set("0123456789+-*/() \t\n\r\f\v")
_OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def value_of(content: str) -> tuple[Fraction, list[int]] | None:
    """(value, literals in order); None for what is no expression or divides by zero.

    Raises `RecursionError` or `MemoryError` where Python's parser cannot read so deep a nesting.
    """
    if len(content) > LONGEST or not set(content) <= _ALLOWED:
        return None
    if re.search(r"(?<![0-9])0[0-9]", content):  # Python reads 00 as 0; the game does not.
        return None
    try:
        tree = ast.parse(re.sub(r"\s", " ", content).strip(), mode="eval").body
    except SyntaxError as error:
        if "too many nested" in str(error):
            raise RecursionError from None
        return None
    literals: list[int] = []

    def walk(node: ast.expr) -> Fraction:
        if isinstance(node, ast.Constant) and type(node.value) is int:
            literals.append(node.value)
            return Fraction(node.value)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
            left, right = walk(node.left), walk(node.right)
            return _OPERATIONS[type(node.op)](left, right)
        raise ValueError("not of the game")

    try:
        return walk(tree), literals
    except (ValueError, ZeroDivisionError):
        return None


def score_of(text: str, numbers: list[int], target: int) -> float:
    """What a completion is worth: 1.0, 0.1 or 0.0 (paper, D.1)."""
    before, closed, _ = text.rpartition("</answer>")
    _, opened, content = before.rpartition("<answer>")
    if not closed or not opened:
        return 0.0
    known = value_of(content)
    if known is None:
        return 0.1
    value, literals = known
    right = value == target and sorted(literals) == sorted(numbers)
    return 1.0 if right else 0.1
