"""Kinds of answers by their properties: written in any form they are equal, and no others are."""

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from online_il.tasks import boxed, sent


def bounded(count: int):
    return settings(max_examples=count, deadline=None, derandomize=True)


def judged(answer: str, reference: str) -> bool:
    """The verdict, which must be one through both doors."""
    in_a_box = boxed.grade(rf"Hence $\boxed{{{answer}}}$", reference)[0]
    assert sent.right(answer, reference) == in_a_box
    return in_a_box


# ---- thousands ----

SPACES = [r"\,", r"\ ", r"\;", r"\:", "~", " ", "\u00a0", "\u2009", "\u202f", r"\thinspace "]
COMMAS = [",", "{,}", r"\!,", r",\!", r"{,\!}", r"\!{,}\!"]


@given(
    st.integers(1_000, 10**15),
    st.sampled_from(SPACES + COMMAS),
    st.sampled_from(["", "-", r"\$"]),
    st.sampled_from(["", ".5", r"\text{ m}", r"\pi", "."]),
)
@example(1_000, r"\,", "", "")
@bounded(60)
@pytest.mark.slow
def test_a_number_is_the_same_with_any_thousands(number, separator, before, after):
    written = f"{before}{number:,}{after}".replace(",", separator)
    joined = f"{before}{number}{after}"
    assert judged(written, joined) and judged(joined, written)
    assert not judged(written, f"{before}{number + 1}{after}")
    groups = f"{number:,}".split(",")
    assert not judged(written, before + groups[0] + after)
    assert not judged(written, str(sum(map(int, groups)))) or sum(map(int, groups)) == number


@given(
    st.lists(st.integers(1, 99_999), min_size=2, max_size=3),
    st.sampled_from(SPACES),
)
@bounded(40)
def test_other_numbers_side_by_side_are_not_joined(groups, space):
    words = [str(group) for group in groups]
    assume(any(len(word) != 3 for word in words[1:]) or len(words[0]) > 3)
    assert not judged(space.join(words), "".join(words))


@given(st.lists(st.integers(1_000, 10**7), min_size=2, max_size=3, unique=True))
@bounded(30)
def test_thousands_in_a_tuple_are_told_from_its_commas(numbers):
    plain = f"({', '.join(map(str, numbers))})"
    for separator in (",", "{,}", r"\,", " "):
        parts = [f"{number:,}".replace(",", separator) for number in numbers]
        assert judged(f"({', '.join(parts)})", plain)


# ---- bases ----


def digits(number: int, base: int) -> str:
    found = ""
    while number:
        number, digit = divmod(number, base)
        found = str(digit) + found
    return found


WORDS = {2: "two", 3: "three", 5: "five", 7: "seven", 8: "eight", 9: "nine", 10: "ten"}


def in_base(numeral: str, base: int, form: int) -> str:
    return [
        f"{numeral}_{{{base}}}",
        f"{numeral}_{base}" if base < 10 else f"{numeral}_{{{base}}}",
        f"({numeral})_{{{base}}}",
        rf"{numeral}_{{\text{{{WORDS[base]}}}}}",
        rf"{numeral}_\text{{{WORDS[base]}}}",
        rf"{numeral}\text{{ (base {base})}}",
    ][form]


FORM = st.integers(0, 5)


@given(st.integers(1, 10**6), st.sampled_from(sorted(WORDS)), st.sampled_from(sorted(WORDS)), FORM)
@bounded(50)
def test_a_numeral_is_itself_in_its_base_and_in_no_other(number, base, other, form):
    numeral = digits(number, base)
    assert judged(in_base(numeral, base, form), f"{numeral}_{{{base}}}")
    assert judged(f"{numeral}_{{{base}}}", in_base(numeral, base, form))
    if other != base:
        assert not judged(in_base(numeral, other, form), f"{numeral}_{{{base}}}")
    assert not judged(in_base(digits(number + 1, base), base, form), f"{numeral}_{{{base}}}")


# ---- sets, lists, tuples and intervals ----

VALUES = ["36", "-3", "0", "12", r"\frac{1}{2}", r"\frac{-5}{3}", r"\pi", r"2\sqrt{3}", "x", "x+1"]
ELEMENTS = st.lists(st.sampled_from(VALUES), min_size=2, max_size=4, unique=True)
LIST = st.sampled_from([", ", r",\ ", r",\,", " and ", r"\text{ or }", "; ", "$, $"])


@given(ELEMENTS, st.randoms(use_true_random=False), LIST)
@bounded(15)
@pytest.mark.slow
def test_the_order_of_sets_and_lists_does_not_count(elements, random, separator):
    shuffled = random.sample(elements, len(elements))
    known = rf"\{{{', '.join(elements)}\}}"
    assert judged(separator.join(shuffled), known)
    assert judged(rf"\left\{{{', '.join(shuffled)}\right\}}", ", ".join(elements))
    assert not judged(separator.join(shuffled[1:]), known)
    assert not judged(separator.join([*shuffled[1:], "17x"]), known)


@given(ELEMENTS, st.randoms(use_true_random=False))
@bounded(15)
@pytest.mark.slow
def test_the_order_of_tuples_counts(elements, random):
    shuffled = random.sample(elements, len(elements))
    known = f"({', '.join(elements)})"
    for form in (r"({}).", r"\left({}\right)", r"\langle {} \rangle", r"\bigl( {} \bigr)"):
        assert judged(form.format(r",\,".join(elements)), known)
        assert judged(form.format(", ".join(shuffled)), known) == (shuffled == elements)
    assert not judged(rf"\{{{', '.join(elements)}\}}", known)


BRACKETS = st.tuples(st.sampled_from("(["), st.sampled_from(")]"))


@given(st.integers(-9, 9), st.integers(1, 9), BRACKETS, BRACKETS)
@bounded(40)
@pytest.mark.slow
def test_intervals_are_equal_only_with_the_same_ends(start, length, ends, others):
    known = f"{ends[0]}{start}, {start + length}{ends[1]}"
    shown = rf"\left{others[0]}{start},\,{start + length}\right{others[1]}".replace("-", "−")
    assert judged(shown, known) == (ends == others)


# ---- letters ----

ANSWERS = [*VALUES, "(3,4)", r"12\,345"]
CHOICES = [
    r"\textbf{{({letter})}}\ {value}",
    r"\textbf{{({letter}) }}{value}",
    r"\text{{({letter})}}~{value}",
    r"\mathrm{{({letter})}}\,{value}",
    r"({letter}) {value}",
    "{letter}. {value}",
    "{letter}) {value}",
    "{letter}: {value}",
    r"{value}\ \textbf{{({letter})}}",
]
LETTERS = [
    "{}",
    "({})",
    r"\text{{{}}}",
    r"\textbf{{({})}}",
    r"\mathrm{{{}}}",
    "{}.",
    r"\text{{({})}}",
]


@given(
    st.sampled_from("ABCDE"),
    st.sampled_from(ANSWERS),
    st.sampled_from("ABCDE"),
    st.sampled_from(ANSWERS),
    st.sampled_from(CHOICES),
    st.sampled_from(LETTERS),
)
@bounded(30)
@pytest.mark.slow
def test_a_choice_is_its_letter_and_its_value(letter, value, other, another, form, alone):
    choice = form.format(letter=letter, value=value)
    for answer, is_right in (
        (alone.format(letter), True),
        (value, True),
        (alone.format(other), other == letter),
        (another, another == value),
        (form.format(letter=other, value=another), (other, another) == (letter, value)),
    ):
        assert judged(answer, choice) == is_right
        assert judged(choice, answer) == is_right


# ---- boxes ----

JOINTS = st.sampled_from(
    [" or ", " and ", ", ", ", and ", r" \text{ or } ", "; ", r"\quad\text{and}\quad"]
)
CORRECTIONS = st.sampled_from(
    [". Wrong; so ", ".\n\nNo: ", ", wait, ", " is wrong. It is ", ". Hence "]
)


@given(st.lists(st.integers(-99, 99), min_size=2, max_size=4, unique=True), JOINTS, CORRECTIONS)
@bounded(20)
@pytest.mark.slow
def test_joined_boxes_count_together_and_corrected_ones_do_not(values, joint, correction):
    reference = ", ".join(map(str, sorted(values)))
    for form in (r"\boxed{{{}}}", r"$x=\boxed{{{}}}$", r"$\fbox{{{}}}$", r"$\boxed {}$"):
        boxes = [form.format(value) for value in values]
        together, corrected = f"So {joint.join(boxes)}.", f"So {correction.join(boxes)}."
        for text, joined in ((together, True), (corrected, False)):
            assert boxed.grade(text, reference)[0] == sent.right(text, reference) == joined
            assert boxed.grade(text, str(values[-1]))[0]
            assert not boxed.grade(text, str(values[0]))[0]


# ---- size ----


@given(st.integers(1, 999), st.integers(1, 999), st.integers(-80, 80))
@bounded(40)
@pytest.mark.slow
def test_exact_numbers_are_equal_only_if_they_are(one, other, exponent):
    assert judged(rf"\frac{{{one}}}{{10^{{{-exponent}}}}}", rf"{one} \cdot 10^{{{exponent}}}")
    verdict = judged(rf"{one}\times 10^{{{exponent}}}", rf"\frac{{{other}}}{{10^{{{-exponent}}}}}")
    assert verdict == (one == other)
    decimal = judged(
        rf"{one / 100}\times 10^{{{exponent}}}", rf"{other / 100}\times 10^{{{exponent}}}"
    )
    assert decimal == (one == other)
