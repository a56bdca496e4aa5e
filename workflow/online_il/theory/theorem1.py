"""Theorem 1's hard instance, and what five learners reach on it.

Each of l contexts hides one good action of two; the expert plays an action that no student can, and
shows the good one with probability 1/C. Learning is covering the contexts, so the exact expected
risk (1 - V, averaged over the hidden actions) of every learner is a sum over contexts. The Monte
Carlo estimate draws sufficient statistics, the counts per context, instead of N samples.

Departures from the paper (docs/paper.md): learners are proper, V* - V is the risk, zeta is at most
1/(l - 1), and where l = 1 a dummy context without any choice takes the mass that zeta leaves.

Letters in the names: R replicates, L contexts.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from online_il.errors import ParameterError
from online_il.theory.checks import at_least, within

Array = NDArray[np.float64]

LEARNERS = ("offline", "sft", "on_policy", "ipw_density", "ipw_log_shifted", "ipw_log")
CHUNK_NUMBERS = 2_000_000
"""Counts held at once in the Monte Carlo estimate: some 16 MB an array."""


class HardInstance(NamedTuple):
    """One hard instance: l contexts, coverage C, N samples."""

    contexts: int
    coverage: float
    samples: int

    @property
    def policies(self) -> int:
        """K = |Pi| = 2^l."""
        return int(2**self.contexts)

    @property
    def rate(self) -> float:
        """The bound's rate min(1, C log K / N), without its constant."""
        return min(1.0, self.coverage * self.contexts * math.log(2) / self.samples)


class OfflineRisk(NamedTuple):
    """A learner's expected risk: exact, and by Monte Carlo with its standard error."""

    exact: float
    estimate: float
    stderr: float


def check(instance: HardInstance, replicates: int, log_floor: float) -> None:
    """Raises `ParameterError` for a parameter out of its range."""
    at_least("contexts", [instance.contexts], 1)
    at_least("coverage", [instance.coverage], 1)
    at_least("samples", [instance.samples], 1)
    at_least("replicates", [replicates], 2)
    within("log_floor", [log_floor], 0, 1)
    if instance.contexts > 512:
        raise ParameterError(f"`contexts` {instance.contexts}: must be at most 512")


def light_mass(instance: HardInstance, zeta: float | None = None) -> float:
    """Compute zeta, a light context's mass: min(C / N, 1 / (l - 1)) unless it is given."""
    largest = 1 / max(1, instance.contexts - 1)
    if zeta is None:
        return min(instance.coverage / instance.samples, largest)
    if not 0 < zeta <= largest:
        raise ParameterError(
            f"`zeta` {zeta:g}: must be above 0 and at most 1 / (contexts - 1) = {largest:g}"
        )
    return zeta


def masses(instance: HardInstance, zeta: float | None = None) -> Array:
    """List the mass of each context in which there is something to learn, shape (L,).

    l - 1 light ones and the heavy rest; with l = 1 a light one alone, beside the dummy context.
    """
    light = light_mass(instance, zeta)
    if instance.contexts == 1:
        return np.array([light])
    number = instance.contexts - 1
    return np.array([light] * number + [max(0.0, 1 - number * light)])


# ---- exact ----


def exact_risk(
    learner: str, instance: HardInstance, *, log_floor: float, zeta: float | None = None
) -> float:
    """Compute a learner's expected risk over hidden actions, samples and its own coins.

    A learner that has not covered a context tosses a coin there. What covers one: the good action
    in an expert sample (offline, and maximum likelihood, whose floor gives every policy the same
    likelihood for the expert's favourite); any own visit where pi^e(y|x) is shown (on-policy); the
    good action among samples of the uniform base (inverse propensity with a signal that is zero
    for the bad one: the density, or its clipped logarithm when that is shifted by the clip).
    """
    mass_L = masses(instance, zeta)
    n, coverage = instance.samples, instance.coverage
    if learner in ("offline", "sft"):
        missed_L = _power(1 - mass_L / coverage, n)
    elif learner == "on_policy":
        missed_L = _power(1 - mass_L, n)
    elif learner == "ipw_density" or (learner == "ipw_log_shifted" and coverage * log_floor < 1):
        missed_L = _power(1 - mass_L / 3, n)
    elif learner == "ipw_log_shifted":
        missed_L = np.ones_like(mass_L)  # Good and bad action are both clipped to nothing.
    else:
        masses_U, counts_U = np.unique(mass_L, return_counts=True)
        errors = [_log_error(mass, instance, log_floor) for mass in masses_U]
        return float((masses_U * counts_U) @ errors)
    return float(0.5 * (mass_L * missed_L).sum())


def _power(base_L: Array, exponent: int) -> Array:
    with np.errstate(divide="ignore"):
        return np.asarray(np.exp(exponent * np.log(np.maximum(base_L, 0.0))))


def _log_error(mass: float, instance: HardInstance, log_floor: float) -> float:
    """Compute the chance of a wrong action in a context, with f = log clipped, not shifted.

    Both signals are negative, so an action loses by being sampled: of t samples of the two, g of
    the good one, the bad action wins where g |signal(good)| > (t - g) |signal(bad)|, that is above
    a share q of t, and a coin decides at q. t is binomial (N, 2 mass / 3), g binomial (t, 1/2).
    """
    good, bad = _log_signals(instance, log_floor)
    total = stats.binom(instance.samples, min(1.0, 2 * mass / 3))
    # Everything but a tail that double precision cannot see.
    low = max(0, int(total.ppf(1e-18)) - 1)
    high = min(instance.samples, int(total.isf(1e-18)) + 1)
    t = np.arange(low, high + 1)
    limit = t * (bad / (good + bad))
    nearest = np.rint(limit)
    tied = np.abs(limit - nearest) < 1e-9
    above = np.where(tied, nearest, np.floor(limit))
    wrong = stats.binom.sf(above, t, 0.5) + 0.5 * tied * stats.binom.pmf(nearest, t, 0.5)
    return float(total.pmf(t) @ wrong)


def _log_signals(instance: HardInstance, log_floor: float) -> tuple[float, float]:
    """Clip the logarithm of pi^e(y|x) for the good action, 1/C, and for the bad one, 0."""
    return math.log(max(1 / instance.coverage, log_floor)), math.log(log_floor)


# ---- Monte Carlo ----


def estimate(
    instance: HardInstance,
    *,
    replicates: int,
    seed: int,
    log_floor: float,
    zeta: float | None = None,
) -> dict[str, OfflineRisk]:
    """Estimate the risk of every learner on `replicates` data sets; give the exact one, too."""
    sums: dict[str, list[float]] = {learner: [0.0, 0.0] for learner in LEARNERS}
    for risks in _chunks(instance, replicates, seed, log_floor, zeta):
        for learner, risk_R in risks.items():
            sums[learner][0] += float(risk_R.sum())
            sums[learner][1] += float((risk_R**2).sum())
    found = {}
    for learner, (total, squares) in sums.items():
        mean = total / replicates
        variance = max(0.0, squares / replicates - mean**2) * replicates / (replicates - 1)
        exact = exact_risk(learner, instance, log_floor=log_floor, zeta=zeta)
        found[learner] = OfflineRisk(exact, mean, math.sqrt(variance / replicates))
    return found


def _chunks(
    instance: HardInstance, replicates: int, seed: int, log_floor: float, zeta: float | None
) -> Iterator[dict[str, Array]]:
    mass_L = masses(instance, zeta)
    rng = np.random.default_rng(seed)
    size = max(1, CHUNK_NUMBERS // len(mass_L))
    for start in range(0, replicates, size):
        yield _risks(rng, mass_L, instance, min(size, replicates - start), log_floor)


def _risks(
    rng: np.random.Generator,
    mass_L: Array,
    instance: HardInstance,
    replicates: int,
    log_floor: float,
) -> dict[str, Array]:
    """Draw a data set a replicate; return the risk of each learner on it, shape (R,).

    All learners meet the same contexts and toss the same coins, which changes no learner's risk.
    """
    rest = max(0.0, 1 - float(mass_L.sum()))
    probabilities = np.append(mass_L, rest)
    probabilities /= probabilities.sum()
    visits_R_L = rng.multinomial(instance.samples, probabilities, size=replicates)[:, :-1]
    coins_R_L = rng.integers(0, 2, visits_R_L.shape, dtype=bool)
    # Expert demonstrations: the good action is shown with probability 1/C.
    shown = rng.binomial(visits_R_L, 1 / instance.coverage)
    # Samples of the uniform base over three actions: good, bad, the expert's favourite.
    good = rng.binomial(visits_R_L, 1 / 3)
    bad = rng.binomial(visits_R_L - good, 1 / 2)
    signal_good, signal_bad = _log_signals(instance, log_floor)

    def risk(wrong_R_L: NDArray[np.bool_]) -> Array:
        return np.asarray(wrong_R_L @ mass_L)

    def chosen(score_good: NDArray[Any], score_bad: NDArray[Any]) -> Array:
        """Compute the risk of choosing the higher score, with a coin for ties."""
        tied = score_good == score_bad
        return risk((score_good < score_bad) | (tied & coins_R_L))

    return {
        # The posterior of an uncovered context is uniform, so any choice is as good: a coin.
        "offline": risk((shown == 0) & coins_R_L),
        # Likelihood ratio of the two actions: a factor 1/floor for every sample shown.
        "sft": chosen(-shown * math.log(log_floor), np.zeros_like(shown, dtype=float)),
        # It plays an action and sees whether its density is 0: one visit settles a context.
        "on_policy": risk((visits_R_L == 0) & coins_R_L),
        "ipw_density": chosen(good / instance.coverage, bad * 0.0),
        "ipw_log_shifted": chosen(good * (signal_good - signal_bad), bad * 0.0),
        "ipw_log": chosen(good * signal_good, bad * signal_bad),
    }
