"""A full disk ends a program with one line, and nothing that was published is damaged."""

import argparse
import json
import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import duckdb
import pytest
import torch
import warm
from fake_study import fake_study
from safetensors.torch import save_file
from training_runs import SCRIPTS, WORDS, program, tiny

from online_il.files import write_table, write_text
from online_il.generation.journal import Entry, Journal
from online_il.generation.response import Response
from online_il.grading import graded_sample
from online_il.layout import Layout
from online_il.models import save_policy, word_tokenizer
from online_il.program.exhausted import cause_of, sentence
from online_il.provenance import file_hash
from online_il.records import Prompts, Samples, read_table
from online_il.store import query

STEPS = 6
SAMPLING = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "max_new_tokens": 8}


# ---- a small disk ----


@pytest.fixture
def disk(tmp_path):
    """A disk of 4 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(disk: Path, free: int) -> Path:
    """A file that leaves so many bytes free."""
    filler = disk / "filler"
    there = os.statvfs(disk)
    filler.write_bytes(b"0" * max(0, there.f_bavail * there.f_frsize - free))
    return filler


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """A base, prompts and demonstrations."""
    folder = tmp_path_factory.mktemp("inputs")
    save_policy(tiny(), word_tokenizer(WORDS), folder / "base" / "step0")
    answer = {"numbers": [1, 2, 3], "target": 6}
    prompts = [
        {
            "prompt_id": f"train-{letter}",
            "task": "t",
            "split": "train",
            "text": f"<bos> {letter}",
            "answer": json.dumps(answer),
            "source": "made here",
            "revision": "1",
        }
        for letter in "abcdefgh"
    ]
    write_table(prompts, Prompts, folder / "prompts.parquet", {})
    samples = [
        graded_sample(
            prompt_id=prompt["prompt_id"],
            sample_index=0,
            policy="solver",
            seed=1,
            answer=answer,
            response=Response("d e f", 4, "stop"),
        )
        for prompt in prompts
    ]
    write_table(samples, Samples, folder / "samples.parquet", {})
    return folder


UPDATES = {"micro_batch_size": 4, "max_grad_norm": 1.0, "checkpoints": [2, STEPS]}
ROLLOUTS = {"temperature": 1.0, "max_new_tokens": 8}
METHODS: dict[str, dict] = {
    "sft": UPDATES | {"batch_size": 8, "demonstrations": 8},
    "distill": UPDATES | ROLLOUTS | {"batch_size": 8},
    "grpo": UPDATES
    | ROLLOUTS
    | {"prompts_per_step": 2, "rollouts_per_prompt": 4, "updates_per_step": 1}
    | {"kl_coefficient": 0.1, "clip_ratio": 0.2, "entropy_coefficient": 0.01},
}


def train(method: str, inputs: Path, folder: Path) -> list[object]:
    return program(
        method,
        inputs,
        folder,
        METHODS[method],
        task="t",
        expert=inputs / "base",
        learning_rate=0.03,
        save_minutes=0,
    )


def sample(inputs: Path, folder: Path) -> list[object]:
    return [
        *(SCRIPTS / "sample.py", "--task", "t", "--run", "base", "--seed", 3, "--code", "x"),
        *("--checkpoints", inputs / "base", "--prompts", inputs / "prompts.parquet"),
        *("--count", 4000, "--sampling", json.dumps(SAMPLING)),
        *("--generation", json.dumps({"engine": "loop", "batch_size": 500})),
        *("--state", folder / "samples.jsonl"),
        *("--output", folder / "samples.parquet", "--progress", folder / "progress.json"),
    ]


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The last line of a program that failed, which is its only line of error."""
    assert done.returncode == 1, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors == done.stderr.splitlines()[-1:]
    return errors[0]


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory) -> Callable[[str], dict[str, str]]:
    @cache
    def trained(method: str) -> dict[str, str]:
        folder = tmp_path_factory.mktemp(method)
        assert warm.run(*train(method, inputs, folder)).returncode == 0
        return hashes(folder)

    return trained


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): file_hash(path)
        for path in sorted(folder.glob("checkpoints/*/model.safetensors"))
    }


@pytest.mark.parametrize(
    ("method", "free"),
    [*(("sft", free) for free in (8_000, 60_000, 200_000)), ("grpo", 90_000), ("distill", 90_000)],
)
def test_a_training_on_a_full_disk_says_so_and_goes_on_when_there_is_space(
    method, free, disk, inputs, undisturbed
):
    expected = undisturbed(method)
    filler = fill(disk, free)
    line = said(warm.run(*train(method, inputs, disk)))
    assert f"no space is left on the disk of {disk}" in line
    assert "`results`" in line and "of 4.0 MiB are free" in line
    for policy in (disk / "state" / "published").glob("step*"):
        assert file_hash(policy / "model.safetensors") in expected.values()
    assert not list(disk.rglob("*.partial")) and not (disk / "state" / "trainer").exists()
    filler.unlink()
    done = warm.run(*train(method, inputs, disk))
    assert done.returncode == 0, done.stderr[-3000:]
    assert hashes(disk) == expected != {}


def test_sampling_to_a_full_disk_keeps_the_table_that_was_there(disk, inputs):
    table = disk / "samples.parquet"
    table.write_bytes((inputs / "samples.parquet").read_bytes())
    before = file_hash(table)
    filler = fill(disk, 12_000)
    line = said(warm.run(*sample(inputs, disk)))
    assert f"no space is left on the disk of {disk}" in line
    assert file_hash(table) == before and not list(disk.glob(".*partial"))
    filler.unlink()
    assert warm.run(*sample(inputs, disk)).returncode == 0
    assert len(read_table(table, Samples)) == 4000


def test_an_evaluation_on_a_full_disk_keeps_its_batches_and_goes_on(disk, inputs, tmp_path):
    assert warm.run(*train("sft", inputs, tmp_path)).returncode == 0
    settings = {"seed": 5, "samples_per_prompt": 60, "policy": SAMPLING, "paper": None}

    def evaluate(folder: Path) -> list[object]:
        return [
            *(SCRIPTS / "evaluate.py", "--task", "t", "--run", "sft", "--seed", 3, "--code", "x"),
            *("--settings", json.dumps(settings), "--benchmarks", "train"),
            *("--checkpoints", tmp_path / "checkpoints", "--record", tmp_path / "run.json"),
            *("--prompts", inputs / "prompts.parquet"),
            *("--generation", json.dumps({"engine": "loop", "batch_size": 50})),
            *("--state", folder / "state", "--output", folder / "evaluation"),
            *("--progress", folder / "progress.json"),
        ]

    alone = warm.run(*evaluate(tmp_path / "alone"))
    assert alone.returncode == 0, alone.stderr[-3000:]
    filler = fill(disk, 24_000)
    assert f"no space is left on the disk of {disk}" in said(warm.run(*evaluate(disk)))
    assert list(disk.glob("state/*.jsonl")) and not list(disk.rglob(".*partial"))
    filler.unlink()
    assert warm.run(*evaluate(disk)).returncode == 0
    for name in ("step2/train", f"step{STEPS}/train"):
        first, second = (
            read_table(folder / "evaluation" / f"{name}.parquet", Samples)
            for folder in (tmp_path / "alone", disk)
        )
        assert first.equals(second)


def test_a_database_on_a_full_disk_is_absent_and_then_whole(disk, tmp_path):
    fake_study(tmp_path / "study")
    policies = ",".join(map(str, Layout(tmp_path / "study").existing_policies()))

    def aggregate() -> list[object]:
        return [
            *(SCRIPTS / "aggregate.py", "--results", tmp_path / "study"),
            *("--policies", policies),
            *("--database", disk / "d.duckdb"),
        ]

    filler = fill(disk, 100_000)
    assert f"no space is left on the disk of {disk}" in said(warm.run(*aggregate()))
    assert [path.name for path in disk.iterdir()] == ["filler"]
    filler.unlink()
    assert warm.run(*aggregate()).returncode == 0
    assert len(query(disk / "d.duckdb", "curves")) == 25


def test_a_log_on_the_full_disk_gets_the_line_too(disk, inputs):
    """Half-written files are removed first, so that there is space for the last words."""
    log = disk / "log.txt"
    fill(disk, 24_000)
    with log.open("w") as stream:
        program = warm.Program(train("sft", inputs, disk), stdout=stream, stderr=stream)
        assert program.wait(timeout=300) == 1
    assert log.read_text().splitlines()[-1].startswith("error: no space is left")


def test_a_journal_on_a_full_disk_keeps_its_answers(disk):
    def entry(number: int) -> Entry:
        return Entry(
            prompt_id="p",
            sample_index=number,
            request=str(number),
            text="x" * 3_000,
            finish_reason="stop",
            input_tokens=1,
            output_tokens=1,
            served_by=None,
        )

    with Journal(disk / "journal.jsonl") as journal:
        filler = fill(disk, 20_000)
        with pytest.raises(OSError) as caught:
            for number in range(20):
                journal.add(entry(number))
    kept = number
    assert 0 < kept < 19 and cause_of(caught.value)[0] == "disk"
    filler.unlink()
    with Journal(disk / "journal.jsonl") as journal:
        assert [str(n) in journal for n in range(20)] == [n < kept for n in range(20)]
        journal.add(entry(kept))
        assert journal.entry(str(kept)) == entry(kept)


def writers(folder: Path) -> dict[str, object]:
    """What the libraries do that write results, each on one large thing."""
    ones = torch.ones(200_000)
    rows = read_table(folder.parent / "samples.parquet", Samples)

    def database() -> None:
        with duckdb.connect(str(folder / "d.duckdb")) as connection:
            connection.execute("CREATE TABLE t AS SELECT range, hash(range) h FROM range(900000)")

    return {
        "safetensors": lambda: save_file({"x": ones}, folder / "x.safetensors"),
        "torch": lambda: torch.save(ones, folder / "x.pt"),
        "arrow": lambda: write_table(rows, Samples, folder / "x.parquet", {"x": "y" * 900_000}),
        "text": lambda: write_text("x" * 900_000, folder / "x.txt"),
        "duckdb": database,
    }


@pytest.mark.parametrize("library", ["safetensors", "torch", "arrow", "text", "duckdb"])
def test_every_library_that_writes_says_that_the_disk_is_full(library, disk, inputs):
    folder = disk / "out"
    folder.mkdir()
    (disk / "samples.parquet").write_bytes((inputs / "samples.parquet").read_bytes())
    fill(disk, 100_000)
    with pytest.raises(Exception) as caught:
        writers(folder)[library]()
    assert cause_of(caught.value)[0] == "disk", caught.value
    line = sentence(caught.value, argparse.Namespace(out=folder), "aggregate")
    assert f"disk of {disk}" in line and "\n" not in line
