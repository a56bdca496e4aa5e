"""The decode loop against `transformers`: logits, tokens, likelihoods."""

import math

import pytest
import torch
from decode_models import EOS, GREEDY, hf_logits, loop, make, prompts_of
from test_sampling import hf_probabilities
from transformers import (
    LlamaConfig,
)

from online_il.config.sampling import Sampling
from online_il.generation import decode

# ---- forward ----


def test_the_forward_pass_gives_the_logits_of_transformers(model):
    plain = loop(model)
    ids = torch.tensor(prompts_of([9, 9, 9]))
    with torch.inference_mode():
        cache = decode.new_cache(plain, 3, 9)
        hidden = decode.forward(plain, ids, cache, 0, decode.rotary(plain, 9))
        expected = model(ids, output_hidden_states=True, use_cache=False)
    torch.testing.assert_close(hidden, expected.hidden_states[-1], atol=1e-5, rtol=1e-5)
    logits = torch.nn.functional.linear(hidden, plain.head_V_E)
    torch.testing.assert_close(logits, expected.logits, atol=1e-5, rtol=1e-5)


def test_token_by_token_gives_the_hidden_states_of_the_whole_sequence(model):
    plain = loop(model)
    ids = torch.tensor(prompts_of([11, 11]))
    cos_sin = decode.rotary(plain, 11)
    with torch.inference_mode():
        expected = model(ids, output_hidden_states=True, use_cache=False).hidden_states[-1]
        cache = decode.new_cache(plain, 2, 11)
        steps = [decode.forward(plain, ids[:, :4], cache, 0, cos_sin)]
        steps += [decode.forward(plain, ids[:, t : t + 1], cache, t, cos_sin) for t in range(4, 11)]
    torch.testing.assert_close(torch.cat(steps, dim=1), expected, atol=1e-5, rtol=1e-5)


def test_an_untied_head_is_used_and_a_missing_one_is_the_embedding(qwen):
    plain = loop(qwen)
    assert torch.equal(plain.head_V_E, qwen.lm_head.weight)
    assert not torch.equal(plain.head_V_E, plain.embedding_V_E)
    state = {k: v for k, v in qwen.state_dict().items() if k != "lm_head.weight"}
    assert (
        decode.decoder(state, qwen.config.to_dict()).head_V_E is state["model.embed_tokens.weight"]
    )


@pytest.mark.parametrize(
    "change, pattern",
    [
        ({"model_type": "gpt2"}, "gpt2"),
        ({"model_type": "qwen3"}, "qwen3"),
        ({"model_type": None}, "None"),
        ({"use_sliding_window": True}, "sliding window"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}}, "rotary"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0}}, "rotary"),
        ({"rope_parameters": None, "rope_scaling": {"rope_type": "llama3"}}, "rotary"),
        ({"rope_parameters": None, "rope_scaling": {"type": "dynamic"}}, "rotary"),
        ({"hidden_act": "gelu"}, "gelu"),
    ],
)
def test_what_the_loop_would_get_wrong_is_refused_with_the_remedy(qwen, change, pattern):
    with pytest.raises(ValueError, match=pattern) as caught:
        decode.decoder(qwen.state_dict(), qwen.config.to_dict() | change)
    assert "generation.engine" in str(caught.value)


@pytest.mark.parametrize("option", ["attention_bias", "mlp_bias"])
def test_biases_that_the_loop_would_drop_are_refused(option):
    biased = make(LlamaConfig, {"num_key_value_heads": 4, option: True})
    with pytest.raises(ValueError, match=r"generation\.engine"):
        loop(biased)


# ---- greedy ----


def hf_greedy(model, prompt: list[int], longest: int) -> list[int]:
    with torch.inference_mode():
        out = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=False,
            max_new_tokens=longest,
            eos_token_id=EOS,
            pad_token_id=0,
        )
    return out[0, len(prompt) :].tolist()


def test_greedy_tokens_are_those_of_generate(model):
    prompts = prompts_of([1, 2, 5, 5, 8, 8, 8, 13])
    ours = decode.generate(
        loop(model),
        prompts,
        [(i, 0) for i in range(8)],
        sampling=GREEDY,
        seed=0,
        eos_token_id=EOS,
    )
    assert ours == [hf_greedy(model, prompt, 14) for prompt in prompts]


def test_greedy_ignores_seed_keys_and_batch_size(qwen):
    plain, prompts = loop(qwen), prompts_of([4] * 6)
    options = {"sampling": GREEDY, "eos_token_id": EOS}
    one = decode.generate(plain, prompts, [(i, 0) for i in range(6)], seed=0, **options)
    two = decode.generate(
        plain, prompts, [(9, i) for i in range(6)], seed=5, batch_size=2, **options
    )
    assert one == two


# ---- sampled responses ----

SAMPLED = Sampling(temperature=1.3, max_new_tokens=25)


def reference(model, prompt, key, sampling, seed) -> list[int]:
    """One response by `transformers`' forward pass alone, a whole forward pass for each token."""
    uniform = decode.uniforms(seed, [key], sampling.max_new_tokens)[0].tolist()
    ids = list(prompt)
    for u in uniform:
        probs = hf_probabilities(hf_logits(model, ids)[-1:], sampling)[0].double()
        cumulative = probs.cumsum(0) / probs.sum()
        ids.append(int((cumulative > u).nonzero()[0, 0]))
        if ids[-1] == EOS:
            break
    return ids[len(prompt) :]


@pytest.fixture(scope="module")
def sampled(qwen):
    """Forty prompts of four lengths, their keys, and their responses in batches of 256."""
    prompts = prompts_of([3, 4, 5, 6] * 10, seed=1)
    keys = [(i % 8, i // 8) for i in range(40)]
    options = {"sampling": SAMPLED, "seed": 3, "eos_token_id": EOS}
    return prompts, keys, options, decode.generate(loop(qwen), prompts, keys, **options)


def test_responses_end_at_different_lengths_and_only_at_the_end_token(sampled):
    lengths = {len(response) for response in sampled[3]}
    assert len(lengths) > 5 and max(lengths) == 25
    for response in sampled[3]:
        assert EOS not in response[:-1]
        assert len(response) == 25 or response[-1] == EOS


@pytest.mark.slow
def test_responses_are_those_of_whole_forward_passes(qwen, sampled):
    prompts, keys, _, responses = sampled
    for prompt, key, response in list(zip(prompts, keys, responses, strict=True))[:16]:
        assert response == reference(qwen, prompt, key, SAMPLED, seed=3)


@pytest.mark.parametrize("batch_size", [1, 3, 7])
@pytest.mark.slow
def test_a_response_does_not_depend_on_the_size_of_the_batch(qwen, sampled, batch_size):
    prompts, keys, options, responses = sampled
    again = decode.generate(loop(qwen), prompts, keys, batch_size=batch_size, **options)
    assert again == responses


def test_a_response_does_not_depend_on_who_shares_its_batch(qwen, sampled):
    prompts, keys, options, responses = sampled
    for rows in ([39, 3, 20, 11], list(range(39, -1, -1)), [5], list(range(0, 40, 3))):
        again = decode.generate(
            loop(qwen), [prompts[i] for i in rows], [keys[i] for i in rows], **options
        )
        assert again == [responses[i] for i in rows]


def test_rows_that_end_early_leave_the_batch_and_change_no_other(qwen, sampled, monkeypatch):
    prompts, keys, options, responses = sampled
    rows = [i for i in range(40) if len(prompts[i]) == 5]
    sizes = []
    forward = decode.forward

    def counted(model, ids, *rest):
        sizes.append(len(ids))
        return forward(model, ids, *rest)

    monkeypatch.setattr(decode, "forward", counted)
    again = decode.generate(
        loop(qwen), [prompts[i] for i in rows], [keys[i] for i in rows], **options
    )
    assert again == [responses[i] for i in rows]
    assert sizes[0] == len(rows) and sizes[-1] < len(rows)
    for step, size in enumerate(sizes):
        alive = sum(len(responses[i]) > step for i in rows)
        assert alive <= size <= math.ceil(alive * 8 / 7), "at most an eighth of the rows is idle"


def test_a_cut_response_has_the_longest_length_and_no_end_token(qwen, sampled):
    prompts, keys, options, responses = sampled
    short = Sampling(temperature=1.3, max_new_tokens=4)
    cut = decode.generate(loop(qwen), prompts, keys, **options | {"sampling": short})
    assert cut == [response[:4] for response in responses]
    assert any(EOS not in response for response in cut)


def test_samples_of_one_prompt_differ_and_another_seed_gives_others(qwen):
    prompts = prompts_of([5]) * 12
    options = {"sampling": SAMPLED, "eos_token_id": EOS}
    keys = [(0, i) for i in range(12)]
    one = decode.generate(loop(qwen), prompts, keys, seed=1, **options)
    two = decode.generate(loop(qwen), prompts, keys, seed=2, **options)
    assert len({tuple(response) for response in one}) > 6
    assert one != two


def test_no_prompts_give_no_responses(qwen):
    assert decode.generate(loop(qwen), [], [], sampling=SAMPLED, seed=0, eos_token_id=EOS) == []


# ---- what is read, and how often ----


@pytest.fixture
def reads(monkeypatch):
    """Shapes of what the model reads, (rows, tokens), in order."""
    shapes, forward = [], decode.forward

    def counted(model, ids, *rest):
        shapes.append(tuple(ids.shape))
        return forward(model, ids, *rest)

    monkeypatch.setattr(decode, "forward", counted)
    return shapes


def test_prompts_of_other_lengths_share_a_batch_and_change_no_response(model, reads):
    prompts = prompts_of([1, 2, 3, 5, 8, 13, 21, 34], seed=4)
    keys = [(i, 0) for i in range(8)]
    for sampling in (SAMPLED, GREEDY):
        options = {"sampling": sampling, "seed": 3, "eos_token_id": EOS}
        alone = [
            decode.generate(loop(model), [prompt], [key], **options)[0]
            for prompt, key in zip(prompts, keys, strict=True)
        ]
        reads.clear()
        assert decode.generate(loop(model), prompts, keys, **options) == alone
        assert reads[0] == (8, 34) and max(map(len, alone)) == len(reads)
        assert decode.generate(loop(model), prompts, keys, batch_size=3, **options) == alone


def test_padded_rows_leave_the_batch_with_their_padding(qwen, reads):
    prompts = prompts_of([2, 9] * 20, seed=5)
    keys = [(i, 0) for i in range(40)]
    options = {"sampling": SAMPLED, "seed": 3, "eos_token_id": EOS}
    together = decode.generate(loop(qwen), prompts, keys, **options)
    assert reads[0][1] == 9 and reads[1] == (40, 1) and reads[-1][0] < 40
    for length in (2, 9):
        rows = [i for i in range(40) if len(prompts[i]) == length]
        apart = decode.generate(
            loop(qwen), [prompts[i] for i in rows], [keys[i] for i in rows], **options
        )
        assert apart == [together[i] for i in rows]


def test_a_prompt_is_read_once_for_all_its_responses(model, reads):
    prompts = prompts_of([6, 4, 6], seed=2)
    asked = [prompts[i] for i in (0, 1, 0, 2, 1, 0, 0)]
    keys = [(0, i) for i in range(7)]
    options = {"sampling": SAMPLED, "seed": 9, "eos_token_id": EOS}
    together = decode.generate(loop(model), asked, keys, **options)
    assert reads[0] == (3, 6) and reads[1][1] == 1
    alone = [
        decode.generate(loop(model), [prompt], [key], **options)[0]
        for prompt, key in zip(asked, keys, strict=True)
    ]
    assert together == alone and len(set(map(tuple, together))) > 4


def test_several_tokens_on_top_of_others_see_what_is_before_them_alone(model):
    plain, rows = loop(model), prompts_of([9, 6, 8])
    ids_B_T, padding_B = decode.padded([row[:-3] for row in rows])
    cos_sin, start = decode.rotary(plain, 9), ids_B_T.shape[1]
    with torch.inference_mode():
        cache = decode.new_cache(plain, 3, start)
        decode.forward(plain, ids_B_T, cache, 0, cos_sin, padding_B)
        # Each row of the cache more than once, in another order.
        order = torch.tensor([2, 0, 1, 0])
        cache = decode.taken(cache, order, start, 9)
        ids_B_C = torch.tensor([rows[row][-3:] for row in order])
        hidden = decode.forward(plain, ids_B_C, cache, start, cos_sin, padding_B[order])
        logits = torch.nn.functional.linear(hidden, plain.head_V_E)
    for place, row in enumerate(order):
        torch.testing.assert_close(
            logits[place], hf_logits(model, rows[row])[-3:], atol=1e-5, rtol=1e-5
        )
