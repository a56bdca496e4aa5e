"""Policies on disk: the same weights, the same tokens, complete or not there."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file
from transformers import Qwen2Config, Qwen2ForCausalLM, set_seed

from online_il import models
from online_il.config.architecture import Architecture
from online_il.tasks.miniature import VOCABULARY

SHAPE = Architecture(hidden_size=16, intermediate_size=32, layers=2, heads=2, head_dim=6)
TEXT = "<bos> 3 34 99 T 19 : <think> ( 3 * 12 ) - 4 = 32 no </think> <eos>"


@pytest.fixture(scope="module")
def tokenizer():
    return models.word_tokenizer(VOCABULARY)


@pytest.fixture(scope="module")
def model(tokenizer):
    return models.new_model(SHAPE, tokenizer, max_length=64, seed=3)


@pytest.fixture(scope="module")
def saved(model, tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "runs" / "step4"
    models.save_policy(model, tokenizer, folder)
    return folder


def ids(text: str) -> list[int]:
    return [VOCABULARY.index(word) for word in text.split()]


def test_a_saved_policy_has_the_same_weights_and_logits_again(model, saved):
    again = models.load_model(saved)
    before, after = model.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert {tensor.dtype for tensor in after.values()} == {torch.float32}
    batch = torch.tensor([ids(TEXT)])
    with torch.inference_mode():
        assert torch.equal(model(batch).logits, again(batch).logits)


def test_a_new_model_has_the_shape_that_was_asked_for(model):
    state, config = model.state_dict(), model.config
    assert state["model.embed_tokens.weight"].shape == (len(VOCABULARY), 16)
    assert state["model.layers.1.self_attn.q_proj.weight"].shape == (2 * 6, 16)
    assert state["model.layers.1.self_attn.k_proj.weight"].shape == (2 * 6, 16)
    assert state["model.layers.1.mlp.up_proj.weight"].shape == (32, 16)
    assert "model.layers.2.mlp.up_proj.weight" not in state
    assert config.model_type == "seed_oss" and config.max_position_embeddings == 64
    assert model.lm_head.weight is model.model.embed_tokens.weight
    special = (config.pad_token_id, config.bos_token_id, config.eos_token_id)
    assert special == (0, 1, 2)


def test_the_seed_alone_decides_the_weights_of_a_new_model(model, tokenizer):
    torch.manual_seed(123)
    same = models.new_model(SHAPE, tokenizer, max_length=64, seed=3).state_dict()
    other = models.new_model(SHAPE, tokenizer, max_length=64, seed=4).state_dict()
    assert all(torch.equal(same[name], tensor) for name, tensor in model.state_dict().items())
    name = "model.embed_tokens.weight"
    assert not torch.equal(same[name], other[name])


def test_a_new_model_is_a_qwen2_model_bit_for_bit(tokenizer):
    """Of another type: its weights, its loss and its gradients are those of Qwen2's own class."""
    set_seed(3)
    qwen = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(VOCABULARY),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=6,
            max_position_embeddings=64,
            tie_word_embeddings=True,
            pad_token_id=0,  # Its row of the embedding is zero.
            dtype="float32",
        )
    )
    new = models.new_model(SHAPE, tokenizer, max_length=64, seed=3)
    words = ids(TEXT)
    batch = torch.tensor([words, [0] * 5 + words[:-5]])
    for model in (qwen, new):
        model.train()
        model(batch, attention_mask=(batch != 0).long(), labels=batch).loss.backward()
    theirs = dict(qwen.named_parameters())
    assert list(theirs) == [name for name, _ in new.named_parameters()]
    for name, parameter in new.named_parameters():
        assert torch.equal(parameter, theirs[name])
        assert torch.equal(parameter.grad, theirs[name].grad)


def test_token_ids_follow_the_vocabulary_before_and_after_saving(tokenizer, saved):
    for one in (tokenizer, models.load_tokenizer(saved)):
        assert len(one) == len(VOCABULARY)
        assert one.get_vocab() == {word: index for index, word in enumerate(VOCABULARY)}
        assert one.encode(TEXT, add_special_tokens=False) == ids(TEXT)
        assert one.encode(TEXT) == ids(TEXT), "no special token is added on the way"
        assert (one.pad_token_id, one.bos_token_id, one.eos_token_id) == (0, 1, 2)


def test_every_number_is_one_token_after_loading(saved):
    loaded = models.load_tokenizer(saved)
    for number in range(100):
        assert loaded.encode(str(number)) == [VOCABULARY.index(str(number))]


def test_decoding_gives_the_text_back_with_its_spaces(tokenizer, saved):
    bare = TEXT.removeprefix("<bos> ").removesuffix(" <eos>")
    for one in (tokenizer, models.load_tokenizer(saved)):
        assert one.decode(ids(TEXT)) == TEXT
        assert one.decode(ids(TEXT), skip_special_tokens=True) == bare
        assert one.batch_decode([ids(TEXT)] * 2, skip_special_tokens=True) == [bare] * 2
        assert one.batch_decode(torch.tensor([ids(TEXT)]), skip_special_tokens=True) == [bare]


def test_prompts_are_padded_on_the_left(saved):
    batch = models.load_tokenizer(saved)(["<bos> F 3 4 :", "<bos> :"], padding=True)
    assert batch["input_ids"] == [ids("<bos> F 3 4 :"), ids("<pad> <pad> <pad> <bos> :")]
    assert batch["attention_mask"] == [[1] * 5, [0, 0, 0, 1, 1]]


@pytest.mark.parametrize("text", ["100", "<bos> x :", "3 +4", "07"])
def test_an_unknown_word_is_refused(tokenizer, saved, text):
    for one in (tokenizer, models.load_tokenizer(saved)):
        with pytest.raises(Exception, match=r"\[UNK\]"):
            one.encode(text)


def test_a_policy_is_a_folder_of_safetensors_and_json_alone(model, saved):
    assert {path.suffix for path in saved.iterdir()} == {".safetensors", ".json"}
    assert {path.name for path in saved.iterdir()} >= {models.WEIGHTS, "tokenizer.json"}
    state = load_file(saved / models.WEIGHTS)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in state.items())
    assert models.model_config(saved) == json.loads((saved / "config.json").read_text())
    assert [path.name for path in saved.parent.iterdir()] == [saved.name], "nothing beside it"


def test_anyone_may_read_what_is_saved_whatever_the_umask(model, tokenizer, tmp_path):
    before = os.umask(0o077)
    try:
        models.save_policy(model, tokenizer, tmp_path / "step1")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "step1").iterdir()}
    assert set(modes.values()) == {0o644} and models.WEIGHTS in modes


class Breaks:
    """A tokenizer whose saving fails after the weights are written."""

    def save_pretrained(self, folder):
        assert (folder / models.WEIGHTS).is_file()
        raise OSError("no space left on device")


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_failure_in_the_middle_of_saving_leaves_the_old_policy(tokenizer, model, tmp_path):
    folder = tmp_path / "step1"
    models.save_policy(model, tokenizer, folder)
    before = contents(folder)
    other = models.new_model(SHAPE, tokenizer, max_length=64, seed=9)
    with pytest.raises(OSError, match="no space"):
        models.save_policy(other, Breaks(), folder)
    assert contents(folder) == before
    # What the failed attempt left aside is no obstacle to the next one.
    models.save_policy(other, tokenizer, folder)
    assert contents(folder)[models.WEIGHTS] != before[models.WEIGHTS]
    assert [path.name for path in tmp_path.iterdir()] == ["step1"]


def test_a_failure_in_the_middle_of_a_first_saving_leaves_no_policy(model, tmp_path):
    with pytest.raises(OSError, match="no space"):
        models.save_policy(model, Breaks(), tmp_path / "step1")
    assert not (tmp_path / "step1").exists()


def test_saving_again_leaves_no_file_of_the_old_policy(tokenizer, model, tmp_path):
    folder = tmp_path / "step1"
    models.save_policy(model, tokenizer, folder)
    (folder / "stale.json").write_text("{}")
    models.save_policy(model, tokenizer, folder)
    assert not (folder / "stale.json").exists()


def test_pickled_weights_are_not_loaded(tokenizer, model, tmp_path):
    folder = tmp_path / "step1"
    models.save_policy(model, tokenizer, folder)
    (folder / models.WEIGHTS).unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        models.load_model(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "generation_config.json", "config.json"])
def test_a_policy_is_another_one_with_another_form(saved, tmp_path, name):
    other = tmp_path / "step4"
    models.link_tree(saved, other)
    assert models.policy_hash(other) == models.policy_hash(saved)
    content = (other / name).read_text()
    (other / name).unlink()  # A link: its content is the first one's, too.
    (other / name).write_text(content + " ")
    assert models.policy_hash(other) != models.policy_hash(saved)
    assert models.weights_hash(other) == models.weights_hash(saved)
