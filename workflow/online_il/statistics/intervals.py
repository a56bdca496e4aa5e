"""Intervals for shares and for estimates.

A run's mean over seeds carries two errors: that of the seeds, and that of the prompts, which all
seeds share.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
BOUNDS = (0.025, 0.975)
"""The quantiles between which `LEVEL` of a distribution lies."""


class Interval(NamedTuple):
    """A mean with its standard error and interval."""

    mean: float
    stderr: float
    low: float
    high: float


def mean_over_seeds(
    accuracy_S_P: NDArray[np.floating], tail: float = TAIL, responses: int = 1
) -> Interval:
    """Average accuracy over seeds (rows) and prompts; `tail` is left on each side of the interval.

    The variance is that of the seeds' means over S plus that of the prompts' means (averaged over
    seeds) over P, the latter shared by all seeds; the degrees of freedom follow Satterthwaite. The
    sum counts the seeds' prompt noise twice, so the interval errs on the wide side. With one seed
    only the prompts' part is left.

    The interval is Wilson's with the effective sample size m (1 - m) / variance and the quantile of
    t (Dean and Pagano, J. Surv. Stat. Methodol. 3, 2015): it stays within 0 and 1, and a run
    without a single right answer has an interval of more than no width: that of all its answers,
    `responses` a prompt and seed, as one right answer would have it.
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
        quantile, size = float(stats.norm.isf(tail)), float(n_seeds * n_prompts * responses)
    return Interval(mean, stderr, *_wilson(mean, size, quantile))


def _wilson(mean: float, size: float, quantile: float) -> tuple[float, float]:
    """Compute Wilson's interval of a share `mean` among `size` observations."""
    square = quantile**2 / size
    centre = (mean + square / 2) / (1 + square)
    reach = math.sqrt(square * (mean * (1 - mean) + square / 4)) / (1 + square)
    return max(centre - reach, 0.0), min(centre + reach, 1.0)


def normal_interval(value: float, stderr: float) -> tuple[float, float]:
    """Compute the 95 % interval of an estimate with a standard error of many replicates."""
    return value - 1.96 * stderr, value + 1.96 * stderr
