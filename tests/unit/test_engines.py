"""The generation engines: text, lengths and why a response ended."""

import pytest
import torch
from decode_models import EOS, hf_logits

from online_il.config.sampling import Sampling
from online_il.config.training import Architecture
from online_il.generation import engines
from online_il.models import load_model, load_tokenizer, new_model, save_policy, word_tokenizer
from online_il.tasks.miniature import VOCABULARY

# ---- engines ----


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    """A saved policy of the miniature's vocabulary, far from uniform."""
    folder = tmp_path_factory.mktemp("decode") / "step0"
    tokenizer = word_tokenizer(VOCABULARY)
    shape = Architecture(hidden_size=16, intermediate_size=32, layers=1, heads=2, head_dim=8)
    policy = new_model(shape, tokenizer, max_length=64, seed=0)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter *= 8
    save_policy(policy, tokenizer, folder)
    return folder


PROMPTS = ["<bos> 3 12 4 T 19 :", "<bos> 5 6 T 30 :", "<bos> F 98 7 :", "<bos> 1 2 3 4 T 10 :"]


def respond(policy, engine, sampling, prompts=PROMPTS, **options):
    return engines.respond(
        policy,
        prompts,
        [(i, 0) for i in range(len(prompts))],
        sampling=sampling,
        seed=1,
        engine=engine,
        **{"batch_size": 3} | options,
    )


def test_both_engines_answer_alike_when_greedy(policy):
    sampling = Sampling(temperature=0.0, max_new_tokens=10)
    assert respond(policy, "loop", sampling) == respond(policy, "transformers", sampling)


@pytest.mark.parametrize("engine", ["loop", "transformers"])
def test_a_response_tells_its_length_and_why_it_ended(policy, engine):
    tokenizer = load_tokenizer(policy)
    sampling = Sampling(temperature=4.0, max_new_tokens=30)
    reasons = set()
    for response in respond(policy, engine, sampling, PROMPTS * 10):
        reasons.add(response.finish_reason)
        words = response.text.split()
        assert "<eos>" not in words and response.n_tokens <= 30
        if response.finish_reason == "length":
            assert response.n_tokens == 30
        # Special tokens (the end, and padding or <bos> where sampled) are no part of the text.
        assert len(words) <= response.n_tokens - (response.finish_reason == "stop")
        assert tokenizer.encode(response.text, add_special_tokens=False) == [
            VOCABULARY.index(word) for word in words
        ]
    assert reasons == {"stop", "length"}


def test_finish_reasons_follow_the_last_token():
    assert engines._response("a", [5, 6, EOS], EOS) == ("a", 3, "stop")
    assert engines._response("a", [5, 6], EOS) == ("a", 2, "length")
    assert engines._response("", [EOS], EOS) == ("", 1, "stop")


def test_the_loop_engine_reads_the_same_tokens_and_text_as_the_tokenizer(policy):
    loaded, tokenizer = engines.load_loop_policy(policy), load_tokenizer(policy)
    assert loaded.eos_token_id == tokenizer.eos_token_id == 2
    for prompt in PROMPTS:
        ids = tokenizer.encode(prompt, add_special_tokens=False)
        assert loaded.ids(prompt) == ids
        assert loaded.text(ids) == tokenizer.decode(ids, skip_special_tokens=True)


def test_choices_are_scored_by_their_log_likelihood(policy):
    model = load_model(policy)
    tokenizer = load_tokenizer(policy)
    prompts = ["<bos> F 98 7 :", "<bos> F 1 2 :"]
    choices = [["5", "34 <eos>", "99"], ["0", "12"]]
    expected = []
    for prompt, texts in zip(prompts, choices, strict=True):
        expected.append([])
        for text in texts:
            prompt_ids, ids = tokenizer.encode(prompt), tokenizer.encode(text)
            logp = hf_logits(model, prompt_ids + ids).log_softmax(-1)
            expected[-1].append(
                sum(logp[len(prompt_ids) - 1 + t, token].item() for t, token in enumerate(ids))
            )
    scores = engines.loglikelihoods(policy, prompts, choices)
    assert [len(row) for row in scores] == [3, 2]
    for row, want in zip(scores, expected, strict=True):
        assert row == pytest.approx(want, abs=1e-4)
