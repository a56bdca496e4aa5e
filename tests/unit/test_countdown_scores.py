"""Countdown: the parser and both scorers against hand-worked cases and hostile text."""

import ast
import re
import warnings
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from online_il.tasks.countdown import (
    MAX_ANSWER_CHARS,
    evaluate_expression,
    score,
    score_tinyzero,
)

PAPER = ((5, 94, 9, 44), 93)


def quick(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, derandomize=True)


# ---- expressions ----


@pytest.mark.parametrize(
    ("content", "value", "literals"),
    [
        ("7", 7, [7]),
        ("0", 0, [0]),
        (" ( 12+4 )\n+ 3\t", 19, [12, 4, 3]),
        ("10 - 4 - 3", 3, [10, 4, 3]),
        ("24 / 4 / 2", 3, [24, 4, 2]),
        ("24 / (4 / 2)", 12, [24, 4, 2]),
        ("2 + 3 * 4", 14, [2, 3, 4]),
        ("2 * 3 + 4", 10, [2, 3, 4]),
        ("2 - 3 * 4 - 5", -15, [2, 3, 4, 5]),
        ("(2 + 3) * (4 - 1)", 15, [2, 3, 4, 1]),
        ("((((1))))", 1, [1]),
        ("1 / 3", Fraction(1, 3), [1, 3]),
        ("8/(3-8/3)", 24, [8, 3, 8, 3]),
        ("0 / 5", 0, [0, 5]),
    ],
)
def test_expressions_inside_the_grammar(content, value, literals):
    assert evaluate_expression(content) == (value, literals)


@pytest.mark.parametrize(
    "content",
    ["", " ", "+", "-3", "+3", "3+", "3 4", "(3)(4)", "3(4)", "(3)4", "()", "(", ")", "(3", "3)"]
    + [")3(", "(3))", "((3)", "3)+(4", "3**2", "3//2", "3* *2", "2*-3", "1.5", "1.", "3=3", "3,4"]
    + ["1/0", "1/(2-2)", "0/0", "07", "00", "1_000", "0x1", "1e3", "a", "3+b", "3 + 4;", "3\x004"]
    + [
        "\u0663+4",
        "2\u00b2",
        "\uff13+4",
        "3\u00a0+4",
        "3\u22121",
        "3\u00d72",
        "\ud800",
        "[3]",
        "3 % 2",
        "~3",
        "1j",
    ],
)
def test_expressions_outside_the_grammar(content):
    assert evaluate_expression(content) is None


def test_expression_length_cap():
    padded = "1" + " " * (MAX_ANSWER_CHARS - 3) + "+1"
    assert evaluate_expression(padded) == (2, [1, 1])
    assert evaluate_expression(padded + " ") is None
    half = (MAX_ANSWER_CHARS - 1) // 2
    assert evaluate_expression("(" * half + "1" + ")" * half) == (1, [1])
    assert evaluate_expression("9" * MAX_ANSWER_CHARS) == (10**MAX_ANSWER_CHARS - 1, [10**600 - 1])


@given(st.text(alphabet="0123456789+-*/() ", max_size=14))
@quick(1500)
@pytest.mark.slow
def test_grammar_is_what_python_reads_less_its_extras(content):
    evaluated = evaluate_expression(content)
    try:
        tree = ast.parse(content.strip(), mode="eval").body
    except SyntaxError:
        assert evaluated is None
        return
    plain = (ast.BinOp, ast.Constant, ast.Add, ast.Sub, ast.Mult, ast.Div)
    if not all(isinstance(node, plain) for node in ast.walk(tree)) or re.search(r"\b00", content):
        assert evaluated is None
        return
    exact = re.sub(r"\d+", lambda digits: f"Fraction({digits[0]})", content.strip())
    try:
        assert evaluated == (eval(exact), [int(d) for d in re.findall(r"\d+", content)])
    except ZeroDivisionError:
        assert evaluated is None


# ---- scorers ----


def wrap(content):
    return f"12 + 4 is 16.</think>\n<answer>{content}</answer>"


@pytest.mark.parametrize(
    ("text", "numbers", "target", "ours", "tinyzero"),
    [
        # 94 - 45 + 44 = 93, the paper's example.
        (wrap("94 - 5 * 9 + 44"), *PAPER, 1.0, 1.0),
        (wrap("(94 + 44) - (9 * 5)"), *PAPER, 1.0, 1.0),
        (wrap(" 94-5*9+44 "), *PAPER, 1.0, 1.0),
        # 94 - 9 + 5 + 44 = 134.
        (wrap("94 - 9 + 5 + 44"), *PAPER, 0.1, 0.1),
        (wrap("94 - 5 * 9 + 44 = 93"), *PAPER, 0.1, 0.1),
        (wrap("93"), *PAPER, 0.1, 0.1),
        (wrap("no idea"), *PAPER, 0.1, 0.1),
        (wrap(""), *PAPER, 0.1, 0.1),
        # A number left out, one used twice, one made up: all of the right value.
        (wrap("3 + 4"), (3, 4, 1), 7, 0.1, 0.1),
        (wrap("3 + 3 + 4"), (3, 4), 10, 0.1, 0.1),
        (wrap("3 + 3"), (3,), 6, 0.1, 0.1),
        (wrap("3 + 4 + 5 - 5"), (3, 4), 7, 0.1, 0.1),
        (wrap("3 + 4"), (3, 3, 4), 7, 0.1, 0.1),
        (wrap("34"), (3, 4), 34, 0.1, 0.1),
        (wrap("3 + 3 + 4"), (4, 3, 3), 10, 1.0, 1.0),
        # Division: exact, not truncated, not rounded.
        (wrap("8/(3-8/3)"), (3, 3, 8, 8), 24, 1.0, 1.0),
        (wrap("7 / 2"), (7, 2), 3, 0.1, 0.1),
        (wrap("1 / 3 * 3"), (1, 3, 3), 1, 1.0, 1.0),
        (wrap("1 / 100001"), (1, 100001), 0, 0.1, 1.0),
        (wrap("1 / 99999"), (1, 99999), 0, 0.1, 0.1),
        (wrap("1 / (2 - 2)"), (1, 2, 2), 0, 0.1, 0.1),
        # What Python knows and the task does not allow.
        (wrap("2 ** 3"), (2, 3), 8, 0.1, 1.0),
        (wrap("7 // 2"), (7, 2), 3, 0.1, 1.0),
        (wrap("-2 + 5"), (2, 5), 3, 0.1, 1.0),
        (wrap("+2 - -5"), (2, 5), 7, 0.1, 1.0),
        (wrap("-7 // 2"), (7, 2), -4, 0.1, 1.0),
        (wrap("-2 ** 2"), (2, 2), -4, 0.1, 1.0),
        (wrap("2 ** 3 ** 2"), (2, 3, 2), 512, 0.1, 1.0),
        (wrap("1.5 * 2"), (1, 5, 2), 3, 0.1, 1.0),
        (wrap("((-4) ** (1 / 2)) ** 2"), (4, 1, 2, 2), -4, 0.1, 1.0),
        (wrap("4 * 2 ** -1"), (4, 2, 1), 2, 0.1, 1.0),
        (wrap("((-4) ** (1 / 2)) // 1"), (4, 1, 2, 1), 2, 0.1, 0.1),
        (wrap("1 ** 999999"), (1, 999999), 1, 0.1, 1.0),
        (wrap("(2 - 3) ** 999999"), (2, 3, 999999), -1, 0.1, 1.0),
        (wrap("(5 - 5) ** 999999"), (5, 5, 999999), 0, 0.1, 1.0),
        (wrap("2 ** 1000 - 2 ** 1000"), (2, 2, 1000, 1000), 0, 0.1, 1.0),
        # What Python reads but is no number.
        (wrap("(3)(4)"), (3, 4), 12, 0.1, 0.1),
        (wrap("3(4)"), (3, 4), 12, 0.1, 0.1),
        (wrap("3 + 4 + ()"), (3, 4), 7, 0.1, 0.1),
        (wrap("3 + 4 + ..."), (3, 4), 7, 0.1, 0.1),
        (wrap("(*3)"), (3,), 3, 0.1, 0.1),
        (wrap("07 + 1"), (7, 1), 8, 0.1, 0.1),
        (wrap("3; 4"), (3, 4), 7, 0.1, 0.1),
        (wrap("3 % 4"), (3, 4), 3, 0.1, 0.1),
        (wrap("3 if 4 else 4"), (3, 4, 4), 3, 0.1, 0.1),
        (wrap("\u0663 + 4"), (3, 4), 7, 0.1, 0.1),
        (wrap("3 + 4\u00b2"), (3, 4, 2), 19, 0.1, 0.1),
        (wrap("3\u00a0+ 4"), (3, 4), 7, 0.1, 0.1),
        (wrap("3 + 4\x00"), (3, 4), 7, 0.1, 0.1),
        # No complete pair.
        ("", (3, 4), 7, 0.0, 0.0),
        ("3 + 4", (3, 4), 7, 0.0, 0.0),
        ("<answer>3 + 4", (3, 4), 7, 0.0, 0.0),
        ("3 + 4</answer>", (3, 4), 7, 0.0, 0.0),
        ("</answer>3 + 4<answer>", (3, 4), 7, 0.0, 0.0),
        ("<ANSWER>3 + 4</ANSWER>", (3, 4), 7, 0.0, 0.0),
        ("<answer >3 + 4</answer >", (3, 4), 7, 0.0, 0.0),
        # The last pair counts.
        ("<answer>3 + 4</answer> or <answer>3 * 4</answer>", (3, 4), 7, 0.1, 0.1),
        ("<answer>3 * 4</answer> or <answer>3 + 4</answer>", (3, 4), 7, 1.0, 1.0),
        ("<answer>3 + 4</answer> or <answer>3 * 4", (3, 4), 7, 1.0, 1.0),
        ("<answer>3 + 4</answer> and so on", (3, 4), 7, 1.0, 1.0),
        ("<answer>3 * <answer>3 + 4</answer>", (3, 4), 7, 1.0, 0.1),
        ("<answer>3 + 4</answer></answer>", (3, 4), 7, 0.1, 1.0),
        # TinyZero's last line.
        ("<answer>3 + 4</answer>\n", (3, 4), 7, 1.0, 0.0),
        ("<answer>3 + 4</answer>\nDone.", (3, 4), 7, 1.0, 0.0),
        ("<answer>\n3 + 4\n</answer>", (3, 4), 7, 1.0, 0.0),
        ("<answer>3 +\n4</answer>", (3, 4), 7, 1.0, 0.0),
        ("<answer>3 + 4</answer>\n<answer>3 * 4</answer>", (3, 4), 7, 0.1, 0.1),
        ("<answer>3 * 4</answer>\n<answer>3 + 4</answer>", (3, 4), 7, 1.0, 1.0),
        ("<answer>3 + 4</answer>\n<answer>3 * 4", (3, 4), 7, 1.0, 0.0),
        ("<answer>3 + 4</answer>\r", (3, 4), 7, 1.0, 1.0),
    ],
)
def test_scores_by_hand(text, numbers, target, ours, tinyzero):
    assert score(text, numbers, target) == ours
    assert score_tinyzero(text, numbers, target) == tinyzero


def reference_tinyzero(text, numbers, target):
    """TinyZero's scorer in its own terms: regular expressions and eval."""
    matches = re.findall(r"<answer>(.*?)</answer>", text.split("\n")[-1])
    if not matches:
        return 0.0
    content = matches[-1].strip()
    if sorted(int(n) for n in re.findall(r"\d+", content)) != sorted(numbers):
        return 0.1
    if not re.match(r"^[\d+\-*/().\s]+$", content):
        return 0.1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return 1.0 if abs(eval(content, {"__builtins__": None}, {}) - target) < 1e-5 else 0.1
    except Exception:
        return 0.1


FRAGMENTS = ["1", "2", "3", "9", "0", "+", "-", "*", "**", "/", "//", "(", ")", ".", " ", "1.5"]
TAGS = [
    "<answer>",
    "</answer>",
    "\n",
    "\r",
    "\x00",
    "\ud800",
    "\u0663",
    "\u00b2",
    "\x1c",
    "<",
    "answer>",
]


def numbers_in(text):
    return [int(n) for n in re.findall(r"[0-9]+", text)]


# Few operators that grow, so that the reference itself ends.
ARITHMETIC = (
    st.lists(st.sampled_from(FRAGMENTS), max_size=9)
    .map("".join)
    .filter(lambda content: content.count("**") < 2 or len(content) < 8)
)
EXPRESSIONS = st.recursive(
    st.sampled_from(["1", "2", "3", "9", "1.5", "0"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//"]), inner).map("".join),
        st.tuples(st.sampled_from(["(", "-(", "+("]), inner, st.just(")")).map("".join),
        st.tuples(inner, st.just("**2")).map("".join),
    ),
    max_leaves=5,
).filter(lambda content: content.count("**") < 3)


@given(ARITHMETIC | EXPRESSIONS, st.integers(-3, 30))
@quick(1500)
@pytest.mark.slow
def test_tinyzero_evaluates_as_python_does(content, target):
    text = f"<answer>{content}</answer>"
    numbers = numbers_in(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = eval(content)
        # Aim at the value itself where there is one, that 1.0 is often right.
        target = round(value)
    except (SyntaxError, TypeError, ArithmeticError, ValueError):
        pass
    assert score_tinyzero(text, numbers, target) == reference_tinyzero(text, numbers, target)
    if score(text, numbers, target) == 1.0:
        assert score_tinyzero(text, numbers, target) == 1.0


@given(st.lists(st.sampled_from([*TAGS, "3 + 4", "3 * 4", *TAGS[:2] * 6]), max_size=12))
@quick(1500)
@pytest.mark.slow
def test_answers_are_found_as_the_regular_expression_finds_them(pieces):
    text = "".join(pieces)
    assert score_tinyzero(text, (3, 4), 7) == reference_tinyzero(text, (3, 4), 7)
    last = re.search(r"<answer>((?:(?!<answer>).)*)</answer>(?!.*</answer>)", text, re.DOTALL)
    if last is None:
        assert score(text, (3, 4), 7) == 0.0
    else:
        right = last[1].strip(" \t\n\r") == "3 + 4"
        assert score(text, (3, 4), 7) == (1.0 if right else 0.1)


ANY_TEXT = st.lists(st.integers(0, 0x10FFFF).map(chr), max_size=40).map("".join)


@given(ANY_TEXT | st.lists(st.sampled_from(FRAGMENTS + TAGS), max_size=40).map("".join))
@example("\ud800<answer>\udfff</answer>")
@example("<answer>\x00</answer>")
@quick(800)
@pytest.mark.slow
def test_any_text_gets_one_of_three_scores(text):
    for completion in (text, f"<answer>{text}</answer>"):
        for numbers in ((3, 4), numbers_in(text)):
            assert score(completion, numbers, 7) in (0.0, 0.1, 1.0)
            assert score_tinyzero(completion, numbers, 7) in (0.0, 0.1, 1.0)
    assert evaluate_expression(text) is None or isinstance(evaluate_expression(text), tuple)


MILLION = 10**6
HOSTILE = {
    "10 MB": "1+" * (5 * MILLION),
    "10 MB of spaces": " " * (10 * MILLION),
    "open parentheses": "(" * 100_000,
    "nested": "(" * 100_000 + "1" + ")" * 100_000,
    "huge literal": "9" * MILLION,
    "minus signs": "-" * 100_000 + "1",
    "NUL": "\x00" * MILLION,
    "surrogates": "\udc80" * MILLION,
    "nested under the cap": "(" * 250 + "1" + ")" * 250,
    "minus signs under the cap": "-" * 580 + "1",
    "powers under the cap": "-" * 2 + "1**" * 190 + "1",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_are_bounded(name):
    text = HOSTILE[name]
    for completion in (text, f"<answer>{text}</answer>", f"<answer>{text}"):
        assert score(completion, (1,), 2) in (0.0, 0.1)
        assert score_tinyzero(completion, (1,), 2) in (0.0, 0.1)
    # The right numbers, so that nothing short of evaluating it is refused.
    if len(text) < MAX_ANSWER_CHARS:
        numbers = numbers_in(text)
        assert score(f"<answer>{text}</answer>", numbers, 2) == 0.1
        assert score_tinyzero(f"<answer>{text}</answer>", numbers, 2) == 0.1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<answer>" * MILLION, 0.0),
        ("</answer>" * MILLION, 0.0),
        ("</answer>" * MILLION + "<answer>" * MILLION, 0.0),
        ("<answer>" * MILLION + "</answer>" * MILLION, 0.1),
        ("<answer></answer>" * MILLION, 0.1),
        ("\n" * (10 * MILLION), 0.0),
    ],
    ids=["open", "close", "close-open", "open-close", "pairs", "lines"],
)
def test_many_tags_take_linear_time(text, expected):
    assert score(text, (1,), 1) == expected
    assert score_tinyzero(text, (1,), 1) == expected


@pytest.mark.parametrize(
    "content",
    [
        "9**9**9**9",
        "((9**9)**9)**9",
        "((((9**9)**9)**9)**9)**9",
        "9**99999999//9**99999999",
        "2**20001",
        "9**-9**9**9",
        "9.0**9**9**9",
        "(1/3)**9**9**9",
        "*".join(["9**6000"] * 70),
        "//".join(["9**6000"] * 66),
        "/".join(["9**6000"] * 70),
        "0**-1",
        "-".join(["1"] * 300),
        "*".join(["9" * 140] * 4),
    ],
)
def test_growing_powers_are_bounded(content):
    text = f"<answer>{content}</answer>"
    assert len(content) <= MAX_ANSWER_CHARS
    assert score_tinyzero(text, numbers_in(content), 7) == 0.1


def test_long_chains_are_still_evaluated():
    chain = "+".join(["1"] * 300)
    assert score(f"<answer>{chain}</answer>", [1] * 300, 300) == 1.0
    assert score_tinyzero(f"<answer>{chain}</answer>", [1] * 300, 300) == 1.0
    signs = "-" * 580 + "1"
    assert score_tinyzero(f"<answer>{signs}</answer>", [1], 1) == 1.0
