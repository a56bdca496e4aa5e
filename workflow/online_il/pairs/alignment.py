"""Assumption 1 and Theorem 2 (paper, Section 3.3) from sampled responses.

Some policies of the student's class have answered the same prompts, each as often. Of every
response the reward r and the expert's signal f(pi^e(y | x)) are known. By least squares with an
intercept a prompt,

    f(pi^e(y | x)) = alpha r(x, y) + h(x, y) + b(x),

so that every policy counts alike, as in `theory.theorem2.best_fit`. The class in Theorem 2 is that
of these policies: epsilon is what the student lacks of their largest J_on, delta(epsilon) the
largest E h - E_{pi*} h among those with J_on >= J_on(pi*) - epsilon, and pi* the one with the
largest V. The student is among them, so that (epsilon + delta) / alpha is never below its loss
V(pi*) - V(student): whether it says more than that rewards are not negative is the question.

Letters in the names: K policies, X prompts, S responses of a policy to a prompt.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Alignment(NamedTuple):
    """Assumption 1 at its best fit and Theorem 2 for one student; units of f a unit of reward."""

    alpha: float
    """nan where no prompt has responses of different rewards."""
    alpha_stderr: float
    """Clustered by prompt."""
    explained: float
    """Share of the variance of f within prompts that the reward explains."""
    residual: float
    """Root mean square of h within prompts, units of f."""
    epsilon: float
    delta: float
    bound: float
    """(epsilon + delta) / alpha, reward; infinite where alpha is not above 0."""
    loss: float
    """V(pi*) - V(student), reward."""
    loss_stderr: float
    best: int
    """The number of pi*."""
    largest_loss: float
    """V(pi*): no loss is larger, for rewards are not negative."""

    @property
    def verdict(self) -> str:
        """Say in words whether the theorem tells anything."""
        if math.isnan(self.alpha):
            return "no fit: no prompt has responses of different rewards"
        if self.alpha <= 0:
            return "no bound: alpha is not above 0, so that the assumption does not hold at the fit"
        if self.bound >= self.largest_loss:
            return f"says nothing: no loss is above V(pi*) = {self.largest_loss:.2f}"
        return f"informative: below V(pi*) = {self.largest_loss:.2f}"


def clipped_density(log_density: Array, clip: float) -> Array:
    """Shape densities pi^e(y | x), given in logs, as min(1, pi^e e^clip); `clip` in nats."""
    return np.exp(np.minimum(log_density + clip, 0.0))


def align(reward_K_X_S: Array, signal_K_X_S: Array, student: int) -> Alignment:
    """Fit Assumption 1 and evaluate Theorem 2 for the policy of number `student`.

    `signal_K_X_S` is finite. Of several policies with the largest V, pi* is the one with the
    largest J_on, which makes delta smallest.
    """
    centred_r, centred_f = (
        values - values.mean(axis=(0, 2), keepdims=True) for values in (reward_K_X_S, signal_K_X_S)
    )
    v_K, j_K = reward_K_X_S.mean(axis=(1, 2)), signal_K_X_S.mean(axis=(1, 2))
    best = int(np.lexsort((j_K, v_K.round(12)))[-1])
    epsilon = float(j_K.max() - j_K[student])
    lost_X = (reward_K_X_S[best] - reward_K_X_S[student]).mean(-1)
    prompts = len(lost_X)
    loss, largest = float(v_K[best] - v_K[student]), float(v_K[best])
    loss_stderr = float(lost_X.std(ddof=1)) / math.sqrt(prompts) if prompts > 1 else math.nan
    spread = float((centred_r**2).sum())
    if spread <= 1e-12 * centred_r.size:
        nothing = math.nan
        return Alignment(
            *(nothing, nothing, nothing, nothing, epsilon, nothing, nothing),
            *(loss, loss_stderr, best, largest),
        )
    alpha = float((centred_r * centred_f).sum()) / spread
    left = centred_f - alpha * centred_r
    score_X = (centred_r * left).sum(axis=(0, 2))
    alpha_stderr = (
        math.sqrt(prompts / (prompts - 1) * float((score_X**2).sum())) / spread
        if prompts > 1
        else math.nan
    )
    # b(x) is the same for all policies and cancels: what h says of them is J_on - alpha V.
    residual_K = j_K - alpha * v_K
    # A policy is within epsilon of itself, whatever rounding says.
    allowed_K = j_K >= j_K[best] - epsilon - 1e-9 * (1 + abs(epsilon))
    delta = float((residual_K[allowed_K] - residual_K[best]).max())
    total = float((centred_f**2).sum())
    return Alignment(
        alpha,
        alpha_stderr,
        1 - float((left**2).sum()) / total if total > 0 else math.nan,
        math.sqrt(float((left**2).mean())),
        epsilon,
        delta,
        (epsilon + delta) / alpha if alpha > 0 else math.inf,
        loss,
        loss_stderr,
        best,
        largest,
    )
