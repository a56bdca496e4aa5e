"""A policy as an expert: it draws responses and gives next-token log-probabilities of given ones.

Both work on token ids, for an expert is asked about a student's responses token by token.

Letters in the names: B rows, P positions of prompts, C positions of responses, V vocabulary.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

Ids = Sequence[int]
Key = tuple[int, int]
"""(prompt number, sample index): with the seed it names the random numbers of a row."""


class Batch(NamedTuple):
    """Prompts padded on the left, their responses padded on the right; masks are 1 at tokens."""

    prompt_ids_B_P: Tensor
    prompt_mask_B_P: Tensor
    response_ids_B_C: Tensor
    response_mask_B_C: Tensor

    def prompts(self) -> list[list[int]]:
        """The prompts' token ids without padding."""
        return _unpadded(self.prompt_ids_B_P, self.prompt_mask_B_P)

    def responses(self) -> list[list[int]]:
        """The responses' token ids without padding."""
        return _unpadded(self.response_ids_B_C, self.response_mask_B_C)


class Policy(Protocol):
    """What a mixture is made of, and what a mixture is."""

    width: int
    """V: how many token ids the probabilities span."""

    def logp(self, batch: Batch) -> Tensor:
        """Log-probabilities (B, C, V), nats, of every next token at each position of responses.

        Position c is given the prompt and the response's tokens before c. Each conditional sums to
        one, that at a position past a response's end too, which means nothing.
        """

    def respond(
        self, contexts: Sequence[Ids], keys: Sequence[Key], *, max_new_tokens: int, seed: int
    ) -> list[list[int]]:
        """Draw what follows each context, up to and including the token that ends a response.

        What has no end within `max_new_tokens` is cut there. A row's tokens follow exactly the
        conditionals of `logp`, and depend on its context, its key and the seed alone.
        """


def batch_of(prompts: Sequence[Ids], responses: Sequence[Ids]) -> Batch:
    """Prompts and their responses as padded tensors."""
    prompt_ids_B_P, prompt_mask_B_P = _padded(prompts, left=True)
    return Batch(prompt_ids_B_P, prompt_mask_B_P, *_padded(responses, left=False))


def token_logp(logp_B_C_V: Tensor, batch: Batch) -> Tensor:
    """Log-probabilities (B, C) of the responses' own tokens, in double precision; 0 at padding."""
    device = logp_B_C_V.device
    logp_B_C = logp_B_C_V.gather(-1, batch.response_ids_B_C.to(device)[..., None])[..., 0]
    return logp_B_C.double().masked_fill(batch.response_mask_B_C.to(device) == 0, 0.0)


def own_numbers(seed: int, key: Key, stream: int) -> np.random.Generator:
    """Random numbers of a row beside those that the generation engines draw its tokens from."""
    return np.random.Generator(
        np.random.Philox(np.random.SeedSequence([seed, *key], spawn_key=(stream,)))
    )


def _padded(rows: Sequence[Ids], *, left: bool) -> tuple[Tensor, Tensor]:
    longest = max(map(len, rows))
    ids_B_T = torch.zeros((len(rows), longest), dtype=torch.long)
    mask_B_T = torch.zeros_like(ids_B_T)
    for row, ids in enumerate(rows):
        place = slice(longest - len(ids), None) if left else slice(len(ids))
        ids_B_T[row, place] = torch.tensor(ids, dtype=torch.long)
        mask_B_T[row, place] = 1
    return ids_B_T, mask_B_T


def _unpadded(ids_B_T: Tensor, mask_B_T: Tensor) -> list[list[int]]:
    return [
        [token for token, real in zip(ids, mask, strict=True) if real]
        for ids, mask in zip(ids_B_T.tolist(), mask_B_T.tolist(), strict=True)
    ]
