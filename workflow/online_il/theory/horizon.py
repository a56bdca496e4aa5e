"""Error accumulation and misspecification apart: one tabular MDP of horizon H (beyond the paper).

At every step the learner is on the path or off it. On the path it meets one of l contexts, in each
of which one action of two stays on the path, for a reward of 1. Off the path one action of two
leads back, without reward. The expert never leaves the path.

Realizable: the expert plays the good action. Misspecified: it plays, with probability 1 - 1/C, an
action that no student has, which also stays on the path, and the good one with 1/C (Theorem 1 at
every step). All learners get the same number n of labels whatever H is: the error a step on the
expert's own states is then the same for every H, and what grows with H is accumulation alone.

- Behaviour cloning by log loss: labels on the expert's states. It never sees the way back.
- DAgger-style: labels are actions drawn from the expert on the learner's own states.
- On-policy, reverse KL: it sees the expert's density of its own action on its own states.

A learner that has no label for a state tosses a coin once. In the misspecified case a density tells
of the good action wherever the learner goes; a drawn label, even on its own states, seldom does.

Letters in the names: R replicates, L contexts.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_il.theory.checks import at_least

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

LEARNERS = ("behaviour_cloning", "dagger", "reverse_kl")


class PathInstance(NamedTuple):
    """The MDP without its horizon; `coverage` 1 is the realizable case."""

    contexts: int
    coverage: float
    labels: int


class PathRisk(NamedTuple):
    """1 - V / H of a learner, its standard error, and its error a step on the path."""

    risk: float
    stderr: float
    step_error: float


def check(instance: PathInstance, horizons: list[int], replicates: int) -> None:
    """Raises `ParameterError` for a parameter out of its range."""
    at_least("contexts", [instance.contexts], 1)
    at_least("coverage", [instance.coverage], 1)
    at_least("labels", [instance.labels], 1)
    at_least("horizons", horizons, 1)
    at_least("replicates", [replicates], 2)


def mean_reward(step_error_R: Array, recovers_R: Flags, horizon: int) -> Array:
    """Compute V / H of stationary policies, shape (R,): the share of steps on the path.

    A policy leaves the path with probability `step_error` a step; off it, it is back at the next
    step or never.
    """
    on_R, total_R = np.ones_like(step_error_R), np.zeros_like(step_error_R)
    for _ in range(horizon):
        stays = on_R * (1 - step_error_R)
        total_R += stays
        on_R = stays + (1 - on_R) * recovers_R
    return np.asarray(total_R / horizon)


def risk(
    learner: str, instance: PathInstance, horizon: int, *, replicates: int, seed: int
) -> PathRisk:
    """Estimate a learner's risk over its labels and coins; each policy's value is exact."""
    rng = np.random.default_rng([seed, horizon])
    if learner == "behaviour_cloning":
        error_R, recovers_R = _cloned(rng, instance, replicates)
    else:
        density = learner == "reverse_kl"
        error_R, recovers_R = _on_policy(rng, instance, horizon, replicates, density=density)
    risk_R = 1 - mean_reward(error_R, recovers_R, horizon)
    spread = float(risk_R.std(ddof=1)) / math.sqrt(replicates)
    return PathRisk(float(risk_R.mean()), spread, float(error_R.mean()))


def _cloned(
    rng: np.random.Generator, instance: PathInstance, replicates: int
) -> tuple[Array, Flags]:
    count = instance.contexts
    visits = rng.multinomial(instance.labels, np.full(count, 1 / count), size=replicates)
    shown = rng.binomial(visits, 1 / instance.coverage)
    wrong = (shown == 0) & _coins(rng, (replicates, count))
    return wrong.mean(1), _coins(rng, (replicates,))


def _on_policy(
    rng: np.random.Generator,
    instance: PathInstance,
    horizon: int,
    replicates: int,
    *,
    density: bool,
) -> tuple[Array, Flags]:
    """Draw n labels on the states of the learner's policy, which each label updates.

    Episodes of H steps start on the path. A density settles a state at its first visit, a drawn
    action with probability 1/C.
    """
    count, rows = instance.contexts, np.arange(replicates)
    right = _coins(rng, (replicates, count))
    recovers = _coins(rng, (replicates,))
    on = np.ones(replicates, dtype=bool)
    for label in range(instance.labels):
        if label % horizon == 0:
            on[:] = True
        context = rng.integers(0, count, replicates)
        is_labelled = (
            np.ones(replicates, bool)
            if density
            else (rng.random(replicates) < 1 / instance.coverage)
        )
        # The step is taken with the policy as it was, and the label is learned after it.
        stays = right[rows, context]
        back = recovers.copy()
        right[rows, context] |= is_labelled & on
        recovers |= is_labelled & ~on
        on = np.where(on, stays, back)
    return 1 - right.mean(1), recovers


def _coins(rng: np.random.Generator, shape: tuple[int, ...]) -> Flags:
    return rng.integers(0, 2, shape, dtype=bool)
