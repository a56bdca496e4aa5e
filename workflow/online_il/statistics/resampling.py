"""Resamples of seeds and prompts."""

from collections.abc import Iterator

import numpy as np

from online_il.statistics.intervals import Array

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
