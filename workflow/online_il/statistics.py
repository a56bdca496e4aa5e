"""Standard errors and intervals for accuracies.

Responses to one prompt are not independent, so standard errors are clustered by prompt
("Adding error bars to evals", arXiv 2411.00640). A run's mean over seeds carries two errors: that
of the seeds, and that of the prompts, which all seeds share. An interval for a curve is wider than
one for a point, by how its points move in the joint bootstrap of seeds and prompts.

Letters in the names: S seeds, P prompts, K checkpoints, R resamples.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
CHUNK_NUMBERS = 8_000_000
"""Weights of prompts held at once: some 64 MB."""


class Interval(NamedTuple):
    """A mean with its standard error and interval."""

    mean: float
    stderr: float
    low: float
    high: float


def clustered_stderr(value_N: NDArray[np.floating], cluster_N: NDArray[np.generic]) -> float:
    """Standard error of the mean of `value_N` with observations clustered by `cluster_N`.

    The cluster-robust estimate with the G / (G - 1) correction for G clusters; nan for one.
    """
    _, index_N = np.unique(cluster_N, return_inverse=True)
    groups = int(index_N.max()) + 1
    if groups < 2:
        return math.nan
    residual_G = np.bincount(index_N, weights=value_N - value_N.mean(), minlength=groups)
    return math.sqrt(groups / (groups - 1) * float((residual_G**2).sum())) / len(value_N)


def mean_over_seeds(accuracy_S_P: NDArray[np.floating], tail: float = TAIL) -> Interval:
    """Mean accuracy over seeds and prompts, rows are seeds, with the interval that leaves `tail` on
    each side: at 95 % unless told.

    The variance is that of the seeds' means over S plus that of the prompts' means (averaged over
    seeds) over P, the latter shared by all seeds; the degrees of freedom follow Satterthwaite. The
    sum counts the seeds' prompt noise twice, so the interval errs on the wide side. With one seed
    only the prompts' part is left.

    The interval is Wilson's with the effective sample size m (1 - m) / variance and the quantile of
    t (Dean and Pagano, J. Surv. Stat. Methodol. 3, 2015): it stays within 0 and 1, and a run
    without a single right answer has an interval of more than no width, that of P prompts.
    """
    n_seeds, n_prompts = accuracy_S_P.shape
    mean = float(accuracy_S_P.mean())
    parts = []
    if n_seeds > 1:
        parts.append((float(accuracy_S_P.mean(1).var(ddof=1)) / n_seeds, n_seeds - 1))
    if n_prompts > 1:
        parts.append((float(accuracy_S_P.mean(0).var(ddof=1)) / n_prompts, n_prompts - 1))
    variance = sum(part for part, _ in parts)
    stderr = math.sqrt(variance) if parts else math.nan
    if variance > 0.0:
        quantile = float(stats.t.isf(tail, variance**2 / sum(part**2 / df for part, df in parts)))
        size = mean * (1 - mean) / variance
    else:
        quantile, size = float(stats.norm.isf(tail)), float(n_prompts)
    return Interval(mean, stderr, *_wilson(mean, size, quantile))


def _wilson(mean: float, size: float, quantile: float) -> tuple[float, float]:
    """Wilson's interval of a share `mean` among `size` observations."""
    square = quantile**2 / size
    centre = (mean + square / 2) / (1 + square)
    reach = math.sqrt(square * (mean * (1 - mean) + square / 4)) / (1 + square)
    return max(centre - reach, 0.0), min(centre + reach, 1.0)


def weights(
    seeds: int, prompts: int, resamples: int, rng: np.random.Generator
) -> Iterator[tuple[Array, Array]]:
    """Shares (R, S) and (R, P) of seeds and prompts drawn with replacement, in chunks."""
    size = max(1, CHUNK_NUMBERS // prompts)
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        seeds_R_S = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=rows) / seeds
        prompts_R_P = rng.multinomial(prompts, np.full(prompts, 1 / prompts), size=rows) / prompts
        yield seeds_R_S, prompts_R_P


def largest_moves(difference_S_K_P: Array, resamples: int, rng: np.random.Generator) -> Array:
    """The largest |deviation| over a curve's points, in their standard errors, a resample each.

    The joint bootstrap of seeds and prompts; it says how the points move together, so that an
    interval holds for all of them at once, and not how wide each is.
    """
    seeds, points, prompts = difference_S_K_P.shape
    flat = difference_S_K_P.reshape(seeds * points, prompts).T
    drawn_R_K = np.concatenate(
        [
            np.einsum("rs,rsk->rk", seeds_R_S, (prompts_R_P @ flat).reshape(-1, seeds, points))
            for seeds_R_S, prompts_R_P in weights(seeds, prompts, resamples, rng)
        ]
    )
    spread_K = drawn_R_K.std(0)
    moves_R_K = np.abs(drawn_R_K - difference_S_K_P.mean((0, 2))) / np.where(spread_K, spread_K, 1)
    return np.asarray(moves_R_K.max(1))


def simultaneous_tail(moves_R: Array) -> float:
    """The tail of a single point whose quantile all points of a curve keep within at `LEVEL`."""
    return float(stats.norm.sf(np.quantile(moves_R, LEVEL)))
