"""A real language model trained for one update by each method, held against plain torch.

The updates are small: a step of a few short rows takes seconds on one core. What is checked is
what random weights of a toy's vocabulary cannot show: the chat's tokens, the width of the
vocabulary, tied weights and the size at which sums round.
"""

import json
import shutil

import pytest
import torch
from smollm2 import CAPITAL
from transformers import AutoModelForCausalLM, AutoTokenizer

from online_il.chat import as_text, prompt_ids
from online_il.config.distill import Distill
from online_il.config.generation import Generation
from online_il.config.grpo import Grpo
from online_il.ends import trained_end
from online_il.models import load_model, load_tokenizer
from online_il.training import common, distill, grpo, supervised
from online_il.training.common import Demonstration
from online_il.training.resume import Saving

pytestmark = pytest.mark.slow
LOOP = Generation(engine="loop", batch_size=8)
PROMPTS = [CAPITAL, as_text([{"role": "user", "content": "Say yes or no."}])]
NEW_TOKENS = 6


def arguments(folder, learning_rate=1e-6):
    return common.arguments(
        output=folder / "trainer", updates=1, learning_rate=learning_rate, max_grad_norm=1.0, seed=1
    )


@pytest.fixture
def folder(tmp_path):
    """A folder that is emptied at the end: a checkpoint takes half a gigabyte."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def spread(completions, **_) -> list[float]:
    """Rewards that differ within every group, whatever was written."""
    return [float(number % 2) for number in range(len(completions))]


def test_the_kl_to_the_base_is_zero_at_the_first_update_of_grpo(policy, folder):
    settings = Grpo(
        prompts_per_step=2,
        rollouts_per_prompt=2,
        updates_per_step=1,
        micro_batch_size=2,
        kl_coefficient=0.001,
        clip_ratio=0.2,
        entropy_coefficient=0.0,
        temperature=1.0,
        max_new_tokens=NEW_TOKENS,
        max_grad_norm=1.0,
        checkpoints=[2],
    )
    recorder = grpo.train(
        load_model(policy, "float32"),
        load_tokenizer(policy),
        [{"prompt": prompt} for prompt in PROMPTS],
        spread,
        settings,
        generation=LOOP,
        arguments=arguments(folder),
        checkpoints=[2],
        saving=Saving(folder / "saved", "a run", 60),
        progress=folder / "progress.json",
    )
    (row,) = recorder.rows
    assert row["kl"] == pytest.approx(0.0, abs=1e-6)
    # Advantages of each pair cancel where the ratio of the policies is 1.
    assert row["loss"] == pytest.approx(0.0, abs=1e-4)
    assert row["reward"] == 0.5 and row["reward_spread"] == 1.0
    assert row["grad_norm"] > 0.01 and 1 <= row["mean_length"] <= NEW_TOKENS


def test_distilled_from_itself_it_learns_nothing(policy, folder):
    settings = Distill(
        batch_size=2,
        micro_batch_size=2,
        temperature=1.0,
        max_new_tokens=NEW_TOKENS,
        max_grad_norm=1.0,
        checkpoints=[2],
    )
    recorder = distill.train(
        load_model(policy, "float32"),
        load_model(policy, "float32"),
        load_tokenizer(policy),
        [{"prompt": prompt} for prompt in PROMPTS],
        settings,
        generation=LOOP,
        arguments=arguments(folder),
        checkpoints=[2],
        saving=Saving(folder / "saved", "a run", 60),
        progress=folder / "progress.json",
    )
    (row,) = recorder.rows
    assert row["loss"] == pytest.approx(0.0, abs=1e-6)
    assert row["grad_norm"] == pytest.approx(0.0, abs=1e-3)


def test_sft_learns_the_answers_tokens_alone_and_its_checkpoint_is_an_ordinary_one(
    policy, folder, plain
):
    tokenizer, end = load_tokenizer(policy), trained_end(policy, conversation=True)
    answers = ["It is Lyon.", "No"]
    rows = [
        Demonstration(ids, [*tokenizer.encode(answer), end])
        for ids, answer in zip(prompt_ids(tokenizer, PROMPTS), answers, strict=True)
    ]
    model = load_model(policy, "float32")
    recorder = supervised.train(
        model,
        tokenizer,
        rows,
        [[0, 1]],
        arguments=arguments(folder, learning_rate=1e-4),
        micro_batch_size=1,
        checkpoints=[1],
        saving=Saving(folder / "saved", "a run", 60),
        progress=folder / "progress.json",
    )
    expected = []
    for row in rows:
        with torch.no_grad():
            logits = plain(torch.tensor([row.prompt + row.response])).logits[0]
        logp = logits[len(row.prompt) - 1 : -1].log_softmax(-1)
        expected += logp[range(len(row.response)), row.response].tolist()
    assert len(expected) == sum(len(row.response) for row in rows)
    assert recorder.rows[0]["loss"] == pytest.approx(-sum(expected) / len(expected), abs=1e-4)

    published = folder / "saved" / "published" / "step1"
    loaded = AutoModelForCausalLM.from_pretrained(published)
    assert type(loaded) is type(plain) and loaded.dtype == torch.float32
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    moved = (loaded.model.norm.weight - plain.model.norm.weight).abs().max()
    assert 0 < moved < 2e-4, "one step of AdamW at 1e-4"
    for name in ("config.json", "generation_config.json"):
        ours, base = (json.loads((place / name).read_text()) for place in (published, policy))
        assert {**ours, "dtype": None} == {**base, "dtype": None}
    auto, before = (AutoTokenizer.from_pretrained(place) for place in (published, policy))
    assert auto.chat_template == before.chat_template
    assert auto.get_vocab() == before.get_vocab()
    assert (auto.eos_token, auto.pad_token) == ("<|im_end|>", "<|im_end|>")
    for prompt in PROMPTS:
        asked = json.loads(prompt)
        ids = auto.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
        assert ids == prompt_ids(tokenizer, [prompt])[0]
