"""Theorem 5: pessimistic inverse-propensity learning (Equation 6) where beta matters.

On Theorem 1's instance the regularizer is 3 for every policy, so this is a second instance. One
context; a student always plays one action of its class. The base covers the good action fairly, one
bad action better than that ("common"), and many bad actions badly ("rare"). Without pessimism a
rare action that happened to be sampled twice looks better than the good one; with too much, the
common action wins because it is covered best. The expert nearly always plays a favourite that no
student can play.

Departures from the paper: the bound's root is V_max sqrt(C log K / N) (docs/paper.md); f is the
density, scaled to 1 at the good action and clipped there.

Letters in the names: R replicates, A actions: favourite, good, common, and the rare ones.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_il.errors import ParameterError
from online_il.theory.checks import at_least

Array = NDArray[np.float64]

FAVOURITE, GOOD, FIRST_OF_CLASS = 0, 1, 1
CHUNK_NUMBERS = 4_000_000
"""Counts held at once in the Monte Carlo estimate: some 32 MB an array."""


class BanditInstance(NamedTuple):
    """The second instance; every action but the favourite is a student."""

    rare: int
    """Number of badly covered actions."""
    coverage: float
    """C^e: the expert plays the good action with probability 1 / C^e."""
    signal_bad: float = 0.5
    """f of the bad actions; the good one has 1."""

    @property
    def policies(self) -> int:
        """K: the good, the common and the rare actions."""
        return self.rare + 2

    @property
    def base_A(self) -> Array:
        """Probabilities of the base: 1/8 favourite, 1/8 good, 1/2 common, 1/4 over the rare."""
        return np.array([1 / 8, 1 / 8, 1 / 2, *[1 / 4 / self.rare] * self.rare])

    @property
    def expert_A(self) -> Array:
        """Probabilities of the expert."""
        good = 1 / self.coverage
        rest = [good * self.signal_bad] * (self.rare + 1)
        return np.array([1 - good - sum(rest), good, *rest])

    @property
    def signal_A(self) -> Array:
        """f(pi^e) = min(1, C^e pi^e): the density, scaled to 1 at the good action and clipped."""
        return np.minimum(1.0, self.coverage * self.expert_A)

    @property
    def coverage_class(self) -> float:
        """C^base(Pi): the worst-covered student."""
        return float(1 / self.base_A[FIRST_OF_CLASS:].min())

    @property
    def coverage_best(self) -> float:
        """C_*^base: the good action."""
        return float(1 / self.base_A[GOOD])

    @property
    def alpha(self) -> float:
        """alpha of Assumption 1: on the class f = alpha r + b exactly, so h = 0 and delta = 0."""
        return 1 - self.signal_bad


class BanditRisk(NamedTuple):
    """Risk max V - V of a learner by Monte Carlo, and its standard error."""

    estimate: float
    stderr: float


def check(
    instance: BanditInstance, samples: list[int], betas: list[float], replicates: int
) -> None:
    """Raises `ParameterError` for a parameter out of its range."""
    at_least("rare", [instance.rare], 1)
    at_least("samples", samples, 1)
    at_least("beta", betas, 0)
    at_least("replicates", [replicates], 2)
    if not 0 <= instance.signal_bad < 1:
        raise ParameterError(
            f"`signal_bad` {instance.signal_bad:g}: must be at least 0 and below 1, the good one's"
        )
    least = 1 + (instance.rare + 1) * instance.signal_bad
    at_least("coverage", [instance.coverage], least)


def bound(instance: BanditInstance, samples: int) -> float:
    """Compute Theorem 5's bound on V without its constant: that on J_on over alpha, at most 1.

    (C(Pi) V_max log K / N + V_max sqrt(C_* log K / N)) / alpha with V_max = 1.
    """
    log_k = math.log(instance.policies)
    first = instance.coverage_class * log_k / samples
    second = math.sqrt(instance.coverage_best * log_k / samples)
    return min(1.0, (first + second) / instance.alpha)


def theory_beta(instance: BanditInstance, samples: int) -> float:
    """Compute the beta that balances the bound's two terms: sqrt(log K / (C_* N))."""
    return math.sqrt(math.log(instance.policies) / (instance.coverage_best * samples))


def risks(
    instance: BanditInstance, samples: int, betas: list[float], *, replicates: int, seed: int
) -> tuple[list[BanditRisk], BanditRisk]:
    """Estimate the risk of Equation 6's learner for each beta, and behaviour cloning's.

    The data sets are drawn as counts an action; ties are decided at random. Behaviour cloning is
    maximum likelihood with a floor: the student whose action the expert showed most often.
    """
    rng = np.random.default_rng(seed)
    wrong, wrong_cloned = np.zeros(len(betas)), 0.0
    size = max(1, CHUNK_NUMBERS // (instance.rare + 3))
    base_A, signal_A = instance.base_A, instance.signal_A
    for start in range(0, replicates, size):
        rows = min(size, replicates - start)
        # Far below any difference of scores, so it decides ties alone.
        jitter = rng.random((rows, instance.policies)) * 1e-9
        counts = rng.multinomial(samples, base_A, size=rows)[:, FIRST_OF_CLASS:]
        inverse = 1 / base_A[FIRST_OF_CLASS:]
        estimates = counts / samples * inverse * signal_A[FIRST_OF_CLASS:]
        for index, beta in enumerate(betas):
            chosen = (estimates - beta * inverse + jitter).argmax(1)
            wrong[index] += float((chosen != 0).sum())
        shown = rng.multinomial(samples, instance.expert_A, size=rows)[:, FIRST_OF_CLASS:]
        wrong_cloned += float(((shown + jitter).argmax(1) != 0).sum())

    def risk(number: float) -> BanditRisk:
        share = number / replicates
        return BanditRisk(share, math.sqrt(share * (1 - share) / (replicates - 1)))

    return [risk(number) for number in wrong], risk(wrong_cloned)
