"""Weights that are cut over two processes (FSDP 2) train what whole ones do, and go on bit for bit.

As on GPUs, but on a CPU with gloo: accelerate alone would not let them (`fsdp_on_cpu`).
"""

import json
import subprocess
import time
from pathlib import Path

import pytest
import warm
from safetensors.torch import load_file
from test_processes import CONFIG, kill_all, start
from training_runs import WORDS, tiny

from online_il.models import save_policy, word_tokenizer

STEPS = 6
PROGRAM = str(Path(__file__).with_name("train_process.py"))
LAUNCH = ["-m", "accelerate.commands.launch", "--config_file", str(CONFIG)]
LAUNCH += ["--num_processes", "2", "--main_process_port", "0", "--mixed_precision", "no"]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("policies") / "base"
    save_policy(tiny(), word_tokenizer(WORDS), folder)
    return folder


def command(method: str, folder: Path, base: Path, steps: int = STEPS, **options) -> list[str]:
    # Each process draws its own responses, cut weights or not.
    settings = {"engine": "transformers", "entropy_coefficient": 0.0} | options
    return [PROGRAM, method, str(folder), str(base), str(steps), json.dumps(settings)]


def result(folder: Path) -> dict:
    found = json.loads((folder / "result.json").read_text())
    for row in [*found["rows"], *found["kept"]]:
        del row["device_seconds"]
    return found


def weights(folder: Path, step: int = STEPS) -> dict:
    return load_file(folder / "state" / "published" / f"step{step}" / "model.safetensors")


@pytest.mark.parametrize("method", ["sft", "grpo", "distill"])
def test_cut_weights_train_what_whole_ones_do_and_go_on_bit_for_bit(method, base, tmp_path):
    whole, cut, killed = (tmp_path / name for name in ("whole", "cut", "killed"))
    start(command(method, whole, base), 2)
    start(command(method, cut, base, fsdp=True), 2)
    expected, found = result(whole), result(cut)
    assert len(found["rows"]) == STEPS * (2 if method == "grpo" else 1)
    for row, other in zip(found["rows"], expected["rows"], strict=True):
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-3, abs=1e-4)
        assert row["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-3)
        assert row["tokens"] == other["tokens"]
    if method == "grpo":
        assert found["rows"][0]["kl"] == pytest.approx(0, abs=1e-6)
        assert found["reference"] == {"units": 2, "dtype": "torch.float32"}, "a block at a time"

    with (tmp_path / "killed.log").open("ab") as log:
        words = [warm.python(), *LAUNCH, *command(method, killed, base, fsdp=True, minutes=0)]
        process = subprocess.Popen(words, stderr=log)
    while not list((killed / "state").glob("update-*")):
        assert process.poll() is None, (tmp_path / "killed.log").read_text()[-3000:]
        time.sleep(0.01)
    kill_all(killed)
    process.wait(timeout=60)
    (newest, *_) = sorted((killed / "state").glob("update-*"), reverse=True)
    files = [path for path in newest.rglob("*") if path.is_file()]
    said = start(command(method, killed, base, fsdp=True, minutes=0), 2)
    assert "going on after update" in said
    assert result(killed) == found
    for name, tensor in weights(cut).items():
        assert weights(killed)[name].equal(tensor), name

    # What it goes on from is there once, a part by each process: weights and AdamW's two moments.
    parts = sorted(str(path.relative_to(newest)) for path in files if path.suffix == ".distcp")
    folders = ("optimizer_0", "pytorch_model_fsdp_0")
    assert parts == [f"{folder}/__{rank}_0.distcp" for folder in folders for rank in (0, 1)]
    assert not [path.name for path in files if path.suffix in (".safetensors", ".bin")]


def test_the_reference_of_bfloat16_is_bfloat16_and_starts_as_the_policy(base, tmp_path):
    start(command("grpo", tmp_path, base, 1, fsdp=True, bf16=True), 2, "bf16")
    found = result(tmp_path)
    assert found["reference"] == {"units": 2, "dtype": "torch.bfloat16"}
    # Autocast, which the policy alone is under, rounds a little otherwise.
    assert found["rows"][0]["kl"] == pytest.approx(0, abs=1e-4)
