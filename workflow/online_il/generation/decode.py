"""A plain decode loop for Qwen2-shaped models: fused projections, a preallocated cache.

On a CPU and at a million parameters, `transformers`' generate spends most of its time outside the
matrix products. This loop keeps one preallocated key-value cache, reads a prompt once however many
responses a batch asks of it, and drops the rows that are finished. Prompts of like length share a
batch, padded on the left; where all are of one length, as in the miniature, no row needs a mask.
Its greedy tokens are those of `generate` (tests/unit/test_decode.py); its speed stands in
docs/performance.md.

Each row draws from random numbers of its own, keyed by (seed, prompt, sample index), so a row's
response does not depend on which other rows share its batch.

Letters in the names: B rows, T positions, H attention heads, K key-value heads, D head width,
E hidden width, V vocabulary.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from online_il.config.sampling import Sampling


class Layer(NamedTuple):
    """The weights of one transformer block; query, key and value in one matrix, gate and up too."""

    input_norm_E: Tensor
    qkv_weight_X_E: Tensor
    qkv_bias_X: Tensor | None
    output_weight_E_X: Tensor
    post_norm_E: Tensor
    gate_up_weight_Y_E: Tensor
    down_weight_E_Y: Tensor


class Decoder(NamedTuple):
    """A Qwen2- or Llama-shaped model as plain tensors; SeedOss has Qwen2's shape."""

    embedding_V_E: Tensor
    layers: tuple[Layer, ...]
    norm_E: Tensor
    head_V_E: Tensor
    n_heads: int
    n_kv_heads: int
    head_dim: int
    rope_theta: float
    norm_epsilon: float


def rotary_settings(config: Mapping[str, object]) -> Mapping[str, object]:
    """Read the rotary positions' settings of a model that the loop knows.

    Raises `ValueError` for an architecture that it does not know: use the transformers or vLLM
    engine for it.
    """
    if config.get("model_type") not in ("qwen2", "seed_oss", "llama"):
        raise ValueError(
            "the decode loop knows qwen2, seed_oss and llama models, not "
            f"{config.get('model_type')!r}; set generation.engine to transformers or vllm"
        )
    if config.get("quantization_config"):
        raise ValueError(
            "the decode loop knows no quantised weights; set generation.engine to transformers or "
            "vllm"
        )
    # Files of transformers before version 5 call it rope_scaling, and its rope_type just type.
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    assert isinstance(rope, Mapping)
    rope_type = rope.get("rope_type") or rope.get("type") or "default"
    if rope_type != "default" or config.get("use_sliding_window"):
        raise ValueError(
            "the decode loop knows plain rotary positions without a sliding window; "
            "set generation.engine to transformers or vllm"
        )
    if config.get("hidden_act", "silu") != "silu":
        raise ValueError(
            f"the decode loop knows SiLU, not hidden_act {config.get('hidden_act')!r}; "
            "set generation.engine to transformers or vllm"
        )
    return rope


def decoder(state: Mapping[str, Tensor], config: Mapping[str, object]) -> Decoder:
    """Lay out a `transformers` state dict and its `config.json` for the decode loop.

    Raises `ValueError` for an architecture that the loop does not know (`rotary_settings`).
    """
    rope = rotary_settings(config)
    dropped = ("o_proj.bias", "gate_proj.bias", "up_proj.bias", "down_proj.bias")
    if any(name.endswith(dropped) for name in state):
        raise ValueError(
            "the decode loop knows no biases but those of query, key and value; "
            "set generation.engine to transformers or vllm"
        )
    # Its cache, rotary positions and sampling are in single precision, as is all work on a CPU.
    state = {name: tensor.float() for name, tensor in state.items()}
    layers = []
    for index in range(int(str(config["num_hidden_layers"]))):
        prefix = f"model.layers.{index}"
        attention = f"{prefix}.self_attn"
        biases = [state.get(f"{attention}.{name}_proj.bias") for name in "qkv"]
        layers.append(
            Layer(
                input_norm_E=state[f"{prefix}.input_layernorm.weight"],
                qkv_weight_X_E=torch.cat([state[f"{attention}.{n}_proj.weight"] for n in "qkv"]),
                qkv_bias_X=None
                if biases[0] is None
                else torch.cat([b for b in biases if b is not None]),
                output_weight_E_X=state[f"{attention}.o_proj.weight"],
                post_norm_E=state[f"{prefix}.post_attention_layernorm.weight"],
                gate_up_weight_Y_E=torch.cat(
                    [state[f"{prefix}.mlp.{name}_proj.weight"] for name in ("gate", "up")]
                ),
                down_weight_E_Y=state[f"{prefix}.mlp.down_proj.weight"],
            )
        )
    embedding_V_E = state["model.embed_tokens.weight"]
    n_heads = int(str(config["num_attention_heads"]))
    return Decoder(
        embedding_V_E=embedding_V_E,
        layers=tuple(layers),
        norm_E=state["model.norm.weight"],
        head_V_E=state.get("lm_head.weight", embedding_V_E),
        n_heads=n_heads,
        n_kv_heads=int(str(config.get("num_key_value_heads") or n_heads)),
        head_dim=int(str(config.get("head_dim") or embedding_V_E.shape[1] // n_heads)),
        rope_theta=float(str(rope.get("rope_theta", config.get("rope_theta", 10_000.0)))),
        norm_epsilon=float(str(config["rms_norm_eps"])),
    )


def _rotate(x_B_H_T_D: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x_B_H_T_D.shape[-1] // 2
    turned = torch.cat((-x_B_H_T_D[..., half:], x_B_H_T_D[..., :half]), dim=-1)
    return x_B_H_T_D * cos + turned * sin


class Cache(NamedTuple):
    """Keys and values of every layer, preallocated to the longest possible sequence."""

    keys_L_B_K_T_D: Tensor
    values_L_B_K_T_D: Tensor


def new_cache(model: Decoder, rows: int, length: int) -> Cache:
    """Allocate an empty cache for `rows` sequences of at most `length` tokens."""
    shape = (len(model.layers), rows, model.n_kv_heads, length, model.head_dim)
    return Cache(torch.empty(shape), torch.empty(shape))


def taken(cache: Cache, rows_B: Tensor, used: int, length: int) -> Cache:
    """Copy the first `used` positions of the named rows, any as often, to a longer cache."""
    shape = (len(rows_B), cache.keys_L_B_K_T_D.shape[2], length, cache.keys_L_B_K_T_D.shape[4])
    copies = []
    for old_L_B_K_T_D in cache:
        new_L_B_K_T_D = old_L_B_K_T_D.new_empty((len(old_L_B_K_T_D), *shape))
        new_L_B_K_T_D[..., :used, :] = old_L_B_K_T_D[:, rows_B, :, :used]
        copies.append(new_L_B_K_T_D)
    return Cache(*copies)


def rotary(model: Decoder, length: int) -> tuple[Tensor, Tensor]:
    """Compute cosines and sines of the rotary positions 0..length-1, each (length, D)."""
    exponent = torch.arange(0, model.head_dim, 2, dtype=torch.float32) / model.head_dim
    angles = torch.outer(torch.arange(length, dtype=torch.float32), model.rope_theta**-exponent)
    angles_T_D = torch.cat((angles, angles), dim=-1)
    return angles_T_D.cos(), angles_T_D.sin()


def padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor | None]:
    """Pad rows to end together: (ids (B, T), padding (B) before each row; None for none)."""
    longest = max(map(len, rows))
    ids_B_T = torch.tensor([[0] * (longest - len(row)) + list(row) for row in rows])
    padding_B = torch.tensor([longest - len(row) for row in rows])
    return ids_B_T, padding_B if padding_B.any() else None


def _visible(start: int, length: int, padding_B: Tensor | None) -> Tensor | None:
    """Mask what each new position sees, (B or 1, 1, length, start + length).

    None where a mask would say no more than "all up to itself". Padding sees itself, for a softmax
    over nothing is no number, and would spread.
    """
    if padding_B is None and (start == 0 or length == 1):
        return None
    new_T_1, seen_S = torch.arange(start, start + length)[:, None], torch.arange(start + length)
    visible_T_S = seen_S <= new_T_1
    if padding_B is None:
        return visible_T_S[None, None]
    real_B_1_S = seen_S >= padding_B[:, None, None]
    return (visible_T_S & (real_B_1_S | (seen_S == new_T_1)))[:, None]


def forward(
    model: Decoder,
    ids_B_T: Tensor,
    cache: Cache,
    start: int,
    cos_sin: tuple[Tensor, Tensor],
    padding_B: Tensor | None = None,
) -> Tensor:
    """Compute hidden states (B, T, E) of positions start..start+T-1; fill the cache there.

    `padding_B` of a row's first positions in the cache are no tokens; the row's own begin there.
    """
    rows, length = ids_B_T.shape
    end = start + length
    if padding_B is None:
        cos, sin = cos_sin[0][start:end], cos_sin[1][start:end]
    else:
        position_B_1_T = (torch.arange(start, end) - padding_B[:, None, None]).clamp(min=0)
        cos, sin = cos_sin[0][position_B_1_T], cos_sin[1][position_B_1_T]
    visible = _visible(start, length, padding_B)
    width = model.embedding_V_E.shape[1]
    n_query, n_key = model.n_heads * model.head_dim, model.n_kv_heads * model.head_dim
    x_B_T_E = F.embedding(ids_B_T, model.embedding_V_E)
    for index, layer in enumerate(model.layers):
        normed = F.rms_norm(x_B_T_E, (width,), layer.input_norm_E, model.norm_epsilon)
        qkv = F.linear(normed, layer.qkv_weight_X_E, layer.qkv_bias_X)
        query, key, value = qkv.split((n_query, n_key, n_key), dim=-1)
        heads = (rows, length, -1, model.head_dim)
        query_B_H_T_D = _rotate(query.view(heads).transpose(1, 2), cos, sin)
        keys, values = cache.keys_L_B_K_T_D[index], cache.values_L_B_K_T_D[index]
        keys[:, :, start:end] = _rotate(key.view(heads).transpose(1, 2), cos, sin)
        values[:, :, start:end] = value.view(heads).transpose(1, 2)
        attended = F.scaled_dot_product_attention(
            query_B_H_T_D,
            keys[:, :, :end],
            values[:, :, :end],
            attn_mask=visible,
            is_causal=visible is None and length > 1,
            enable_gqa=model.n_heads != model.n_kv_heads,
        )
        attended = attended.transpose(1, 2).reshape(rows, length, n_query)
        x_B_T_E = x_B_T_E + F.linear(attended, layer.output_weight_E_X)
        normed = F.rms_norm(x_B_T_E, (width,), layer.post_norm_E, model.norm_epsilon)
        gate, up = F.linear(normed, layer.gate_up_weight_Y_E).chunk(2, dim=-1)
        x_B_T_E = x_B_T_E + F.linear(F.silu(gate) * up, layer.down_weight_E_Y)
    return F.rms_norm(x_B_T_E, (width,), model.norm_E, model.norm_epsilon)


def probabilities(logits_B_V: Tensor, sampling: Sampling) -> Tensor:
    """Compute the sampling distribution (B, V): temperature, top-k, then top-p, as `generate`."""
    if sampling.temperature != 1.0:
        logits_B_V = logits_B_V / sampling.temperature
    if 0 < sampling.top_k < logits_B_V.shape[-1]:
        kth_B_1 = logits_B_V.topk(sampling.top_k).values[:, -1:]
        logits_B_V = logits_B_V.masked_fill(logits_B_V < kth_B_1, -torch.inf)
    probs_B_V = logits_B_V.softmax(-1)
    if sampling.top_p < 1.0:
        ordered_B_V, order_B_V = probs_B_V.sort(descending=True, stable=True)
        # A token stays when the mass before it is below top_p, so the likeliest always stays.
        dropped_B_V = ordered_B_V.cumsum(-1) - ordered_B_V >= sampling.top_p
        dropped_B_V = dropped_B_V.scatter(1, order_B_V, dropped_B_V)
        probs_B_V = probs_B_V.masked_fill(dropped_B_V, 0.0)
        probs_B_V = probs_B_V / probs_B_V.sum(-1, keepdim=True)
    return probs_B_V


def choose(logits_B_V: Tensor, sampling: Sampling, uniform_B: Tensor) -> Tensor:
    """Choose one token a row: the likeliest at temperature 0, else by the inverse of the CDF."""
    if sampling.temperature == 0.0:
        return logits_B_V.argmax(-1)
    # In double precision: in single, a cumulative sum that ends below a uniform number near 1
    # would choose a token of probability zero.
    cumulative_B_V = probabilities(logits_B_V, sampling).double().cumsum(-1)
    threshold_B_1 = (uniform_B * cumulative_B_V[:, -1])[:, None]
    return (cumulative_B_V <= threshold_B_1).sum(-1)


def uniforms(seed: int, keys: Sequence[tuple[int, int]], length: int) -> Tensor:
    """Draw numbers in [0, 1), (rows, length): row i depends on (seed, keys[i]) alone."""
    rows = [np.random.Generator(np.random.Philox([seed, *key])).random(length) for key in keys]
    return torch.from_numpy(np.stack(rows))


def batches(prompts: Sequence[Sequence[int]], batch_size: int) -> Iterator[list[int]]:
    """Split rows into batches of at most `batch_size` prompts of like length, shortest first."""
    rows = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    for start in range(0, len(rows), batch_size):
        yield rows[start : start + batch_size]


@torch.inference_mode()
def generate(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    keys: Sequence[tuple[int, int]],
    *,
    sampling: Sampling,
    seed: int,
    eos_token_id: int | Sequence[int],
    batch_size: int = 256,
) -> list[list[int]]:
    """Generate one response a prompt, as token ids up to and including the end of sequence.

    `keys[i]` = (prompt number, sample index) names the random numbers of row i. A model may have
    several end-of-sequence tokens. A response that does not end within `sampling.max_new_tokens`
    is cut there and lacks the end token.
    """
    responses: list[list[int]] = [[] for _ in prompts]
    ends = [eos_token_id] if isinstance(eos_token_id, int) else eos_token_id
    is_end_V = torch.zeros(model.embedding_V_E.shape[0], dtype=torch.bool)
    is_end_V[list(ends)] = True
    for rows in batches(prompts, batch_size):
        asked = [tuple(prompts[row]) for row in rows]
        uniform_B_T = uniforms(seed, [keys[row] for row in rows], sampling.max_new_tokens)
        for row, tokens in zip(
            rows, _generate_batch(model, asked, uniform_B_T, sampling, is_end_V), strict=True
        ):
            responses[row] = tokens
    return responses


def _generate_batch(
    model: Decoder,
    prompts: Sequence[tuple[int, ...]],
    uniform_B_T: Tensor,
    sampling: Sampling,
    is_end_V: Tensor,
) -> list[list[int]]:
    rows = len(prompts)
    distinct = {prompt: place for place, prompt in enumerate(dict.fromkeys(prompts))}
    ids_B_T, padding_B = padded(list(distinct))
    start, longest = ids_B_T.shape[1], ids_B_T.shape[1] + sampling.max_new_tokens
    cos_sin = rotary(model, longest)
    cache = new_cache(model, len(distinct), longest if len(distinct) == rows else start)
    hidden_B_E = forward(model, ids_B_T, cache, 0, cos_sin, padding_B)[:, -1]
    if len(distinct) < rows:
        place_B = torch.tensor([distinct[prompt] for prompt in prompts])
        cache = taken(cache, place_B, start, longest)
        hidden_B_E = hidden_B_E[place_B]
        padding_B = None if padding_B is None else padding_B[place_B]
    # `alive` holds the numbers of the rows that the cache and the random numbers still carry.
    alive = torch.arange(rows)
    tokens_B_T = torch.zeros((rows, sampling.max_new_tokens), dtype=torch.long)
    lengths_B = torch.full((rows,), sampling.max_new_tokens)
    finished_B = torch.zeros(rows, dtype=torch.bool)
    for step in range(sampling.max_new_tokens):
        chosen_B = choose(F.linear(hidden_B_E, model.head_V_E), sampling, uniform_B_T[:, step])
        tokens_B_T[alive[~finished_B], step] = chosen_B[~finished_B]
        ended_B = is_end_V[chosen_B] & ~finished_B
        lengths_B[alive[ended_B]] = step + 1
        finished_B = finished_B | ended_B
        n_finished = int(finished_B.sum())
        if n_finished == len(alive) or step + 1 == sampling.max_new_tokens:
            break
        # Dropping rows copies the cache, so wait until an eighth of the batch is finished.
        if n_finished * 8 >= len(alive):
            open_B = (~finished_B).nonzero()[:, 0]
            alive, chosen_B, uniform_B_T = alive[open_B], chosen_B[open_B], uniform_B_T[open_B]
            padding_B = None if padding_B is None else padding_B[open_B]
            cache = taken(cache, open_B, start, longest)
            finished_B = torch.zeros(len(open_B), dtype=torch.bool)
        hidden_B_E = forward(model, chosen_B[:, None], cache, start, cos_sin, padding_B)[:, -1]
        start += 1
    return [
        row[:length] for row, length in zip(tokens_B_T.tolist(), lengths_B.tolist(), strict=True)
    ]
