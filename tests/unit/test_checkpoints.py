"""What a trainer publishes: whole weights, in the precision in which they are sampled."""

import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from training_runs import WORDS, tiny

from online_il.errors import InputError
from online_il.models import load_model, save_policy, weights_hash, word_tokenizer
from online_il.provenance import file_hash
from online_il.training.common import Recorder


def recorder(folder, model, **arguments) -> Recorder:
    made = Recorder(
        model=model,
        tokenizer=word_tokenizer(WORDS),
        checkpoints=[],
        updates_per_step=1,
        samples_per_update=1,
        tokens_of=None,
        folder=folder,
        progress=folder / "progress.json",
    )
    made.trainer = SimpleNamespace(args=SimpleNamespace(use_cpu=False, **arguments))
    return made


def test_a_model_trained_for_bfloat16_is_published_in_bfloat16(tmp_path):
    model = tiny()
    recorder(tmp_path, model, bf16=True).save(tmp_path / "step1")
    saved = load_file(tmp_path / "step1" / "model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.bfloat16}
    assert "lm_head.weight" not in saved, "tied to the embedding, it is stored once"
    assert json.loads((tmp_path / "step1" / "config.json").read_text())["dtype"] == "bfloat16"
    again = load_model(tmp_path / "step1")
    assert again.dtype == torch.bfloat16
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor.to(torch.bfloat16))
    assert model.dtype == torch.float32, "training goes on in single precision"


def test_a_model_trained_on_a_cpu_is_published_as_it_is(tmp_path):
    model = tiny()
    recorder(tmp_path, model, bf16=False).save(tmp_path / "step1")
    again = load_model(tmp_path / "step1")
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, rtol=0, atol=0)


def test_the_hash_of_weights_covers_all_their_parts(tmp_path):
    save_policy(tiny(), word_tokenizer(WORDS), tmp_path / "one")
    weights = tmp_path / "one" / "model.safetensors"
    assert weights_hash(tmp_path / "one") == file_hash(weights)
    parts = tmp_path / "parts"
    parts.mkdir()
    for name in ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"):
        (parts / name).write_bytes(weights.read_bytes())
    before = weights_hash(parts)
    assert before != file_hash(weights)
    with (parts / "model-00002-of-00002.safetensors").open("ab") as part:
        part.write(b"x")
    assert weights_hash(parts) != before
    with pytest.raises(InputError, match="no weights"):
        weights_hash(tmp_path)
