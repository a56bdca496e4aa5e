"""An answer is graded by what it says, however it is written and however it is sent.

Each pair goes through both doors: as the content of a box in a response, and as the answer of a
file of responses. The expected verdicts are written down by hand.
"""

import json
import threading
import time

import pytest

from online_il.discrepancy.reading import read
from online_il.tasks import boxed, sent


def both(answer: str, reference: str) -> tuple[bool, bool]:
    """The verdicts through the two doors."""
    in_a_box, there = boxed.grade(rf"So it is $\boxed{{{answer}}}$.", reference)
    assert there
    return in_a_box, sent.right(answer, reference)


# ---- an extracted answer is no prose ----

SAME = [r"\pi", "(1,2)", "C", "yes", r"2\sqrt{3}", "3, 5, 7", "10!", "x^2+1", "[1,2]", "p.m."]
SAME += [r"\{1,2\}", r"\text{no solution}", r"(−∞, 3]", "Tuesday", r"99^{\text{th}}", r"4\pi"]


@pytest.mark.parametrize("answer", SAME)
def test_an_answer_is_itself(answer):
    assert both(answer, answer) == (True, True)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        (r"\dfrac{3}{4}", r"\frac{3}{4}"),
        (r"\frac12", "1/2"),
        ("0.5", "1/2"),
        ("x = 5", "5"),
        ("12 apples", "12"),
        ("5 cm", "5"),
        ("no solution", r"\text{No solution}"),
        ("(−∞, 3]", r"(-\infty,3]"),
        ("√12", r"2\sqrt3"),
        ("3½", "3.5"),
        ("3 1/2", r"\frac72"),
        ("x²+1", "1+x^2"),
        ("90°", "90"),
        (r"50\%", "0.5"),
        (r"\frac{1}{2}\%", "0.005"),
        ("€5", "5"),
        (r"\left\langle 1,\,2 \right\rangle", "(1,2)"),
        (r"\lbrace 1,2 \rbrace", r"\{2,1\}"),
        (r"\bigl(1,2\bigr)", "(1,2)"),
        ("1, 2", "(1,2)"),
        ("2, 1", "1, 2"),
        (r"\boldsymbol{42}", "42"),
        (r"\textcolor{red}{42}", "42"),
        ("**42**", "42"),
        (r"\varnothing", r"\emptyset"),
        ("= 5", "5"),
        ("x=3 or x=-2", "3, -2"),
        ("100, 200", "100,200"),
    ],
)
def test_one_answer_is_the_other(answer, reference):
    assert both(answer, reference) == (True, True)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        (r"2\sqrt{3}", "2"),
        (r"4\pi", "4"),
        ("10!", "10"),
        ("(−∞, 3]", "3"),
        (r"\ne 3", "3"),
        ("> 3", r"\ge 3"),
        (r"\sqrt{2}.", "2"),
        ("2C+1", "1"),
        ("2ab", "2"),
        ("x+2t", "x+2"),
        (r"\pi d", r"\pi"),
        ("f'(x)", "f(x)"),
        (r"1,2,\ldots", "1,2"),
        (r"\{1,2\}", "(1,2)"),
        (r"\{1,2\}", "1<x<2"),
        ("1, 2", r"1\le x\le 2"),
        ("-2, 3", r"-2 < x \leq 3"),
        ("1e3", "3"),
        ("1e3_{16}", "1000"),
        ("(1,2)", "[1,2]"),
        ("(2,1)", "1, 2"),
        ("2, 1", "(1, 2)"),
        ("12 34", "46"),
        ("1:00", "12:00"),
        ("", "5"),
    ],
)
def test_one_answer_is_not_the_other(answer, reference):
    assert both(answer, reference) == (False, False)


# ---- prose and responses in the place of an answer ----


@pytest.mark.parametrize(
    ("text", "reference", "is_right"),
    [
        ("The answer is 7.", "7", True),
        ("The answer is 7.", "8", False),
        (r"The answer is 2\sqrt{3}.", "2", False),
        (r"The answer is 2\sqrt{3}.", r"2\sqrt3", True),
        ("The answer is (C).", r"\textbf{(C)}\ 36", True),
        ("The answer is yes.", "yes", True),
        ("The answer is 3 p.m.", r"3\text{ a.m.}", False),
        (r"Answer: 12\,345", "12345", True),
        (r"It is 12\,345 in all.", "12345", True),
        ("Thus x = 5.", "5", True),
        ("so 7", "7", True),
        ("wait, 7", "7", True),
        ("wait, 7", "8", False),
        ("7 is the answer", "7", True),
        ("La respuesta es 7", "7", True),
        ("答案是7。", "7", True),
        ("We get $x=3$ or $x=-2$.", "3,-2", True),
        (r"The final answer is $\frac12$. I hope it is correct.", "0.5", True),
        ("48 + 16 = <<48+16=64>>64 points.\n#### 66", "66", True),
        ("66", "48 + 16 = 64 points\n#### 66", True),
        ("the empty set", r"\text{the empty set}", True),
        (r"First \boxed{5}. Wrong; so \boxed{7}.", "7", True),
        (r"The answer is \boxed{7", "7", False),
        ("8", r"Hence \boxed{8}.", True),
        ("none", "1/2", False),
    ],
)
def test_only_sentences_are_searched_and_a_box_goes_first(text, reference, is_right):
    assert sent.right(text, reference) == is_right


def test_a_file_of_responses_is_graded_at_that_door(tmp_path):
    pairs = [(r"2\sqrt{3}", "2"), ("C", "C"), (r"\boxed{5}, no: \boxed{7}", "7"), ("10!", "10")]
    rows = [
        {"prompt_id": str(n), "text": "so it is", "answer": answer, "reference": reference}
        for n, (answer, reference) in enumerate(pairs)
    ]
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    found = read([file], keywords=[], tokenizer=None)
    assert found.correct_N.tolist() == [0, 1, 1, 0]


# ---- punctuation ----


@pytest.mark.parametrize("end", [".", ",", ";", " .", ".$", "$.", r"\text{.}", r"\,.", "。"])
@pytest.mark.parametrize("answer", ["42", "(3,4)", r"\sqrt{2}", r"\frac12", r"\{1,2\}", r"\pi"])
def test_punctuation_after_an_answer_is_none_of_it(answer, end):
    start = "$" if end.count("$") else ""
    assert both(start + answer + end, answer) == (True, True)


def test_a_factorial_is_no_punctuation():
    assert both("5!", "5") == (False, False)
    assert both("5!.", "120") == (True, True)


# ---- boxes ----


@pytest.mark.parametrize(
    ("response", "reference", "is_right"),
    [
        (r"$x=\boxed{3}$ or $x=\boxed{-2}$", "3,-2", True),
        (r"$x=\boxed{3}$ or $x=\boxed{-2}$", "3, 5", False),
        (r"$x=\boxed{3}$ or $x=\boxed{-2}$", "3", False),
        (r"They are $\boxed{3}$, $\boxed{-2}$, and $\boxed{1}$.", r"\{1, -2, 3\}", True),
        (r"\boxed{3} \quad \text{and} \quad \boxed{-2}", r"x=3 \text{ or } x=-2", True),
        (r"\boxed{x=3} or \boxed{x=-2}", "-2, 3", True),
        (r"**\boxed{3}** or **\boxed{4}**", "4, 3", True),
        (r"$(\boxed{4}, \boxed{3})$", "(3,4)", False),
        (r"First \boxed{5}. Wrong; so \boxed{7}.", "7", True),
        (r"First \boxed{5}. Wrong; so \boxed{7}.", "5, 7", False),
        (r"\boxed{5}, wait, \boxed{7}", "5, 7", False),
        (r"\boxed{\frac12} or \boxed{0.5}", "0.5", True),
        (r"\boxed{1}, \boxed{234}", "1,234", False),
        (r"$\boxed 7$", "7", True),
        (r"$\boxed7$", "7", True),
        (r"\(\boxed 42\)", "42", True),
        (r"$\boxed -3$", "-3", True),
        (r"$\boxed\frac12$", "0.5", True),
        (r"$\boxed x$", "x", True),
        (r"\boxed 7", "7", True),
        (r"\fbox{42}", "42", True),
        (r"\framebox{42}", "42", True),
        (r"\boxed{\fbox{42}}", "42", True),
        ("\\boxed\n{42}", "42", True),
        (r"\boxed{7}, as \boxed asks", "7", True),
        (r"\boxed{7", "7", False),
    ],
)
def test_boxes_of_every_form_count_and_joined_ones_together(response, reference, is_right):
    assert boxed.grade(response, reference)[0] == is_right
    assert sent.right(response, reference) == is_right


# ---- what tells two answers apart ----


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2516_9", "2516_8"),
        ("101_2", "101_3"),
        (r"101_{\text{two}}", r"101\text{ (base 3)}"),
        (r"AB3_{16}", "AB3_{15}"),
        (r"3\text{ p.m.}", r"3\text{ a.m.}"),
        ("3 PM", "3 a.m."),
        (r"3:30\text{ p.m.}", "3:30 am"),
        (r"5\text{ (mod 7)}", r"5 \pmod{8}"),
        (r"5\text{ cm}", r"5\text{ m}"),
        ("5 cm²", r"5\text{ cm}^3"),
        (r"20^\circ\text{C}", r"20^\circ\text{F}"),
        (r"5\text{ cents}", r"\$5"),
        ("5 min", r"5\text{ hours}"),
        (r"3\text{ R 2}", r"3\text{ R 5}"),
        (r"1\text{ h }30\text{ min}", r"1\text{ h }20\text{ min}"),
        ("3t", "3g"),
        (r"10\text{ north}", r"10\text{ south}"),
        (r"3\text{ thousand}", r"3\text{ million}"),
        (r"\$2\text{ billion}", r"2\text{ million dollars}"),
    ],
)
def test_what_both_say_beside_the_number_tells_them_apart(one, other):
    assert both(one, other) == both(other, one) == (False, False)
    assert both(one, one) == both(other, other) == (True, True)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        (r"101_{\text{two}}", "101_2"),
        ("(101)_2", r"101\text{ base }2"),
        ("3 PM", r"3\text{ p.m.}"),
        ("3:30 pm", r"3:30\text{ p.m.}"),
        (r"x \equiv 5 \pmod 7", r"5\text{ (mod 7)}"),
        (r"5\text{ centimeters}", r"5\text{ cm}"),
        (r"1\text{ hour }30\text{ minutes}", r"1\text{ h }30\text{ min}"),
        (r"12\text{ square units}", r"12\text{ units}^2"),
        (r"\$5", r"5\text{ dollars}"),
        (r"1.5\text{ million}", "1,500,000"),
        (r"\$2\text{ million}", r"2000\text{ thousand dollars}"),
        ("5 million", r"5\times 10^6"),
        ("1e-07", "10^{-7}"),
        ("1.5E+21", r"15\times 10^{20}"),
        ("5", r"5\text{ million}"),
        ("5", r"5\text{ cm}"),
        ("101", "101_2"),
    ],
)
def test_the_same_said_otherwise_or_left_out_does_not(answer, reference):
    assert both(answer, reference) == (True, True)


# ---- size ----


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        (r"\frac{1}{2^{55}}", r"\frac{1}{2^{54}}"),
        ("0.0000001", "0.0000002"),
        ("0.0000001", "0"),
        (r"1.5\times 10^{-20}", r"2.5\times 10^{-20}"),
        ("x+10^{-20}", "x+10^{-21}"),
        (r"\frac{x}{2^{55}}", r"\frac{x}{2^{54}}"),
        (r"\{1, 10^{-20}\}", r"\{1, 10^{-21}\}"),
        ("(0, 10^{-20}]", "(0, 10^{-21}]"),
        (r"10^{-20}x", "10^{-21}x"),
        (r"x^2+10^{-20}x", "x^2+10^{-21}x"),
        ("x > 10^{-20}", "x > 10^{-21}"),
        ("10^{-400}", "10^{-401}"),
        (r"\frac{\sqrt2}{2^{60}}", r"\frac{\sqrt2}{2^{61}}"),
        ("10^{200}+1", "10^{200}"),
        ("2^{400}", "4^{200}+1"),
        (r"6.02\times10^{23}", r"6.03\times10^{23}"),
        ("0.333", r"\frac13"),
    ],
)
def test_numbers_of_any_size_that_differ_are_not_equal(answer, reference):
    assert both(answer, reference) == (False, False)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        (r"\frac{1}{2^{55}}", "2^{-55}"),
        ("0.0000001", "10^{-7}"),
        (r"\frac{\sqrt8}{2^{60}}", r"\frac{\sqrt2}{2^{59}}"),
        (r"\sqrt2\sqrt3-\sqrt6", "0"),
        (r"\sqrt{3+2\sqrt2}", r"1+\sqrt2"),
        ("0.333333", r"\frac13"),
        (r"1.0\times10^{20}", "10^{20}"),
        ("2^{400}", "4^{200}"),
        (r"9\%", "9"),
    ],
)
def test_numbers_of_any_size_that_are_equal_are(answer, reference):
    assert both(answer, reference) == (True, True)


# ---- bounds ----


@pytest.mark.parametrize("answer", ["9^{9^{9^9}}", "999999999!"])
@pytest.mark.slow
def test_a_hostile_answer_is_wrong_within_five_seconds_in_a_thread(answer):
    assert sent.right("5.0", "5")  # The child has started.
    found: list[tuple[bool, float]] = []

    def work() -> None:
        start = time.monotonic()
        found.append((sent.right(answer, "5"), time.monotonic() - start))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    ((is_right, seconds),) = found
    assert not is_right
    assert seconds < 5


LONG_OF = [
    ";",
    r"\!",
    "'",
    "√(",
    r"\text{",
    "1,",
    "answer is ",
    "the ",
    "$",
    "_",
    r"\boxed",
    "####",
]


@pytest.mark.parametrize("unit", LONG_OF)
def test_long_answers_are_graded_in_linear_time(unit):
    for text in (unit * (999 // len(unit)), "so it is " + unit * (99_000 // len(unit))):
        start = time.monotonic()
        sent.right(text, "5")
        boxed.grade(text, "5")
        assert time.monotonic() - start < 20
