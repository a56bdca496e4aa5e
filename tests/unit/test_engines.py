"""The generation engines: text, lengths and why a response ended."""

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from online_il.config.sampling import Sampling
from online_il.config.training import Architecture
from online_il.generation import decode, engines
from online_il.models import load_model, load_tokenizer, new_model, save_policy, word_tokenizer
from online_il.tasks.miniature import VOCABULARY

V, EOS = 23, 2
SHAPE = {
    "vocab_size": V,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": EOS,
    "initializer_range": 0.4,  # Far from uniform, so that a wrong mask or angle shows.
}
MODELS = {
    "qwen2 tied": (Qwen2Config, {"num_key_value_heads": 4, "tie_word_embeddings": True}),
    "qwen2 gqa": (Qwen2Config, {"num_key_value_heads": 2, "tie_word_embeddings": False}),
    "qwen2 theta": (
        Qwen2Config,
        {
            "num_key_value_heads": 1,
            "rope_parameters": {"rope_type": "default", "rope_theta": 50.0},
            "rms_norm_eps": 0.1,
        },
    ),
    "llama gqa": (LlamaConfig, {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    "llama wide": (LlamaConfig, {"num_key_value_heads": 4, "head_dim": 10}),
}


def make(config_class, options) -> torch.nn.Module:
    torch.manual_seed(0)
    config = config_class(**(SHAPE | options))
    model = (Qwen2ForCausalLM if config_class is Qwen2Config else LlamaForCausalLM)(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or "norm" in name:
                parameter += 0.3 * torch.randn_like(parameter)  # They start at 0 and at 1.
    return model.eval()


def loop(model) -> decode.Decoder:
    return decode.decoder(model.state_dict(), model.config.to_dict())


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return make(*MODELS[request.param])


@pytest.fixture(scope="module")
def qwen():
    return make(*MODELS["qwen2 gqa"])


def prompts_of(lengths, seed=0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, V, (n,), generator=generator).tolist() for n in lengths]


@torch.inference_mode()
def hf_logits(model, ids: list[int]) -> torch.Tensor:
    return model(torch.tensor([ids]), use_cache=False).logits[0]


GREEDY = Sampling(temperature=0.0, max_new_tokens=14)


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
