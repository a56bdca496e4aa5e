"""A language small enough to write down: two tokens and an end, three tokens at most."""

from itertools import product

import torch

END, STEPS = 2, 3
# Every response that ends, or is cut after three tokens.
RESPONSES = [(*body, END) for n in range(STEPS) for body in product((0, 1), repeat=n)]
RESPONSES += list(product((0, 1), repeat=STEPS))
PREFIXES = [prefix for n in range(STEPS) for prefix in product((0, 1), repeat=n)]


def table(seed: int) -> torch.Tensor:
    """Logits (7, 3) of a policy at every prefix that has not ended, in double precision."""
    return torch.randn(len(PREFIXES), 3, generator=torch.Generator().manual_seed(seed)).double()


def states(response) -> list[int]:
    """The row of the table at each token of a response."""
    return [PREFIXES.index(tuple(response[:t])) for t in range(len(response))]


def log_probability(logits_S_V: torch.Tensor, response) -> torch.Tensor:
    """Of a whole response."""
    logp_S_V = logits_S_V.log_softmax(-1)
    return logp_S_V[states(response), list(response)].sum()


def sequence_kl(student_S_V: torch.Tensor, expert_S_V: torch.Tensor) -> torch.Tensor:
    """KL between the two distributions over whole responses, by its definition."""
    logp_Y = torch.stack([log_probability(student_S_V, y) for y in RESPONSES])
    logq_Y = torch.stack([log_probability(expert_S_V, y) for y in RESPONSES])
    return (logp_Y.exp() * (logp_Y - logq_Y)).sum()
