"""Mean differences over seeds and prompts that all seeds share, with intervals for a few seeds.

Resampling three seeds gives intervals that are too narrow: where seeds differ, the percentile
bootstrap misses the truth in more than 12 studies of 100 instead of 5 (test_effects.py). So
the variance is the two-way analysis of variance's, whose part of the seeds is never below the
prompts' noise in it, and the quantile is Cochran and Cox's (Experimental Designs, 1950): the mean
of t with S - 1 and with P - 1 degrees of freedom, weighted by the two parts. benchmarks/claims.py
measures how often that errs. Over a curve's points Bonferroni's correction holds.
"""

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, special
from scipy.stats import qmc

from online_il.statistics.intervals import TAIL, Array

POWER = 0.8
LEAST_P = 2e-12
"""Smallest p that is told apart from 0."""
POINTS = 4096
"""Of the integral in `Effect.detectable`."""


class Part(NamedTuple):
    """One independent part of a variance, with the degrees of freedom of its estimate."""

    variance: float
    freedom: int


class Effect(NamedTuple):
    """An estimate with the parts of its variance; one seed has no part of the seeds."""

    value: float
    parts: tuple[Part, ...]
    seeds: int
    prompts: int
    alike: bool = False
    """Whether its variance is of blocks alone, and no block differs from another: none was seen."""

    @property
    def stderr(self) -> float:
        """Standard error."""
        return math.sqrt(sum(part.variance for part in self.parts))

    def quantile(self, tail: float) -> float:
        """Return how many standard errors leave a share `tail` above them (Cochran and Cox)."""
        # An estimate without any variance has no use for it.
        weights = [part.variance + 1e-30 for part in self.parts]
        quantiles = [-special.stdtrit(part.freedom, tail) for part in self.parts]
        return float(np.average(quantiles, weights=weights))

    def p_value(self, distance: float) -> float:
        """Compute the two-sided p of being `distance` from a boundary by chance."""
        if self.stderr == 0.0:
            return 1.0 if distance == 0.0 else LEAST_P
        wanted = abs(distance) / self.stderr
        if self.quantile(LEAST_P / 2) <= wanted:
            return LEAST_P
        found = optimize.brentq(
            lambda log: self.quantile(math.exp(log)) - wanted, math.log(LEAST_P / 2), math.log(0.5)
        )
        return min(1.0, 2 * math.exp(float(found)))

    def interval(self, tail: float = TAIL) -> tuple[float, float]:
        """Compute the interval that leaves `tail` on each side."""
        reach = self.quantile(tail) * self.stderr
        return self.value - reach, self.value + reach

    def detectable(self, tail: float = TAIL) -> float:
        """Find the smallest distance from a boundary that 80 % of such studies would see.

        A study sees it where its interval, which leaves `tail` on each side, ends before the
        boundary. Such studies have this one's variances, and estimate them as it did, from as few
        degrees of freedom: with three seeds that costs more than the quantile alone says.
        """
        # An integral over the estimates of the parts and the error of the mean, on fixed points.
        points_U_N = qmc.Halton(len(self.parts) + 1, scramble=False).random(POINTS + 1)[1:].T
        parts_N = [
            part.variance * special.chdtri(part.freedom, points_N) / part.freedom
            for part, points_N in zip(self.parts, points_U_N[:-1], strict=True)
        ]
        variance_N = np.sum(parts_N, axis=0) + 1e-30
        quantiles = [-special.stdtrit(part.freedom, tail) for part in self.parts]
        weighted_N = np.sum(
            [part_N * quantile for part_N, quantile in zip(parts_N, quantiles, strict=True)], axis=0
        )
        reach_N = weighted_N / np.sqrt(variance_N)
        error_N = special.ndtri(points_U_N[-1]) * self.stderr
        return max(0.0, float(np.quantile(reach_N + error_N, POWER)))


def mean_effect(difference_S_P: Array, responses: int = 1, largest: float = 1.0) -> Effect:
    """Average a table of differences, a row a seed, with both parts of its variance.

    Each entry is a mean of `responses` differences, none of which is beyond `largest`: 1 for two
    runs, 2 for a difference of differences.

    Mean squares of the two-way analysis of variance: MS_S and MS_P estimate the variance of seeds
    and of prompts, each with the residual MS_E in it once, which is taken out half from either. By
    chance MS_S is below MS_E; then MS_E stands for it. As Agresti and Min do for pairs (Stat. Med.
    24, 2005), two more pairs of responses, one better and one worse by as much as can be, keep the
    width from 0 where all agree. A pair moves the mean of its prompt by 1 / (seeds x responses).
    """
    seeds, prompts = difference_S_P.shape
    mean = float(difference_S_P.mean())
    prompt_P = difference_S_P.mean(0)
    ms_prompts = seeds * _variance(prompt_P, largest / (seeds * responses))
    if seeds == 1:
        return Effect(mean, (Part(ms_prompts / prompts, prompts - 1),), seeds, prompts)
    seed_S = difference_S_P.mean(1)
    residual_S_P = difference_S_P - seed_S[:, None] - prompt_P + mean
    ms_residual = float((residual_S_P**2).sum()) / ((seeds - 1) * (prompts - 1))
    ms_seeds = max(prompts * float(seed_S.var(ddof=1)), ms_residual)
    of_seeds = (ms_seeds - ms_residual / 2) / (seeds * prompts)
    of_prompts = max(ms_prompts - ms_residual / 2, ms_prompts / 2) / (seeds * prompts)
    parts = Part(of_seeds, seeds - 1), Part(of_prompts, prompts - 1)
    return Effect(mean, parts, seeds, prompts)


def over_blocks(difference_B_P: Array, responses: int = 1, largest: float = 1.0) -> Effect:
    """Average a table of differences, a row a block, with the variance of its blocks' means alone.

    Student's t over blocks: for prompts that are all there are, or that no two blocks share. Two
    more pairs of responses keep the width from 0, as in `mean_effect`. One block has no variance of
    blocks; then that of prompts stands in its place.
    """
    blocks, prompts = difference_B_P.shape
    if blocks == 1:
        return mean_effect(difference_B_P, responses, largest)
    block_B = difference_B_P.mean(1)
    part = Part(_variance(block_B, largest / (prompts * responses)) / blocks, blocks - 1)
    # Sums in another order differ in their last digits.
    alike = float(np.ptp(block_B)) < 1e-9
    return Effect(float(difference_B_P.mean()), (part,), blocks, prompts, alike)


def independent_effect(
    first_S_P: Array, second_S_P: Array, responses: int = 1, *, paired: bool
) -> Effect:
    """Subtract the first mean from the second, of runs with seeds of their own.

    `paired`: both answered the same prompts, in the same order, `responses` times. The seeds' and
    the prompts' parts both hold what is left over, so that the interval errs on the wide side.
    """
    first, second = first_S_P.mean(0), second_S_P.mean(0)
    # Two more pairs as above; without pairs Agresti and Caffo's (Am. Stat. 54, 2000), a right and a
    # wrong response more in each run.
    if paired:
        fewest = min(len(first_S_P), len(second_S_P))
        tables = [(second - first, 1 / (fewest * responses))]
    else:
        tables = [(one.mean(0), 0.5 / (len(one) * responses)) for one in (first_S_P, second_S_P)]
    parts = [Part(_variance(one, more) / len(one), len(one) - 1) for one, more in tables]
    for one in (first_S_P, second_S_P):
        if len(one) > 1:
            parts.append(Part(float(one.mean(1).var(ddof=1)) / len(one), len(one) - 1))
    seeds = min(len(first_S_P), len(second_S_P))
    return Effect(float(second.mean() - first.mean()), tuple(parts), seeds, len(first))


def _variance(value_N: Array, more: float) -> float:
    """Estimate a variance, with two more deviations of `more` to either side of the mean."""
    return (float(((value_N - value_N.mean()) ** 2).sum()) + 2 * more**2) / (len(value_N) - 1)


def best_of_others(accuracy_S_K_P: Array) -> Array:
    """Take each seed's table (S, P) at the checkpoint that is best for the other seeds.

    The best of many checkpoints is so by luck, too; another seed's has none of this seed's luck.
    A single seed has no others and takes its own.
    """
    mean_S_K = accuracy_S_K_P.mean(2)
    others_S_K = mean_S_K.sum(0) - mean_S_K if len(mean_S_K) > 1 else mean_S_K
    return np.asarray(accuracy_S_K_P[np.arange(len(mean_S_K)), others_S_K.argmax(1)])


def holm(p: Array, numbers: Sequence[Hashable] | None = None) -> Array:
    """Correct p values for their number by Holm's step-down method.

    `numbers` says which p are of one number, such as one effect against several margins. They count
    once: an interval that holds the truth errs about none of them.
    """
    order = p.argsort(kind="stable")
    named = list(range(len(p))) if numbers is None else [numbers[i] for i in order]
    left = np.array([len(set(named[i:])) for i in range(len(p))])
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * left), 1.0)
    return corrected
