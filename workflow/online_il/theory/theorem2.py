"""Theorem 2: how much risk the Misspecification-Reward Alignment Condition (Assumption 1) allows.

For a finite class, everything in the theorem can be enumerated: alpha and b from the best fit of
the signal by the reward, h as what is left, delta(epsilon) over the epsilon-optimal policies, and
the true worst risk among them. With h := f - alpha r - b the decomposition exists for every
alpha > 0 (docs/paper.md), so the content of the theorem is delta. As alpha grows, the bound tends
to the true worst risk of the policies that the assumption ranges over; `bound` takes any alpha.

Letters in the names: K policies, X contexts, Y actions, E values of epsilon.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_il.theory import gaussian, theorem1

Array = NDArray[np.float64]


class FiniteClass(NamedTuple):
    """A contextual bandit with a finite class of students and an expert's signal."""

    policies_K_X_Y: Array
    contexts_X: Array
    """Probability of each context."""
    reward_X_Y: Array
    signal_X_Y: Array
    """f(pi^e(y|x)), finite wherever some policy goes."""


class Fit(NamedTuple):
    """The decomposition f = alpha r + h + b of Assumption 1, at the best fit."""

    alpha: float
    b_X: Array
    h_X_Y: Array


def objective(bandit: FiniteClass, of_X_Y: Array) -> Array:
    """Compute E_x E_{y ~ pi} of a function for every policy, (K,): J_on for the signal, V for r."""
    return np.einsum("x,kxy,xy->k", bandit.contexts_X, bandit.policies_K_X_Y, of_X_Y)


def best_fit(bandit: FiniteClass) -> Fit:
    """Fit alpha and b by least squares of the signal on the reward, an intercept a context.

    Each (x, y) weighs as much as the class visits it on average, so actions that no student takes
    count for nothing. alpha is 0 where the reward does not vary within a context, and may be
    negative: then the assumption does not hold at the best fit.
    """
    visits_X_Y = bandit.contexts_X[:, None] * bandit.policies_K_X_Y.mean(0)
    mass_X = visits_X_Y.sum(1, keepdims=True)
    share_X_Y = np.divide(visits_X_Y, mass_X, out=np.zeros_like(visits_X_Y), where=mass_X > 0)
    seen_X_Y = np.where(visits_X_Y > 0, bandit.signal_X_Y, 0.0)
    mean_r_X = (share_X_Y * bandit.reward_X_Y).sum(1)
    mean_f_X = (share_X_Y * seen_X_Y).sum(1)
    r = bandit.reward_X_Y - mean_r_X[:, None]
    f = seen_X_Y - mean_f_X[:, None]
    spread = float((visits_X_Y * r * r).sum())
    alpha = float((visits_X_Y * r * f).sum()) / spread if spread > 0 else 0.0
    b_X = mean_f_X - alpha * mean_r_X
    return Fit(alpha, b_X, bandit.signal_X_Y - alpha * bandit.reward_X_Y - b_X[:, None])


def delta(bandit: FiniteClass, fit: Fit, epsilon: float) -> float:
    """Compute the largest E h - E_{pi*} h over policies with J_on >= J_on(pi*) - epsilon.

    pi* maximises V; among several, the one with the largest J_on, which makes delta smallest.
    """
    j_K = objective(bandit, bandit.signal_X_Y)
    residual_K = objective(bandit, fit.h_X_Y)
    best = reference(bandit)
    allowed_K = j_K >= j_K[best] - epsilon
    return float((residual_K[allowed_K] - residual_K[best]).max())


def reference(bandit: FiniteClass) -> int:
    """Find the number of pi*: the largest V, and among equals the largest J_on."""
    v_K = objective(bandit, bandit.reward_X_Y)
    j_K = objective(bandit, bandit.signal_X_Y)
    equal_K = v_K >= v_K.max() - 1e-12
    return int(np.flatnonzero(equal_K)[j_K[equal_K].argmax()])


def bound(bandit: FiniteClass, fit: Fit, epsilon: float) -> float:
    """Compute (epsilon + delta(epsilon)) / alpha; infinite where alpha is not positive."""
    if fit.alpha <= 0:
        return math.inf
    return (epsilon + delta(bandit, fit, epsilon)) / fit.alpha


def with_alpha(bandit: FiniteClass, fit: Fit, alpha: float) -> Fit:
    """Decompose the signal with another alpha; h is what is then left."""
    h_X_Y = bandit.signal_X_Y - alpha * bandit.reward_X_Y - fit.b_X[:, None]
    return Fit(alpha, fit.b_X, h_X_Y)


def worst_risk(bandit: FiniteClass, epsilon: float) -> float:
    """Find max V - V(pi) over the theorem's policies: J_on(pi) >= max J_on - epsilon."""
    j_K = objective(bandit, bandit.signal_X_Y)
    v_K = objective(bandit, bandit.reward_X_Y)
    return float(v_K.max() - v_K[j_K >= j_K.max() - epsilon].min())


# ---- instances ----


def gaussian_class(
    problem: gaussian.GaussianProblem, *, students: int, reach: float, cells: int
) -> FiniteClass:
    """Put Gaussians on a grid: `students` means along the class's first direction.

    Means run over [-reach, reach] and actions over `cells` squared cells of a plane that holds all
    of them with four deviations to spare. The signal is log pi^e, as in on-policy distillation;
    the entropy of N(mu, I), which reverse KL adds, is the same for all students.
    """
    unit_D = problem.directions_R_D[0] / np.linalg.norm(problem.directions_R_D[0])
    places = np.linspace(-reach, reach, students)
    means_K_D = problem.point_D + places[:, None] * unit_D
    low = np.minimum(means_K_D.min(0), problem.means_K_D.min(0)) - 4
    high = np.maximum(means_K_D.max(0), problem.means_K_D.max(0)) + 4
    axes = [np.linspace(a, b, cells) for a, b in zip(low, high, strict=True)]
    points_Y_D = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(low))
    distances_K_Y = ((points_Y_D - means_K_D[:, None]) ** 2).sum(-1)
    densities_K_Y = np.exp(-distances_K_Y / 2)
    policies_K_X_Y = (densities_K_Y / densities_K_Y.sum(1, keepdims=True))[:, None]
    inside_Y = points_Y_D @ problem.normal_D >= problem.threshold
    return FiniteClass(
        policies_K_X_Y,
        np.ones(1),
        inside_Y[None].astype(float),
        gaussian.log_density(problem, points_Y_D)[None],
    )


def hard_class(instance: theorem1.HardInstance) -> FiniteClass:
    """List all 2^l policies of Theorem 1's instance, y2 good everywhere and f the density."""
    mass_L = theorem1.masses(instance)
    count = instance.contexts
    choices_K_L = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    policies = np.zeros((2**count, count, 3))
    policies[..., 1] = 1 - choices_K_L
    policies[..., 2] = choices_K_L
    reward = np.tile([1.0, 1.0, 0.0], (count, 1))
    shown = 1 / instance.coverage
    signal = np.tile([1 - shown, shown, 0.0], (count, 1))
    return FiniteClass(policies, mass_L, reward, signal)
