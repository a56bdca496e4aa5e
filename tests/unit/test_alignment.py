"""Assumption 1 and Theorem 2 from samples: worked by hand, and against the finite class."""

import math

import numpy as np
import pytest

from online_il.pairs.alignment import align, clipped_density
from online_il.theory import theorem2

# Two policies (rows), two prompts, one response each.
REWARD_K_X_S = np.array([[[0.0], [1.0]], [[1.0], [0.0]]])
SIGNAL_K_X_S = np.array([[[-5.0], [-1.0]], [[-3.0], [-2.0]]])


def test_a_fit_worked_by_hand():
    """Centred r: -1/2, 1/2 and 1/2, -1/2; centred f: -1, 1 and 1/2, -1/2."""
    found = align(REWARD_K_X_S, SIGNAL_K_X_S, student=0)
    assert found.alpha == pytest.approx((0.5 + 0.5 + 0.25 + 0.25) / 1.0)
    assert found.residual == pytest.approx(0.25)
    assert found.explained == pytest.approx(1 - 4 * 0.25**2 / 2.5)
    # Scores of the prompts: 1/4 and -1/4.
    assert found.alpha_stderr == pytest.approx(math.sqrt(2 * (1 / 16 + 1 / 16)) / 1.0)


def test_a_bound_worked_by_hand():
    """V is 1/2 for both, J -3 and -2.5: pi* is the second, as good and with the larger J."""
    found = align(REWARD_K_X_S, SIGNAL_K_X_S, student=0)
    assert (found.best, found.epsilon, found.loss) == (1, 0.5, 0.0)
    # J - alpha V: -3.75 and -3.25, so that the first lowers h, and delta is pi*'s own 0.
    assert found.delta == pytest.approx(0.0)
    assert found.bound == pytest.approx(0.5 / 1.5)
    assert found.verdict.startswith("informative") and "0.50" in found.verdict
    best = align(REWARD_K_X_S, SIGNAL_K_X_S, student=1)
    assert (best.epsilon, best.delta, best.bound) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("seed", range(20))
def test_it_is_the_theorem_of_a_finite_class_whose_policies_are_the_samples(seed):
    """Each policy's S responses to a prompt, one of Y each, are its probabilities exactly."""
    rng = np.random.default_rng(seed)
    policies, prompts, samples, actions = 5, 4, 6, 3
    action_K_X_S = rng.integers(actions, size=(policies, prompts, samples))
    reward_X_Y, signal_X_Y = rng.random((2, prompts, actions))
    bandit = theorem2.FiniteClass(
        (action_K_X_S[..., None] == np.arange(actions)).mean(2),
        np.full(prompts, 1 / prompts),
        reward_X_Y,
        signal_X_Y,
    )
    where = np.arange(prompts)[None, :, None], action_K_X_S
    found = align(reward_X_Y[where], signal_X_Y[where], student=2)
    fit = theorem2.best_fit(bandit)
    value_K = theorem2.objective(bandit, reward_X_Y)
    j_K = theorem2.objective(bandit, signal_X_Y)
    assert found.alpha == pytest.approx(fit.alpha)
    assert found.best == value_K.argmax()
    assert found.loss == pytest.approx(value_K.max() - value_K[2])
    assert found.epsilon == pytest.approx(j_K.max() - j_K[2])
    # A little more, for the student lies on the edge.
    assert found.delta == pytest.approx(theorem2.delta(bandit, fit, found.epsilon + 1e-9))
    expected = (found.epsilon + found.delta) / fit.alpha if fit.alpha > 0 else math.inf
    assert found.bound == pytest.approx(expected)


def test_no_loss_is_above_the_bound():
    """Where alpha is above 0 the theorem holds for what was sampled, whatever that is."""
    rng, judged = np.random.default_rng(7), 0
    for _ in range(300):
        shape = rng.integers(1, 5, size=3) + (1, 0, 0)
        reward, signal = rng.integers(0, 3, size=shape) / 2, rng.normal(size=shape) * 10
        for student in range(shape[0]):
            found = align(reward, signal + reward * rng.normal(), student)
            if found.alpha > 0:
                judged += 1
                assert found.bound >= found.loss - 1e-9
    assert judged > 200


def test_a_signal_that_falls_with_the_reward_bounds_nothing():
    found = align(REWARD_K_X_S, -SIGNAL_K_X_S, student=0)
    assert found.alpha == pytest.approx(-1.5)
    assert found.bound == math.inf and found.verdict.startswith("no bound")


def test_rewards_that_do_not_vary_give_no_fit():
    found = align(np.ones((2, 3, 1)), np.arange(6.0).reshape(2, 3, 1), student=0)
    assert math.isnan(found.alpha) and math.isnan(found.bound)
    assert found.loss == 0 and found.epsilon == 3 and found.verdict.startswith("no fit")


def test_a_bound_above_every_loss_says_nothing():
    """Centred r: -1/2, 1/2, 0; centred f: -10/3, -7/3, 17/3."""
    reward, signal = np.array([0.0, 1.0, 0.5]), np.array([-10.0, -9.0, -1.0])
    found = align(reward[:, None, None], signal[:, None, None], student=0)
    assert found.alpha == pytest.approx(1.0)
    # J - alpha V: -10, -10 and -1.5.
    assert (found.epsilon, found.delta) == pytest.approx((9.0, 8.5))
    assert found.bound == pytest.approx(17.5)
    assert found.verdict == "says nothing: no loss is above V(pi*) = 1.00"


def test_clipped_densities():
    found = clipped_density(np.array([-math.inf, -12.0, -10.0, -3.0, 0.0]), 10.0)
    assert found.tolist() == pytest.approx([0.0, math.exp(-2), 1.0, 1.0, 1.0])


def test_one_prompt_has_no_errors():
    found = align(REWARD_K_X_S[:, :1], SIGNAL_K_X_S[:, :1], student=0)
    assert found.alpha == pytest.approx(2.0)
    assert math.isnan(found.alpha_stderr) and math.isnan(found.loss_stderr)
