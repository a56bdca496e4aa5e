"""Preflight on models that an engine cannot run, or whose responses end differently."""

import json
from pathlib import Path

import numpy as np
import pytest
from configs import ROOT, error, shipped
from ending_policies import make, template
from in_process import refusal
from preflight_studies import CONFIG, check, model_folder, study_raw, with_expert
from safetensors.numpy import save_file
from test_ends import command, inputs

from online_il.config.generation import Generation
from online_il.errors import InputError
from online_il.generation.engines import open_engine

MINI = shipped("mini")


@pytest.fixture
def raw(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-secret")
    return study_raw(tmp_path)


def on_cpu(raw):
    """The study on a CPU with the decode loop."""
    return raw | {"hardware": "cpu", "generation": {"engine": "loop", "batch_size": 8}}


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


# ---- what the engine cannot run ----


def in_parts(folder: Path) -> None:
    """A model whose weights lie in two files, as the hub has it."""
    weights = folder / "model.safetensors"
    names = [f"model-0000{part}-of-00002.safetensors" for part in (1, 2)]
    for name in names:
        (folder / name).write_bytes(weights.read_bytes())
    weights.unlink()
    index = {"weight_map": dict(zip("ab", names, strict=True))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_the_loop_reads_one_file_of_weights(raw, tmp_path):
    assert check(on_cpu(raw)) == []
    in_parts(tmp_path / "student")
    assert check(raw) == [], "transformers reads parts"
    (problem,) = check(on_cpu(raw))
    assert problem.startswith("countdown, Qwen/Qwen2.5-3B-Instruct: its weights lie in several")
    assert "set generation.engine to transformers or vllm" in problem


def test_an_expert_in_parts_is_found_too(raw, tmp_path):
    teacher = model_folder(tmp_path / "teacher")
    in_parts(teacher)
    (problem,) = check(on_cpu(with_expert(raw, teacher)))
    assert problem.startswith("countdown, some/teacher: its weights lie in several parts")


@pytest.mark.parametrize(
    ("config", "part"),
    [
        ({"rope_scaling": {"rope_type": "llama3", "factor": 32.0}}, "rotary positions"),
        ({"use_sliding_window": True}, "sliding window"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"model_type": "qwen3"}, "qwen3"),
    ],
)
def test_shapes_that_the_loop_lacks_are_found_before_it_starts(raw, tmp_path, config, part):
    (tmp_path / "student" / "config.json").write_text(json.dumps(CONFIG | config))
    assert check(raw) == []
    (problem,) = check(on_cpu(raw))
    assert part in problem and problem.endswith("set generation.engine to transformers or vllm")


def test_the_loop_says_itself_that_it_reads_one_file(tmp_path):
    policy = make(tmp_path / "step0", chat=template(""))
    in_parts(policy)
    with pytest.raises(InputError, match=r"no model\.safetensors.*set generation\.engine"):
        open_engine(Generation(engine="loop", batch_size=2)).load(policy)


def test_the_loop_on_a_gpu_is_refused_in_the_config(tmp_path):
    message = error(tmp_path, MINI, {"hardware": "gpu"})
    assert "generation.engine" in message and "runs on CPUs alone" in message
    assert "set it to vllm or transformers, or hardware to cpu" in message
    vllm = error(tmp_path, MINI, {"hardware": "gpu", "generation": {"engine": "vllm"}})
    assert "runs on CPUs alone" not in vllm, "what is left is that no rule asks for a GPU"


@pytest.mark.parametrize("method", ["grpo", "distill"])
def test_the_loop_on_a_gpu_is_refused_by_the_programs(tmp_path, method):
    make(tmp_path / "base" / "step0", chat=template(""))
    message = refusal(method, *command(method, inputs(tmp_path)), "--hardware", "gpu")
    assert "generation.engine is loop" in message and "hardware is gpu" in message


# ---- weights of another model ----


def tensors(folder: Path, layers: int = 2, **shapes: tuple[int, ...]) -> None:
    """Weights of zeros: the embedding, and a norm in each layer."""
    shapes = {"model.embed_tokens.weight": (3, 64)} | shapes
    shapes |= {f"model.layers.{layer}.norm.weight": (64,) for layer in range(layers)}
    zeros = {name: np.zeros(shape, np.float16) for name, shape in shapes.items()}
    save_file(zeros, folder / "model.safetensors")


def test_weights_that_are_another_models_are_found_before_transformers_fills_them_up(raw, tmp_path):
    tensors(tmp_path / "student")
    assert check(raw) == []
    tensors(tmp_path / "student", layers=3)
    assert check(raw) == [], "more are left unread, as of DeepSeek-V3"
    tensors(tmp_path / "student", **{"model.embed_tokens.weight": (5, 64)})
    (problem,) = check(raw)
    assert "model.embed_tokens.weight is 5 by 64, and config.json has vocab_size 3" in problem
    tensors(tmp_path / "student", layers=1, **{"model.embed_tokens.weight": (3, 32)})
    wide, few = check(raw)
    assert "is 3 by 32" in wide and "1 layers, and config.json: num_hidden_layers: 2" in few
    assert all("take config.json and weights of one model" in one for one in (wide, few))


@pytest.mark.parametrize("kind", ["own", None, "t5", 3, ["qwen2"], {}])
def test_a_type_that_transformers_lacks_is_found(raw, tmp_path, kind):
    change(tmp_path / "student" / "config.json", model_type=kind)
    for study in (raw, on_cpu(raw)):
        (problem,) = check(study)
        assert f"config.json: model_type: {kind!r} is no language model" in problem


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("vocab_size", "many"),
        ("vocab_size", None),
        ("hidden_size", 0),
        ("num_hidden_layers", 2.5),
        ("num_attention_heads", True),
        ("max_position_embeddings", [4096]),
    ],
)
def test_a_config_whose_numbers_are_none_is_found(raw, tmp_path, key, value):
    change(tmp_path / "student" / "config.json", **{key: value})
    for study in (raw, on_cpu(raw)):
        (problem,) = check(study)
        assert f"config.json: {key}: {value!r}: no number of at least 1" in problem


def test_rotary_positions_that_are_no_object_are_found(raw, tmp_path):
    change(tmp_path / "student" / "config.json", rope_scaling="linear")
    for study in (raw, on_cpu(raw)):
        (problem,) = check(study)
        assert "config.json: rope_scaling: 'linear': no object of JSON" in problem


# ---- ends ----


def test_an_end_that_is_not_the_tokenizers_is_found_with_its_remedy(raw, tmp_path):
    change(tmp_path / "student" / "config.json", eos_token_id=1)
    (problem,) = check(raw)
    assert problem.startswith("countdown, Qwen/Qwen2.5-3B-Instruct: its tokenizer ends")
    assert "<end> (id 2)" in problem and "[1]" in problem and "`folder`" in problem
    (tmp_path / "student" / "generation_config.json").write_text('{"eos_token_id": [1, 2]}')
    assert check(raw) == [], "one of the ends of the generation config"


def test_a_template_that_ends_with_another_token_is_found(raw, tmp_path):
    folder = tmp_path / "student"
    content = json.loads((folder / "tokenizer.json").read_text())
    content["added_tokens"].append({"id": 1, "content": "<turn>"})
    (folder / "tokenizer.json").write_text(json.dumps(content))
    change(folder / "tokenizer_config.json", chat_template=template("<turn>"))
    (problem,) = check(raw)
    assert "its chat template ends an answer with <turn> (id 1)" in problem
    assert "`chat_template`" in problem
    # A template of the config's own stands in its place.
    raw["tasks"][0]["base"]["chat_template"] = str(ROOT / "config" / "chat.jinja")
    assert check(raw) == []
    other = tmp_path / "other.jinja"
    other.write_text(template("<turn>"))
    raw["tasks"][0]["base"]["chat_template"] = str(other)
    assert len(check(raw)) == 1


def test_an_experts_ends_are_looked_at_too(raw, tmp_path):
    teacher = model_folder(tmp_path / "teacher")
    change(teacher / "config.json", eos_token_id=None)
    (problem,) = check(with_expert(raw, teacher))
    assert problem.startswith("countdown, some/teacher: its config names no eos_token_id")
