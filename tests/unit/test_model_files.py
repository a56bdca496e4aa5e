"""Folders that are no model for this study: each fault is named by file and key, with a remedy."""

import json
import shutil
from pathlib import Path

import pytest
from configs import ROOT
from preflight_studies import NO_TENSORS, check, model_folder, study_raw

from online_il import hub
from online_il.chat import as_text
from online_il.config.hub import Model, Tokenizer
from online_il.errors import InputError
from online_il.model_files import faults
from online_il.preflight.templates import prompts_of
from online_il.studies import load_study
from online_il.tasks import english

CODE = {"AutoModelForCausalLM": "modeling_own.OwnForCausalLM"}


def set_json(folder: Path, name: str, **values: object) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def removed(*names: str):
    return lambda folder: [(folder / name).unlink() for name in names]


def replaced(name: str, other: str, content: bytes = b"pickled"):
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / other).write_bytes(content)

    return change


def written(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content)


def with_values(name: str, **values: object):
    return lambda folder: set_json(folder, name, **values)


FAULTS = {
    "no config": (removed("config.json"), "no config.json", "copy the whole model"),
    "config is a list": (written("config.json", b"[]"), "config.json is damaged", "copy"),
    "an adapter alone": (
        replaced("config.json", "adapter_config.json", b"{}"),
        "an adapter alone",
        "merge_and_unload",
    ),
    "no tokenizer": (removed("tokenizer.json"), "no tokenizer.json", "copy the whole model"),
    "an old tokenizer": (
        replaced("tokenizer.json", "tokenizer.model"),
        "but tokenizer.model, which is not read",
        "AutoTokenizer",
    ),
    "a damaged tokenizer": (written("tokenizer.json", b"{"), "tokenizer.json is damaged", "copy"),
    "no weights": (removed("model.safetensors"), "no *.safetensors", "copy the whole model"),
    "pickled weights": (
        replaced("model.safetensors", "pytorch_model.bin"),
        "pytorch_model.bin: pickled weights run code",
        "save_pretrained",
    ),
    "a GGUF": (
        replaced("model.safetensors", "small.Q4_0.gguf"),
        "small.Q4_0.gguf: GGUF is not read",
        "save_pretrained",
    ),
    "half a file of weights": (
        written("model.safetensors", (99).to_bytes(8, "little") + b"{}"),
        "model.safetensors is no whole safetensors file (10 bytes)",
        "copy the whole model",
    ),
    "a header of another form": (
        written("model.safetensors", (8).to_bytes(8, "little") + b'{"a":{}}'),
        "model.safetensors is no whole safetensors file",
        "copy the whole model",
    ),
    "a pointer of git-lfs": (
        written("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "model.safetensors is a pointer of git-lfs",
        "git lfs pull",
    ),
    "a lost part": (
        written("model.safetensors.index.json", b'{"weight_map": {"a": "model-2.safetensors"}}'),
        "no model-2.safetensors",
        "copy the whole model",
    ),
    "code of its own": (
        with_values("config.json", auto_map=CODE),
        "config.json: auto_map: modeling_own.OwnForCausalLM is code of the model's own",
        "remove auto_map",
    ),
    "a tokenizer of its own": (
        with_values("tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Tokens", None]}),
        "tokenizer_config.json: auto_map:",
        "remove auto_map",
    ),
    "no causal model": (
        with_values("config.json", architectures=["T5ForConditionalGeneration"]),
        "architectures: T5ForConditionalGeneration is no language model",
        "ForCausalLM",
    ),
    "more tokens than rows": (
        with_values("config.json", vocab_size=2),
        "tokenizer.json has a token of id 2, and config.json: vocab_size: 2",
        "of one model",
    ),
}


@pytest.fixture
def raw(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-secret")
    study = study_raw(tmp_path)
    base = study["tasks"][0]["base"]
    del base["repo"], base["revision"]
    study["plan"]["models"] = {}
    return study


def test_a_folder_alone_is_a_model_named_by_its_path(raw, tmp_path):
    assert check(raw) == []
    assert Model(folder="there").called == Model(folder="there").short == "there"


@pytest.mark.parametrize("name", FAULTS)
def test_a_folder_that_is_no_model_is_named_before_anything_runs(raw, tmp_path, name):
    break_it, what, remedy = FAULTS[name]
    break_it(tmp_path / "student")
    (problem,) = check(raw)
    assert problem.startswith(f"countdown, {tmp_path / 'student'}: ")
    assert what in problem and remedy in problem.rpartition("; ")[2]
    with pytest.raises(InputError) as caught:
        hub.model_folder(Model(folder=str(tmp_path / "student")))
    assert what in str(caught.value) and "\n" not in str(caught.value)


def test_all_that_is_wrong_is_told_at_once(raw, tmp_path):
    for name in ("code of its own", "pickled weights", "no tokenizer"):
        FAULTS[name][0](tmp_path / "student")
    found = check(raw)
    assert len(found) == 3
    for name in ("code of its own", "pickled weights", "no tokenizer"):
        assert sum(FAULTS[name][1] in problem for problem in found) == 1


def test_a_whole_folder_has_no_fault(tmp_path):
    folder = model_folder(tmp_path / "whole", architectures=["Qwen2ForCausalLM"])
    assert list(faults(folder)) == []
    tensor = b'{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"__metadata__":{"x":"y"}}'
    whole = len(tensor).to_bytes(8, "little") + tensor + b"abc"
    (folder / "model.safetensors").write_bytes(whole)
    assert list(faults(folder)) == []
    (folder / "model.safetensors").write_bytes(whole[:-1])
    assert len(list(faults(folder))) == 1


def test_a_tokenizer_is_a_folder_alone_too(tmp_path):
    folder = model_folder(tmp_path / "model")
    tokenizer = Tokenizer(folder=str(folder))
    assert hub.tokenizer_folder(tokenizer) == folder
    shutil.move(folder / "tokenizer.json", folder / "other.json")
    with pytest.raises(InputError, match=rf"tokenizer {folder}: no tokenizer.json.*`folder`"):
        hub.tokenizer_folder(tokenizer)


def test_a_model_that_lies_nowhere_is_refused_in_the_config():
    (problem,) = Model().problems()
    assert problem.keys == ("repo",) and "folder alone" in problem.remedy
    (problem,) = Model(repo="a/b", folder="there").problems()
    assert problem.keys == ("revision",) and "40 hexadecimal digits" in problem.remedy
    (problem,) = Model(revision="a" * 40).problems()
    assert problem.keys == ("repo",)
    assert list(Model(folder="there").problems()) == []
    assert list(Model(repo="a/b", revision="a" * 40).problems()) == []


# ---- templates and ends ----

QUIET = "{% for m in messages if m['role'] != 'assistant' %}<{{ m['content'] }}>{% endfor %}content"
TEMPLATES = {
    "swallows the primer": (QUIET, "swallows the beginning of the answer"),
    "swallows a part of it": (
        "{% for m in messages %}{{ m['content'].split('<think>')[-1] }}{% endfor %}",
        "swallows the beginning of the answer",
    ),
    "knows no system": (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('System role not "
        "supported') }}{% endif %}{{ m['content'] }}{% endfor %}",
        "fails on the task's prompts (System role not supported)",
    ),
    "leaves out the system": (
        "{% for m in messages if m['role'] != 'system' %}{{ m['content'] }}{% endfor %}",
        "leaves out the message of the system",
    ),
    "leaves out the question": (
        "{% for m in messages if m['role'] != 'user' %}{{ m['content'] }}{% endfor %}",
        "leaves out the message of the user",
    ),
    "is no template": ("{% for m in messages %}", "fails on the task's prompts"),
}


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("own", [False, True])
def test_a_template_that_swallows_something_is_named(raw, tmp_path, name, own):
    text, what = TEMPLATES[name]
    if own:
        (tmp_path / "own.jinja").write_text(text)
        raw["tasks"][0]["base"]["chat_template"] = str(tmp_path / "own.jinja")
    else:
        set_json(tmp_path / "student", "tokenizer_config.json", chat_template=text)
    found = [problem for problem in check(raw) if what in problem]
    assert len(found) == 1
    assert "config/chat.jinja" in found[0]


def test_an_end_that_the_template_never_writes_is_named(raw, tmp_path):
    text = "{% for m in messages %}{{ m['content'] }}[/end]\n{% endfor %}"
    set_json(tmp_path / "student", "tokenizer_config.json", chat_template=text)
    (problem,) = check(raw)
    assert "writes '[/end]\\n' after an answer" in problem and "never writes <end>" in problem


def test_weights_that_nobody_may_read_are_read_to_the_end_of_their_header(tmp_path):
    assert model_folder(tmp_path / "a").joinpath("model.safetensors").read_bytes() == NO_TENSORS


def test_a_template_is_tried_with_the_question_that_its_task_asks():
    asked = {
        name: as_text(prompts_of(load_study(ROOT / "config" / f"{name}.yaml").tasks[0]))
        for name in ("small", "paper")
    }
    assert english.is_prompt(asked["small"]) and not english.is_prompt(asked["paper"])
    assert "<think>" in asked["paper"]
