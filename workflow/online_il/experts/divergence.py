"""Divergences between policies over whole responses, estimated from samples.

KL(pi || pi') = E_{y ~ pi} [log pi(y | x) - log pi'(y | x)] for responses cut at the longest length
of the samples, a lower bound of the KL of uncut ones. Two estimates from the same samples of pi,
with the same mean: that of the responses' own log-ratios, whose quantiles say what bounds on
pi / pi' would have to be; and that of the KLs of the next-token distributions, summed over each
response, which varies less. Standard errors are clustered by prompt.

Letters in the names: N responses, and those of `experts.policy`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from online_il.experts.mixture import Mixture
from online_il.experts.policy import Batch, Ids, Policy, batch_of, token_logp
from online_il.generation.decode import batches
from online_il.statistics.errors import clustered_stderr

Array = NDArray[np.float64]
ROWS_AT_ONCE = 32
"""Responses that a policy reads side by side, at most: with 256 a token takes twice the time."""
NUMBERS_AT_ONCE = 2**25
"""Probabilities that a policy gives at once, at most, 128 MiB; one response alone may take more."""


class Compared(NamedTuple):
    """Responses of one policy, row by row, under that policy and another one (nats)."""

    log_own_N: Array
    """log pi(y | x) under the policy that drew the responses."""
    log_other_N: Array
    """log pi'(y | x); minus infinity for what the other cannot write."""
    token_kl_N: Array
    """KL(pi || pi') of the next-token distributions, summed over a response's tokens."""


class Estimate(NamedTuple):
    """A mean over responses with its standard error; infinite means have none (nan)."""

    mean: float
    stderr: float


def compared(
    own: Policy,
    other: Policy,
    prompts: Sequence[Ids],
    responses: Sequence[Ids],
    batch_size: int,
) -> Compared:
    """Log-probabilities of the responses of `own` under it and under `other`."""
    found = np.empty((3, len(prompts)))
    for rows, batch in _batches(prompts, responses, batch_size, own.width):
        own_B_C_V, other_B_C_V = own.logp(batch), other.logp(batch)
        mask_B_C = batch.response_mask_B_C.to(own_B_C_V.device)
        kl_B_C = next_token_kl(own_B_C_V, other_B_C_V).masked_fill(mask_B_C == 0, 0.0)
        found[0, rows] = token_logp(own_B_C_V, batch).sum(-1).cpu()
        found[1, rows] = token_logp(other_B_C_V, batch).sum(-1).cpu()
        found[2, rows] = kl_B_C.sum(-1).cpu()
    return Compared(*found)


def next_token_kl(logp_B_C_V: Tensor, other_B_C_V: Tensor) -> Tensor:
    """KL(p || q) (B, C), nats, of next-token distributions given as log-probabilities.

    Infinite where q lacks a token of p. A token that p lacks counts nothing, whatever q says.
    """
    logp_B_C_V, other_B_C_V = logp_B_C_V.double(), other_B_C_V.double()
    # A probability of 0 times a logarithm of minus infinity is no number.
    gap_B_C_V = torch.where(logp_B_C_V.isneginf(), 0.0, logp_B_C_V - other_B_C_V)
    return (logp_B_C_V.exp() * gap_B_C_V).sum(-1)


def log_ratio_kl(pair: Compared, prompt_N: NDArray[np.generic]) -> Estimate:
    """KL(pi || pi') as the mean of log pi - log pi' over samples of pi, clustered by prompt."""
    return _estimate(pair.log_own_N - pair.log_other_N, prompt_N)


def token_kl(pair: Compared, prompt_N: NDArray[np.generic]) -> Estimate:
    """The same from next-token KLs summed over each response: the same mean, less variance."""
    return _estimate(pair.token_kl_N, prompt_N)


def log_ratio_quantiles(pair: Compared, levels: Sequence[float]) -> Array:
    """Quantiles of log pi - log pi' over samples of pi (nats); the level 1 is the largest seen.

    Each is a value of a response, so that infinite ones stay what they are.
    """
    log_ratio_N = pair.log_own_N - pair.log_other_N
    return np.asarray(np.quantile(log_ratio_N, levels, method="inverted_cdf"))


def shares_of(
    mixture: Mixture, prompts: Sequence[Ids], responses: Sequence[Ids], batch_size: int
) -> Array:
    """Posterior (N, K) of a mixture's parts given each whole response; a row sums to one."""
    found = np.empty((len(prompts), len(mixture.parts)))
    for rows, batch in _batches(prompts, responses, batch_size, mixture.width):
        found[rows] = mixture.shares(batch).cpu()
    return found


def _batches(
    prompts: Sequence[Ids], responses: Sequence[Ids], batch_size: int, width: int
) -> list[tuple[list[int], Batch]]:
    """Numbers of rows and their batch; responses of like length together."""
    longest = max([1, *map(len, responses)])
    at_once = max(1, min(batch_size, ROWS_AT_ONCE, NUMBERS_AT_ONCE // (longest * width)))
    return [
        (rows, batch_of([prompts[row] for row in rows], [responses[row] for row in rows]))
        for rows in batches(responses, at_once)
    ]


def _estimate(value_N: Array, prompt_N: NDArray[np.generic]) -> Estimate:
    mean = float(value_N.mean())
    if not math.isfinite(mean):
        return Estimate(mean, math.nan)
    return Estimate(mean, clustered_stderr(value_N, prompt_N))
