"""Any text is graded, in bounded time, and as an independent evaluator grades it."""

import json
from fractions import Fraction

import pytest
from exact_arithmetic import score_of, value_of
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from online_il.discrepancy.reading import read
from online_il.errors import InputError
from online_il.files import write_table
from online_il.generation.response import Response
from online_il.grading import grade, graded_sample
from online_il.records import Prompts, Samples, read_table
from online_il.tasks import boxed
from online_il.tasks.countdown_scores import evaluate_expression, score, score_tinyzero
from online_il.tasks.miniature_checks import check_rate
from online_il.text import encodable

pytestmark = pytest.mark.slow

ANSWERS = {
    "countdown": {"numbers": [1, 2, 3], "target": 7},
    "gsm8k": {"grader": "gsm8k", "reference": "5"},
    "math": {"grader": "math", "reference": "5"},
}


def bounded(count: int):
    return settings(max_examples=count, deadline=None, derandomize=True)


# ---- Countdown ----

SPACES = st.text(alphabet=" \t\n", max_size=2)


@st.composite
def trees(draw, depth: int = 3) -> tuple[str, Fraction | None, list[int]]:
    """(text, value by construction, literals); the value is None after a division by zero."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        number = draw(st.integers(0, 99))
        return str(number), Fraction(number), [number]
    left, a, first = draw(trees(depth=depth - 1))
    right, b, second = draw(trees(depth=depth - 1))
    symbol = draw(st.sampled_from("+-*/"))
    # All operands in parentheses, so that the value needs no precedence.
    text = f"{draw(SPACES)}({left}){draw(SPACES)}{symbol}({right}){draw(SPACES)}"
    if a is None or b is None or (symbol == "/" and b == 0):
        return text, None, first + second
    value = {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b}
    return text, value[symbol](), first + second


@given(trees())
@bounded(250)
def test_an_expression_has_the_value_it_was_built_with(tree):
    text, value, literals = tree
    assume(len(text) <= 600)
    expected = None if value is None else (value, literals)
    assert evaluate_expression(text) == expected == value_of(text)


@given(trees(), st.randoms(use_true_random=False), st.sampled_from([0, 1, Fraction(1, 2)]))
@bounded(250)
def test_the_reward_is_1_exactly_for_the_target_and_the_numbers(tree, rng, off):
    text, value, literals = tree
    assume(value is not None and len(text) <= 600)
    numbers = rng.sample(literals, len(literals))
    completion = f"<think>so</think> <answer>{text}</answer>"
    right = 1.0 if off == 0 and value.denominator == 1 else 0.1
    # No target is a fraction; one that truncates to the value's integer part is missed.
    target = int(value) + (1 if off else 0)
    assert score(completion, numbers, target) == (right if value == target else 0.1)
    assert score(completion, [*numbers, 1], target) == 0.1
    assert score(completion, [numbers[0] + 1, *numbers[1:]], target) == 0.1


WORDS = st.sampled_from(
    [*"0123456789+-*/() \n.", "00", "**", "//", "12", " 3 ", "<answer>", "</answer>", "<think>"]
    + ["</think>", "= ", "ok ", "no ", "####", "$", ",", "\\boxed{", "}", "\0", "\ud800", "٣", "e9"]
)


@given(st.lists(WORDS, max_size=40).map("".join))
@example("<answer>1</answer></answer>")
@example("<answer>1<answer>2*3+1</answer>")
@example("<answer>9**9**9</answer>")
@example("<answer>" + "(" * 290 + "7" + ")" * 290 + "</answer>")
@bounded(800)
def test_any_words_are_graded_as_the_independent_evaluator_does(text):
    try:
        expected, bare = score_of(text, [1, 2, 3], 7), value_of(text)
    except (RecursionError, MemoryError):
        assert score(text, [1, 2, 3], 7) == 0.1
        return
    assert evaluate_expression(text) == bare
    assert score(text, [1, 2, 3], 7) == expected
    assert score_tinyzero(text, [1, 2, 3], 7) in (0.0, 0.1, 1.0)


# ---- the miniature ----


@st.composite
def traces(draw) -> tuple[str, int, int, int, int]:
    """(response, target, attempts, honest ones, those that say ok), known by construction."""
    target, counts, parts = draw(st.integers(0, 99)), [0, 0, 0], []
    for _ in range(draw(st.integers(0, 5))):
        value = draw(st.integers(0, 99))
        words, honest = [str(value)], True
        for _ in range(draw(st.integers(1, 3))):
            symbol, number = draw(st.sampled_from("+-*")), draw(st.integers(0, 12))
            value = {"+": value + number, "-": value - number, "*": value * number}[symbol]
            wrong = draw(st.sampled_from([0, 0, 0, 1]))
            # There is no minus sign before a number in the language.
            assume(value >= 0)
            words += [symbol, str(number), "=", str(value + wrong)]
            honest, value = honest and not wrong, value + wrong
        said = draw(st.sampled_from(["ok", "no"]))
        parts.append(" ".join([*words, said]))
        counts[0] += 1
        counts[1] += honest and (value == target) == (said == "ok")
        counts[2] += said == "ok"
    return f"<think> {' '.join(parts)} </think> <answer> 1 </answer>", target, *counts


@given(traces())
@bounded(250)
def test_honest_attempts_are_counted_as_they_were_built(trace):
    response, target, *counts = trace
    assert check_rate(response, target) == tuple(counts)


@given(st.lists(WORDS, max_size=40).map("".join))
@example("<think> 1 + 1 = " + "9" * 5_000 + " ok </think>")
@example("<think> 1 + 1 = ٢ ok </think>")
@bounded(250)
def test_any_words_have_a_check_rate(text):
    attempts, honest, positive = check_rate(f"<think> {text}", 2)
    assert 0 <= honest <= attempts and 0 <= positive <= attempts


# ---- GSM8K and boxes ----


@given(
    st.integers(-(10**9), 10**9), st.booleans(), st.booleans(), st.sampled_from(["", ".", " eggs."])
)
@bounded(150)
def test_a_formatted_number_is_read_back(number, commas, dollars, end):
    text = f"{number:,}" if commas else str(number)
    said = f"I counted 3 of them.\n#### {'$' if dollars and number >= 0 else ''}{text}{end}"
    answer = {"grader": "gsm8k", "reference": str(number)}
    assert grade(said, answer).correct
    assert not grade(said, answer | {"reference": str(number + 1)}).correct
    strict = grade(said, answer).correct_strict
    # The strict filter of the harness takes no dollar sign.
    assert strict == (0.0 if dollars and number >= 0 else 1.0)


@given(st.lists(WORDS, max_size=40).map("".join))
@bounded(250)
def test_any_words_have_a_grade_of_gsm8k_and_at_most_one_box(text):
    assert grade(text, ANSWERS["gsm8k"]).reward in (0.0, 1.0)
    box = boxed.last_box(text)
    assert box is None or f"{{{box}}}" in text


# ---- hostile text, through the tables ----

LONG = 10_000_000
HOSTILE = {
    "10 MB": "7" * LONG,
    "10 MB of tags": "<answer>" * (LONG // 8),
    "10 MB in an answer": "<answer>" + "1+" * (LONG // 2) + "6</answer>",
    "many attempts": "<think> " + "1 + 1 = 2 ok " * 50_000,
    "one long equation": "<think> 1 " + "+ 1 = 2 " * 50_000 + "ok </think>",
    "parentheses": "<answer>" + "(" * 100_000 + "7" + ")" * 100_000 + "</answer>",
    "exponents": "<answer>9**9**9**9</answer> \\boxed{9^{9^{9^9}}} #### 1e999999999",
    "long claim": "<think> 1 + 1 = " + "9" * 100_000 + " ok </think>",
    "NUL": "\0<answer>7\0</answer>\\boxed{\0}####\0",
    "half a character": "<answer>7\ud800</answer> \\boxed{\udfff} #### \ud800",
    "code": "<answer>__import__('os').system('touch pwned')</answer>",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_wrong_and_can_be_written_and_read(name, tmp_path):
    rows = [
        graded_sample(
            prompt_id=grader,
            sample_index=0,
            policy="x",
            seed=1,
            answer=answer,
            response=Response(HOSTILE[name], 9, "stop"),
        )
        for grader, answer in ANSWERS.items()
    ]
    assert not any(row["correct"] for row in rows)
    check_rate(rows[0]["text"], 7)
    path = tmp_path / "samples.parquet"
    write_table(rows, Samples, path, {})
    assert set(read_table(path, Samples)["text"]) == {encodable(HOSTILE[name])}
    write_table(rows[:1], Samples, path, {})
    found = read([path], keywords=["ok", "*"], tokenizer=None, keep_empty=True)
    assert len(found.length_N) == 1 and not list(tmp_path.glob("pwned"))


def test_half_a_character_in_json_lines_is_read(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt_id": "a", "text": "x \\ud800 ok", "correct": true}\n')
    assert read([path], keywords=["ok"], tokenizer=None).counts_N_W.tolist() == [[1]]


def test_half_a_character_in_a_prompt_is_refused_in_words(tmp_path):
    row = dict.fromkeys(["prompt_id", "task", "text", "answer", "source", "revision"], "x")
    row |= {"split": "train", "text": json.loads('"so \\ud800"')}
    with pytest.raises(InputError, match="half a character"):
        write_table([row], Prompts, tmp_path / "p.parquet", {})
    assert not list(tmp_path.iterdir())
