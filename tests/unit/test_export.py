"""Policies in plain transformers: the study's own tokens and responses, and a card that is true."""

import json
import os
import subprocess
import sys
from pathlib import Path

import exported
import pytest
import torch
import yaml
from in_process import refusal, run
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM

from online_il.chat import as_text
from online_il.config.architecture import Architecture
from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.export.folder import of_another_type
from online_il.generation.engines import open_engine
from online_il.models import byte_tokenizer, new_model, save_policy, word_tokenizer
from online_il.tasks.miniature import VOCABULARY

SHAPE = Architecture(hidden_size=16, intermediate_size=32, layers=1, heads=2, head_dim=8)
PROMPTS = ["<bos> 3 12 40 T 19 :", "<bos> 5 6 T 30 :", "<bos> F 98 7 :", "<bos> 1 2 3 4 T 10 :"]
ASKED = [as_text([{"role": "user", "content": text}]) for text in ("4 + 40 e\u0301?", "no\u00e9")]
GREEDY = {"temperature": 0.0, "top_k": 0, "top_p": 1.0, "max_new_tokens": 12}
DRAWN = {"temperature": 0.7, "top_k": 50, "top_p": 0.9, "max_new_tokens": 12}
RIGHT = [True, True, True, False]
PLAIN = """
import contextlib, io, json, os, sys
from transformers import AutoModelForCausalLM, AutoTokenizer

found = {}
for folder, prompts in json.load(open(sys.argv[1])).items():
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    found[folder] = []
    for text in prompts:
        if text.startswith("["):
            ids = tokenizer.apply_chat_template(
                json.loads(text), add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
        else:
            ids = tokenizer(text, return_tensors="pt")
        new = model.generate(**ids, do_sample=False, max_new_tokens=12)[0]
        cut = ids["input_ids"].shape[1]
        said = tokenizer.decode(new[cut:], skip_special_tokens=True)
        found[folder].append([ids["input_ids"][0].tolist(), said])
    if os.path.exists(folder + "/README.md"):
        os.chdir(folder)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(open("README.md").read().split("```python\\n")[1].split("```")[0], {})
        found[folder].append(out.getvalue().removesuffix("\\n"))
assert not [name for name in sys.modules if name.startswith("online_il")]
print(json.dumps(found))
"""


def saved(folder: Path, tokenizer, kind=None, seed: int = 0) -> Path:
    """A policy far from uniform; `kind` makes its model of Qwen2's own class, as it once was."""
    model = new_model(SHAPE, tokenizer, max_length=256, seed=seed)
    if kind is not None:
        shared = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "head_dim")
        shared += ("num_attention_heads", "num_key_value_heads", "max_position_embeddings")
        shared += ("tie_word_embeddings", "pad_token_id", "bos_token_id", "eos_token_id")
        of = {name: getattr(model.config, name) for name in shared}
        weights, model = model.state_dict(), Qwen2ForCausalLM(Qwen2Config(**of, **kind))
        model.load_state_dict(weights)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter *= 8
            if name.endswith("bias"):
                parameter += torch.randn_like(parameter)
    save_policy(model, tokenizer, folder)
    return folder


def answers(policy: Path, prompts=PROMPTS) -> list:
    """What the study's own engine says, greedily."""
    engine = open_engine(Generation(engine="loop", batch_size=4))
    engine.load(policy)
    keys = [(number, 0) for number in range(len(prompts))]
    return engine.respond(prompts, keys, sampling=Sampling(**GREEDY), seed=1)


def texts(policy: Path, prompts=PROMPTS) -> list[str]:
    return [one.text for one in answers(policy, prompts)]


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A base, its student, and an expert of before November 2026, whose type is qwen2."""
    root = tmp_path_factory.mktemp("study")
    results, words = root / "results" / "mini", word_tokenizer(VOCABULARY)
    exported.write_prompts(results, PROMPTS)
    base = saved(root / "base", words)
    made = exported.lay(results, base, "base")
    exported.evaluate(results, made, texts(base), correct=[True] * 4, sampling=GREEDY)
    old = saved(root / "old", words, {}, seed=1)
    begun = made.checkpoints[0].weights_hash
    made = exported.lay(
        results, old, "expert", method="grpo", start="base", initial_weights_hash=begun, step=5
    )
    exported.evaluate(results, made, texts(old), correct=RIGHT, sampling=DRAWN)
    exported.lay(
        results,
        saved(root / "student", words, seed=2),
        "sft",
        method="sft",
        start="base",
        expert="expert",
        expert_hash="e" * 64,
        initial_weights_hash=begun,
        step=3,
        settings={"place": "/home/me/secret", "steps": 3, "base": {"folder": "/home/me/secret"}},
    )
    return results


@pytest.fixture(scope="module")
def folders(results, tmp_path_factory) -> dict[str, Path]:
    """All of them exported."""
    place = tmp_path_factory.mktemp("exported")
    before = os.umask(0o077)
    try:
        for name in ("base", "expert", "sft"):
            run("export", results, f"countdown/{name}/seed1", "--output", place / name)
    finally:
        os.umask(before)
    return {path.name: path for path in place.iterdir()}


def published(results: Path, run: str, number: int) -> Path:
    return results / "runs" / "countdown" / run / "seed1" / "checkpoints" / f"step{number}"


def test_plain_transformers_reads_and_answers_as_the_study_does(results, folders, tmp_path):
    """The checkpoints themselves and what is exported, in a process without this package."""
    chatty = saved(tmp_path / "random", byte_tokenizer())
    asked = {
        **dict.fromkeys(folders.values(), PROMPTS),
        published(results, "base", 0): PROMPTS,
        published(results, "sft", 3): PROMPTS,
        chatty: ASKED,
    }
    (tmp_path / "asked.json").write_text(json.dumps({str(k): v for k, v in asked.items()}))
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, tmp_path / "asked.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    for folder, prompts in asked.items():
        said = found[str(folder)]
        assert [one for _, one in said[: len(prompts)]] == texts(folder, prompts)
        if prompts is PROMPTS:
            ids = [[VOCABULARY.index(word) for word in text.split()] for text in prompts]
            assert [one for one, _ in said[:4]] == ids
    own = {name: texts(folder) for name, folder in folders.items()}
    assert own["expert"] == texts(published(results, "expert", 5))
    # What the card shows: the base is greedy by itself, as it was evaluated.
    assert found[str(folders["base"])][4] == own["base"][0]


def test_an_exported_policy_samples_as_it_was_evaluated(folders):
    settings = {
        name: json.loads((folder / "generation_config.json").read_text())
        for name, folder in folders.items()
    }
    ends = {"bos_token_id": 1, "eos_token_id": [2], "pad_token_id": 0}
    for found in settings.values():
        assert found.items() >= ends.items() and found.pop("transformers_version")
    assert settings["base"] == ends | {"do_sample": False, "max_new_tokens": 12}
    assert settings["expert"] == ends | {"do_sample": True} | DRAWN
    assert settings["sft"] == ends, "nobody knows yet how it is evaluated"


def test_all_files_may_be_read_and_are_those_of_the_checkpoint(results, folders):
    for folder in folders.values():
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}
    source, copy = published(results, "expert", 5), folders["expert"]
    assert {path.name for path in copy.iterdir()} == {
        *(path.name for path in source.iterdir()),
        "README.md",
    }
    for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        assert (copy / name).read_bytes() == (source / name).read_bytes()
        assert not (copy / name).samefile(source / name), "who edits it edits no result"


def test_a_card_says_what_is_known(results, folders):
    text = (folders["expert"] / "README.md").read_text()
    _, head, body = text.split("---\n", 2)
    assert yaml.safe_load(head) == {
        "license": "mit",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["online-il", "imitation-learning", "grpo"],
    }
    assert body.startswith("\n# countdown/expert/seed1, step 5\n")
    assert "trained by GRPO on the task's reward" in body
    assert "| in distribution | 0.750 [" in body
    assert "temperature 0.7, top k 50, top p 0.9, max new tokens 12" in body
    assert "| id | own/data | seed 1 | 4 |" in body
    record = json.loads((results / "runs/countdown/expert/seed1/run.json").read_text())
    for value in (record["checkpoints"][0]["weights_hash"], "9" * 64, "c0de"):
        assert f"`{value}`" in body
    assert "In the study its type is `qwen2`. Here it is `seed_oss`" in body
    # All right: Wilson's interval of 4 in 4 begins at 4 / (4 + 1.96^2) = 0.510.
    assert "| 1.000 [0.510, 1.000] |" in (folders["base"] / "README.md").read_text()


def test_a_card_names_the_expert_and_no_folder_of_this_machine(folders):
    text = (folders["sft"] / "README.md").read_text()
    assert "trained by SFT on the responses of the expert `expert`" in text
    assert "- Base: `base`, seed 1: trained from scratch on generated data." in text
    assert "- Expert: `expert`, seed 1: GRPO." in text and "e" * 64 in text
    assert "Not evaluated when this card was written. Once the study is" in text
    assert "secret" not in text and '"steps": 3' in text


@pytest.mark.parametrize(
    ("settings", "head", "words"),
    [
        (
            {"kind": "model", "repo": "some/model", "revision": "a" * 40},
            {"base_model": "some/model", "license_link": "https://huggingface.co/some/model"},
            f"some/model at {'a' * 40} (https://huggingface.co/some/model).",
        ),
        (
            {"kind": "package", "package": "own", "version": "1.0", "file": "own/a.gguf"},
            {"license_link": "https://pypi.org/project/own/1.0/"},
            "own 1.0, own/a.gguf (https://pypi.org/project/own/1.0/).",
        ),
        (
            {"kind": "model", "repo": None, "place": "/home/me/secret"},
            {},
            "a folder of the user's own.",
        ),
        ({"origin": {"kind": "package", "package": "o", "version": "2", "file": "f"}}, {}, "o 2"),
        ({"kind": "random"}, {"license": "mit"}, "MIT"),
    ],
)
def test_the_licence_is_that_of_the_base(results, tmp_path, settings, head, words):
    exported.write_prompts(tmp_path / "own", PROMPTS)
    source = published(results, "base", 0)
    exported.lay(tmp_path / "own", source, "base", method="pretrained", settings=settings)
    run("export", tmp_path / "own", "countdown/base/seed1", "--output", tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    metadata = yaml.safe_load(text.split("---\n")[1])
    assert metadata.items() >= ({"license": "other"} | head).items()
    assert ("base_model" in metadata) == (settings.get("repo") is not None)
    assert words in text.split("## Licence")[1] and "secret" not in text


# ---- what is refused ----


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("countdown/exprt/seed1", "no policy 'countdown/exprt/seed1' in it; name <task>/<run>/"),
        ("expert", "there are countdown/base/seed1, countdown/expert/seed1, countdown/sft/seed1"),
    ],
)
def test_an_unknown_policy_is_told_with_those_there_are(results, tmp_path, name, words):
    assert words in refusal("export", results, name, "--output", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_no_results_and_no_study_in_them_are_told(tmp_path):
    words = refusal("export", tmp_path / "none", "a/b/seed1", "--output", tmp_path / "out")
    assert "none: no such folder; name a study's results" in words
    words = refusal("export", tmp_path, "a/b/seed1", "--output", tmp_path / "out")
    assert words.endswith("there are none: run the study first")


def test_an_unknown_step_is_told_with_those_there_are(results, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        given = ("--output", tmp_path / "out", "--step", 4)
        run("export", results, "countdown/expert/seed1", *given)
    assert ended.value.code == 2
    assert "--step: countdown/expert/seed1 has no step 4; there are [5]" in capsys.readouterr().err


def test_a_folder_that_is_there_stays_as_it_is(results, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("all of it")
    words = refusal("export", results, "countdown/sft/seed1", "--output", tmp_path / "mine")
    assert "mine: is there already; delete it, or name another folder" in words
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "all of it"


def test_a_mixture_is_no_single_model(results, tmp_path):
    exported.write_prompts(tmp_path / "own", PROMPTS)
    (tmp_path / "mix" / "parts").mkdir(parents=True)
    (tmp_path / "mix" / "parts" / "expert").symlink_to(published(results, "expert", 5))
    (tmp_path / "mix" / "mixture.json").write_text("{}")
    parts = {"parts": {"expert": 0.5, "solver": 0.5}}
    exported.lay(tmp_path / "own", tmp_path / "mix", "both", method="mixture", settings=parts)
    words = refusal("export", tmp_path / "own", "countdown/both/seed1", "--output", tmp_path / "x")
    assert "a mixture of expert, solver is no single model; name one of these" in words


def test_weights_of_another_hash_are_not_given_away(results, tmp_path):
    exported.write_prompts(tmp_path / "own", PROMPTS)
    exported.lay(tmp_path / "own", published(results, "sft", 3), "base")
    weights = published(tmp_path / "own", "base", 0) / "model.safetensors"
    content = weights.read_bytes()
    weights.unlink()  # A link to the other study's.
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    words = refusal("export", tmp_path / "own", "countdown/base/seed1", "--output", tmp_path / "x")
    assert "its weights have another hash than" in words and not (tmp_path / "x").exists()


def test_a_model_whose_tokens_plain_transformers_gets_wrong_is_refused(tmp_path):
    """A window that slides: seed_oss has none."""
    exported.write_prompts(tmp_path / "own", PROMPTS)
    sliding = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0}
    policy = saved(tmp_path / "sliding", word_tokenizer(VOCABULARY), sliding)
    exported.lay(tmp_path / "own", policy, "base")
    words = refusal("export", tmp_path / "own", "countdown/base/seed1", "--output", tmp_path / "x")
    assert f"AutoTokenizer reads {PROMPTS[-1]!r} as other tokens than the study" in words
    assert "model_type is 'qwen2'" in words
    assert {path.name for path in tmp_path.iterdir()} == {"own", "sliding"}


# ---- the other type ----


OLD = {"head_dim": None, "rope_parameters": None, "rope_theta": 50.0}


@pytest.mark.parametrize(
    ("shape", "changes"),
    [
        ({}, {}),
        ({}, OLD),
        ({"num_key_value_heads": 1, "tie_word_embeddings": False, "rms_norm_eps": 0.1}, {}),
        ({}, OLD | {"rope_scaling": {"type": "linear", "factor": 2.0}}),
    ],
    ids=str,
)
def test_the_other_type_computes_the_same_of_the_same_weights(tmp_path, shape, changes):
    """Of configs as transformers 5 writes them, and as the hub has them from before."""
    torch.manual_seed(0)
    made = {"vocab_size": 23, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2}
    made |= {"num_attention_heads": 4, "max_position_embeddings": 64, "initializer_range": 0.4}
    made |= {"num_key_value_heads": 2, "tie_word_embeddings": True, "sliding_window": 32768}
    model = Qwen2ForCausalLM(Qwen2Config(**made | shape))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter += torch.randn_like(parameter)
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | changes
    config = {key: value for key, value in config.items() if value is not None}
    ids = torch.tensor([[3, 7, 11, 2, 9, 5, 22, 1]])
    logits = []
    for one in (config, of_another_type(config)):
        (tmp_path / "config.json").write_text(json.dumps(one))
        read, found = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
        assert not any(found.values())
        assert read.config.model_type == one["model_type"]
        with torch.inference_mode():
            logits.append(read.eval()(ids).logits)
    assert torch.equal(*logits)


@pytest.mark.parametrize(
    "config", [{"model_type": "llama"}, {"model_type": "qwen2", "use_sliding_window": True}, {}]
)
def test_no_other_type_is_given_to_what_would_compute_something_else(config):
    assert of_another_type(config) is None
