"""Standard errors.

Responses to one prompt are not independent, so standard errors are clustered by prompt
("Adding error bars to evals", arXiv 2411.00640).
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from online_il.statistics.intervals import BOUNDS, Array


def clustered_stderr(value_N: NDArray[np.floating], cluster_N: NDArray[np.generic]) -> float:
    """Compute the standard error of the mean of `value_N`, clustered by `cluster_N`.

    The cluster-robust estimate with the G / (G - 1) correction for G clusters; nan for one.
    """
    _, index_N = np.unique(cluster_N, return_inverse=True)
    groups = int(index_N.max()) + 1
    if groups < 2:
        return math.nan
    residual_G = np.bincount(index_N, weights=value_N - value_N.mean(), minlength=groups)
    return math.sqrt(groups / (groups - 1) * float((residual_G**2).sum())) / len(value_N)


def without_bias(value: float, drawn_R: Array, prompts: int) -> tuple[float, float]:
    """Take the bias that the bootstrap of prompts shows off a value; return its error, too.

    `drawn_R` are the values on the resamples. The error is widened by sqrt(P / (P - 1)), which
    drawing P prompts from P leaves out; intervals reach `student_quantile(P)` errors
    (benchmarks/noise.py measures their coverage).
    """
    widened = math.sqrt(prompts / (prompts - 1))
    return 2 * value - float(drawn_R.mean()), widened * float(drawn_R.std())


def student_quantile(prompts: int) -> float:
    """Return how many standard errors of `without_bias` a 95 % interval reaches to either side."""
    return float(stats.t.ppf(BOUNDS[1], prompts - 1))
