"""The generation engines behind one function: prompts in, responses out.

`loop` is our decode loop (CPU, small models), `transformers` is `generate` (any model). A response
is text without the prompt, its length in tokens and why it ended.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from online_il.config.sampling import Sampling
from online_il.generation import decode
from online_il.generation.response import Response


def respond(
    policy: Path,
    prompts: Sequence[str],
    keys: Sequence[tuple[int, int]],
    *,
    sampling: Sampling,
    seed: int,
    engine: str,
    batch_size: int,
) -> list[Response]:
    """One response a prompt, from the policy in a folder; `keys` as in `decode.generate`."""
    if engine == "loop":
        return _loop(policy, prompts, keys, sampling, seed, batch_size)
    return _transformers(policy, prompts, sampling, seed, batch_size)


class LoopPolicy(NamedTuple):
    """A policy as the decode loop reads it; needs neither `transformers` nor its start-up time."""

    model: decode.Decoder
    tokenizer: object
    eos_token_id: int

    def ids(self, text: str) -> list[int]:
        """Token ids of a text."""
        return self.tokenizer.encode(text).ids  # type: ignore[attr-defined, no-any-return]

    def text(self, ids: Sequence[int]) -> str:
        """Text of token ids, special tokens left out."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True)  # type: ignore[attr-defined, no-any-return]


def load_loop_policy(folder: Path) -> LoopPolicy:
    """The policy in a folder in `transformers` format. Raises `ValueError` for other shapes."""
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    config = json.loads((folder / "config.json").read_text())
    return LoopPolicy(
        model=decode.decoder(load_file(folder / "model.safetensors"), config),
        tokenizer=Tokenizer.from_file(str(folder / "tokenizer.json")),
        eos_token_id=config["eos_token_id"],
    )


def _loop(
    folder: Path,
    prompts: Sequence[str],
    keys: Sequence[tuple[int, int]],
    sampling: Sampling,
    seed: int,
    batch_size: int,
) -> list[Response]:
    policy = load_loop_policy(folder)
    responses = decode.generate(
        policy.model,
        [policy.ids(prompt) for prompt in prompts],
        keys,
        sampling=sampling,
        seed=seed,
        eos_token_id=policy.eos_token_id,
        batch_size=batch_size,
    )
    return [_response(policy.text(ids), ids, policy.eos_token_id) for ids in responses]


def _response(text: str, ids: Sequence[int], eos_token_id: int) -> Response:
    return Response(text, len(ids), "stop" if ids and ids[-1] == eos_token_id else "length")


def _transformers(
    folder: Path, prompts: Sequence[str], sampling: Sampling, seed: int, batch_size: int
) -> list[Response]:
    from transformers import GenerationConfig, set_seed

    from online_il.models import load_model, load_tokenizer

    model, tokenizer = load_model(folder), load_tokenizer(folder)
    model.eval()
    set_seed(seed)
    greedy = sampling.temperature == 0.0
    eos = tokenizer.eos_token_id
    config = GenerationConfig(
        do_sample=not greedy,
        temperature=None if greedy else sampling.temperature,
        top_k=None if greedy else sampling.top_k,
        top_p=None if greedy else sampling.top_p,
        max_new_tokens=sampling.max_new_tokens,
        eos_token_id=eos,
        pad_token_id=tokenizer.pad_token_id,
    )
    responses = []
    for start in range(0, len(prompts), batch_size):
        batch = tokenizer(
            list(prompts[start : start + batch_size]),
            padding=True,
            add_special_tokens=False,
            return_token_type_ids=False,
            return_tensors="pt",
        )
        with torch.inference_mode():
            ids_B_T = model.generate(**batch, generation_config=config)
        for row in ids_B_T[:, batch["input_ids"].shape[1] :].tolist():
            ids = row[: row.index(eos) + 1] if eos in row else row
            text = tokenizer.decode(ids, skip_special_tokens=True)
            responses.append(_response(text, ids, eos))
    return responses


def loglikelihoods(
    folder: Path, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
) -> list[list[float]]:
    """Log-likelihood (nats) of every continuation of every prompt, as MMLU's choices are scored."""
    policy = load_loop_policy(folder)
    rows = [
        (policy.ids(prompt), policy.ids(continuation))
        for prompt, choices in zip(prompts, continuations, strict=True)
        for continuation in choices
    ]
    flat = iter(decode.loglikelihoods(policy.model, rows))
    return [[next(flat) for _ in choices] for choices in continuations]
