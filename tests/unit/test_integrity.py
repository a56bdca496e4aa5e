"""Damage of earlier results is found before anything starts."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from test_records import SAMPLES

from online_il import files
from online_il.integrity import damaged
from online_il.records import Checkpoint, RunRecord, Samples, Training

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
    files.write_table([TRAINING], Training, folder / "training.parquet", {"run": folder.name})
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
    files.write_json(record, folder / "run.json")


@pytest.fixture
def results(tmp_path):
    """A healthy results folder: two runs, a table of samples, an evaluation."""
    root = tmp_path / "results"
    make_run(root / "runs" / "countdown" / "sft-solver" / "seed1", [1, 4])
    make_run(root / "runs" / "countdown" / "base" / "seed1", [0])
    files.write_table(SAMPLES, Samples, root / "samples" / "countdown" / "base.parquet", {})
    files.write_text(json.dumps({"accuracy": 0.5}), root / "eval" / "countdown" / "id.json")
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
    assert "step4 has another hash" in line and "run.json" in line


def test_weights_of_another_step_are_found_by_their_hash(results):
    other = results / RUN / "checkpoints" / "step1" / "model.safetensors"
    (results / STEP).write_bytes(other.read_bytes())
    assert "step4 has another hash" in only_problem(results)


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


def test_a_mixture_is_as_whole_as_its_parts(results):
    run = results / "runs" / "countdown" / "mixture" / "seed1"
    make_run(run, [0])
    policy, record = run / "checkpoints" / "step0", run / "run.json"
    (policy / "mixture.json").write_text("{}")
    moved = policy / "parts" / "one" / "model.safetensors"
    moved.parent.mkdir(parents=True)
    (policy / "model.safetensors").rename(moved)
    assert damaged(results) == []
    other = moved.parents[1] / "two" / "model.safetensors"
    other.parent.mkdir()
    other.write_bytes(moved.read_bytes())
    assert "another hash than" in only_problem(results)
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (moved, other)]
    content = json.loads(record.read_text())
    content["checkpoints"][0]["weights_hash"] = hashlib.sha256("".join(hashes).encode()).hexdigest()
    record.write_text(json.dumps(content))
    assert damaged(results) == []
    other.write_bytes(other.read_bytes()[:-1])
    assert "parts/two/model.safetensors is not a whole safetensors file" in only_problem(results)
