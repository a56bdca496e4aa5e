"""Fuzz the graders with atheris: no crash, no hang, and Countdown's scores are exact.

atheris is no dependency of the project; it lives in an environment of its own, beside the
project's packages:

  python3.11 -m venv /tmp/fuzz && /tmp/fuzz/bin/pip install atheris
  PYTHONPATH=workflow:tests/unit:.venv/lib/python3.11/site-packages \\
    /tmp/fuzz/bin/python benchmarks/fuzz.py -max_total_time=600 -timeout=10 -rss_limit_mb=2048

What libFuzzer prints last is the number of executions; a finding is written as crash-* or
timeout-* and is repeated by naming that file. The seeds of the corpus are made here.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["online_il"]):
    from online_il.tasks import boxed, countdown_scores, harness, miniature_checks

from exact_arithmetic import score_of, value_of

NUMBERS, TARGET = [3, 12, 4], 32
WORDS = [
    *"0123456789+-*/() \n",
    *(" 3 ", " 12 ", " 4 ", " * ", "( ", " )"),  # The first 24 are those of expressions.
    *(
        "<answer>",
        "</answer>",
        "<think>",
        "</think>",
        " = ",
        " ok ",
        " no ",
        "36",
        "32",
        "9" * 4400,
    ),
    *("#### ", "$", ",", ".", "\\boxed{", "{", "}", "\\", "\0", "\ud800", "\u0663", "**", "//"),
]
TEXTS = [
    "<think> 3 * 12 = 36 - 4 = 32 ok </think> <answer> ( 3 * 12 ) - 4 </answer>",
    "<think> 12 + 3 = 15 + 4 = 19 no </think> <answer>3*12-4</answer>",
    "<answer>(1+2)/3</answer><answer>0/0</answer>",
    "<answer>2**9//4-.5</answer>",
    "so it is 1,450.\n#### $1,450.00",
    r"<think>\boxed{3}</think> \boxed{\left\{\frac{1}{2}\right.}",
    "<answer>((((((((((1))))))))))</answer>",
]
SEEDS = [
    bytes([1, 22, 18, 21, 19, 23, 11, 20]),  # ( 3 * 12 ) - 4
    bytes([0, 26, 18, 21, 19, 28, 31, 11, 20, 28, 32, 29, 27, 24, 18, 10, 19, 25]),
    *(text.encode() for text in TEXTS),
]


def one_input(data: bytes) -> None:
    """All graders on one text; math-verify, which is in a process of its own, is left out."""
    if data[:1] == b"\0":  # A sentence of the grammars' own words is soon found only so.
        text = "".join(WORDS[byte % len(WORDS)] for byte in data[1:])
    elif data[:1] == b"\1":
        inside = "".join(WORDS[byte % 24] for byte in data[1:])
        text = f"<answer>{inside}</answer>"
    else:  # Lone surrogates too, for a server can send them.
        text = data.decode("utf-8", "surrogatepass")
    try:
        bare = text.removeprefix("<answer>").removesuffix("</answer>")
        expected, inner = score_of(text, NUMBERS, TARGET), value_of(bare)
    except (RecursionError, MemoryError):
        expected, inner = None, None
    else:
        assert countdown_scores.evaluate_expression(bare) == inner, text
        assert countdown_scores.score(text, NUMBERS, TARGET) == expected, text
    assert countdown_scores.score(text, NUMBERS, TARGET) in (0.0, 0.1, 1.0)
    assert countdown_scores.score_tinyzero(text, NUMBERS, TARGET) in (0.0, 0.1, 1.0)
    attempts, honest, positive = miniature_checks.check_rate(text, TARGET)
    assert 0 <= honest <= attempts and 0 <= positive <= attempts
    box = boxed.last_box(text)
    assert box is None or box in text
    strict, flexible, formatted = harness.gsm8k_grade(text, "1450")
    assert formatted or not strict
    if flexible:
        assert "1" in text


def main() -> None:
    """Start libFuzzer on the seeds."""
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS):
            (Path(corpus) / str(number)).write_bytes(seed)
        atheris.Setup([*sys.argv, corpus], tolerant)
        atheris.Fuzz()


def tolerant(data: bytes) -> None:
    """Bytes that are no text at all are no input."""
    try:
        one_input(data)
    except UnicodeDecodeError:
        return


if __name__ == "__main__":
    main()
