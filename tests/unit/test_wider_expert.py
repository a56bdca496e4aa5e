"""Experts whose logits have another width than the student's, and other ends or prompts."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from configs import ROOT
from ending_policies import BYTE_END, IM_END, changed, make, template
from hypothesis import given
from hypothesis import strategies as st
from in_process import refusal, run
from preflight_studies import TEMPLATE, check, model_folder, study_raw, with_expert
from safetensors.torch import load_file
from test_ends import command, inputs
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from online_il.config.study import Study
from online_il.errors import InputError
from online_il.models import cut_vocabulary, load_model, load_tokenizer, save_policy
from online_il.vocabulary import kept_rows

TOKENS = 264  # Those of `make`.
SMALL = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1}
SMALL |= {"num_attention_heads": 2, "num_key_value_heads": 1}


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-secret")


# ---- the cut ----


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", ["qwen2", "llama"])
def test_a_softmax_over_the_kept_rows_is_the_old_one_renormalised(kind, tied):
    torch.manual_seed(0)
    made = {"vocab_size": 11, "tie_word_embeddings": tied} | SMALL
    if kind == "qwen2":
        model: Any = Qwen2ForCausalLM(Qwen2Config(**made))
    else:
        model = LlamaForCausalLM(LlamaConfig(**made))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 20  # Away from uniform.
    ids = torch.tensor([[1, 5, 3, 0], [6, 2, 2, 4]])
    with torch.no_grad():
        whole_B_T_V = model(ids).logits.softmax(-1)
        kept_B_T_V = whole_B_T_V[..., :7]
        expected = kept_B_T_V / kept_B_T_V.sum(-1, keepdim=True)
        assert kept_B_T_V.sum(-1).min() < 0.9, "what is cut off has probability"
        cut_vocabulary(model, 7)
        torch.testing.assert_close(model(ids).logits.softmax(-1), expected)
    # What TRL reads instead of logits.
    assert model.get_output_embeddings().weight.shape == (7, 8) and model.config.vocab_size == 7
    assert (model.get_input_embeddings().weight is model.get_output_embeddings().weight) is tied


@given(st.sets(st.integers(0, 20)), st.lists(st.integers(1, 25), min_size=2, max_size=3))
def test_rows_are_cut_off_that_no_token_has_and_no_others(ids, widths):
    tokens = {index: f"<{index}>" for index in ids}
    lost = [index for index in ids if any(index >= width for width in widths)]
    if lost:
        with pytest.raises(InputError, match=f"id {min(lost)} is '<{min(lost)}>'"):
            kept_rows(tokens, widths)
    else:
        assert kept_rows(tokens, widths) == sorted(widths)[0]


# ---- preflight ----


def found(tmp_path: Path, **teacher: Any) -> list[str]:
    """What preflight finds with a teacher that differs so from the student."""
    raw = study_raw(tmp_path)
    return check(with_expert(raw, model_folder(tmp_path / "teacher", **teacher)))


def test_padding_on_either_side_is_no_problem(tmp_path):
    assert found(tmp_path / "wider teacher", vocab_size=9) == []
    raw = study_raw(tmp_path)
    changed(tmp_path / "student" / "config.json", vocab_size=9)
    raw = with_expert(raw, model_folder(tmp_path / "teacher"))
    assert check(raw) == []
    raw["generation"]["engine"] = "vllm"
    (problem,) = check(raw)
    assert problem.startswith("countdown/distill-other: the student's logits are wider")
    assert "set generation.engine to transformers" in problem
    raw["tasks"][0]["runs"][-1]["prefixes"] = "expert"
    assert check(raw) == [], "nothing is sampled"


def test_padding_that_is_a_real_token_is_refused(tmp_path):
    raw = with_expert(study_raw(tmp_path), model_folder(tmp_path / "teacher", vocab_size=9))
    for name in ("student", "teacher"):
        path = tmp_path / name / "tokenizer_config.json"
        content = json.loads(path.read_text())
        content["added_tokens_decoder"] = {"5": {"content": "<think>"}}
        path.write_text(json.dumps(content))
    (problem,) = check(raw)
    assert problem.startswith("countdown/distill-other: the student Qwen/Qwen2.5-3B-Instruct and")
    assert "logits 3 and 9 wide" in problem and "id 5 is '<think>'" in problem
    assert problem.endswith("choose an expert whose logits have a row for each token, or use sft")


def test_other_ends_are_refused(tmp_path):
    (problem,) = found(tmp_path, eos_token_id=[2, 1])
    assert problem.startswith("countdown/distill-other: the student Qwen/Qwen2.5-3B-Instruct and")
    assert "end a response with different tokens, ids [2] and [1, 2]" in problem
    assert "set eos_token_id in the generation_config.json" in problem


def test_another_form_of_prompts_is_refused_and_another_spelling_is_not(tmp_path):
    raw = with_expert(study_raw(tmp_path), model_folder(tmp_path / "teacher"))
    template = tmp_path / "teacher" / "chat_template.jinja"
    template.write_text(TEMPLATE.replace("m[", "message[").replace("for m in", "for message in"))
    assert check(raw) == []
    template.write_text("<system>" + TEMPLATE)
    (problem,) = check(raw)
    assert problem.startswith("countdown/distill-other: the student Qwen/Qwen2.5-3B-Instruct and")
    assert "write prompts differently" in problem and "<system>" in problem
    assert "give both one `chat_template`, or use sft" in problem
    for model in (raw["tasks"][0]["base"], raw["tasks"][0]["experts"][-1]):
        model["chat_template"] = str(ROOT / "config" / "chat.jinja")
    assert check(raw) == []


def test_a_teacher_without_positions_for_its_students_responses_is_refused(tmp_path):
    assert found(tmp_path / "enough", max_position_embeddings=3072) == []
    (problem,) = found(tmp_path / "short", max_position_embeddings=3071)
    assert problem.startswith("countdown, methods.distill: prompt and max_new_tokens: 3,072 tokens")
    assert "some/teacher has positions for 3,071" in problem


def test_vllm_must_hold_an_expert_that_is_sampled(tmp_path):
    # 40 blocks of 3 * 64 * 32,768 are 250 million parameters, half a GiB beside 2 for the rest.
    teacher = model_folder(tmp_path / "teacher", intermediate_size=4096 * 8, num_hidden_layers=40)
    raw = with_expert(study_raw(tmp_path), teacher)
    raw["generation"] |= {"engine": "vllm", "memory_share": 2.1 / 79, "colocated_share": 0.3}
    assert check(raw) == [], "it is read alone"
    raw["tasks"][0]["runs"][-1]["prefixes"] = "expert"
    (problem,) = check(raw)
    assert problem.startswith("countdown, sample: vLLM needs") and "resources.sample.gpu" in problem


def test_sft_may_learn_from_any_of_them(tmp_path):
    teacher = model_folder(tmp_path / "teacher", vocab={"x": 0}, vocab_size=9, eos_token_id=[2, 0])
    raw = with_expert(study_raw(tmp_path), teacher)
    raw["tasks"][0]["runs"][-1]["method"] = "sft"
    assert check(raw) == []


def test_the_parts_of_a_mixture_are_not_cut(tmp_path):
    raw = with_expert(study_raw(tmp_path), model_folder(tmp_path / "teacher", vocab_size=9))
    raw["tasks"][0]["runs"].pop()
    parts = {"teacher": 0.5, "expert": 0.5}
    raw["tasks"][0]["experts"].append({"name": "mixture", "kind": "mixture", "parts": parts})
    Study.model_validate(raw)
    (problem,) = check(raw)
    assert "logits 9 and 3 wide" in problem and "mix models of one tokenizer" in problem


# ---- the program ----


def widened(folder: Path, rows: int) -> Path:
    """The policy in a folder with rows that no token has, which would get much of the mass."""
    model, tokenizer = load_model(folder, "float32"), load_tokenizer(folder)
    model.resize_token_embeddings(rows, mean_resizing=False)
    with torch.no_grad():
        model.get_input_embeddings().weight[TOKENS:] = 4 * torch.randn(rows - TOKENS, 16)
    save_policy(model, tokenizer, folder)
    return folder


def distilled(folder: Path, *, student: int = TOKENS, teacher: int = TOKENS) -> Path:
    """The student after one update, where it and its teacher have so many rows."""
    inputs(folder)
    for name, seed, rows in (("base", 1, student), ("expert", 2, teacher)):
        policy = make(folder / name / "step0", chat=template(""), generation=BYTE_END, seed=seed)
        if rows > TOKENS:
            widened(policy, rows)
    words = [folder / "expert" if w == folder / "base" else w for w in command("distill", folder)]
    run("distill", *words)
    return folder / "distill" / "checkpoints" / "step1"


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    return distilled(tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize(
    "wider", [{"teacher": 300}, {"student": 280}, {"student": 280, "teacher": 300}]
)
def test_rows_of_padding_change_nothing(wider, plain, tmp_path):
    made, expected = distilled(tmp_path, **wider), load_file(plain / "model.safetensors")
    rows = 280 if len(wider) == 2 else TOKENS
    assert json.loads((made / "config.json").read_text())["vocab_size"] == rows
    weights = load_file(made / "model.safetensors")
    assert weights["model.embed_tokens.weight"].shape[0] == rows
    if rows == TOKENS:
        assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_the_program_refuses_what_preflight_refuses(tmp_path):
    inputs(tmp_path)
    chat = {"chat": template(""), "generation": BYTE_END}
    make(tmp_path / "base" / "step0", **chat)
    words = [
        tmp_path / "expert" if w == tmp_path / "base" else w for w in command("distill", tmp_path)
    ]
    expert = make(tmp_path / "expert" / "step0", **chat | {"generation": [BYTE_END, IM_END]})
    assert "end a response with different tokens, ids [2] and [2, 259]" in refusal(
        "distill", *words
    )
    changed(expert / "generation_config.json", eos_token_id=BYTE_END)
    changed(expert / "tokenizer_config.json", chat_template=template("!"))
    message = refusal("distill", *words)
    assert "write prompts differently" in message and "give both one `chat_template`" in message
    changed(expert / "tokenizer_config.json", chat_template=template(""))
    model = load_model(expert)
    cut_vocabulary(model, TOKENS - 2)
    save_policy(model, load_tokenizer(expert), expert)
    message = refusal("distill", *words)
    assert "logits 264 and 262 wide" in message and "id 262 is '<|end_of_text|>'" in message
