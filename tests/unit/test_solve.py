"""What the exact solver's program writes: right answers, a sample after another of every prompt."""

import json
from pathlib import Path

import pytest
from in_process import run

from online_il import files, records
from online_il.tasks.countdown_scores import evaluate_expression

INSTANCES = [((2, 3, 4), 24), ((1, 5, 7), 13)]


@pytest.fixture
def samples(tmp_path: Path):
    row = {"task": "t", "source": "", "revision": "", "split": "train"}
    rows = [
        row
        | {
            "prompt_id": f"p{number}",
            "text": f"<bos> {' '.join(map(str, numbers))} T {target} :",
            "answer": json.dumps({"numbers": numbers, "target": target, "grader": "countdown"}),
        }
        for number, (numbers, target) in enumerate(INSTANCES)
    ]
    files.write_table(rows, records.Prompts, tmp_path / "prompts.parquet", {})

    def solve(seed: int):
        shared = ["--task", "t", "--run", "solver", "--seed", seed, "--code", "-"]
        output = tmp_path / f"{seed}.parquet"
        run(
            "solve",
            *shared,
            "--prompts",
            tmp_path / "prompts.parquet",
            "--count",
            9,
            "--output",
            output,
        )
        return records.read_table(output, records.Samples)

    return solve


def test_every_prompt_is_answered_in_turn_at_once_and_right(samples):
    found = samples(1)
    assert found["prompt_id"].tolist() == ["p0", "p1"] * 4 + ["p0"]
    assert found["sample_index"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4]
    for (numbers, target), text in zip(INSTANCES * 5, found["text"], strict=False):
        assert text.startswith("<think> </think> <answer> ") and text.endswith(" </answer>")
        answer = text.removeprefix("<think> </think> <answer> ").removesuffix(" </answer>")
        words = answer.replace("(", "").replace(")", "").split()
        assert sorted(int(word) for word in words if word.isdecimal()) == sorted(numbers)
        assert evaluate_expression(answer)[0] == target
    assert (found["reward"] == 1.0).all()
    assert len(set(found["text"])) > 2


def test_the_seed_draws_among_the_expressions(samples):
    assert samples(1)["text"].tolist() == samples(1)["text"].tolist()
    assert samples(1)["text"].tolist() != samples(2)["text"].tolist()
