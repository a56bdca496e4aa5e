"""Fine-tuning data that ask what a benchmark asks are found, in every task, and others stay."""

import json
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from online_il.chat import as_text
from online_il.config.finetuning import Finetuning
from online_il.files import write_table
from online_il.models import byte_tokenizer
from online_il.records import Prompts
from online_il.tasks import gsm8k, mmlu, problems
from online_il.tasks.asked import Asked, question
from online_il.tasks.countdown_prompts import chat_messages

INSTANCES = [((19, 36, 55, 7), 65), ((3, 44, 8), 55), ((5, 5, 9), 81), ((61, 2, 90, 14), 30)]
REASON = "Please reason step by step."


def of_countdown(instances, split="id"):
    return [
        (split, as_text(chat_messages(n, t)), {"grader": "countdown", "numbers": n, "target": t})
        for n, t in instances
    ]


def of_problem(said, instruction, grader="math", split="gsm8k"):
    messages = [{"role": "user", "content": f"{said}\n\n{instruction}"}]
    return split, as_text(messages), {"grader": grader, "reference": "1"}


def of_mmlu(stems, shots=2):
    """The prompts of MMLU's questions with these stems, by the harness."""
    rows = [
        {"question": stem, "subject": "anatomy", "choices": [f"{n}", "2", "3", "4"], "answer": 1}
        for n, stem in enumerate(stems)
    ]
    example = {"question": "An example of mine, which nobody ever asks in the end?"}
    examples = [rows[0] | example] * shots
    found = mmlu.questions({"anatomy": rows}, {"anatomy": examples}, shots)
    return [("mmlu", q.context, {"grader": "choice", "choices": q.choices}) for q in found]


# ---- what a prompt asks ----


def test_what_a_prompt_asks_is_known_in_every_task():
    said = "How many?\n\nA blank line is in it."
    for prompt in (
        of_problem(said, gsm8k.INSTRUCTION, "gsm8k"),
        of_problem(said, problems.INSTRUCTION),
    ):
        assert question(*prompt[1:]).strip() == said
    (prompt,) = of_countdown(INSTANCES[:1])
    assert "[19, 36, 55, 7], create an equation that equals 65" in question(*prompt[1:])


@pytest.mark.parametrize("shots", [0, 1, 3])
def test_an_mmlu_question_is_the_last_one_without_examples_and_choices(shots):
    stems = ["What is it?", "It has\n\nblank lines, and\nlines. Which?", "___ is\tblank"]
    assert [question(*p[1:]) for p in of_mmlu(stems, shots)] == stems


# ---- Countdown ----


@pytest.mark.parametrize("instance", INSTANCES)
def test_a_countdown_is_its_numbers_and_its_target(instance):
    asked = Asked(of_countdown(INSTANCES))
    numbers, target = instance
    turned = list(reversed(numbers))
    listed = ", ".join(map(str, turned[:-1])) + f" and {turned[-1]}"
    for text in (
        chat_messages(numbers, target)[1]["content"],
        chat_messages(turned, target)[1]["content"],
        chat_messages(numbers, target)[1]["content"].upper().replace(" ", "  "),
        f"Target: {target}\nNumbers: {listed}. Make the target.",
        " ".join(["<bos>", *map(str, numbers), "T", str(target), ":"]),
        f"Make it: {', '.join(map(str, [*numbers, target]))}",
    ):
        assert text in asked, text
    for text in (
        chat_messages(numbers, target + 1)[1]["content"],
        chat_messages((*numbers, 4), target)[1]["content"],
        chat_messages(numbers[1:], target)[1]["content"],
        "Let me solve this step by step.\n<think>",
        f"What is {target}?",
        "",
    ):
        assert text not in asked, text


numbers_of = st.lists(st.integers(10, 99), min_size=3, max_size=5)


@given(st.lists(st.tuples(numbers_of, st.integers(100, 999)), min_size=1), st.randoms())
def test_any_countdown_is_found_and_another_target_is_not(instances, rng):
    asked = Asked(of_countdown(instances))
    numbers, target = rng.choice(instances)
    turned = rng.sample(numbers, len(numbers))
    assert chat_messages(turned, target)[1]["content"] in asked
    assert chat_messages(turned, 1000)[1]["content"] not in asked


# ---- questions in words ----

LONG = "A farmer has 12 cows and sells 5 of them; how many are left to him?"
SHORT = "Compute $\\sin 60^\\circ$."


@pytest.mark.parametrize("said", [LONG, SHORT, "What is $2 + 2$?"])
@pytest.mark.parametrize("instruction", [gsm8k.INSTRUCTION, problems.INSTRUCTION])
def test_a_question_is_found_whatever_stands_around_it(said, instruction):
    asked = Asked([of_problem(said, instruction)])
    for text in (
        said,
        f"  {said.upper()}\n",
        said.replace(" ", " \n "),
        f"{said}\n\n{REASON}",
        f"{said} {REASON}",
        f"Question: {said}\nAnswer:",
        f"{REASON}\n\n{said} Put it in \\boxed{{}}.",
    ):
        assert text in asked, text
    for text in (
        "Compute $\\sin 60^\\circ \\cdot \\cos 30^\\circ$.",
        "What is $2 + 2$ in base 3?",
        LONG.replace("5", "6"),
        instruction,
        REASON,
    ):
        assert text not in asked, text


words = st.lists(st.text(string.ascii_letters, min_size=1), min_size=1, max_size=20)


@given(words, words, words)
def test_any_question_is_found_between_other_sentences(before, said, after):
    text = " ".join(said)
    asked = Asked([of_problem(text + "?", problems.INSTRUCTION)])
    assert f"{' '.join(before)}. {text}? {' '.join(after)}." in asked
    assert f"{' '.join(before)}.\n\n{text}" in asked


@given(words, words)
def test_a_question_of_other_words_is_not_found(said, other):
    asked = Asked([of_problem(" ".join(said), problems.INSTRUCTION)])
    text = " ".join(f"{word}0" for word in other)
    assert text not in asked and f"{text}. {text}" not in asked


def test_mmlus_questions_are_found_and_its_examples_are_not():
    generic = "Which of these is true?"
    stems = ["In lesson 1 of anatomy, what is 2 plus 5?", "What is $2 + 2$?", generic, generic]
    asked = Asked(of_mmlu(stems))
    for stem in stems:
        assert stem in asked, stem
    assert f"{stems[0]} (A) 7 (B) 9" in asked and f"{stems[1]} (A) 7 (B) 9" in asked
    assert "An example of mine, which nobody ever asks in the end?" not in asked
    # Asked of two things there, so in another problem's text it says nothing.
    assert f"Let x be 3. {generic} A. x is odd. B. x is even." not in asked


def test_no_text_takes_long():
    asked = Asked([*of_countdown(INSTANCES), of_problem(LONG, ""), of_problem(SHORT, "")])
    for text in (
        "1" * 200_000,
        "1 " * 100_000,
        ". \n" * 50_000,
        "a farmer " * 50_000,
        "1," * 99999,
    ):
        assert text not in asked


# ---- fine-tuning ----


def test_what_the_benchmarks_ask_is_left_out_of_the_fine_tuning(tmp_path):
    tested = [
        *of_countdown(INSTANCES),
        of_problem(LONG, gsm8k.INSTRUCTION, "gsm8k"),
        *of_mmlu(["In lesson 1 of anatomy, what is 2 plus 5?"]),
    ]
    kept = [((1, 2, 3), 6), ((19, 36, 55, 7), 66)]
    trained = of_countdown(kept[:1], "train")
    origin = {"task": "countdown", "source": "", "revision": ""}
    write_table(
        [
            {"prompt_id": f"{n}", "split": s, "text": t, "answer": json.dumps(a), **origin}
            for n, (s, t, a) in enumerate([*tested, *trained])
        ],
        Prompts,
        tmp_path / "prompts.parquet",
        {},
    )
    solved = {"role": "assistant", "content": "5"}
    asked = [chat_messages(*instance) for instance in INSTANCES]
    asked += [[{"role": "user", "content": f"{LONG}\n\n{REASON}"}]]
    asked += [[{"role": "user", "content": "In lesson 1 of anatomy, what is 2 plus 5?"}]]
    others = [chat_messages(*instance) for instance in kept]
    rows = [{"messages": [*messages, solved]} for messages in [*asked, *others]]
    random.Random(0).shuffle(rows)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": tokenizer.eos_token_id}))
    settings = Finetuning.model_validate(
        {
            "dataset": {
                "repo": "a/b",
                "revision": "0" * 40,
                "files": "rows.jsonl",
                "folder": str(tmp_path),
            },
            "updates": 1,
            "batch_size": 1,
            "micro_batch_size": 1,
            "learning_rate": 0.1,
            "max_length": 1000,
            "max_grad_norm": 1.0,
        }
    )
    # Imported here: the other tests of this file need no trainer.
    from online_il.training.solutions import solutions

    left: dict[str, int] = {}
    found = list(solutions(tmp_path, tmp_path / "prompts.parquet", settings, left))
    assert left == {"longer_than_max_length": 0, "asked_in_a_benchmark": len(asked)}
    said = sorted("".join(message["content"] for message in messages) for messages in others)
    assert sorted(tokenizer.decode(row.prompt) for row in found) == said
