"""How many rows of a benchmark are asked, and the benchmarks that any data may have."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from configs import ROOT, error, shipped
from in_process import refusal, run
from preflight_studies import check, study_raw

from online_il.config.data import Aime
from online_il.config.knowledge import Benchmarked
from online_il.cost.rules import _prompts, _scored_tokens
from online_il.errors import InputError
from online_il.records import Prompts, read_table
from online_il.studies import load_study
from online_il.tasks.beside_data import limited, numbered, texts
from online_il.tasks.prompt import Prompt

ADDED = ("knowledge", "prose", "rows")
SMOKE = yaml.safe_load(shipped("smoke"))
FOLDER = ROOT / "workflow" / "fixtures"


def rows(**counts: int) -> list[dict[str, Any]]:
    made = [
        Prompt(split, f"{split} {number}", {}, "", "")
        for number in range(max(counts.values()))
        for split in counts
        if number < counts[split]
    ]
    return numbered("my-task", made)


def names(some: list[dict[str, Any]]) -> list[str]:
    return [row["prompt_id"] for row in some]


def test_rows_are_drawn_and_keep_order_and_names():
    every = rows(train=50, mmlu=40, aime2024=30)
    assert limited(every, Benchmarked()) == every
    some = limited(every, Benchmarked(rows={"mmlu": 10}))
    assert Counter(row["split"] for row in some) == {"train": 50, "mmlu": 10, "aime2024": 30}
    assert [name for name in names(every) if name in {*names(some)}] == names(some)
    assert all(row in every for row in some)
    kept = {name for name in names(some) if name.startswith("mmlu")}
    assert kept != {f"mmlu-0000{number}" for number in range(10)}
    # By the seed, and each benchmark for itself.
    more = limited(every, Benchmarked(rows={"mmlu": 10, "aime2024": 7}))
    assert kept <= {*names(more)}
    other = limited(every, Benchmarked(rows={"mmlu": 10}, rows_seed=1))
    assert kept != {name for name in names(other) if name.startswith("mmlu")}
    assert limited(every, Benchmarked(rows={"mmlu": 40})) == every


def test_every_row_is_drawn_as_often():
    every, drawn = rows(mmlu=10), Counter()
    for seed in range(400):
        drawn.update(names(limited(every, Benchmarked(rows={"mmlu": 3}, rows_seed=seed))))
    # 120 each with a standard deviation of 9.
    assert len(drawn) == 10 and all(80 < count < 160 for count in drawn.values())


def test_more_than_there_are_is_one_line():
    words = r"data.rows.mmlu: 41 prompts are asked for, and the benchmark has 40; ask for"
    with pytest.raises(InputError, match=words):
        limited(rows(mmlu=40), Benchmarked(rows={"mmlu": 41}))


# ---- the table of prompts ----


def settings(**changes: Any) -> dict[str, Any]:
    (task,) = [task for task in SMOKE["tasks"] if task["name"] == "aime"]
    return {**task["data"], **changes}


def converted(folder: Path, **changes: Any) -> list[object]:
    return [
        "--kind=aime",
        "--task=aime",
        "--code=c",
        f"--settings={json.dumps(settings(**changes))}",
        f"--output={folder / 'prompts.parquet'}",
    ]


def test_the_script_limits_rows_and_adds_benchmarks(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    asked = {"rows": {"aime2024": 4, "knowledge": 20, "prose": 5}, "rows_seed": 3}
    run("convert", *converted(tmp_path, knowledge={"seed": 1}, prose={}, **asked))
    table = read_table(tmp_path / "prompts.parquet", Prompts)
    counts = {"aime2024": 4, "aime2025": 6, "knowledge": 20, "prose": 5}
    assert Counter(table["split"]) == counts
    graders = {json.loads(a).get("grader") for a in table["answer"][table["split"] == "prose"]}
    assert graders == {"text"}
    words = refusal("convert", *converted(tmp_path, rows={"aime2024": 7}))
    assert "data.rows.aime2024: 7 prompts are asked for, and the benchmark has 6" in words


def test_a_change_of_the_files_is_seen(tmp_path):
    own = tmp_path / "own.txt"
    own.write_text("a b c")
    data = Aime.model_validate(settings(prose={"file": str(own)}))
    before = texts(data)
    own.write_text("a b d")
    assert None is not before != texts(data)
    # Data without them have the options that they had.
    assert texts(Aime.model_validate(settings())) is None
    mini = load_study(ROOT / "config" / "mini.yaml")
    assert texts(mini.tasks[0].data) is None


# ---- what a config says ----


def study(task: str, **changes: Any) -> str:
    raw = yaml.safe_load(shipped("smoke"))
    (part,) = [one for one in raw["tasks"] if one["name"] == task]
    own = [name for name in part["benchmarks"] if name not in ADDED]
    part["data"] = {key: part["data"][key] for key in part["data"] if key not in ADDED} | changes
    part["benchmarks"] = own + [name for name in ("knowledge", "prose") if name in changes]
    return yaml.safe_dump(raw, sort_keys=False)


def test_any_data_but_the_miniatures_may_have_them(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(study("gsm8k", knowledge={"seed": 1}, prose={}, rows={"mmlu": 9, "prose": 7}))
    (task,) = [task for task in load_study(path).tasks if task.name == "gsm8k"]
    assert task.benchmarks == ["gsm8k", "mmlu", "knowledge", "prose"]
    counts = [_prompts(task, name) for name in task.benchmarks]
    assert counts == [1319, 9, 322, 7]
    tokens = [_scored_tokens(task, name, None) for name in ("knowledge", "prose")]  # type: ignore[arg-type]
    assert tokens == [24, 208]


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"rows": {"mmul": 9}}, "data.rows.mmul", "mean 'mmlu'"),
        ({"rows": {"mmlu": 1}}, "data.rows.mmlu", "greater than 1"),
        ({"rows": {"knowledge": 9}}, "data.rows.knowledge", "there are: gsm8k, mmlu"),
        ({"knowledge": {}}, "data.knowledge.seed", "missing"),
        ({"prose": {"words": 0}}, "data.prose.words", "greater than 0"),
        ({"prose": None}, "benchmarks[2]", "add `prose` to the task's data"),
    ],
)
def test_wrong_settings_are_named(tmp_path, changes, place, words):
    message = error(tmp_path, study("gsm8k", **changes))
    (row,) = [row for row in message.splitlines() if f": tasks[2].{place}" in row]
    assert words in row, row


def test_a_count_stands_in_one_place(tmp_path):
    raw = yaml.safe_load(shipped("paper"))
    raw["tasks"][0]["data"]["rows"] = {"id": 5}
    message = error(tmp_path, yaml.safe_dump(raw, sort_keys=False))
    assert "tasks[0].data.rows.id" in message
    assert "the data's own `id` says how many there are" in message


def test_text_alone_measures_no_answer(tmp_path):
    raw = yaml.safe_load(study("aime", prose={}))
    (task,) = [one for one in raw["tasks"] if one["name"] == "aime"]
    task["benchmarks"] = ["prose"]
    assert "no answer of a policy is measured by these" in error(tmp_path, yaml.safe_dump(raw))


def test_preflight_tells_of_texts_and_of_too_many_rows(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-secret")
    raw = study_raw(tmp_path)
    data = raw["tasks"][0]["data"]
    data |= {"knowledge": {"seed": 1}, "rows": {"knowledge": 400}}
    (problem,) = check(raw)
    assert "data.rows.knowledge: 400 prompts are asked for, and the benchmark has 322" in problem
    data["rows"] = {}
    data["prose"] = {"file": str(tmp_path / "none.txt")}
    (problem,) = check(raw)
    assert "none.txt: no text in it (No such file or directory)" in problem
    del data["prose"]
    assert check(raw) == []
