"""Models that are not trained here: taken from a folder of the hub's form, or made at random."""

import json
from pathlib import Path

import pytest
import torch
import warm
from training_runs import SHAPE

from online_il.chat import as_text, prompt_ids
from online_il.models import byte_tokenizer, load_model, load_tokenizer, new_model, weights_hash

ROOT = Path(__file__).parents[2]
REVISION = "0" * 40
QUESTION = as_text([{"role": "user", "content": "2 + 2?"}])


def run(script: str, *arguments: object, status: int = 0) -> str:
    done = warm.run(ROOT / "workflow" / "scripts" / f"{script}.py", *arguments, cwd=ROOT)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def hub(tmp_path) -> Path:
    """A model as the hub has it: weights in two parts, no padding token, no chat template."""
    folder = tmp_path / "hub"
    tokenizer = byte_tokenizer()
    model = new_model(SHAPE, tokenizer, max_length=128, seed=4)
    model.save_pretrained(folder, max_shard_size="10KB")
    tokenizer.chat_template = None
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    (folder / "pytorch_model.bin").write_bytes(b"pickled")
    assert len(list(folder.glob("*.safetensors"))) > 1
    return folder


def settings(folder: Path, **more: object) -> str:
    known = {"kind": "model", "repo": "owner/name", "revision": REVISION, "folder": str(folder)}
    return json.dumps(known | more)


def fetch(output: Path, wanted: str, status: int = 0) -> str:
    return run("fetch", "--settings", wanted, "--output", output, status=status)


def test_a_model_in_parts_is_fetched_whole_and_linked(hub, tmp_path):
    fetch(tmp_path / "base", settings(hub, chat_template="config/chat.jinja"))
    place = tmp_path / "base" / "step0"
    before, after = load_model(hub).state_dict(), load_model(place).state_dict()
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, rtol=0, atol=0)
    assert weights_hash(place) == weights_hash(hub)
    for path in place.glob("*.safetensors"):
        assert path.stat().st_nlink == 2
    assert not (place / "pytorch_model.bin").exists()


def test_a_fetched_tokenizer_gets_what_it_lacks_and_the_source_stays(hub, tmp_path):
    before = {path.name: path.read_bytes() for path in hub.iterdir()}
    fetch(tmp_path / "base", settings(hub, chat_template="config/chat.jinja"))
    tokenizer = load_tokenizer(tmp_path / "base" / "step0")
    assert tokenizer.pad_token == tokenizer.eos_token
    text = tokenizer.decode(prompt_ids(tokenizer, [QUESTION])[0])
    assert text == "<bos>Question: 2 + 2?\n\nAnswer:\n"
    assert {path.name: path.read_bytes() for path in hub.iterdir()} == before


def test_a_model_that_is_not_there_ends_with_a_sentence(tmp_path):
    message = fetch(tmp_path / "base", settings(tmp_path / "absent"), status=1)
    assert "owner/name" in message and "no folder" in message
    assert not (tmp_path / "base" / "step0").exists()


def test_pickled_weights_are_not_read(hub, tmp_path):
    for path in hub.glob("*.safetensors*"):
        path.unlink()
    message = fetch(tmp_path / "base", settings(hub), status=1)
    assert "safetensors" in message


def test_a_damaged_list_of_parts_ends_with_a_sentence(hub, tmp_path):
    (hub / "model.safetensors.index.json").write_text("{")
    assert "is damaged" in fetch(tmp_path / "base", settings(hub), status=1)


def test_a_random_model_follows_its_seed(tmp_path):
    shape = SHAPE.model_dump()
    wanted = {"kind": "random", "architecture": shape, "max_length": 64, "chat_template": None}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        fetch(tmp_path / name, json.dumps(wanted | {"seed": seed}))
    hashes = [weights_hash(tmp_path / name / "step0") for name in "abc"]
    assert hashes[0] == hashes[1] != hashes[2]
    tokenizer = load_tokenizer(tmp_path / "a" / "step0")
    assert tokenizer.decode(prompt_ids(tokenizer, [QUESTION])[0]).endswith("<assistant>")


def test_only_the_tokenizer_of_a_model_is_fetched_where_only_it_is_needed(hub, tmp_path):
    for path in hub.glob("*.safetensors*"):
        path.unlink()
    model = {"repo": "owner/name", "revision": REVISION, "folder": str(hub)}
    run("tokenizer", "--settings", json.dumps(model), "--output", tmp_path / "counting")
    place = tmp_path / "counting" / "step0"
    assert load_tokenizer(place).get_vocab() == load_tokenizer(hub).get_vocab()
    assert not list(place.glob("*.safetensors"))
