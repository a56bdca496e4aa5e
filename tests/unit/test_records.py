"""Tables and records are whole or absent, and refuse what does not fit."""

import json
import os
from pathlib import Path

import pandas as pd
import pyarrow.parquet as parquet
import pytest
from in_process import refusal
from pandera.errors import SchemaErrors
from pydantic import ValidationError

from online_il import files, records
from online_il.errors import InputError
from online_il.integrity import damaged
from online_il.records import Checkpoint, Samples

# ---- tables ----

SAMPLE = {
    "prompt_id": "id-1",
    "sample_index": 0,
    "policy": "base step 0",
    "seed": 1,
    "text": "<think> </think>",
    "n_tokens": 3,
    "finish_reason": "stop",
    "reward": 0.1,
    "reward_tinyzero": None,
    "correct_strict": None,
    "correct": False,
    "format_ok": True,
}
SAMPLES = [
    SAMPLE | {"reward_tinyzero": 1.0, "correct_strict": 1.0},
    SAMPLE | {"sample_index": 1},
]


def test_a_table_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "deep" / "samples.parquet"
    files.write_table(SAMPLES, Samples, path, {"task": "t", "seeds": [1, 2]})
    frame = records.read_table(path, Samples)
    assert frame["sample_index"].tolist() == [0, 1]
    assert frame["text"].tolist() == ["<think> </think>"] * 2
    assert frame["reward_tinyzero"].isna().tolist() == [False, True]
    assert frame.columns.tolist() == list(SAMPLE)
    assert records.provenance(path) == {"task": "t", "seeds": [1, 2]}
    assert [p.name for p in path.parent.iterdir()] == ["samples.parquet"], "nothing is left aside"


def test_columns_are_written_in_the_order_of_the_table(tmp_path):
    shuffled = [dict(sorted(row.items(), reverse=True)) for row in SAMPLES]
    files.write_table(shuffled, Samples, tmp_path / "a.parquet", {})
    assert parquet.read_schema(tmp_path / "a.parquet").names == list(SAMPLE)


BAD_ROWS = {
    "missing": [{k: v for k, v in row.items() if k != "reward"} for row in SAMPLES],
    "extra": [row | {"bogus": 1} for row in SAMPLES],
    "text for a number": [row | {"n_tokens": "3"} for row in SAMPLES],
    "a float for an integer": [row | {"n_tokens": 3.0} for row in SAMPLES],
    "a number for a flag": [row | {"correct": 1} for row in SAMPLES],
    "a number for text": [row | {"text": 5} for row in SAMPLES],
    "no value": [row | {"text": None} for row in SAMPLES],
    "out of range": [row | {"reward": 1.5} for row in SAMPLES],
    "not a choice": [row | {"finish_reason": "eos"} for row in SAMPLES],
    "no rows": [],
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_rows_that_do_not_fit_are_refused_and_the_old_table_stays(name, tmp_path):
    path = tmp_path / "samples.parquet"
    files.write_table(SAMPLES, Samples, path, {"old": True})
    before = path.read_bytes()
    with pytest.raises(SchemaErrors):
        files.write_table(BAD_ROWS[name], Samples, path, {"old": False})
    assert path.read_bytes() == before
    with pytest.raises(SchemaErrors):
        files.write_table(BAD_ROWS[name], Samples, tmp_path / "new.parquet", {})
    assert not (tmp_path / "new.parquet").exists()


def test_a_failure_while_writing_leaves_the_old_table(tmp_path, monkeypatch):
    path = tmp_path / "samples.parquet"
    files.write_table(SAMPLES, Samples, path, {})
    before = path.read_bytes()

    def fails(table, place):
        Path(place).write_bytes(b"PAR1 half a fi")
        raise OSError("no space left on device")

    monkeypatch.setattr(files.parquet, "write_table", fails)
    with pytest.raises(OSError, match="no space"):
        files.write_table(SAMPLES[:1], Samples, path, {})
    assert path.read_bytes() == before
    assert damaged(tmp_path) == [], "what is left aside is no table"


@pytest.mark.parametrize("kind", ["truncated", "garbage", "empty", "absent", "another table"])
def test_a_damaged_table_is_named_with_the_remedy(kind, tmp_path):
    path = tmp_path / "samples.parquet"
    files.write_table(SAMPLES, Samples, path, {})
    whole = path.read_bytes()
    if kind == "truncated":
        path.write_bytes(whole[:-20])
    elif kind == "garbage":
        path.write_bytes(b"PAR1" + bytes(200) + b"PAR1")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "absent":
        path.unlink()
    else:
        pd.DataFrame({"x": [1]}).to_parquet(path)
    with pytest.raises(InputError) as caught:
        records.read_table(path, Samples)
    assert str(path) in str(caught.value)
    assert "delete it and start again" in str(caught.value)


def test_a_table_with_an_altered_value_is_refused_when_it_is_read(tmp_path):
    path = tmp_path / "samples.parquet"
    pd.DataFrame([row | {"reward": 7.0} for row in SAMPLES]).to_parquet(path)
    with pytest.raises(InputError, match="reward"):
        records.read_table(path, Samples)


def test_a_json_record_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "note.txt"
    files.write_text("first\n", path)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("stopped")))
    with pytest.raises(OSError, match="stopped"):
        files.write_text("second\n", path)
    assert path.read_text() == "first\n"


def test_records_refuse_a_field_they_do_not_know():
    with pytest.raises(ValidationError, match="extra"):
        Checkpoint(
            step=1, updates=1, samples=1, tokens=1, device_seconds=0.0, weights_hash="", other=1
        )


# ---- prompts ----


@pytest.fixture
def prompts(tmp_path) -> Path:
    """A table of prompts with splits id and train."""
    row = {"task": "t", "text": "", "answer": "{}", "source": "", "revision": ""}
    rows = [row | {"prompt_id": split, "split": split} for split in ("id", "train")]
    files.write_table(rows, records.Prompts, tmp_path / "prompts.parquet", {})
    return tmp_path / "prompts.parquet"


def test_the_prompts_of_some_splits_are_numbered_anew(prompts):
    found = records.read_prompts(prompts, ["train"])
    assert found["prompt_id"].to_dict() == {0: "train"}


def test_a_split_without_prompts_is_named_with_those_that_there_are(prompts):
    with pytest.raises(InputError, match="no prompt of split ood; there are id, train"):
        records.read_prompts(prompts, ["id", "ood"])


SAMPLING = json.dumps({"temperature": 1.0, "max_new_tokens": 4})
ENGINE = json.dumps({"engine": "loop", "batch_size": 4})


@pytest.mark.parametrize("script", ["solve", "sample"])
def test_programs_that_answer_prompts_refuse_a_split_without_any(script, prompts, tmp_path):
    shared = ["--task", "t", "--run", "r", "--seed", 1, "--code", "-", "--prompts", prompts]
    own = {
        "solve": ["--split", "ood", "--count", 2],
        "sample": [
            *("--splits", "id,ood", "--samples-per-prompt", 1, "--checkpoints", tmp_path),
            *("--sampling", SAMPLING, "--generation", ENGINE, "--state", tmp_path / "state"),
            *("--progress", tmp_path / "progress.json"),
        ],
    }
    options = [*shared, *own[script], "--output", tmp_path / "out.parquet"]
    assert "no prompt of split ood" in refusal(script, *options)


@pytest.mark.parametrize("content", ["", '{"task": "countdown"', "[]", '{"run": 3}', "\x00"])
def test_a_damaged_record_is_one_line_that_names_it(content, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"run.json: not a whole RunRecord record .*; delete "):
        records.read_record(path, records.RunRecord)
