"""Responses in the report: five prompts, the same for all policies, steps marked in English."""

import json
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from fake_study import RUNS, fake_study

from online_il.files import write_table
from online_il.layout import Layout
from online_il.records import Prompts
from online_il.report.examples import examples
from online_il.store import build
from online_il.tasks import english
from online_il.tasks.countdown import Instance

STUDENTS = {
    "distill-mixture": ("distill", "mixture", [(8, 8, 512)], 0.6),
    "sft-unrealizable": ("sft", "solver", [(8, 8, 512)], 0.3),
}
INSTANCE = Instance((1, 2, 4), 10)
ASKED = {
    "english": english.prompt(INSTANCE),
    "paper": json.dumps(
        [
            {"role": "user", "content": "Using the numbers [1, 2, 4], make 10."},
            {"role": "assistant", "content": "Let me solve this step by step.\\n<think>"},
        ]
    ),
}
ANSWERS = {
    "base": "4 + 1 = 6 + 4 = 10 no. <answer>4 + 1</answer>",
    "expert": "1 + 2 = 3 + 4 = 7 no. 4 + 1 = 5 * 2 = 10 yes. <answer>( 4 + 1 ) * 2</answer>",
}
REASONS = ["4 + 1 is 5, not 6", "10 is the target 10", "the answer is 5, not 10"]


def study(folder: Path, asked: str, **other) -> tuple[Path, Path]:
    """The results and the database of a study whose every prompt asks the same."""
    fake_study(folder, runs=RUNS | STUDENTS, samplings=("policy",), **other)
    answer = {"grader": "countdown", "numbers": INSTANCE.numbers, "target": INSTANCE.target}
    rows = [
        {
            "prompt_id": f"countdown-id-{number}",
            "task": "countdown",
            "split": "id",
            "text": asked,
            "answer": json.dumps(answer),
            "source": "here",
            "revision": "0",
        }
        for number in range(12)
    ]
    write_table(pd.DataFrame(rows), Prompts, Layout(folder).prompts("countdown"), {})
    database = folder / "aggregate" / "measurements.duckdb"
    build(folder, database)
    with duckdb.connect(str(database)) as connection:
        for run, text in ANSWERS.items():
            connection.execute("UPDATE samples SET text = ? WHERE run = ?", [text, run])
    return folder, database


@pytest.mark.parametrize("kind", ASKED)
def test_five_responses_of_every_policy_to_the_same_prompts(tmp_path, kind):
    results, database = study(tmp_path, ASKED[kind], at_last=4)
    found = examples(database, results)
    assert len(found) == 5
    for example in found:
        assert [one.run for one in example.responses] == [
            "base",
            "expert",
            "sft-realizable",
            "sft-unrealizable",
            "distill-mixture",
        ]
        assert example.prompt == json.loads(ASKED[kind])[-1]["content"]
        base, expert = example.responses[:2]
        said = "".join(piece.text for piece in expert.pieces)
        assert "".join(said.split()) == "".join(ANSWERS["expert"].split())
        assert [piece.wrong for piece in base.pieces if piece.wrong] == (
            REASONS if kind == "english" else []
        )
        assert not any(piece.wrong for piece in expert.pieces)


def test_a_run_whose_first_seed_was_stopped_early_has_its_responses(tmp_path):
    results, database = study(tmp_path, ASKED["english"])
    with duckdb.connect(str(database)) as connection:
        connection.execute("DELETE FROM samples WHERE run = 'expert' AND seed = 1 AND step = 6")
    for example in examples(database, results):
        assert [one.run for one in example.responses].count("expert") == 1
