"""An expert that is a file: which rows answer which prompts, and which of them are refused."""

import json
from pathlib import Path

import pandas as pd
import pytest
from configs import error, shipped
from in_process import refusal, run

from online_il import files, records
from online_il.experts.file import answers
from online_il.preflight.report import Report
from online_il.preflight.responses import check_responses, prompts_of
from online_il.studies import load_study

MINI = shipped("mini")
INSTANCES = [((2, 3, 4), 24), ((1, 5, 7), 13), ((1, 2, 3), 6)]
RIGHT = "<think> </think> <answer> 2 * 3 * 4 </answer>"
WRONG = "<think> </think> <answer> 1 + 5 + 7 - 1 </answer>"
CHAT = '[{"role": "system", "content": "S"}, {"role": "user", "content": "How much?"}]'


def prompts() -> pd.DataFrame:
    rows = [
        {
            "prompt_id": f"{split}-00000",
            "task": "t",
            "split": split,
            "text": f"<bos> {' '.join(map(str, numbers))} T {target} :",
            "answer": json.dumps({"numbers": numbers, "target": target, "grader": "countdown"}),
            "source": "",
            "revision": "",
        }
        for split, (numbers, target) in zip(["train", "validation", "id"], INSTANCES, strict=True)
    ]
    again = rows[0] | {"prompt_id": "train-00001", "text": "<bos> 1 5 7 T 12 :"}
    again["answer"] = json.dumps({"numbers": [1, 5, 7], "target": 12, "grader": "countdown"})
    return pd.DataFrame([*rows, again])


def written(folder: Path, *rows: object) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_rows_are_demonstrations_in_their_order_graded_and_numbered(tmp_path):
    files.write_table(prompts(), records.Prompts, tmp_path / "prompts.parquet", {})
    path = written(
        tmp_path,
        {"prompt_id": "train-00000", "response": RIGHT},
        {"prompt": "<bos> 1 5 7 T 12 :", "response": f"{WRONG} <eos>"},
        {"prompt_id": "train-00000", "text": "<think> 2 * 3", "finish_reason": "length"},
        {"prompt_id": "train-00000", "response": RIGHT},
    )
    shared = ["--task", "t", "--run", "mine", "--seed", 3, "--code", "-"]
    given = ["--prompts", tmp_path / "prompts.parquet", "--place", path, "--count", 3]
    run("take", *shared, *given, "--output", tmp_path / "samples.parquet")
    found = records.read_table(tmp_path / "samples.parquet", records.Samples)
    assert found["prompt_id"].tolist() == ["train-00000", "train-00001", "train-00000"]
    assert found["sample_index"].tolist() == [0, 0, 1]
    assert found["text"].tolist() == [RIGHT, WRONG, "<think> 2 * 3"]
    # Words, and the token that ends what was not cut off.
    assert found["n_tokens"].tolist() == [10, 12, 4]
    assert found["finish_reason"].tolist() == ["stop", "stop", "length"]
    # 1 + 5 + 7 - 1 takes the 1 twice.
    assert found["correct"].tolist() == [True, False, False]
    assert set(found["seed"]) == {3} and set(found["policy"]) == {"mine"}
    # A run that learns from fewer takes the first of them.
    first = ["--samples", tmp_path / "samples.parquet", "--code", "-"]
    run("first", *first, "--count", 2, "--output", tmp_path / "first.parquet")
    two = records.read_table(tmp_path / "first.parquet", records.Samples)
    assert two["text"].tolist() == [RIGHT, WRONG]
    assert records.provenance(tmp_path / "first.parquet")["first"] == 2
    told = refusal("first", *first, "--count", 4, "--output", tmp_path / "more.parquet")
    assert "4 demonstrations are asked for, and it has 3" in told
    assert not (tmp_path / "more.parquet").exists()


def test_parquet_and_conversations_are_read_too(tmp_path):
    table = pd.DataFrame([{"prompt_id": "a", "split": "train", "text": CHAT}])
    rows = [{"prompt": one, "response": "42"} for one in ("How much?", CHAT, json.loads(CHAT))]
    assert [one.prompt_id for one in answers(written(tmp_path, *rows), table)] == ["a"] * 3
    pd.DataFrame(rows[:2]).to_parquet(tmp_path / "mine.parquet")
    assert [one.text for one in answers(tmp_path / "mine.parquet", table)] == ["42"] * 2


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt_id": "train-9", "response": RIGHT}, "no prompt has the prompt_id 'train-9'"),
        ({"prompt_id": 7, "response": RIGHT}, "no prompt has the prompt_id 7"),
        ({"prompt_id": ["a"], "response": RIGHT}, "no prompt has the prompt_id"),
        ({"prompt_id": "id-00000", "response": RIGHT}, "on which students are measured (split id"),
        ({"prompt": "<bos> 1 2 3 T 6 :", "response": RIGHT}, "answers id-00000, on which"),
        ({"prompt": "<bos> 9 9 9 T 1 :", "response": RIGHT}, "no prompt of the task asks"),
        ({"prompt": [1], "response": RIGHT}, "no prompt of the task asks"),
        ({"response": RIGHT}, "neither `prompt_id` nor `prompt`"),
        ({"prompt_id": "train-00000"}, "no `response`"),
        ({"prompt_id": "train-00000", "response": "  "}, "`response` is '  '"),
        ({"prompt_id": "train-00000", "response": 5}, "`response` is 5"),
        ({"prompt_id": "train-00000", "response": "<think> six"}, "'six' is no word"),
        ({"prompt_id": "train-00000", "response": "<bos> 1"}, "'<bos>' is no word"),
        ({"prompt_id": "train-00000", "response": "<eos>"}, "'<eos>' is no word"),
        ([1], "not a JSON object"),
    ],
)
def test_a_row_that_teaches_nothing_is_named_with_its_line(tmp_path, row, words):
    good = {"prompt_id": "train-00000", "response": RIGHT}
    with pytest.raises(Exception) as caught:
        answers(written(tmp_path, good, row), prompts())
    message = str(caught.value)
    assert type(caught.value).__name__ == "InputError"
    assert "mine.jsonl:2: " in message and words in message, message


def test_all_wrong_rows_are_counted_and_some_are_shown(tmp_path):
    path = written(tmp_path, *[{"prompt_id": f"x{number}"} for number in range(9)])
    with pytest.raises(ValueError, match=r"9 of 9 rows .*jsonl:5: .*and 4 more") as caught:
        answers(path, prompts())
    assert "jsonl:6: " not in str(caught.value)
    path.write_text("\n")
    with pytest.raises(ValueError, match="no response in it"):
        answers(path, prompts())


def study_with(folder: Path, path: Path, more: str = ""):
    text = MINI.replace(
        "      - {name: solver, kind: solver}\n",
        "      - {name: solver, kind: solver}\n"
        f"      - {{name: mine, kind: file, path: {path}}}\n",
    )
    text += (
        "      - {name: sft-mine, method: sft, expert: mine, steps: 160, learning_rate: 0.0005"
        f"{more}}}\n"
    )
    (folder / "study.yaml").write_text(text)
    return text


def test_preflight_reads_every_row_before_anything_is_started(tmp_path):
    path = tmp_path / "mine.jsonl"
    study_with(tmp_path, path, ", demonstrations: 3")
    (task,) = load_study(tmp_path / "study.yaml").tasks
    report = Report()
    check_responses(task, report)
    assert "there is no file" in report.problems[0] and "countdown/mine, path" in report.problems[0]
    known = prompts_of(task)
    name, text = known[known["split"] == "train"].iloc[7][["prompt_id", "text"]]
    assert name == "train-00007" and text.startswith("<bos> ") and len(known) == 2878
    written(tmp_path, {"prompt_id": name, "response": RIGHT}, {"prompt_id": name})
    report = Report()
    check_responses(task, report)
    assert len(report.problems) == 1 and "mine.jsonl:2: no `response`" in report.problems[0]
    written(tmp_path, *[{"prompt": text, "response": RIGHT}] * 2)
    report = Report()
    check_responses(task, report)
    assert report.problems == [
        f"countdown/sft-mine, demonstrations: 3 are asked for, and {path} has 2; lower it, or "
        "leave it out for all"
    ]
    assert report.notes == ["countdown/mine: 2 responses, all read"]


def test_what_needs_probabilities_or_answers_of_it_is_refused_with_words(tmp_path):
    text = study_with(tmp_path, tmp_path / "mine.jsonl")
    rows = error(
        tmp_path, text.replace("method: sft, expert: mine", "method: distill, expert: mine")
    )
    assert (
        "distill reads the expert's next-token probabilities, and this one has no weights" in rows
    )
    mixed = error(tmp_path, text.replace("{expert: 0.0625, solver:", "{mine: 0.0625, solver:"))
    assert "'mine' gives samples and no next-token probabilities" in mixed
    pair = (
        "  models:\n    - {task: countdown, expert: mine, student: solver, responses: 1,\n"
        "       sampling: {max_new_tokens: 9}}\n"
    )
    asked = error(tmp_path, text.replace("discrepancy:\n", f"discrepancy:\n{pair}"))
    assert "an expert of kind file is not asked the benchmarks" in asked
    assert "an expert of kind solver is not asked the benchmarks" in asked
