"""Responses are graded as the field does it, and no response can hang or break a grader."""

import json
import math
import os
import threading
import time
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from datasets import Dataset

from online_il.files import write_table
from online_il.generation.response import Response
from online_il.grading import Grade, grade, graded_sample, reward
from online_il.records import Samples
from online_il.tasks import boxed, harness, sent, verifier
from online_il.tasks.gsm8k import reference_of

FIXTURES = Path(__file__).parents[2] / "workflow" / "fixtures"
COUNTDOWN = {"numbers": [1, 2, 3], "target": 7}


def solutions(split: str) -> list[str]:
    (file,) = (FIXTURES / "gsm8k" / "main").glob(f"{split}-*.parquet")
    return parquet.read_table(file)["answer"].to_pylist()


def gsm8k(text: str, reference: str = "18") -> Grade:
    return grade(text, {"grader": "gsm8k", "reference": reference})


def maths(text: str, reference: str) -> Grade:
    return grade(text, {"grader": "math", "reference": reference})


# ---- GSM8K ----


@pytest.mark.parametrize("solution", solutions("test") + solutions("train"))
def test_every_reference_solution_is_right_and_another_number_is_wrong(solution):
    reference = reference_of(solution)
    assert gsm8k(solution, reference) == (1.0, True, True, pytest.approx(math.nan, nan_ok=True), 1)
    assert sent.right(solution, reference) and sent.right(reference, solution)
    worked, _, number = solution.rpartition("#### ")
    other = f"{worked}#### {int(number.replace(',', '')) + 1}"
    assert not gsm8k(other, reference).correct
    assert gsm8k(other, reference).correct_strict == 0.0


@pytest.mark.parametrize(
    ("text", "strict", "flexible"),
    [
        ("#### 18", 1, 1),
        ("The answer is 18.", 0, 1),
        ("It costs $18", 0, 1),
        ("#### 18 eggs, at 2 dollars", 1, 0),
        ("#### 17\nNo: 18", 0, 1),
        ("#### 18\n#### 17", 1, 0),
        ("####18", 0, 1),
        ("18 or 19", 0, 0),
        ("#### 18.0", 0, 0),
        ("#### -18", 0, 0),
        ("#### 1,8", 1, 1),
        ("eighteen", 0, 0),
        ("", 0, 0),
    ],
)
def test_strict_and_flexible_differ_where_they_should(text, strict, flexible):
    found = gsm8k(text)
    assert (found.correct_strict, found.correct, found.reward) == (strict, flexible == 1, flexible)


def test_the_format_is_right_when_a_number_follows_the_four_signs():
    assert gsm8k("#### 5").format_ok
    assert not gsm8k("5").format_ok
    assert not gsm8k("#### five").format_ok


def test_commas_count_in_neither_answer_nor_reference():
    assert reference_of("so\n#### 1,450") == "1450"
    assert reference_of("so\n#### -3") == "-3"
    assert reference_of("no number\n####") is None
    assert gsm8k("#### 1,450", "1450") == gsm8k("#### 1450", "1450")


def test_gsm8k_grades_are_those_of_the_harness_task_itself():
    from lm_eval.api.instance import Instance
    from lm_eval.api.task import ConfigurableTask

    texts = [
        *solutions("test"),
        "18",
        "$18.",
        "#### 1,2",
        "3 #### 4 5",
        "none",
        "#### 5. 6.",
        "...",
    ]
    docs = [{"question": "q", "answer": solutions("test")[n % 12]} for n in range(len(texts))]
    data = {"train": Dataset.from_list(docs), "test": Dataset.from_list(docs)}
    config = harness.definition("gsm8k/gsm8k.yaml") | {"custom_dataset": lambda **_: data}
    task = ConfigurableTask(config=config)
    task._instances = [
        Instance("generate_until", doc, ("", {}), n, metadata=("gsm8k", n, 1), resps=[text])
        for n, (doc, text) in enumerate(zip(docs, texts, strict=True))
    ]
    task.apply_filters()
    for one, text in zip(task.instances, texts, strict=True):
        ours = gsm8k(text, reference_of(one.doc["answer"]))
        theirs = {
            name: task.process_results(one.doc, [found])["exact_match"]
            for name, found in one.filtered_resps.items()
        }
        assert {"strict-match": ours.correct_strict, "flexible-extract": ours.reward} == theirs


# ---- boxed answers ----


@pytest.mark.parametrize(
    ("text", "box"),
    [
        (r"so \boxed{5}", "5"),
        (r"\boxed{1} or \boxed{2}", "2"),
        (r"<think>\boxed{3}</think> it is \boxed{4}.", "4"),
        (r"<think>\boxed{3}</think> it is four", "3"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed {5}", "5"),
        (r"\boxed{\left\{1\right.}", r"\left\{1\right."),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{7}, as \boxed asks", "7"),
        (r"\boxed{1} and \boxed{2", None),
        (r"\boxed{}", ""),
        ("5", None),
        ("", None),
        (r"\boxed{" + "9" * 5_000 + "}", None),
    ],
)
def test_the_last_box_is_the_answer(text, box):
    assert boxed.last_box(text) == box


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        (r"\frac12", "0.5"),
        ("0.5", r"\frac{1}{2}"),
        ("1/2", r"\frac{1}{2}"),
        (r"\dfrac{5}{7}", r"\frac57"),
        ("018", "18"),
        ("1,000", "1000"),
        (r"5\text{ cm}", "5"),
        (r"\$5", "5"),
        (r"90^\circ", "90"),
        ("x=5", "5"),
        (r"\sqrt{8}", r"2\sqrt2"),
        (r"\{1,2\}", r"\{2,1\}"),
        ("2, -3", "-3, 2"),
        ("(1,2)", "(1, 2)"),
        ("[1,2)", "[1, 2)"),
        (r"(-\infty, 3]", r"\left(-\infty,3\right]"),
        (r"x \in [-2,7]", "[-2,7]"),
        ("p-q", "p - q"),
        ("x^2+2x+1", "(x+1)^2"),
        ("6-5i", "6 - 5i"),
        ("Evelyn", r"\text{Evelyn}"),
        (r"\text{(C)}", r"\text{(C)}"),
        (
            r"\begin{pmatrix}1\\2\end{pmatrix}",
            r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}",
        ),
    ],
)
def test_equal_answers_are_equal_however_they_are_written(answer, reference):
    assert maths(rf"Thus $\boxed{{{answer}}}$.", reference)[:3] == (1.0, True, True)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("6", "5"),
        ("", "5"),
        ("(2,1)", "(1,2)"),
        ("(1,2)", "[1,2)"),
        ("3", "3, 4"),
        ("3.14", r"\pi"),
        ("q-p", "p-q"),
        (r"\text{Bob}", r"\text{Evelyn}"),
        ("0.33", r"\frac13"),
    ],
)
def test_other_answers_are_wrong_and_have_the_format(answer, reference):
    assert maths(rf"\boxed{{{answer}}}", reference)[:3] == (0.0, False, True)


def test_only_the_last_box_counts():
    assert not maths(r"<think>\boxed{5}</think>\boxed{6}", "5").correct
    assert maths(r"<think>\boxed{6}</think>\boxed{5}", "5").correct
    assert maths("The answer is 5.", "5")[:3] == (0.0, False, False)


@pytest.mark.parametrize("kind", ["math500", "aime2025", "deepscaler"])
def test_every_reference_of_the_fixtures_is_right_in_a_box_and_as_sent(kind):
    (file,) = (FIXTURES / kind).iterdir()
    text = file.read_text()
    rows = json.loads(text) if file.suffix == ".json" else map(json.loads, text.splitlines())
    for row in rows:
        if row["answer"]:
            assert maths(f"\\boxed{{{row['answer']}}}", row["answer"]).correct, row["answer"]
            assert sent.right(row["answer"], row["answer"]), row["answer"]


# ---- hostile text ----

LONG = 10_000_000
TEXTS = {
    "digits": "9" * LONG,
    "numbers": "1 " * (LONG // 2),
    "signs": "#### " * (LONG // 5),
    "boxes": "\\boxed" * (LONG // 6),
    "open boxes": "\\boxed{" * (LONG // 7),
    "braces in a box": "\\boxed{" + "{" * LONG,
    "parentheses in a box": "\\boxed{" + "(" * 300 + "1" + ")" * 300 + "}",
    "fractions in a box": "\\boxed{" + "\\frac{1}{" * 90 + "2" + "}" * 90 + "}",
    "NUL bytes": "\0" * 1_000 + "\\boxed{\0 6}",
    "half a character": "\\boxed{\ud800}",
    "no text": " " * LONG,
    "close to a million digits": "9" * 999_990,
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("grader", ["gsm8k", pytest.param("math", marks=pytest.mark.slow)])
def test_hostile_text_is_wrong(grader, name):
    found = grade(TEXTS[name], {"grader": grader, "reference": "5"})
    assert (found.reward, found.correct) == (0.0, False)


@pytest.fixture
def impatient(monkeypatch):
    """A verifier of its own that waits a second, so that these tests do not take long."""
    own = verifier.Verifier()
    monkeypatch.setattr(verifier, "HARD_SECONDS", 1.0)
    monkeypatch.setattr(verifier, "_verifier", own)
    yield own
    own.close()


@pytest.mark.parametrize("box", ["9^{9^{9^9}}", "999999999!", r"\sum_{n=1}^{10000000} n^{1/3}"])
@pytest.mark.slow
def test_an_answer_that_takes_too_long_is_wrong_and_the_next_one_is_graded(box, impatient):
    start = time.monotonic()
    assert not maths(rf"\boxed{{{box}}}", "5").correct
    assert maths(r"\boxed{5}", "5").correct
    assert time.monotonic() - start < 60, "neither question hangs"


@pytest.mark.slow
def test_a_killed_verifier_is_replaced(impatient):
    assert impatient.equal("5", "5")
    first = impatient._process.pid
    os.kill(first, 9)
    impatient._process.wait()
    assert impatient.equal("5", "5")
    assert impatient._process.pid != first


def test_grading_works_in_several_threads_at_once():
    found: dict[int, list[bool]] = {}

    def work(number: int) -> None:
        found[number] = [maths(rf"\boxed{{{n}}}", str(number)).correct for n in range(4)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [n == number for n in range(4)] for number in range(4)}


@pytest.mark.slow
def test_a_forked_process_asks_a_verifier_of_its_own():
    assert verifier.equal("5", "5")
    before = verifier._verifier._process.pid
    if (child := os.fork()) == 0:
        right = verifier.equal("5", "5") and verifier._verifier._process.pid != before
        verifier._verifier.close()
        os._exit(0 if right else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert verifier.equal("5", "5")
    assert verifier._verifier._process.pid == before


# ---- samples and rewards ----

RIGHT = "<think> </think> <answer> 1 + ( 2 * 3 ) </answer>"


def sample(text: str, answer: dict) -> dict:
    response = Response(text, 3, "stop")
    return graded_sample(
        prompt_id="id-1", sample_index=0, policy="p", seed=1, answer=answer, response=response
    )


def test_countdown_is_graded_with_and_without_a_named_grader():
    for answer in (COUNTDOWN, COUNTDOWN | {"grader": "countdown"}):
        rows = [sample(t, answer) for t in (RIGHT, "<answer>7</answer>", "7")]
        assert [row["reward"] for row in rows] == [1.0, 0.1, 0.0]
        assert [row["reward_tinyzero"] for row in rows] == [1.0, 0.1, 0.0]
        assert [row["correct"] for row in rows] == [True, False, False]
        assert [row["format_ok"] for row in rows] == [True, True, False]
        assert all(math.isnan(row["correct_strict"]) for row in rows)


def test_samples_of_every_grader_fit_the_table(tmp_path):
    rows = [
        sample(RIGHT, COUNTDOWN),
        sample("#### 5", {"grader": "gsm8k", "reference": "5"}),
        sample(r"\boxed{5}", {"grader": "math", "reference": "5"}),
    ]
    assert [math.isnan(row["reward_tinyzero"]) for row in rows] == [False, True, True]
    assert [math.isnan(row["correct_strict"]) for row in rows] == [True, False, True]
    write_table(rows, Samples, tmp_path / "samples.parquet", {})


def test_a_grader_that_grades_no_text_is_named():
    with pytest.raises(ValueError, match="choice"):
        grade("A", {"grader": "choice", "choices": [" A"], "correct": " A"})


def test_the_reward_gives_each_prompt_its_own_grader():
    answers = [
        json.dumps(COUNTDOWN | {"grader": "countdown"}),
        json.dumps({"grader": "gsm8k", "reference": "5"}),
        json.dumps({"grader": "math", "reference": "5"}),
    ]
    texts = [RIGHT, "#### 5", r"\boxed{6}"]
    assert reward(texts, answer=answers, prompts=["", "", ""]) == [1.0, 1.0, 0.0]
