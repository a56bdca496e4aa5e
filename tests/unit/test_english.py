"""Countdown in English: what is asked, what is learned, how it is checked and solved."""

import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online_il import files, records
from online_il.chat import messages_of
from online_il.config.architecture import Architecture
from online_il.config.finetuning import Finetuning
from online_il.ends import end_ids
from online_il.errors import InputError
from online_il.experts.solver import in_english
from online_il.generation.tokens import Tokens
from online_il.grading import grade
from online_il.models import byte_tokenizer, new_model, save_policy
from online_il.tasks import english
from online_il.tasks.countdown import Instance, generate
from online_il.tasks.english_checks import check_rate
from online_il.training.english_traces import practised, traces

INSTANCE = Instance((1, 2, 4), 10)
SHAPE = Architecture(hidden_size=8, intermediate_size=8, layers=1, heads=1, head_dim=8)
SEARCH = {"solve_probability": 0.3, "continue_probability": 0.6, "max_attempts": 5}
FINETUNING = {
    "traces": SEARCH | {"practice_fraction": 0.4, "practice_attempts": 4},
    "updates": 6,
    "batch_size": 8,
    "micro_batch_size": 4,
    "learning_rate": 0.001,
    "max_length": 700,
    "max_grad_norm": 1.0,
}


def instances(seed: int) -> Instance:
    [found] = generate(
        1,
        operands=[2, 3],
        number_range=(1, 12),
        target_range=(1, 60),
        operators="+-*",
        value_range=(0, 99),
        seed=seed,
    )
    return found


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policy")
    tokenizer = byte_tokenizer()
    save_policy(new_model(SHAPE, tokenizer, 1024, 0), tokenizer, folder / "base")
    return folder / "base"


def test_a_prompt_is_one_question_of_the_users():
    text = english.prompt(INSTANCE)
    asked = "Use each of 1, 2, 4 once with + - * to make 10."
    assert messages_of(text) == [{"role": "user", "content": asked}]
    assert english.is_prompt(text) and not english.is_prompt(asked)
    assert not english.is_prompt('[{"role": "user", "content": "What is 2?"}]')


@given(
    st.lists(st.integers(0, 99), min_size=1, max_size=5), st.integers(0, 99), st.text(max_size=20)
)
def test_a_question_is_read_wherever_it_stands(numbers, target, around):
    instance = Instance(tuple(numbers), target)
    other = english.question(Instance((7, 8), 15))
    assert english.instance_of(f"{other}{around}{english.question(instance)}{around}") == instance


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Use each of once with + - * to make 10.",
        "Use each of 1, 2 once with + - * to make ten.",
        f"Use each of {'9' * 5000}, 2 once with + to make 10.",
        "Use each of 1, 2 once with + - * to make 1\u0664.",
    ],
)
def test_what_is_no_question_is_none(text):
    assert english.instance_of(text) is None


def test_an_attempt_says_whether_it_is_right():
    from online_il.tasks.miniature import Chain

    chain = Chain((2, 1, 4), ("*", "+"))
    assert english.attempt_text(chain, 10) == "2 * 1 = 2 + 4 = 6 no."
    assert english.attempt_text(chain, 6) == "2 * 1 = 2 + 4 = 6 yes."


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 9999))
def test_traces_are_honest_answer_with_their_last_attempt_and_end_when_they_are_right(seed):
    instance, rng = instances(seed), random.Random(seed)
    text = english.searcher_trace(rng, instance, **SEARCH)
    attempts, honest, positive = check_rate(text, instance.target)
    assert 1 <= attempts == honest <= 5 and positive <= 1
    answer = {"grader": "countdown", "numbers": instance.numbers, "target": instance.target}
    graded = grade(text, answer)
    assert graded.format_ok and graded.correct == (positive == 1)
    assert re.fullmatch(r"([^<]* (yes|no)\. )+<answer>[^<]*</answer>", text)
    # What it answers is what it tried last.
    last = re.split(r"(?:yes|no)\. ", text.partition(" <answer>")[0] + " ")[-2]
    said = re.findall(r"\d+", text.partition("<answer>")[2])
    tried = re.findall(r"(?:^|[-+*] )(\d+)", last)
    assert said == tried


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("1 + 4 = 5 + 2 = 7 no. 2 * 1 = 2 + 4 = 6 no. <answer>( 2 * 1 ) + 4</answer>", (2, 2, 0)),
        ("2 * 4 = 8 + 2 = 10 yes. <answer>1</answer>", (1, 1, 1)),
        ("2 * 4 = 9 + 1 = 10 yes.", (1, 0, 1)),  # A wrong equation.
        ("2 * 4 = 8 + 1 = 9 yes.", (1, 0, 1)),  # A false yes.
        ("2 * 4 = 8 + 2 = 10 no.", (1, 0, 0)),  # A false no.
        ("The answer is yes. 2 * 4 = 8 no.", (2, 1, 1)),
        (
            "2 * 4 = 8 no <answer>yes. no.</answer>",
            (0, 0, 0),
        ),  # No check; those behind do not count.
        ("", (0, 0, 0)),
    ],
)
def test_checks_are_counted(response, expected):
    assert check_rate(response, 10) == expected


# ---- in tokens ----


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 9999))
def test_of_practice_results_and_checks_alone_are_learned(seed):
    instance, rng = instances(seed), random.Random(seed)
    text, places = english.practice_trace(rng, instance, solve_probability=0.2, max_attempts=4)
    taught = [text[start:end] for start, end in places]
    words = text.split()
    wanted = [
        f" {word}"
        for before, word in zip(["", *words], words, strict=False)
        if before == "=" or word in ("yes.", "no.")
    ]
    assert taught == wanted and "<answer>" not in text
    tokenizer = byte_tokenizer()
    ids, trained = practised(tokenizer, text, places)
    assert tokenizer.decode(ids) == text
    learned = [token for token, yes in zip(ids, trained, strict=True) if yes]
    assert tokenizer.decode(learned) == "".join(wanted)


def table(folder, prompts):
    rows = [
        {
            "prompt_id": f"{split}-{number}",
            "task": "t",
            "split": split,
            "text": text,
            "answer": json.dumps({"numbers": instance.numbers, "target": instance.target}),
            "source": "",
            "revision": "",
        }
        for number, (split, instance, text) in enumerate(prompts)
    ]
    files.write_table(rows, records.Prompts, folder / "prompts.parquet", {})
    return folder / "prompts.parquet"


def asked(seeds, split):
    found = [instances(seed) for seed in seeds]
    return [(split, one, english.prompt(one)) for one in found]


def test_the_training_set_is_drawn_from_train_and_pretraining_alone(policy, tmp_path):
    prompts = table(
        tmp_path, asked(range(6), "train") + asked([20], "pretraining") + asked([40, 41], "id")
    )
    drawn = Finetuning.model_validate(FINETUNING)
    rows = traces(policy, prompts, drawn, seed=3)
    assert len(rows) == 48 and rows == traces(policy, prompts, drawn, seed=3)
    assert rows != traces(policy, prompts, drawn, seed=4)
    tokenizer, [end] = byte_tokenizer(), end_ids(policy)
    seen = {english.instance_of(tokenizer.decode(row.prompt)) for row in rows}
    assert seen == {instances(seed) for seed in (*range(6), 20)}
    practice = [row for row in rows if row.trained]
    assert 8 < len(practice) < 30
    for row in rows:
        text = tokenizer.decode(row.response, skip_special_tokens=True)
        if row.trained:
            assert end not in row.response and "<answer>" not in text
        else:
            assert row.response[-1] == end and text.endswith("</answer>")
            assert row.labels()[len(row.prompt) :] == row.response
        target = english.instance_of(tokenizer.decode(row.prompt)).target
        attempts, honest, _ = check_rate(text, target)
        assert attempts == honest > 0


def test_a_training_set_that_cannot_be_drawn_is_refused(policy, tmp_path):
    drawn = Finetuning.model_validate(FINETUNING)
    words = table(tmp_path, [("train", INSTANCE, "<bos> 1 2 4 T 10 :")])
    with pytest.raises(InputError, match="no Countdown in English"):
        traces(policy, words, drawn, seed=1)
    prompts = table(tmp_path, asked(range(6), "train"))
    short = Finetuning.model_validate(FINETUNING | {"max_length": 60})
    with pytest.raises(InputError, match="max_length is 60; raise it"):
        traces(policy, prompts, short, seed=1)


def test_the_solver_answers_in_the_tokens_of_a_policy(policy):
    tokens = Tokens(policy)
    found = in_english(tokens)(tokens.prompt(english.prompt(INSTANCE)))
    [end] = tokens.ends
    texts = []
    for ids in found:
        assert ids[-1] == end and end not in ids[:-1]
        texts.append(tokens.text(ids))
    assert len(set(texts)) == len(texts) > 0
    for text in texts:
        assert grade(text, {"numbers": (1, 2, 4), "target": 10}).correct
    assert "<answer>( 2 * 4 ) + ( 1 * 2 )</answer>" not in texts  # Each number once.
    with pytest.raises(InputError, match="no Countdown"):
        in_english(tokens)(tokens.prompt("What is 2?"))
    impossible = english.prompt(Instance((1, 1), 99))
    with pytest.raises(InputError, match="no solution"):
        in_english(tokens)(tokens.prompt(impossible))
