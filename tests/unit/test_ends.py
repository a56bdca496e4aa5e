"""Where a response ends: one answer for training, rollouts, sampling, evaluation and preflight."""

import json
import math
from pathlib import Path

import pytest
import torch
from ending_policies import (
    BYTE_END,
    EOT,
    IM_END,
    LLAMA_END,
    TEXT_END,
    TURN_END,
    changed,
    make,
    template,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from in_process import refusal, run
from training_runs import (
    DISTILL,
    GRPO,
    LOOP,
    PROMPTS,
    TRANSFORMERS,
    WORDS,
    arguments,
    program,
    reward,
    rows_of,
    saving,
    tiny,
)

from online_il.chat import as_text
from online_il.ends import end_ids, trained_end
from online_il.errors import InputError
from online_il.files import write_table
from online_il.generation.tokens import Tokens
from online_il.models import load_model, load_tokenizer, save_policy, word_tokenizer
from online_il.records import Prompts, Samples
from online_il.training import distill, grpo, rollouts, supervised
from online_il.training.common import Demonstration

ROOT = Path(__file__).parents[2]
OURS = (ROOT / "config" / "chat.jinja").read_text()
# eos_token, eos_token_id of config and generation config, chat template -> ends, trained end.
KNOWN = {
    "smollm2-instruct": (
        ("<|im_end|>", IM_END, IM_END, template("<|im_end|>")),
        ([IM_END], IM_END),
    ),
    "qwen2.5-instruct": (
        ("<|im_end|>", IM_END, [IM_END, TEXT_END], template("<|im_end|>")),
        ([IM_END, TEXT_END], IM_END),
    ),
    "llama-3.2-instruct": (
        ("<|eot_id|>", [LLAMA_END, EOT], [LLAMA_END, EOT], template("<|eot_id|>")),
        ([LLAMA_END, EOT], EOT),
    ),
    "llama-3.2, our template": (
        ("<|end_of_text|>", LLAMA_END, LLAMA_END, OURS),
        ([LLAMA_END], LLAMA_END),
    ),
    "gemma: the template's end is not the tokenizer's": (
        ("<eos>", BYTE_END, [BYTE_END, TURN_END], template("<end_of_turn>")),
        ([BYTE_END, TURN_END], TURN_END),
    ),
    "the config knows an end more": (
        ("<|im_end|>", [TEXT_END, IM_END], IM_END, template("{{ eos_token }}")),
        ([IM_END, TEXT_END], IM_END),
    ),
    "no generation config": (
        ("<eos>", [TEXT_END, BYTE_END], None, template("")),
        ([TEXT_END, BYTE_END], BYTE_END),
    ),
    "templates by name": (
        ("<eos>", BYTE_END, [TURN_END], [{"name": "default", "template": template(" <eos>")}]),
        ([TURN_END, BYTE_END], BYTE_END),
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_ends_of_known_models(tmp_path, name):
    (eos, config, generation, chat), (ends, trained) = KNOWN[name]
    policy = make(tmp_path / "p", eos=eos, config=config, generation=generation, chat=chat)
    assert end_ids(policy) == ends == Tokens(policy).ends
    assert trained_end(policy, conversation=True) == trained
    own = load_tokenizer(policy).eos_token_id
    assert trained_end(policy, conversation=False) == own
    model = load_model(policy)
    assert model.generation_config.eos_token_id == ends
    assert model.generation_config.repetition_penalty in (None, 1.0)


REFUSED = {
    "the tokenizer's end is not the model's": (
        ("<|im_end|>", TEXT_END, TEXT_END, template("<|im_end|>")),
        ["<|im_end|> (id 259)", "[260]", "eos_token of its tokenizer_config.json", "`folder`"],
    ),
    "qwen2.5 base with its own template": (
        ("<|endoftext|>", TEXT_END, TEXT_END, template("<|im_end|>")),
        ["chat template", "<|im_end|> (id 259)", "[260]", "`chat_template`", "config/chat.jinja"],
    ),
    "llama-3.2 with a template of the instructed one": (
        ("<|end_of_text|>", LLAMA_END, LLAMA_END, template("<|eot_id|>")),
        ["chat template", "<|eot_id|> (id 261)", "[262]", "`chat_template`", "`folder`"],
    ),
    "no end at all": (("<eos>", None, None, template("")), ["no eos_token_id", "`folder`"]),
    "no end of the tokenizer's": ((None, 2, 2, template("")), ["names no end of sequence"]),
    "an end that is no token": (("<stop>", 2, 2, template("")), ["<stop>", "no token"]),
    "an id that the model has not": (("<eos>", 2, [2, 9999], template("")), ["9999"]),
    "an id that is none": (("<eos>", "2", 2, template("")), ["'2'", "config.json"]),
    "a template that fails": (
        ("<eos>", 2, 2, "{{ raise_exception('only system') }}"),
        ["only system", "`chat_template`"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_ends_that_do_not_fit_are_refused_with_the_remedy(tmp_path, name):
    (eos, config, generation, chat), parts = REFUSED[name]
    policy = make(tmp_path / "p", eos=eos, config=config, generation=generation, chat=chat)
    with pytest.raises(InputError) as refused:
        trained_end(policy, conversation=True)
    for part in [str(policy), *parts]:
        assert part in str(refused.value)


@settings(max_examples=30, deadline=None)
@given(
    config=st.lists(st.integers(259, 263), max_size=3),
    generation=st.lists(st.integers(259, 263), max_size=3),
    eos=st.integers(0, 4),
)
def test_any_lists_of_ends_join_and_hold_the_tokenizers(tmp_path_factory, config, generation, eos):
    folder = tmp_path_factory.mktemp("ends")
    (folder / "config.json").write_text(json.dumps({"eos_token_id": config, "vocab_size": 264}))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": generation}))
    added = [{"content": f"<{i}>", "id": 259 + i} for i in range(5)]
    content = {"model": {"vocab": {}}, "added_tokens": added}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": f"<{eos}>"}))
    if 259 + eos in config + generation:
        assert sorted(end_ids(folder)) == sorted({*config, *generation})
        assert trained_end(folder, conversation=False) == 259 + eos
    else:
        with pytest.raises(InputError):
            end_ids(folder)


# ---- the programs ----

QUESTION = as_text([{"role": "user", "content": "2 + 2?"}])


def inputs(folder: Path, text: str = QUESTION) -> Path:
    """One prompt, and two demonstrations of it as text: one whole, one cut off."""
    prompt = {"prompt_id": "train-0", "task": "t", "split": "train", "text": text}
    prompt |= {"answer": '{"grader": "math", "reference": "4"}', "source": "x", "revision": "1"}
    write_table([prompt], Prompts, folder / "prompts.parquet", {})
    sample = {"prompt_id": "train-0", "policy": "x", "seed": 1, "text": "4!", "n_tokens": 3}
    sample |= {
        "reward": 1.0,
        "reward_tinyzero": math.nan,
        "correct_strict": math.nan,
        "correct": True,
    }
    sample |= {"format_ok": True, "token_ids": None}
    rows = [
        sample | {"sample_index": i, "finish_reason": reason}
        for i, reason in enumerate(("stop", "length"))
    ]
    write_table(rows, Samples, folder / "samples.parquet", {})
    return folder


def command(method: str, folder: Path) -> list[object]:
    own = {"batch_size": 2} if method != "grpo" else {"prompts_per_step": 1}
    own |= {
        "sft": {"demonstrations": 2},
        "distill": {"temperature": 1.0, "max_new_tokens": 4},
        "grpo": {"rollouts_per_prompt": 2, "updates_per_step": 1, "temperature": 1.0}
        | {"kl_coefficient": 0.1, "clip_ratio": 0.2, "entropy_coefficient": 0.0}
        | {"max_new_tokens": 4},
    }[method]
    own |= {"micro_batch_size": 2, "max_grad_norm": 1.0, "checkpoints": [1]}
    script, *rest = program(
        method,
        folder,
        folder / method,
        own,
        task="t",
        expert=folder / "base",
        learning_rate=1e-6,
        save_minutes=10,
    )
    assert Path(str(script)).stem == method
    return rest


class Rows(Exception):
    """Stops a program where its training would begin."""


def learned(patch, folder: Path) -> list[Demonstration]:
    """The rows that the program `sft` would train on; all of a response is trained on."""

    def stop(_, __, rows, *___, **____):
        raise Rows(rows)

    patch.setattr(supervised, "train", stop)
    with pytest.raises(Rows) as stopped:
        run("sft", *command("sft", folder))
    found = []
    for row in stopped.value.args[0].rows:
        prompt = row["labels"].count(-100)
        assert row["labels"] == [-100] * prompt + row["input_ids"][prompt:]
        found.append(Demonstration(row["input_ids"][:prompt], row["input_ids"][prompt:]))
    return found


@pytest.mark.parametrize(("text", "end"), [(QUESTION, TURN_END), ("2 + 2?", BYTE_END)])
def test_sft_learns_the_end_that_the_template_writes(tmp_path, monkeypatch, text, end):
    chat = template("<end_of_turn>")
    make(tmp_path / "base" / "step0", generation=[BYTE_END, TURN_END], chat=chat)
    whole, cut = learned(monkeypatch, inputs(tmp_path, text))
    assert whole.response == [*cut.response, end]
    assert Tokens(tmp_path / "base" / "step0").text(cut.response) == "4!"


@pytest.mark.parametrize("method", ["sft", "grpo", "distill"])
def test_the_programs_refuse_a_template_that_ends_with_another_token(tmp_path, method):
    chat = template("<|eot_id|>")
    make(tmp_path / "base" / "step0", chat=chat)
    message = refusal(method, *command(method, inputs(tmp_path)))
    assert "<|eot_id|> (id 261)" in message and "`chat_template`" in message


# ---- rollouts and what is published ----

ENDS = [2, 5]


@pytest.fixture
def two_ends(tmp_path) -> Path:
    """A policy that ends with either of two tokens, the first of which is its padding, too."""
    folder = tmp_path / "base"
    save_policy(tiny(), word_tokenizer(WORDS), folder)
    changed(folder / "generation_config.json", eos_token_id=ENDS, top_p=0.9, do_sample=True)
    changed(folder / "config.json", bos_token_id=7, torch_dtype="float32", dtype=None)
    changed(folder / "tokenizer_config.json", pad_token="<eos>")
    return folder


def check_published(base: Path, policy: Path) -> None:
    """A policy's configs are its base's, but for the name of the data type."""
    files = ("config.json", "generation_config.json")
    here, there = ([json.loads((f / n).read_text()) for n in files] for f in (policy, base))
    assert there[0].pop("torch_dtype") == here[0].pop("dtype") == "float32"
    assert here == there
    assert end_ids(policy) == end_ids(base)


@pytest.mark.parametrize("method", ["grpo", "grpo, generate", "distill"])
@pytest.mark.slow
def test_rollouts_end_with_any_end_and_the_others_are_cut_off(
    two_ends, tmp_path, monkeypatch, method
):
    cuts = []
    group = rollouts.group_by_length
    monkeypatch.setattr(
        rollouts, "group_by_length", lambda b, n: cuts.append(list(b)) or group(b, n)
    )
    model, tokenizer = load_model(two_ends), load_tokenizer(two_ends)
    common = {
        "generation": TRANSFORMERS if "generate" in method else LOOP,
        "arguments": arguments(tmp_path, updates=1),
        "checkpoints": [1],
        "saving": saving(tmp_path),
        "progress": tmp_path / "progress.json",
    }
    prompts = [{"prompt": PROMPTS[i % 4]} for i in range(8)]
    if method == "distill":
        recorder = distill.train(model, tiny(1), tokenizer, prompts, DISTILL, **common)
    else:
        one = GRPO.model_copy(update={"updates_per_step": 1})
        recorder = grpo.train(model, tokenizer, prompts, reward, one, **common)
    (batches,) = cuts
    found = [row[1] for row in rows_of(batches)]
    ended = [ids[-1] in ENDS for ids in found]
    assert not any(token in ENDS for ids in found for token in ids[:-1])
    assert {ids[-1] for ids in found} >= set(ENDS), "both end some response here"
    assert recorder.rows[0]["truncation_rate"] == pytest.approx(1 - sum(ended) / len(ended))
    check_published(two_ends, tmp_path / "saved" / "published" / "step1")


@pytest.mark.slow
def test_sft_learns_the_end_where_it_is_the_padding_and_publishes_the_bases_configs(
    two_ends, tmp_path, monkeypatch
):
    seen = []

    class Seeing(supervised.Trainer):
        def compute_loss(self, model, inputs, *rest, **options):
            seen.append(inputs["labels"].clone())
            return super().compute_loss(model, inputs, *rest, **options)

    monkeypatch.setattr(supervised, "Trainer", Seeing)
    rows = [Demonstration([1, 3], [4, 2]), Demonstration([1], [6, 7, 8, 2])]
    supervised.train(
        load_model(two_ends),
        load_tokenizer(two_ends),
        rows,
        [[0, 1]],
        arguments=arguments(tmp_path, updates=1),
        micro_batch_size=2,
        checkpoints=[1],
        saving=saving(tmp_path),
        progress=tmp_path / "progress.json",
    )
    (labels_B_T,) = seen
    assert sorted(map(tuple, labels_B_T.tolist())) == [
        (-100, -100, 4, 2, -100),
        (-100, 6, 7, 8, 2),
    ]
    check_published(two_ends, tmp_path / "saved" / "published" / "step1")


def test_vllm_is_told_all_ends(two_ends, tmp_path):
    made = grpo.config(GRPO, arguments(tmp_path, updates=2), LOOP)
    rollouts.end_at_all_ends(made, load_model(two_ends))
    assert made.generation_kwargs == {"stop_token_ids": ENDS}


def test_the_ends_of_a_new_model_are_its_tokenizers(tmp_path):
    save_policy(tiny(), word_tokenizer(WORDS), tmp_path / "p")
    assert end_ids(tmp_path / "p") == [2]
    assert torch.equal(
        load_model(tmp_path / "p").lm_head.weight, load_model(tmp_path / "p").lm_head.weight
    )
