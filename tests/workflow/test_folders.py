"""A study whose base is a folder alone: it is what is in there, wherever it lies."""

import json
import shutil
from pathlib import Path

import pytest
from project import copy_of_project, planned, snakemake

CONFIG = """extends: smoke.yaml
scale: folders
discrepancy: null
tasks:
  - name: deepscaler
    base:
      kind: model
      folder: {folder}
      seed: 1
"""
BASE = "results/folders/runs/deepscaler/base/seed1/run.json"


def run(checkout: Path, folder: str, *arguments: str) -> str:
    (checkout / "config" / "folders.yaml").write_text(CONFIG.format(folder=folder))
    command = (BASE, "--configfile", "config/folders.yaml", *arguments)
    status, output = snakemake(checkout, *command)
    assert status == 0, output[-2000:]
    return output


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A checkout that took the base `one/model`; `other` is another one of its form."""
    from online_il.config.architecture import Architecture
    from online_il.models import byte_tokenizer, new_model, save_policy

    place = copy_of_project(tmp_path_factory.mktemp("checkout"))
    shape = Architecture(hidden_size=16, intermediate_size=32, layers=1, heads=2, head_dim=8)
    for seed, name in enumerate(("one/model", "other")):
        tokenizer = byte_tokenizer()
        save_policy(new_model(shape, tokenizer, 8192, seed), tokenizer, place / name)
    run(place, "one/model")
    return place


def test_a_base_is_known_by_its_weights_and_not_by_where_it_lay(checkout):
    record = json.loads((checkout / BASE).read_text())
    origin = json.loads(
        (checkout / "results/folders/models/deepscaler/base/origin.json").read_text()
    )
    assert origin == {"weights": record["checkpoints"][0]["weights_hash"]}
    assert record["settings"]["place"] == "one/model"
    assert "Nothing to be done" in run(checkout, "one/model", "-n")
    shutil.copytree(checkout / "one", checkout / "two")
    assert "Nothing to be done" in run(checkout, "two/model", "-n")


def test_another_model_in_the_folder_is_another_base(checkout):
    shutil.rmtree(checkout / "one" / "model")
    shutil.copytree(checkout / "other", checkout / "one" / "model")
    output = run(checkout, "one/model", "-n")
    assert planned(output) == {"fetch", "adopt"}
    assert "settings of fetch: content changed" in output
