"""The size of a model from its shape alone: parameters, operations, bytes of cache.

With h hidden, i intermediate, L layers, H heads and K of keys and values, each d wide, and V words:
a block has 2·h·H·d + 2·h·K·d parameters in attention, 3·h·i in the feed-forward layer and 2·h in
its norms; Qwen2 has (H + 2K)·d biases and Qwen3 2·d norms of queries and keys more. The model has
L blocks, V·h in the embedding, V·h again in an output of its own, and h in the last norm.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from online_il.config.architecture import Architecture
from online_il.config.hub import Model, Package
from online_il.config.lora import Lora
from online_il.config.plan import ModelShape, Plan
from online_il.errors import InputError
from online_il.packaged import wheels

FAMILIES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "seed_oss": "qwen2"}
"""The family of each type of model; what is made here is of type seed_oss."""
BYTE_VOCABULARY = 259  # 256 bytes and three special tokens (models.byte_tokenizer).


def block_parameters(shape: ModelShape) -> int:
    """Count the parameters of one transformer block."""
    heads, kv_heads = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    extra = {"llama": 0, "qwen2": heads + 2 * kv_heads, "qwen3": 2 * shape.head_dim}[shape.family]
    attention = 2 * shape.hidden * heads + 2 * shape.hidden * kv_heads
    return attention + 3 * shape.hidden * shape.intermediate + 2 * shape.hidden + extra


def matrices(shape: ModelShape) -> dict[str, tuple[int, int]]:
    """List the matrices of one transformer block by name, with their numbers of inputs, outputs."""
    heads, kv_heads = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    hidden, intermediate = shape.hidden, shape.intermediate
    return {
        "q_proj": (hidden, heads),
        "k_proj": (hidden, kv_heads),
        "v_proj": (hidden, kv_heads),
        "o_proj": (heads, hidden),
        "gate_proj": (hidden, intermediate),
        "up_proj": (hidden, intermediate),
        "down_proj": (intermediate, hidden),
    }


def adapted(shape: ModelShape, lora: Lora) -> list[tuple[int, int]]:
    """List the numbers of inputs and outputs of the matrices that an adapter has in a block."""
    every = lora.target_modules == "all-linear"
    known = matrices(shape)
    return [size for name, size in known.items() if every or name in lora.target_modules]


def adapter_parameters(shape: ModelShape, lora: Lora) -> int:
    """Count the parameters of an adapter: rank·(inputs + outputs) of each of its matrices."""
    return shape.layers * lora.rank * sum(sum(size) for size in adapted(shape, lora))


def embedding_parameters(shape: ModelShape) -> int:
    """Count the parameters of the embedding and, where it is a matrix of its own, of the output."""
    return shape.vocabulary * shape.hidden * (1 if shape.output == "tied" else 2)


def parameters(shape: ModelShape) -> int:
    """Count all parameters of the model."""
    return shape.layers * block_parameters(shape) + embedding_parameters(shape) + shape.hidden


def forward_flops(shape: ModelShape, tokens: float, length: float) -> float:
    """Count the operations of a forward pass over `tokens` tokens in sequences of `length`.

    Floating-point ones: two a parameter and token, without those of an embedding that is only
    looked up, and 2·L·H·d·length a token for attention, which sees half the sequence on average.
    """
    multiplied = parameters(shape)
    if shape.output == "own":
        multiplied -= shape.vocabulary * shape.hidden
    attention = 2 * shape.layers * shape.heads * shape.head_dim * length
    return tokens * (2 * multiplied + attention)


def cache_bytes(shape: ModelShape) -> int:
    """Count the bytes a token takes in the cache of keys and values, bfloat16."""
    return 2 * 2 * shape.layers * shape.kv_heads * shape.head_dim


def of_config(config: Mapping[str, Any], name: str) -> ModelShape:
    """Read the shape that a config.json describes. Raises `InputError` for other families."""
    family = config.get("model_type")
    if not isinstance(family, str) or family not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise InputError(f"{name}: model_type {family!r} has no size here; known are {known}")
    try:
        heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
        return ModelShape.model_validate(
            {
                "family": FAMILIES[family],
                "hidden": hidden,
                "intermediate": config["intermediate_size"],
                "layers": config["num_hidden_layers"],
                "heads": heads,
                "kv_heads": config.get("num_key_value_heads") or heads,
                "head_dim": config.get("head_dim") or hidden // heads,
                "vocabulary": config["vocab_size"],
                "output": "tied" if config.get("tie_word_embeddings") else "own",
                "positions": config["max_position_embeddings"],
            }
        )
    except (KeyError, ValueError, TypeError, ZeroDivisionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise InputError(f"{name}: no complete shape in its config.json ({reason})") from None


def of_architecture(architecture: Architecture, vocabulary: int, positions: int) -> ModelShape:
    """Give the shape of a model that is made here (online_il.models.new_model)."""
    return ModelShape(
        family="qwen2",
        hidden=architecture.hidden_size,
        intermediate=architecture.intermediate_size,
        layers=architecture.layers,
        heads=architecture.heads,
        kv_heads=architecture.heads,
        head_dim=architecture.head_dim,
        vocabulary=vocabulary,
        output="tied",
        positions=positions,
    )


def of_model(model: object, plan: Plan | None) -> ModelShape:
    """Find the shape of a base or an expert: from its settings, its config.json, or the plan.

    Raises `InputError` for a model of the hub that neither the cache nor the plan knows.
    """
    from online_il.config.pretraining import Pretraining
    from online_il.config.random import RandomModel

    if isinstance(model, RandomModel):
        return of_architecture(model.architecture, BYTE_VOCABULARY, model.max_length)
    if isinstance(model, Pretraining):
        from online_il.tasks.miniature import VOCABULARY

        return of_architecture(model.architecture, len(VOCABULARY), model.max_length)
    if not isinstance(model, Model | Package):
        raise InputError(f"{type(model).__name__}: has no weights and no shape")
    config = config_json(model)
    if config is not None:
        return of_config(config, model.short)
    if plan is not None and model.short in plan.models:
        return plan.models[model.short]
    remedy = f"model {model.called}: its shape is not known; add it to plan.models, or "
    if isinstance(model, Package):
        raise InputError(remedy + "fetch it: make download CONFIG=<yours>")
    if model.folder is not None:
        raise InputError(remedy + "correct `folder`")
    raise InputError(
        remedy + "run `make download-paper` (of another study `make download CONFIG=<its file>`)"
    )


def config_json(model: Model | Package) -> dict[str, Any] | None:
    """Read the local copy's config.json; None where there is no such file or no JSON in it."""
    if isinstance(model, Package):
        path = wheels.model_place(model) / "config.json"
    elif model.folder is not None:
        path = Path(model.folder) / "config.json"
    elif model.repo is None:
        return None
    else:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(model.repo, "config.json", revision=model.revision)
        if not isinstance(found, str):
            return None
        path = Path(found)
    return json_of(path) or None


def json_of(path: Path) -> dict[str, Any]:
    """Read a file of JSON; an empty mapping where there is none, or another value in it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
