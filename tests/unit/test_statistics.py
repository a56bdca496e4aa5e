"""Standard errors and intervals against hand-worked cases, statsmodels and simulation."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint

from online_il.statistics.errors import clustered_stderr
from online_il.statistics.intervals import mean_over_seeds


def test_clustered_stderr_by_hand() -> None:
    # Mean 1/2; the clusters' residuals sum to 1, 0 and -1: sqrt(3/2 * 2) / 6.
    value_N = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    cluster_N = np.array(["a", "a", "b", "b", "c", "c"])
    assert clustered_stderr(value_N, cluster_N) == pytest.approx(math.sqrt(3) / 6)


def test_clustered_stderr_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(0)
    cluster_N = rng.integers(0, 40, 300)  # Clusters of different sizes.
    value_N = (rng.random(300) < rng.random(40)[cluster_N]).astype(float)
    ols = sm.OLS(value_N, np.ones(300))
    # Its own small-sample factor, G / (G - 1) * (N - 1) / (N - K), is the same for K = 1.
    fit = ols.fit(cov_type="cluster", cov_kwds={"groups": cluster_N})
    assert clustered_stderr(value_N, cluster_N) == pytest.approx(float(fit.bse[0]))


def test_clusters_of_one_give_the_usual_standard_error() -> None:
    value_N = np.array([1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    p, n = value_N.mean(), len(value_N)
    found = clustered_stderr(value_N, np.arange(n))
    assert found == pytest.approx(math.sqrt(p * (1 - p) / (n - 1)))
    assert found == pytest.approx(value_N.std(ddof=1) / math.sqrt(n))


def test_repeated_responses_add_nothing() -> None:
    value_N = np.array([1.0, 0.0, 0.0, 1.0, 1.0])
    one = clustered_stderr(value_N, np.arange(5))
    four = clustered_stderr(np.repeat(value_N, 4), np.repeat(np.arange(5), 4))
    assert four == pytest.approx(one)


def test_one_cluster_has_no_standard_error() -> None:
    assert math.isnan(clustered_stderr(np.array([1.0, 0.0]), np.array([7, 7])))


def test_mean_over_seeds_by_hand() -> None:
    # Seeds' means 3/4 and 1/4: variance 1/8, over 2 seeds 1/16, 1 degree of freedom.
    # Prompts' means 1, 1/2, 1/2, 0: variance 1/6, over 4 prompts 1/24, 3 degrees of freedom.
    accuracy_S_P = np.array([[1.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    found = mean_over_seeds(accuracy_S_P)
    assert found.mean == 0.5
    assert found.stderr == pytest.approx(math.sqrt(1 / 16 + 1 / 24))
    # Satterthwaite: (5/48)^2 / ((1/16)^2 / 1 + (1/24)^2 / 3) = 2.4194 degrees: t = 3.67.
    # Wilson with n = 0.25 / (5/48) = 2.4: the reach is 3.66 s / sqrt(1 + 3.66^2 / 2.4) = 0.4607.
    assert found.high - found.mean == pytest.approx(0.4607, abs=0.002)
    assert found.high - found.mean == pytest.approx(found.mean - found.low)


def test_one_seed_leaves_the_prompts_part() -> None:
    accuracy_S_P = np.array([[1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0]])
    found = mean_over_seeds(accuracy_S_P)
    assert found.stderr == pytest.approx(clustered_stderr(accuracy_S_P[0], np.arange(7)))
    # Four of six (n - 1, for the variance is the sample's) and t with 6 degrees of freedom.
    low, high = proportion_confint(6 * 4 / 7, 6, alpha=2 * norm.sf(2.4469), method="wilson")
    assert found.low == pytest.approx(low, rel=1e-4)
    assert found.high == pytest.approx(high, rel=1e-4)


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_only_right_or_wrong_answers_leave_wilsons_interval(right: float) -> None:
    found = mean_over_seeds(np.full((3, 50), right))
    assert (found.mean, found.stderr) == (right, 0.0)
    assert (found.low, found.high) == pytest.approx(
        proportion_confint(150 * right, 150, method="wilson")
    )
    assert found.high - found.low == pytest.approx(3.8415 / 153.8415, rel=1e-4)


def test_one_right_answer_more_does_not_narrow_an_interval() -> None:
    """30 problems, 3 seeds, 16 responses: none right or one right of 1,440."""
    none, one = np.zeros((3, 30)), np.zeros((3, 30))
    one[0, 0] = 1 / 16
    found = [mean_over_seeds(table, responses=16) for table in (none, one)]
    assert found[0].high < found[1].high < 0.01


def test_one_answer_has_no_standard_error_and_says_little() -> None:
    found = mean_over_seeds(np.ones((1, 1)))
    assert math.isnan(found.stderr)
    assert found.low == pytest.approx(1 / 4.8415, rel=1e-4)


@pytest.mark.parametrize("right", [1, 2, 98, 99])
def test_intervals_stay_within_zero_and_one(right: int) -> None:
    accuracy_S_P = np.zeros((2, 100))
    accuracy_S_P[:, :right] = 1.0
    accuracy_S_P[0, 0] = 0.5
    found = mean_over_seeds(accuracy_S_P)
    assert 0.0 <= found.low < found.mean < found.high <= 1.0


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("seed_spread", [0.0, 0.05])
def test_intervals_cover_the_truth(seeds: int, seed_spread: float) -> None:
    """Of 600 studies with new seeds and prompts, the intervals of at least 92 % hold the mean."""
    if seeds == 1 and seed_spread:
        pytest.skip("one seed cannot tell how far seeds spread")
    rng = np.random.default_rng(3)
    hits, width = 0, 0.0
    for _ in range(600):
        ability_P = rng.beta(1.2, 1.2, 80)  # Prompts differ in difficulty, with mean 1/2.
        shift_S = rng.normal(0, seed_spread, (seeds, 1)) if seed_spread else np.zeros((seeds, 1))
        chance_S_P = np.clip(ability_P + shift_S, 0, 1)
        found = mean_over_seeds((rng.random((seeds, 80)) < chance_S_P).astype(float))
        hits += found.low <= 0.5 <= found.high
        width += (found.high - found.low) / 600
    assert hits / 600 >= 0.92
    assert width < 0.5  # They tell something.
