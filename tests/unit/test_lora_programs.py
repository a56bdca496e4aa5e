"""The programs of the methods train an adapter, say so in their manifest, publish plain folders."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file
from test_full_disk import METHODS, inputs  # noqa: F401
from training_runs import program
from transformers import AutoModelForCausalLM
from warm import Program

from online_il.records import RunRecord

pytestmark = pytest.mark.slow
LORA = {"rank": 2, "alpha": 4}


def trained(method: str, inputs: Path, folder: Path, lora: dict | None) -> tuple[int, str]:  # noqa: F811
    settings = METHODS[method] | ({"lora": lora} if lora else {})
    command = program(
        method,
        inputs,
        folder,
        settings,
        task="t",
        expert=inputs / "base",
        learning_rate=0.03,
        save_minutes=10,
    )
    folder.mkdir(parents=True)
    with (folder / "log").open("w") as log:
        status = Program(command, stdout=log, stderr=log).wait(timeout=300)
    return status, (folder / "log").read_text()


@pytest.mark.parametrize("method", METHODS)
def test_a_run_with_an_adapter_is_a_plain_policy_whose_manifest_says_so(method, inputs, tmp_path):  # noqa: F811
    status, log = trained(method, inputs, tmp_path / "run", LORA)
    assert status == 0, log[-3000:]
    record = RunRecord.model_validate_json((tmp_path / "run" / "run.json").read_bytes())
    assert record.settings["lora"] == LORA | {"target_modules": "all-linear"}
    assert "peft" in record.versions
    last = tmp_path / "run" / "checkpoints" / f"step{record.checkpoints[-1].step}"
    _, found = AutoModelForCausalLM.from_pretrained(last, output_loading_info=True)
    assert not any(found.values())
    base = load_file(inputs / "base" / "step0" / "model.safetensors")
    weights = load_file(last / "model.safetensors")
    assert weights.keys() == base.keys()
    moved = {name for name in base if not weights[name].equal(base[name])}
    # Distilled from its own base a student stays what it is.
    assert moved <= {name for name in base if "proj.weight" in name}
    assert moved or method != "sft"


def test_a_run_without_one_does_not_know_of_adapters(inputs, tmp_path):  # noqa: F811
    status, log = trained("sft", inputs, tmp_path / "run", None)
    assert status == 0, log[-3000:]
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert "lora" not in record["settings"] and "peft" not in record["versions"]


def test_a_matrix_that_is_not_there_ends_a_program_with_one_line(inputs, tmp_path):  # noqa: F811
    lora = LORA | {"target_modules": ["query"]}
    status, log = trained("grpo", inputs, tmp_path / "run", lora)
    assert status == 1 and "Traceback" not in log
    (line,) = [line for line in log.splitlines() if line.startswith("error:")]
    assert "the model has no matrix 'query'" in line
