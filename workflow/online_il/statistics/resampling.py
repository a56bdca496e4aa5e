"""Resamples of seeds and prompts, and intervals that hold for all points of a curve at once."""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from online_il.statistics.intervals import LEVEL, Array

CHUNK_NUMBERS = 8_000_000
"""Weights of prompts held at once: some 64 MB."""


def resampled(
    seeds: int, prompts: int, resamples: int, rng: np.random.Generator
) -> Iterator[tuple[Array, Array]]:
    """Draw seeds and prompts with replacement; yield shares (R, S) and (R, P) in chunks."""
    size = max(1, CHUNK_NUMBERS // prompts)
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        yield shares(seeds, rows, rng), shares(prompts, rows, rng)


def shares(count: int, resamples: int, rng: np.random.Generator) -> Array:
    """Draw `count` things with replacement; return each one's share of the draws, (R, count)."""
    return rng.multinomial(count, np.full(count, 1 / count), size=resamples) / count


def largest_moves(difference_S_K_P: Array, resamples: int, rng: np.random.Generator) -> Array:
    """Find the largest |deviation| over a curve's points, in standard errors, each resample.

    The joint bootstrap of seeds and prompts; it says how the points move together, so that an
    interval holds for all of them at once, and not how wide each is.
    """
    seeds, points, prompts = difference_S_K_P.shape
    flat = difference_S_K_P.reshape(seeds * points, prompts).T
    drawn_R_K = np.concatenate(
        [
            np.einsum("rs,rsk->rk", seeds_R_S, (prompts_R_P @ flat).reshape(-1, seeds, points))
            for seeds_R_S, prompts_R_P in resampled(seeds, prompts, resamples, rng)
        ]
    )
    spread_K = drawn_R_K.std(0)
    moves_R_K = np.abs(drawn_R_K - difference_S_K_P.mean((0, 2))) / np.where(spread_K, spread_K, 1)
    return np.asarray(moves_R_K.max(1))


def simultaneous_tail(moves_R: Array) -> float:
    """Find the tail of a point whose quantile all points of a curve keep within."""
    return float(stats.norm.sf(np.quantile(moves_R, LEVEL)))
