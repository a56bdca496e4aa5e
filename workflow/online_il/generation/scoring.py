"""Log-likelihoods of continuations, each context read once and logits of the asked tokens alone.

A question's choices share their context, which may be thousands of tokens long. So a batch of
distinct contexts is read first; its last position scores every choice's first token, and choices of
several tokens are read on top of what the model keeps of their context.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from online_il.generation.decode import batches
from online_il.generation.tokens import Tokens

TOKENS = 8192
"""Tokens of contexts read at once, where they are more than one; more are no faster."""


class Reader(Protocol):
    """A model that reads contexts and then, on top of them, continuations."""

    def read(self, contexts: Sequence[Sequence[int]]) -> tuple[Tensor, Any]:
        """Return (logits (B, V) after each context, what the model keeps of them)."""

    def read_on(self, state: Any, contexts_B: Tensor, ids_B_C: Tensor) -> Tensor:
        """Return logits (B, C, V) after each token that follows the contexts of these numbers."""


@torch.inference_mode()
def loglikelihoods(
    reader: Reader, rows: Sequence[tuple[Sequence[int], Sequence[int]]], batch_size: int
) -> list[float]:
    """Score each row's continuation given its context, both token ids, in nats.

    At most `batch_size` contexts are read at once, and logits of as many positions are held.
    """
    rows_of: dict[tuple[int, ...], list[int]] = {}
    for number, (context, _) in enumerate(rows):
        rows_of.setdefault(tuple(context), []).append(number)
    scores = [0.0] * len(rows)
    for contexts in _together(rows_of, batch_size):
        logits_B_V, state = reader.read(contexts)
        logp_B_V = logits_B_V.float().log_softmax(-1)
        asked = [(place, row) for place, key in enumerate(contexts) for row in rows_of[key]]
        for place, row in asked:
            scores[row] = logp_B_V[place, rows[row][1][0]].item()
        longer = [(place, row) for place, row in asked if len(rows[row][1]) > 1]
        positions = max((len(rows[row][1]) - 1 for _, row in longer), default=1)
        # Each row has a copy of what the model keeps of its context.
        at_once = max(1, min(batch_size // positions, TOKENS // len(contexts[-1])))
        for batch in batches([rows[row][1] for _, row in longer], at_once):
            places, some = zip(*(longer[number] for number in batch), strict=True)
            ids_B_C = pad_sequence(
                [torch.tensor(rows[row][1]) for row in some], batch_first=True, padding_value=-1
            )
            logits_B_C_V = reader.read_on(state, torch.tensor(places), ids_B_C[:, :-1].clamp(min=0))
            next_B_C = ids_B_C[:, 1:].to(logits_B_C_V.device)
            # Positions past the end of a shorter continuation count nothing. In single precision a
            # sum over 50,000 tokens is off by 1e-4, always to the same side.
            nats_N = F.cross_entropy(
                logits_B_C_V.flatten(0, 1).double(),
                next_B_C.flatten(),
                ignore_index=-1,
                reduction="none",
            )
            for row, nats in zip(some, nats_N.view_as(next_B_C).sum(-1).tolist(), strict=True):
                scores[row] -= nats
    return scores


def _together(
    contexts: Iterable[tuple[int, ...]], batch_size: int
) -> Iterator[list[tuple[int, ...]]]:
    """Order the contexts, those of like length together, shortest first."""
    batch: list[tuple[int, ...]] = []
    for context in sorted(contexts, key=len):
        if batch and (len(batch) == batch_size or len(context) * (len(batch) + 1) > TOKENS):
            yield batch
            batch = []
        batch.append(context)
    if batch:
        yield batch


def of_choices(
    reader: Reader,
    tokens: Tokens,
    prompts: Sequence[str],
    continuations: Sequence[Sequence[str]],
    batch_size: int,
) -> list[list[float]]:
    """Score every prompt's continuations in nats, as `Engine.loglikelihoods` says."""
    rows = [
        tokens.scored(prompt, continuation)
        for prompt, choices in zip(prompts, continuations, strict=True)
        for continuation in choices
    ]
    flat = iter(loglikelihoods(reader, rows, batch_size))
    return [[next(flat) for _ in choices] for choices in continuations]
