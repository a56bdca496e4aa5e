"""Tiny languages whose responses can all be written down, and policies that are tables.

Token 0 ends a response; a response that has no end within LONGEST tokens is cut there.
"""

from itertools import product

import numpy as np
import torch

from online_il.experts.policy import own_numbers

LONGEST = 4
Table = dict[tuple[int, ...], np.ndarray]


def responses(width: int) -> list[tuple[int, ...]]:
    """Every response: those that end, and those that are cut."""
    ended = [(*body, 0) for n in range(LONGEST) for body in product(range(1, width), repeat=n)]
    return ended + list(product(range(1, width), repeat=LONGEST))


def table(width: int, seed: int, zeros: float = 0.0) -> Table:
    """Random conditionals for every prefix; with `zeros` some tokens are never drawn."""
    rng = np.random.default_rng(seed)
    conditionals = {}
    for n in range(LONGEST + 1):
        for prefix in product(range(width), repeat=n):
            chances = rng.gamma(0.5, size=width) + 1e-6
            dropped = rng.random(width) < zeros
            dropped[rng.integers(width)] = False
            chances[dropped] = 0.0
            conditionals[prefix] = chances / chances.sum()
    return conditionals


def chance(conditionals: Table, response: tuple[int, ...]) -> float:
    """Probability that a response begins with these tokens, by plain multiplication."""
    result = 1.0
    for place, token in enumerate(response):
        result *= float(conditionals[response[:place]][token])
    return result


class Tabular:
    """A `Policy` that is a table; it looks at no prompt."""

    def __init__(self, conditionals: Table, dtype: torch.dtype = torch.double) -> None:
        self.conditionals, self.dtype = conditionals, dtype
        self.width = len(conditionals[()])
        self.asked = 0

    def logp(self, batch):
        self.asked += 1
        rows = [
            [self.conditionals[tuple(row[:place])] for place in range(len(row))]
            for row in batch.response_ids_B_C.tolist()
        ]
        return torch.tensor(np.array(rows)).log().to(self.dtype)

    def respond(self, contexts, keys, *, max_new_tokens, seed):
        drawn = []
        for key in keys:
            numbers, row = own_numbers(seed, key, 99), ()
            while len(row) < max_new_tokens and row[-1:] != (0,):
                row += (int(numbers.choice(self.width, p=self.conditionals[row])),)
            drawn.append(list(row))
        return drawn


class Bigram:
    """A `Policy` whose next token depends on the last one alone, of the prompt or the response."""

    def __init__(self, width: int, seed: int = 0, ends: tuple[int, ...] = ()) -> None:
        self.chances_V_V = np.random.default_rng(seed).dirichlet(np.ones(width), size=width)
        self.width, self.ends = width, ends

    def logp(self, batch):
        before = torch.cat((batch.prompt_ids_B_P[:, -1:], batch.response_ids_B_C[:, :-1]), dim=1)
        return torch.tensor(self.chances_V_V)[before].log()

    def respond(self, contexts, keys, *, max_new_tokens, seed):
        drawn = []
        for context, key in zip(contexts, keys, strict=True):
            numbers, row = own_numbers(seed, key, 99), list(context)
            while len(row) < len(context) + max_new_tokens and (
                len(row) == len(context) or row[-1] not in self.ends
            ):
                row.append(int(numbers.choice(self.width, p=self.chances_V_V[row[-1]])))
            drawn.append(row[len(context) :])
        return drawn
