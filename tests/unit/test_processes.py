"""Several processes train the policy that one process trains.

They are started as `accelerate launch` starts them on GPUs, by torch.distributed.run.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from functools import cache
from pathlib import Path

import pytest
import torch
import warm
from living import living
from safetensors.torch import load_file
from training_runs import SCRIPTS, WORDS, program, tiny

from online_il.config.architecture import Architecture
from online_il.files import write_table
from online_il.generation.response import Response
from online_il.grading import graded_sample
from online_il.models import new_model, save_policy, word_tokenizer
from online_il.records import Prompts, Samples, Training, read_table
from online_il.tasks import miniature
from online_il.tasks.countdown_prompts import compact_prompt

SHAPE = Architecture(hidden_size=16, intermediate_size=32, layers=1, heads=2, head_dim=8)
CONFIG = SCRIPTS.parents[1] / "config" / "accelerate" / "fsdp.yaml"
METHODS: dict[str, dict] = {
    "sft": {"batch_size": 8, "demonstrations": 16},
    "distill": {"batch_size": 8, "temperature": 1.0, "max_new_tokens": 12},
}
METHODS["response"] = METHODS["distill"] | {"level": "response", "responses_per_prompt": 2}
LARGER = Architecture(hidden_size=24, intermediate_size=48, layers=2, heads=2, head_dim=12)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """A base, another policy, prompts and demonstrations."""
    folder = tmp_path_factory.mktemp("inputs")
    tokenizer = word_tokenizer(miniature.VOCABULARY)
    for name, seed, shape in (("base", 0, SHAPE), ("expert", 1, SHAPE), ("larger", 1, LARGER)):
        model = new_model(shape, tokenizer, max_length=64, seed=seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter *= 4  # Away from uniform, so that rewards differ.
        save_policy(model, tokenizer, folder / name / "step0")
    targets = range(2, 10)
    prompts = [
        {
            "prompt_id": f"train-{target}",
            "task": "countdown",
            "split": "train",
            "text": compact_prompt([1, target - 1], target),
            "answer": json.dumps({"numbers": [1, target - 1], "target": target}),
            "source": "made here",
            "revision": "1",
        }
        for target in targets
    ]
    write_table(prompts, Prompts, folder / "prompts.parquet", {})
    samples = [
        graded_sample(
            prompt_id=f"train-{target}",
            sample_index=index,
            policy="solver",
            seed=1,
            answer={"numbers": [1, target - 1], "target": target},
            response=Response(" ".join(["no", "ok", "no"][: 1 + target % 3]), 4, "stop"),
        )
        for target in targets
        for index in range(2)
    ]
    write_table(samples, Samples, folder / "samples.parquet", {})
    return folder


def train(
    method: str, inputs: Path, folder: Path, processes: int, expert: str = "expert"
) -> dict[str, torch.Tensor]:
    """The weights after two steps of a method with some processes."""
    command = program(
        "distill" if method == "response" else method,
        inputs,
        folder,
        METHODS[method] | {"max_grad_norm": 1.0, "checkpoints": [2], "micro_batch_size": 2},
        task="countdown",
        expert=inputs / expert,
        learning_rate=0.01,
        save_minutes=10,
    )
    said = start([str(word) for word in command], processes)
    is_cut = f"the expert is cut over {processes} devices" in said
    assert is_cut == (expert == "larger" and processes > 1)
    return weights(folder)


def start(command: list[str], processes: int, precision: str = "no") -> str:
    """Run a program that trains, with one process or through `accelerate launch`."""
    launch = [warm.python()]
    if processes > 1:
        launch += ["-m", "accelerate.commands.launch", "--config_file", str(CONFIG)]
        launch += ["--num_processes", str(processes), "--main_process_port", "0"]
        launch += ["--mixed_precision", precision]
    done = subprocess.run([*launch, *command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-5000:]
    return done.stdout + done.stderr


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoints" / "step2" / "model.safetensors")


def same_training(start: Path, one: Path, two: Path) -> None:
    """Both moved the same way, up to the rounding of other sums."""
    before, first, second = (
        load_file(start / "model.safetensors"),
        weights(one),
        weights(two),
    )
    moved = max((first[name] - before[name]).abs().max().item() for name in first)
    assert moved > 5e-3
    for name in first:
        torch.testing.assert_close(second[name], first[name], atol=moved / 500, rtol=0, msg=name)


@pytest.fixture(scope="module")
def trained(inputs, tmp_path_factory):
    """Gives the folder of a training of two steps; each is made once."""

    @cache
    def folder_of(method: str, processes: int, expert: str = "expert") -> Path:
        folder = tmp_path_factory.mktemp(f"{method}-{processes}-{expert}")
        train(method, inputs, folder, processes, expert)
        return folder

    return folder_of


@pytest.mark.parametrize(
    ("method", "expert"),
    # A larger expert is cut over the processes; with whole responses it is asked once more.
    [("sft", "expert"), ("distill", "expert"), ("distill", "larger"), ("response", "larger")],
)
def test_two_processes_train_what_one_does(method, expert, inputs, trained):
    one, two = (trained(method, processes, expert) for processes in (1, 2))
    same_training(inputs / "base" / "step0", one, two)
    record = json.loads((two / "run.json").read_text())
    assert record["settings"]["processes"] == 2
    (kept,) = record["checkpoints"]
    assert (kept["step"], kept["samples"]) == (2, 16)


def two_and_one(method: str, folder: Path, precision: str) -> tuple[list[dict], list[dict]]:
    """The training tables of one process, and of two in some precision."""
    save_policy(tiny(), word_tokenizer(WORDS), folder / "base")
    trainer = str(Path(__file__).with_name("train_process.py"))
    # With one update a step it does not matter which rollouts TRL puts into which update.
    plain = {"updates_per_step": 1, "entropy_coefficient": 0.0}
    tables = []
    for name, processes in (("one", 1), ("two", 2)):
        place, used = folder / name, precision if processes > 1 else "no"
        settings = json.dumps(plain | {"bf16": used == "bf16"})
        command = [trainer, method, str(place), str(folder / "base"), "2", settings]
        start(command, processes, used)
        (place / "checkpoints").symlink_to(place / "state" / "published")
        tables.append(json.loads((place / "result.json").read_text())["rows"])
    return tables[0], tables[1]


def test_two_processes_train_an_expert_as_one_does(tmp_path):
    one, two = two_and_one("grpo", tmp_path, "no")
    same_training(tmp_path / "base", tmp_path / "one", tmp_path / "two")
    assert two[0]["kl"] == pytest.approx(0, abs=1e-6), "the base is its own reference"
    assert two[1]["kl"] == pytest.approx(one[1]["kl"], rel=1e-3)


@pytest.mark.parametrize("method", ["grpo", "sft", "distill"])
def test_bfloat16_over_two_processes_rounds_and_does_no_more(method, tmp_path):
    one, two = two_and_one(method, tmp_path, "bf16")
    assert two[0]["grad_norm"] == pytest.approx(one[0]["grad_norm"], rel=0.03)
    assert two[0]["loss"] == pytest.approx(one[0]["loss"], rel=0.01, abs=1e-3)
    assert two[0]["mean_length"] == pytest.approx(one[0]["mean_length"], nan_ok=True)
    if method == "grpo":
        # Rounded to bfloat16, log-probabilities of a few nats would be off by a hundredth.
        assert two[0]["kl"] == pytest.approx(0, abs=1e-4)
    saved = weights(tmp_path / "two")
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32}, "as CPUs publish them"


def test_processes_that_do_not_divide_an_update_are_refused_in_words(inputs, tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "sft", {"batch_size": 6, "demonstrations": 16})
    with pytest.raises(AssertionError, match="an update has 6 sequences, and 2 processes"):
        train("sft", inputs, tmp_path, 2)


def test_the_training_table_counts_all_processes(trained):
    one, two = (
        read_table(trained("distill", processes) / "training.parquet", Training)
        for processes in (1, 2)
    )
    assert list(one["samples"]) == list(two["samples"]) == [8, 16]
    assert list(one["tokens"]) == list(two["tokens"])


def kill_all(folder: Path) -> None:
    """Kill the launcher and the processes of a training that writes to a folder."""
    for process in living(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def test_two_processes_go_on_after_a_kill_to_what_they_would_have_trained(tmp_path):
    """Sums over processes are not promised to be made in one order, so: up to rounding."""
    save_policy(tiny(), word_tokenizer(WORDS), tmp_path / "base")
    trainer = Path(__file__).with_name("train_process.py")
    launch = [warm.python(), "-m", "accelerate.commands.launch", "--config_file", str(CONFIG)]
    launch += ["--num_processes", "2", "--main_process_port", "0", "--mixed_precision", "no"]

    def started(name: str) -> subprocess.Popen[bytes]:
        command = [*launch, str(trainer), "sft", str(tmp_path / name), str(tmp_path / "base")]
        with (tmp_path / f"{name}.log").open("ab") as log:
            return subprocess.Popen([*command, "24", '{"minutes": 0}'], stderr=log)

    def losses(name: str) -> list[float]:
        rows = json.loads((tmp_path / name / "result.json").read_text())["rows"]
        assert [row["update"] for row in rows] == list(range(1, 25))
        return [row["loss"] for row in rows]

    assert started("whole").wait(timeout=300) == 0, (tmp_path / "whole.log").read_text()[-3000:]
    process = started("killed")
    while not list((tmp_path / "killed" / "state").glob("update-*")):
        assert process.poll() is None, (tmp_path / "killed.log").read_text()[-3000:]
        time.sleep(0.01)
    kill_all(tmp_path / "killed")
    process.wait(timeout=60)
    assert not (tmp_path / "killed" / "result.json").exists()
    assert started("killed").wait(timeout=300) == 0, (tmp_path / "killed.log").read_text()[-3000:]
    assert "going on after update" in (tmp_path / "killed.log").read_text()
    assert losses("killed") == pytest.approx(losses("whole"), rel=1e-3)
