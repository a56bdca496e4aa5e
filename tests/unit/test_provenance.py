"""Hashes of code, damage of earlier results, and tables that are whole or absent."""

import hashlib
import json
import os
from pathlib import Path

import pandas as pd
import pyarrow.parquet as parquet
import pytest
import torch
from pandera.errors import SchemaErrors
from pydantic import ValidationError
from safetensors.torch import save_file

from online_il import provenance, records
from online_il.integrity import damaged
from online_il.records import Checkpoint, InputError, RunRecord, Samples, Training

# ---- code hash: a library of our own, in which modules import one another ----

MODULES = {
    "__init__.py": '"""Package."""\n',
    "one.py": "from online_il.two import helper\n\nVALUE = helper(1)\n",
    "two.py": "import online_il.deep.three\n\n\ndef helper(x):\n    return x + 1\n",
    "deep/__init__.py": "NAME = 'deep'\n",
    "deep/three.py": "from online_il import four\n\nTHREE = four.FOUR - 1\n",
    "four.py": "from online_il import one\n\nFOUR = 4\n",  # A circle.
    "lazy.py": "LAZY = 1\n",
    "unrelated.py": "OTHER = 1\n",
    "deep/unrelated.py": "OTHER = 1\n",
}
SCRIPT = '''"""Does something."""

import json

from online_il.one import VALUE


def run():
    """Runs."""
    from online_il.lazy import LAZY  # Imported late.

    return json.dumps([VALUE, LAZY])
'''


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A folder with the modules above and a script; returns the folder."""
    for name, text in MODULES.items():
        path = tmp_path / "online_il" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "script.py").write_text(SCRIPT)
    monkeypatch.setattr(provenance, "LIBRARY", tmp_path / "online_il")
    clear()
    yield tmp_path
    clear()


def clear() -> None:
    """Forget the files that were read: a process reads each once."""
    for function in (provenance._tree, provenance._syntax, provenance._imported):
        function.cache_clear()


def hashed(library: Path) -> str:
    clear()
    return provenance.code_hash(library / "script.py")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    "name, old, new",
    [
        ("script.py", "# Imported late.", "# Another comment."),
        ("script.py", '"""Does something."""', '"""Does it.\n\nAt length."""'),
        ("script.py", '    """Runs."""\n', ""),
        ("script.py", "\n\n\ndef", "\n\n\n\n\n# A comment.\ndef"),
        ("script.py", "[VALUE, LAZY]", "[\n        VALUE,\n        LAZY,\n    ]"),
        ("online_il/one.py", "from online_il.two", '"""Module."""\nfrom online_il.two'),
        ("online_il/two.py", "    return", '    """Adds one."""\n    return'),
        ("online_il/deep/three.py", "- 1\n", '- 1\n"""What THREE is for."""\n'),
        ("online_il/__init__.py", "Package", "The package"),
    ],
)
def test_comments_docstrings_and_layout_leave_the_hash(library, name, old, new):
    before = hashed(library)
    edit(library / name, old, new)
    assert hashed(library) == before


@pytest.mark.parametrize(
    "name, old, new",
    [
        ("script.py", "[VALUE, LAZY]", "[LAZY, VALUE]"),
        ("script.py", "import json\n", "import json as json\n"),
        ("online_il/one.py", "helper(1)", "helper(2)"),
        ("online_il/two.py", "x + 1", "x + 2"),
        ("online_il/deep/three.py", "four.FOUR - 1", "four.FOUR - 2"),
        ("online_il/four.py", "FOUR = 4", "FOUR = 5"),
        ("online_il/lazy.py", "LAZY = 1", "LAZY = 2"),
        ("online_il/deep/__init__.py", "'deep'", "'deeper'"),
    ],
)
def test_every_module_imported_however_indirectly_is_in_the_hash(library, name, old, new):
    before = hashed(library)
    edit(library / name, old, new)
    after = hashed(library)
    assert after != before
    edit(library / name, new, old)
    assert hashed(library) == before


@pytest.mark.parametrize("name", ["online_il/unrelated.py", "online_il/deep/unrelated.py"])
def test_a_module_that_is_not_imported_leaves_the_hash(library, name):
    before = hashed(library)
    edit(library / name, "OTHER = 1", "OTHER = 2")
    (library / "online_il" / "new.py").write_text("NEW = 1\n")
    assert hashed(library) == before


def test_a_string_that_is_no_docstring_is_in_the_hash(library):
    edit(library / "online_il/lazy.py", "LAZY = 1", "LAZY = 'a'")
    before = hashed(library)
    edit(library / "online_il/lazy.py", "'a'", "'b'")
    assert hashed(library) != before


def test_the_same_code_elsewhere_has_the_same_hash(library, tmp_path_factory, monkeypatch):
    before = hashed(library)
    other = tmp_path_factory.mktemp("elsewhere") / "workflow"
    for path in library.rglob("*.py"):
        copy = other / path.relative_to(library)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    monkeypatch.setattr(provenance, "LIBRARY", other / "online_il")
    assert hashed(other) == before


def test_scripts_of_this_project_hash_what_they_import():
    clear()
    scripts = Path(provenance.__file__).parents[1] / "scripts"
    names = {path.name for path in _modules(scripts / "grpo.py")}
    assert {"grpo.py", "rollouts.py", "decode.py", "common.py", "grading.py", "models.py"} <= names
    assert "miniature.py" not in {path.name for path in _modules(scripts / "sft.py")}


def _modules(script: Path) -> set[Path]:
    seen, waiting = set(), [script]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += provenance._imported(path)
    return seen


def test_a_file_hash_is_its_sha256(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert provenance.file_hash(path) == known


def test_versions_name_the_libraries_that_make_the_numbers():
    found = provenance.versions()
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert {"online_il", "transformers", "trl", "datasets", "snakemake"} <= set(found)


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
    "correct": False,
    "format_ok": True,
}
SAMPLES = [SAMPLE | {"reward_tinyzero": 1.0}, SAMPLE | {"sample_index": 1}]


def test_a_table_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "deep" / "samples.parquet"
    records.write_table(SAMPLES, Samples, path, {"task": "t", "seeds": [1, 2]})
    frame = records.read_table(path, Samples)
    assert frame["sample_index"].tolist() == [0, 1]
    assert frame["text"].tolist() == ["<think> </think>"] * 2
    assert frame["reward_tinyzero"].isna().tolist() == [False, True]
    assert frame.columns.tolist() == list(SAMPLE)
    assert records.provenance(path) == {"task": "t", "seeds": [1, 2]}
    assert [p.name for p in path.parent.iterdir()] == ["samples.parquet"], "nothing is left aside"


def test_columns_are_written_in_the_order_of_the_table(tmp_path):
    shuffled = [dict(sorted(row.items(), reverse=True)) for row in SAMPLES]
    records.write_table(shuffled, Samples, tmp_path / "a.parquet", {})
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
    records.write_table(SAMPLES, Samples, path, {"old": True})
    before = path.read_bytes()
    with pytest.raises(SchemaErrors):
        records.write_table(BAD_ROWS[name], Samples, path, {"old": False})
    assert path.read_bytes() == before
    with pytest.raises(SchemaErrors):
        records.write_table(BAD_ROWS[name], Samples, tmp_path / "new.parquet", {})
    assert not (tmp_path / "new.parquet").exists()


def test_a_failure_while_writing_leaves_the_old_table(tmp_path, monkeypatch):
    path = tmp_path / "samples.parquet"
    records.write_table(SAMPLES, Samples, path, {})
    before = path.read_bytes()

    def fails(table, place):
        Path(place).write_bytes(b"PAR1 half a fi")
        raise OSError("no space left on device")

    monkeypatch.setattr(records.parquet, "write_table", fails)
    with pytest.raises(OSError, match="no space"):
        records.write_table(SAMPLES[:1], Samples, path, {})
    assert path.read_bytes() == before
    assert damaged(tmp_path) == [], "what is left aside is no table"


@pytest.mark.parametrize("kind", ["truncated", "garbage", "empty", "absent", "another table"])
def test_a_damaged_table_is_named_with_the_remedy(kind, tmp_path):
    path = tmp_path / "samples.parquet"
    records.write_table(SAMPLES, Samples, path, {})
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
    records.write_text("first\n", path)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("stopped")))
    with pytest.raises(OSError, match="stopped"):
        records.write_text("second\n", path)
    assert path.read_text() == "first\n"


def test_records_refuse_a_field_they_do_not_know():
    with pytest.raises(ValidationError, match="extra"):
        Checkpoint(
            step=1, updates=1, samples=1, tokens=1, device_seconds=0.0, weights_hash="", other=1
        )


# ---- damage of earlier results ----

TRAINING = {
    "update": 1,
    "step": 1,
    "samples": 8,
    "tokens": 40,
    "device_seconds": 0.5,
    "loss": 1.0,
    "learning_rate": 0.1,
    "grad_norm": 1.0,
    "entropy": 1.0,
    "reward": 0.5,
    "kl": 0.0,
    "mean_length": 5.0,
    "truncation_rate": 0.0,
}


def make_run(folder: Path, steps: list[int]) -> None:
    checkpoints = []
    for step in steps:
        path = folder / "checkpoints" / f"step{step}" / "model.safetensors"
        path.parent.mkdir(parents=True)
        save_file({"a": torch.arange(20.0) + step, "b": torch.ones(3, 2)}, path, {"format": "pt"})
        (path.parent / "config.json").write_text("{}")
        weights_hash = hashlib.sha256(path.read_bytes()).hexdigest()
        checkpoints.append(
            Checkpoint(
                step=step,
                updates=step,
                samples=8 * step,
                tokens=40 * step,
                device_seconds=0.5,
                weights_hash=weights_hash,
            )
        )
    records.write_table([TRAINING], Training, folder / "training.parquet", {"run": folder.name})
    record = RunRecord(
        task="countdown",
        run=folder.parent.name,
        method="sft",
        expert="solver",
        seed=1,
        settings={},
        checkpoints=checkpoints,
        initial_weights_hash="0",
        expert_hash="0",
        prompts_hash="0",
        code_hash="0",
        versions={},
    )
    records.write_json(record, folder / "run.json")


@pytest.fixture
def results(tmp_path):
    """A healthy results folder: two runs, a table of samples, an evaluation."""
    root = tmp_path / "results"
    make_run(root / "runs" / "countdown" / "sft-solver" / "seed1", [1, 4])
    make_run(root / "runs" / "countdown" / "base" / "seed1", [0])
    records.write_table(SAMPLES, Samples, root / "samples" / "countdown" / "base.parquet", {})
    records.write_text(json.dumps({"accuracy": 0.5}), root / "eval" / "countdown" / "id.json")
    return root


RUN = "runs/countdown/sft-solver/seed1"
STEP = f"{RUN}/checkpoints/step4/model.safetensors"


def only_problem(results: Path) -> str:
    (line,) = damaged(results)
    assert "delete it" in line and "start again" in line
    return line


def test_a_healthy_folder_has_no_problem(results):
    assert damaged(results) == []


def test_a_folder_that_is_not_there_has_no_problem(tmp_path):
    assert damaged(tmp_path / "nothing") == []


def test_files_still_being_written_are_no_problem(results):
    (results / RUN / ".training.parquet.partial").write_bytes(b"PAR")
    (results / RUN / ".training.parquet").write_bytes(b"PAR")
    (results / RUN / "checkpoints" / ".step9.partial").mkdir()
    assert damaged(results) == []


@pytest.mark.parametrize("path", ["samples/countdown/base.parquet", f"{RUN}/training.parquet"])
@pytest.mark.parametrize("cut", [0, 4, 11, 50, -1, -100])
def test_a_truncated_table_is_found(results, path, cut):
    whole = (results / path).read_bytes()
    (results / path).write_bytes(whole[:cut])
    line = only_problem(results)
    assert line.startswith(f"{results / path}: ") and "Parquet" in line


@pytest.mark.parametrize("cut", [0, 5, 8, 40, -60, -1])
def test_truncated_weights_are_found(results, cut):
    whole = (results / STEP).read_bytes()
    (results / STEP).write_bytes(whole[:cut])
    line = only_problem(results)
    assert line.startswith(f"{results / RUN / 'checkpoints'}: ")
    assert "step4/model.safetensors" in line and "not a whole" in line


def test_weights_with_bytes_too_many_are_found(results):
    with (results / STEP).open("ab") as stream:
        stream.write(b"\0" * 8)
    assert "step4/model.safetensors" in only_problem(results)


def test_altered_weights_are_found_by_their_hash(results):
    data = bytearray((results / STEP).read_bytes())
    data[-3] ^= 1
    (results / STEP).write_bytes(bytes(data))
    line = only_problem(results)
    assert "step4/model.safetensors has another hash" in line and "run.json" in line


def test_weights_of_another_step_are_found_by_their_hash(results):
    other = results / RUN / "checkpoints" / "step1" / "model.safetensors"
    (results / STEP).write_bytes(other.read_bytes())
    assert "step4/model.safetensors has another hash" in only_problem(results)


def test_large_weights_are_not_hashed_at_every_start(results, monkeypatch):
    data = bytearray((results / STEP).read_bytes())
    data[-3] ^= 1
    (results / STEP).write_bytes(bytes(data))
    monkeypatch.setattr("online_il.integrity.HASHED_BYTES", len(data) - 1)
    assert damaged(results) == []


def test_a_missing_step_is_found(results):
    (results / STEP).unlink()
    line = only_problem(results)
    assert "step 4 is missing" in line and "run.json" in line


def test_checkpoints_that_are_gone_as_a_whole_are_left_to_snakemake(results):
    (results / RUN / "checkpoints").rename(results / "elsewhere")
    assert damaged(results) == []


@pytest.mark.parametrize("path", [f"{RUN}/run.json", "eval/countdown/id.json"])
@pytest.mark.parametrize("text", ["", '{"accuracy": 0.', "[1, 2]", "null", "\x00\x00", "{} {}"])
def test_a_broken_record_is_found(results, path, text):
    (results / path).write_text(text)
    line = only_problem(results)
    assert line.startswith(f"{results / path}: ") and "JSON" in line


def test_a_record_that_is_no_text_is_found(results):
    (results / RUN / "run.json").write_bytes(b"\xff\xfe\x00")
    assert "JSON" in only_problem(results)


def test_all_problems_are_told_at_once(results):
    (results / "samples/countdown/base.parquet").write_bytes(b"PAR1")
    (results / "eval/countdown/id.json").write_text("{")
    (results / STEP).unlink()
    assert len(damaged(results)) == 3
