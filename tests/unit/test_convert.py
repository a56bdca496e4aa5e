"""The hub's data sets become tables of prompts; test rows never stay in training."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from online_il.chat import messages_of
from online_il.config.data import CountdownHub, DeepScaler, Gsm8k
from online_il.errors import InputError
from online_il.records import Prompts, provenance, read_table
from online_il.tasks import countdown, countdown_hub, gsm8k, mmlu, problems
from online_il.tasks.countdown_prompts import PRIMER

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "workflow" / "fixtures"
REVISION = "a" * 40


def source(repo: str, files: str, folder: Path) -> dict[str, Any]:
    return {"repo": repo, "revision": REVISION, "files": files, "folder": str(folder)}


def countdown_settings(folder: Path = FIXTURES / "countdown", **changes) -> dict[str, Any]:
    return {
        "kind": "countdown",
        "dataset": source("Jiayi-Pan/Countdown-Tasks-3to4", "data/train-*.parquet", folder),
        "in_distribution": {"operands": [3, 4], "numbers": [1, 99], "answers": [10, 100]},
        "train": 24,
        "id": 8,
        "out_of_distribution": {"operands": [4], "numbers": [1, 125], "answers": [1, 300]},
        "ood": 8,
        "data_seed": 1,
    } | changes


def gsm8k_settings(folder: Path = FIXTURES, **changes) -> dict[str, Any]:
    return {
        "kind": "gsm8k",
        "train": source("openai/gsm8k", "main/train-*.parquet", folder / "gsm8k"),
        "test": source("openai/gsm8k", "main/test-*.parquet", folder / "gsm8k"),
        "mmlu": source("cais/mmlu", "all/test-*.parquet", FIXTURES / "mmlu"),
        "mmlu_dev": source("cais/mmlu", "all/dev-*.parquet", FIXTURES / "mmlu"),
    } | changes


AIME2024 = source("Maxwell-Jia/AIME_2024", "aime_2024_problems.parquet", FIXTURES / "aime2024")
SETTINGS = {
    "countdown": countdown_settings(),
    "gsm8k": gsm8k_settings(),
    "deepscaler": {
        "kind": "deepscaler",
        "train": source("a/DeepScaleR", "deepscaler.json", FIXTURES / "deepscaler"),
        "aime2024": AIME2024,
        "math500": source("HuggingFaceH4/MATH-500", "test.jsonl", FIXTURES / "math500"),
    },
    "aime": {
        "kind": "aime",
        "aime2024": AIME2024,
        "aime2025": source("math-ai/aime25", "test.jsonl", FIXTURES / "aime2025"),
    },
}


def convert(kind: str, settings: dict[str, Any], output: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "workflow" / "scripts" / "convert.py"]
    command += ["--kind", kind, "--settings", json.dumps(settings), "--task", f"my-{kind}"]
    command += ["--code", "c0de", "--output", output]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "workflow"),
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(output.parent / "hub"),
    }
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, Path]:
    """The table of every kind, made from the fixtures by the script."""
    folder = tmp_path_factory.mktemp("tables")
    for kind, settings in SETTINGS.items():
        done = convert(kind, settings, folder / f"{kind}.parquet")
        assert done.returncode == 0, done.stderr
    return {kind: folder / f"{kind}.parquet" for kind in SETTINGS}


EXPECTED = {
    "countdown": (
        {"train": 22, "id": 8, "ood": 8},
        {"train_dropped": 2, "id_unsolvable": 0, "train_checked": 22, "train_unsolvable": 0},
    ),
    "gsm8k": ({"train": 23, "gsm8k": 12, "mmlu": 12}, {"train_dropped": 1, "mmlu_subjects": 3}),
    "deepscaler": (
        {"train": 18, "aime2024": 6, "math500": 12},
        {"train_dropped": 1, "train_unanswered": 1},
    ),
    "aime": ({"aime2024": 6, "aime2025": 6}, {}),
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_the_script_writes_every_split_and_counts_what_it_dropped(kind, tables):
    frame, (splits, counts) = read_table(tables[kind], Prompts), EXPECTED[kind]
    assert Counter(frame["split"]) == splits
    assert provenance(tables[kind])["counts"] == counts
    assert provenance(tables[kind])["code_hash"] == "c0de"
    assert set(frame["task"]) == {f"my-{kind}"}
    assert frame["prompt_id"].tolist()[:2] == [f"{frame['split'][0]}-0000{n}" for n in (0, 1)]
    ours = frame["split"] == "ood"
    assert frame[~ours]["revision"].str.startswith(REVISION).all()
    assert frame[~ours]["source"].str.contains("/").all()


def test_fixtures_are_what_their_script_makes(tmp_path):
    script = FIXTURES / "make.py"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    subprocess.run([sys.executable, script, "--folder", tmp_path], check=True, env=environment)
    made = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert len(made) == 10
    for name in made:
        if name.suffix == ".parquet":
            assert parquet.read_table(FIXTURES / name).equals(parquet.read_table(tmp_path / name))
        else:
            assert (FIXTURES / name).read_bytes() == (tmp_path / name).read_bytes()


# ---- Countdown ----


def of(table: Path, split: str) -> pd.DataFrame:
    frame = read_table(table, Prompts)
    return frame[frame["split"] == split].reset_index(drop=True)


def test_countdown_prompts_are_the_papers_chat_with_the_primed_answer(tables):
    frame = of(tables["countdown"], "id")
    rows = parquet.read_table(next((FIXTURES / "countdown").rglob("*.parquet"))).to_pylist()[24:32]
    for text, answer, row in zip(frame["text"], frame["answer"], rows, strict=True):
        messages = messages_of(text)
        assert [message["role"] for message in messages] == ["system", "user", "assistant"]
        assert f"{row['nums']}" in messages[1]["content"]
        assert f"equals {row['target']}" in messages[1]["content"]
        assert messages[2]["content"] == PRIMER
        expected = {"grader": "countdown", "numbers": row["nums"], "target": row["target"]}
        assert json.loads(answer) == expected


def instances(table: Path, split: str) -> list[countdown.Instance]:
    answers = map(json.loads, of(table, split)["answer"])
    return [countdown.Instance(tuple(a["numbers"]), a["target"]) for a in answers]


def test_no_training_instance_is_a_test_instance_in_another_order(tables):
    known = {countdown.key(*one) for one in instances(tables["countdown"], "id")}
    assert len(known) == 8
    assert known.isdisjoint(countdown.key(*i) for i in instances(tables["countdown"], "train"))


def test_out_of_distribution_instances_are_new_solvable_and_in_their_ranges(tables):
    trained = {countdown.key(*i) for i in instances(tables["countdown"], "train")}
    found = instances(tables["countdown"], "ood")
    for one in found:
        assert len(one.numbers) == 4
        assert max(one.numbers) <= 125
        assert one.target <= 300
        assert countdown.solve(*one)
        assert countdown.key(*one) not in trained


def countdown_rows(folder: Path, rows: list[tuple[list[int], int]]) -> CountdownHub:
    columns = {"target": [target for _, target in rows], "nums": [nums for nums, _ in rows]}
    (folder / "data").mkdir(exist_ok=True)
    parquet.write_table(arrow.table(columns), folder / "data" / "train-0.parquet")
    settings = countdown_settings(folder, train=4, id=2, ood=2)
    return CountdownHub.model_validate(settings)


def test_dropped_and_unsolvable_instances_are_counted(tmp_path):
    rows = [([1, 2, 3], 11), ([3, 2, 10], 15), ([10, 3, 2], 15), ([10, 3, 2], 16)]
    tests = [([2, 3, 10], 15), ([1, 1, 1], 100)]
    converted = countdown_hub.prompts(countdown_rows(tmp_path, rows + tests))
    # 1, 2, 3 never make 11, nor three ones 100; 10 + 3 + 2 = 15, and 10 + 3 * 2 = 16.
    assert converted.counts == {
        "train_dropped": 2,
        "id_unsolvable": 1,
        "train_checked": 2,
        "train_unsolvable": 1,
    }
    kept = [p.answer["numbers"] for p in converted.prompts if p.split == "train"]
    assert kept == [(1, 2, 3), (10, 3, 2)]


@pytest.mark.parametrize(
    "row", [([1, 2], 11), ([1, 2, 3, 4, 5], 11), ([0, 2, 3], 11), ([1, 2, 100], 11), ([1, 2, 3], 9)]
)
def test_an_instance_out_of_the_ranges_is_named(row, tmp_path):
    rows = [([1, 2, 3], 11), row, *[([10, 3, 2], 15)] * 4]
    with pytest.raises(InputError, match=r"row 2: numbers .* leave in_distribution"):
        countdown_hub.prompts(countdown_rows(tmp_path, rows))


def test_no_out_of_distribution_instance_is_in_the_data_set(tmp_path):
    settings = countdown_rows(tmp_path, [([n], n) for n in range(1, 7)])
    one = {"operands": [1], "numbers": [1, 8], "answers": [1, 8]}
    ranges = {"in_distribution": one, "out_of_distribution": one}
    converted = countdown_hub.prompts(CountdownHub(**{**settings.model_dump(), **ranges}))
    assert {p.answer["target"] for p in converted.prompts if p.split == "ood"} == {7, 8}


def test_too_few_rows_are_refused():
    settings = CountdownHub.model_validate(countdown_settings(train=30, id=10))
    with pytest.raises(InputError, match=r"36 rows, fewer than 30 \(train\) \+ 10 \(id\)"):
        countdown_hub.prompts(settings)


def test_out_of_distribution_instances_that_there_are_not_are_refused():
    nowhere = {"operands": [4], "numbers": [1, 1], "answers": [299, 300]}
    settings = CountdownHub.model_validate(countdown_settings(out_of_distribution=nowhere))
    with pytest.raises(InputError, match=r"^out_of_distribution: .*widen"):
        countdown_hub.prompts(settings)


# ---- GSM8K and MMLU ----


def test_gsm8k_prompts_ask_for_the_number_and_carry_it(tables):
    frame = of(tables["gsm8k"], "gsm8k")
    rows = parquet.read_table(next((FIXTURES / "gsm8k").rglob("test-*.parquet"))).to_pylist()
    for text, answer, row in zip(frame["text"], frame["answer"], rows, strict=True):
        (message,) = messages_of(text)
        assert message["role"] == "user"
        assert message["content"].startswith(row["question"])
        assert "####" in message["content"]
        number = row["answer"].rpartition("#### ")[2].replace(",", "")
        assert json.loads(answer) == {"grader": "gsm8k", "reference": number}


def test_a_training_question_with_other_spaces_is_the_same_question(tables):
    asked = {messages_of(t)[0]["content"] for t in of(tables["gsm8k"], "gsm8k")["text"]}
    trained = {messages_of(t)[0]["content"] for t in of(tables["gsm8k"], "train")["text"]}
    assert {" ".join(t.split()) for t in asked}.isdisjoint(" ".join(t.split()) for t in trained)


def test_a_solution_without_its_number_is_refused(tmp_path):
    (tmp_path / "gsm8k" / "main").mkdir(parents=True)
    for split in ("train", "test"):
        rows = [{"question": f"How many in {split}?", "answer": "Many."}]
        parquet.write_table(
            arrow.Table.from_pylist(rows), tmp_path / "gsm8k" / "main" / f"{split}-0.parquet"
        )
    settings = Gsm8k.model_validate(gsm8k_settings(tmp_path))
    with pytest.raises(InputError, match=r"without a number after ####, to 'How many in train\?'"):
        gsm8k.prompts(settings)


MMLU_ROW = {"question": " What is 2 + 2? ", "subject": "high_school_physics"}
MMLU_ROW |= {"choices": ["3", "4", "5", "22"], "answer": 1}


def test_mmlu_questions_are_as_the_harness_is_known_to_write_them():
    example = MMLU_ROW | {"question": "What is 1 + 1?", "choices": list("2345"), "answer": 0}
    unused = MMLU_ROW | {"question": "Never asked."}
    (found,) = mmlu.questions(
        {"high_school_physics": [MMLU_ROW]}, {"high_school_physics": [example, unused]}, 1
    )
    assert found.context == (
        "The following are multiple choice questions (with answers) about high school physics.\n\n"
        "What is 1 + 1?\nA. 2\nB. 3\nC. 4\nD. 5\nAnswer: A\n\n"
        "What is 2 + 2?\nA. 3\nB. 4\nC. 5\nD. 22\nAnswer:"
    )
    assert (found.choices, found.correct) == ([" A", " B", " C", " D"], " B")


def test_mmlu_questions_are_those_that_the_harness_puts_to_a_model(tables, monkeypatch):
    """The harness evaluates a model of ours on the fixture; what it asks is compared."""
    import datasets
    import lm_eval
    from lm_eval.api.model import LM

    asked: list[tuple[str, str]] = []

    class Asked(LM):
        def loglikelihood(self, requests, **_):
            asked.extend(request.args for request in requests)
            return [(-float(request.args[1] != " C"), False) for request in requests]

        def loglikelihood_rolling(self, requests, **_):
            raise NotImplementedError

        def generate_until(self, requests, **_):
            raise NotImplementedError

    folder = FIXTURES / "mmlu" / "all"
    splits = {
        s: datasets.Dataset.from_parquet(str(next(folder.glob(f"{s}-*")))) for s in ("test", "dev")
    }

    def loaded(path, name, **_):
        assert path == "cais/mmlu"
        return {s: rows.filter(lambda row: row["subject"] == name) for s, rows in splits.items()}

    monkeypatch.setattr(datasets, "load_dataset", loaded)
    frame = of(tables["gsm8k"], "mmlu")
    answers = [json.loads(answer) for answer in frame["answer"]]
    subjects = list(dict.fromkeys(answer["subject"] for answer in answers))
    tasks = [
        str(Path(lm_eval.__file__).parent / f"tasks/mmlu/default/mmlu_{s}.yaml") for s in subjects
    ]
    manager = lm_eval.tasks.TaskManager(include_defaults=False)
    result = lm_eval.simple_evaluate(
        Asked(), tasks=tasks, num_fewshot=5, task_manager=manager, bootstrap_iters=0
    )
    ours = [
        (t, choice) for t, a in zip(frame["text"], answers, strict=True) for choice in a["choices"]
    ]
    assert asked == ours
    right = sum(result["results"][f"mmlu_{s}"]["acc,none"] * 4 for s in subjects)
    assert right == sum(answer["correct"] == " C" for answer in answers)


@pytest.mark.parametrize(
    ("tests", "examples", "said"),
    [
        ({"alchemy": [MMLU_ROW]}, {}, "no subject 'alchemy'"),
        ({"../../gsm8k/gsm8k": [MMLU_ROW]}, {}, "no subject"),
        ({"anatomy": [MMLU_ROW]}, {"anatomy": [MMLU_ROW] * 4}, "4 examples of anatomy"),
    ],
)
def test_mmlu_rows_that_cannot_be_asked_are_named(tests, examples, said):
    with pytest.raises(InputError, match=said):
        mmlu.questions(tests, examples, 5)


# ---- boxed answers ----


def test_math_prompts_ask_for_a_box_and_carry_the_reference(tables):
    rows = map(json.loads, (FIXTURES / "math500" / "test.jsonl").read_text().splitlines())
    frame = of(tables["deepscaler"], "math500")
    for text, answer, row in zip(frame["text"], frame["answer"], rows, strict=True):
        assert messages_of(text) == [
            {"role": "user", "content": f"{row['problem']}\n\n{problems.INSTRUCTION}"}
        ]
        assert json.loads(answer) == {"grader": "math", "reference": row["answer"]}
    contest = of(tables["aime"], "aime2024")["answer"]
    assert all(json.loads(answer)["reference"].isdigit() for answer in contest)


def test_deepscaler_drops_what_either_benchmark_asks(tmp_path):
    contest = parquet.read_table(FIXTURES / "aime2024" / "aime_2024_problems.parquet")
    rows = [
        {"problem": contest["Problem"][0].as_py() + " \n", "answer": "1", "solution": ""},
        {"problem": "What is 1 + 1?", "answer": "2", "solution": ""},
        {"problem": "What is it?", "answer": " ", "solution": ""},
    ]
    (tmp_path / "deepscaler.json").write_text(json.dumps(rows))
    train = source("a/DeepScaleR", "deepscaler.json", tmp_path)
    settings = DeepScaler.model_validate(SETTINGS["deepscaler"] | {"train": train})
    converted = problems.deepscaler(settings)
    assert converted.counts == {"train_dropped": 1, "train_unanswered": 1}
    kept = [messages_of(p.text)[0]["content"] for p in converted.prompts if p.split == "train"]
    assert kept == [f"What is 1 + 1?\n\n{problems.INSTRUCTION}"]


# ---- bad input ----


def refused(kind: str, settings: dict[str, Any], tmp_path: Path) -> str:
    done = convert(kind, settings, tmp_path / "prompts.parquet")
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "prompts.parquet").exists()
    return done.stderr.strip().splitlines()[-1]


def test_the_script_names_what_the_cache_lacks_and_the_remedy(tmp_path):
    settings = SETTINGS["aime"] | {"aime2025": SETTINGS["aime"]["aime2025"] | {"folder": None}}
    said = refused("aime", settings, tmp_path)
    assert said.startswith(f"error: data set math-ai/aime25@{REVISION}: not on this machine")
    assert "make download-paper" in said


def test_the_script_names_a_setting_that_is_wrong(tmp_path):
    said = refused("countdown", SETTINGS["countdown"] | {"train": 0}, tmp_path)
    assert said.startswith("error: --settings, countdown.train: ")


def test_a_training_set_that_is_all_test_is_refused(tmp_path):
    settings = gsm8k_settings(train=SETTINGS["gsm8k"]["test"])
    assert "every training row is a test row" in refused("gsm8k", settings, tmp_path)
