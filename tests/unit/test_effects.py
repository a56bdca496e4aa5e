"""Effects against statsmodels and SciPy, errors by simulation, curves and clocks by hand."""

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.power import TTestPower

from online_il.statistics.effects import (
    Effect,
    Part,
    best_of_others,
    independent_effect,
    mean_effect,
    over_blocks,
)
from online_il.statistics.speed import Curve, crossing, speed


def single(values: np.ndarray) -> Effect:
    """The effect of independent values: one part of variance, as in a one-sample t test."""
    part = Part(float(values.var(ddof=1)) / len(values), len(values) - 1)
    return Effect(float(values.mean()), (part,), 3, len(values))


# ---- effects ----


def test_both_parts_are_the_mean_squares_of_the_two_way_analysis_of_variance():
    rng = np.random.default_rng(1)
    table = np.array([[-0.3], [0.0], [0.2]]) + rng.normal(0, 0.2, 50) + rng.normal(0, 0.3, (3, 50))
    long = pd.DataFrame(
        [(s, p, table[s, p]) for s in range(3) for p in range(50)], columns=["s", "p", "y"]
    )
    squares = anova_lm(smf.ols("y ~ C(s) + C(p)", long).fit())
    squares = squares["sum_sq"] / squares["df"]
    found = mean_effect(table)
    expected = (squares["C(s)"] - squares["Residual"] / 2) / 150
    assert found.value == pytest.approx(table.mean())
    assert found.parts[0].variance == pytest.approx(expected)
    # Two added pairs move a prompt's mean over 3 seeds by 1/3, in the prompts' part alone.
    added = squares["C(p)"] + 3 * 2 / 9 / 49
    assert found.parts[1].variance == pytest.approx((added - squares["Residual"] / 2) / 150)
    assert [part.freedom for part in found.parts] == [2, 49]


def test_seeds_that_agree_by_chance_do_not_lower_the_variance_below_the_prompts_noise():
    noise = np.array([[1.0, -1, 1, -1], [-1, 1, -1, 1], [1, -1, -1, 1]]) / 2
    found = mean_effect(noise)  # All seeds' means are 0.
    residual = ((noise - noise.mean(0)) ** 2).sum() / 6
    assert found.parts[0].variance == pytest.approx(residual / 2 / 12)


def test_prompts_that_all_agree_still_have_a_width():
    found = mean_effect(np.zeros((3, 400)))
    # Two of 1,200 pairs differ: two prompts' means by 1/3.
    assert found.stderr == pytest.approx(math.sqrt(2 / 9 / 399 / 400))


@pytest.mark.parametrize(("seeds", "responses"), [(3, 16), (10, 16), (3, 8)])
def test_thirty_problems_can_show_an_equivalence(seeds, responses):
    """AIME has 30; two prompts of ±1 gave a half-width of 0.091, however many responses."""
    agree = np.zeros((seeds, 30))
    for effect in (
        mean_effect(agree, responses),
        mean_effect(2 * agree, responses, largest=2.0),
        over_blocks(agree, responses),
        independent_effect(agree, agree, responses, paired=True),
        independent_effect(agree, agree, responses, paired=False),
    ):
        assert 0 < effect.interval()[1] < 0.02


def test_the_width_without_a_difference_falls_with_every_response():
    """Two pairs of n: their share of the mean is 2 / n, whichever way the n came about."""
    tables = [(np.zeros((3, 100)), 8), (np.zeros((6, 100)), 4), (np.zeros((24, 100)), 1)]
    errors = [mean_effect(table, responses).stderr for table, responses in tables]
    assert errors == pytest.approx([math.sqrt(2 * 100 / 99) / 2400] * 3)


@pytest.mark.parametrize("rare", [0.002, 0.01, 0.05])
def test_rare_differences_are_no_more_often_missed_than_others(rare):
    rng = np.random.default_rng(21)
    missed = 0
    for _ in range(1000):
        # Each of 3 x 8 pairs of responses a prompt differs rarely, always in one direction.
        low, high = mean_effect(rng.binomial(8, rare, (3, 30)) / 8, 8).interval()
        missed += not low <= rare <= high
    assert missed / 1000 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000)


# ---- blocks ----


def test_over_blocks_is_students_t_of_their_means():
    table = np.random.default_rng(22).normal(0.1, 0.3, (10, 4000)) + np.linspace(-1, 1, 10)[:, None]
    test = stats.ttest_1samp(table.mean(1), 0.5)
    found = over_blocks(table)
    assert found.p_value(found.value - 0.5) == pytest.approx(test.pvalue, rel=1e-4)
    assert found.interval() == pytest.approx(tuple(test.confidence_interval(0.95)), rel=1e-4)


def test_the_prompts_do_not_matter_to_blocks():
    rng = np.random.default_rng(23)
    table = rng.normal(0, 0.02, (5, 1)) + np.zeros((5, 300))
    hard = rng.normal(0, 0.4, 300)
    assert over_blocks(table + hard - hard.mean()).stderr == pytest.approx(
        over_blocks(table).stderr
    )
    assert mean_effect(table + hard).stderr > 2 * over_blocks(table + hard).stderr


def test_blocks_that_all_agree_still_have_a_width():
    # Two blocks' means moved by one prompt of 256: 4.3 standard errors.
    error = math.sqrt(2 / 256**2 / 2 / 3)
    high = over_blocks(np.zeros((3, 256))).interval()[1]
    assert high == pytest.approx(stats.t.isf(0.025, 2) * error)
    assert high < 0.011


def test_one_block_says_nothing_of_blocks():
    table = np.random.default_rng(24).normal(0, 1, (1, 50))
    assert over_blocks(table) == mean_effect(table)


def test_the_quantile_is_the_weighted_mean_of_both_t():
    found = Effect(0.0, (Part(3.0, 2), Part(1.0, 399)), 3, 400)
    expected = 0.75 * stats.t.isf(0.025, 2) + 0.25 * stats.t.isf(0.025, 399)
    assert found.quantile(0.025) == pytest.approx(expected)
    assert found.interval()[1] == pytest.approx(2 * expected)


def test_a_single_part_is_students_t_test():
    values = np.random.default_rng(2).normal(0.3, 1, 20)
    test = stats.ttest_1samp(values, 0.1)
    found = single(values)
    assert found.p_value(found.value - 0.1) == pytest.approx(test.pvalue)
    assert found.interval() == pytest.approx(tuple(test.confidence_interval(0.95)))


def test_p_and_interval_say_the_same():
    found = Effect(0.2, (Part(0.002, 2), Part(0.001, 99)), 3, 100)
    low, _ = found.interval()
    assert found.p_value(found.value - low) == pytest.approx(0.05, rel=1e-6)


def test_power_is_four_fifths_at_the_detectable_effect():
    rng = np.random.default_rng(3)
    draws = rng.normal(0, 1, (20_000, 30))
    detectable = single(draws[0] / draws[0].std(ddof=1)).detectable()
    assert 0.45 < detectable < 0.6
    moved = draws + detectable
    reject = moved.mean(1) / (moved.std(1, ddof=1) / math.sqrt(30)) > stats.t.isf(0.025, 29)
    assert abs(reject.mean() - 0.8) < 0.03


@pytest.mark.parametrize(("count", "tail"), [(3, 0.025), (3, 0.00625), (30, 0.025)])
def test_the_detectable_effect_is_that_of_the_noncentral_t(count, tail):
    found = Effect(0.0, (Part(1 / count, count - 1),), 3, count).detectable(tail)
    power = TTestPower().solve_power(nobs=count, alpha=tail, power=0.8, alternative="larger")
    assert found == pytest.approx(power, rel=0.01)


@pytest.mark.parametrize("tail", [0.025, 0.00625])
def test_power_is_four_fifths_with_the_variance_of_three_seeds(tail):
    true = Effect(0.0, (Part(0.0004, 2), Part(0.0002, 255)), 3, 256)
    rng = np.random.default_rng(17)
    shift, seen = true.detectable(tail), []
    for _ in range(4000):
        parts = tuple(
            Part(part.variance * rng.chisquare(part.freedom) / part.freedom, part.freedom)
            for part in true.parts
        )
        seen.append(Effect(rng.normal(shift, true.stderr), parts, 3, 256).interval(tail)[0] > 0)
    # Three standard errors of 4,000 studies.
    assert np.mean(seen) == pytest.approx(0.8, abs=0.02)


def test_a_difference_without_any_variance_is_certain():
    found = Effect(1.0, (Part(0.0, 59),), 3, 60)
    assert found.p_value(0.9) < 1e-9 and found.p_value(0.0) == 1.0


def simulated(rng: np.random.Generator, between: float, count: int = 600) -> np.ndarray:
    """Studies of 3 seeds and 100 prompts without any difference."""
    prompt = rng.normal(0, 0.2, (count, 1, 100))
    seed = rng.normal(0, between, (count, 3, 1))
    return prompt + seed + rng.normal(0, 0.4, (count, 3, 100))


@pytest.mark.parametrize("between", [0.0, 0.05, 0.2])
def test_few_seeds_do_not_make_differences_out_of_nothing(between):
    rng = np.random.default_rng(4)
    errors = 0
    for table in simulated(rng, between):
        low, high = mean_effect(table).interval()
        errors += not low <= 0 <= high
    # Two standard errors of 600 studies above 5.6 %, the most that was ever measured.
    assert errors / 600 < 0.056 + 2 * math.sqrt(0.056 * 0.944 / 600)


def test_the_plain_bootstrap_does():
    rng = np.random.default_rng(5)
    errors = 0
    for table in simulated(rng, 0.2, 200):
        seeds = rng.integers(0, 3, (400, 3))
        low, high = np.percentile(table.mean(1)[seeds].mean(1), [2.5, 97.5])
        errors += not low <= 0 <= high
    assert errors / 200 > 0.12


def test_independent_runs_of_unlike_seeds_are_welchs_test_of_the_seeds():
    """Without any difference of prompts only the two runs' seeds are left."""
    one, other = np.array([0.1, 0.2, 0.4]), np.array([0.5, 0.55])
    found = independent_effect(
        np.repeat(one[:, None], 1_000_000, 1), np.repeat(other[:, None], 1_000_000, 1), paired=True
    )
    assert found.value == pytest.approx(other.mean() - one.mean())
    welch = math.sqrt(one.var(ddof=1) / 3 + other.var(ddof=1) / 2)
    assert found.stderr == pytest.approx(welch, rel=1e-3)


def test_pairs_by_prompt_take_out_what_prompts_share():
    rng = np.random.default_rng(6)
    hard = rng.normal(0, 0.4, 300)
    one, other = (hard + rng.normal(0, 0.05, (3, 300)) for _ in range(2))
    both = [independent_effect(one, other, paired=paired).stderr for paired in (True, False)]
    assert both[0] < both[1] / 3


# ---- curves ----


def test_the_best_checkpoint_is_that_of_the_other_seeds():
    accuracy = np.array([[0.9, 0.1, 0.2], [0.3, 0.2, 0.8], [0.3, 0.4, 0.7]])[:, :, None]
    # For the first seed the others are best at the last; for the others 0.9 + 0.3 at the first.
    assert best_of_others(accuracy)[:, 0].tolist() == [0.2, 0.3, 0.3]


def test_luck_is_no_drop():
    rng = np.random.default_rng(7)
    flat = rng.normal(0.5, 0.1, (300, 3, 8, 40))
    drops = [(best_of_others(one[:, :-1]) - one[:, -1]).mean() for one in flat]
    lucky = [(one[:, :-1].mean(2).max(1) - one[:, -1].mean(1)).mean() for one in flat]
    assert abs(np.mean(drops)) < 0.003 < 0.015 < np.mean(lucky)


# ---- speed ----


def test_where_a_curve_crosses_its_threshold():
    cost = np.array([0.0, 10, 20, 40])
    curves = np.array([[0.0, 0.2, 0.6, 0.5], [0.0, 0.1, 0.2, 0.3], [0.9, 0.9, 0.9, 0.9]])
    found, never = crossing(curves, cost, np.array([0.4, 0.9, 0.9]))
    assert found.tolist() == [15.0, 40.0, 0.0] and never.tolist() == [False, True, False]


def curve(rng: np.random.Generator, levels: list[float], seeds: int = 3) -> np.ndarray:
    level = np.array(levels)[None, :, None]
    return (rng.random((seeds, len(levels), 300)) < level).astype(float)


def one_base(rng: np.random.Generator) -> np.ndarray:
    """The answers of a base that serves three seeds."""
    return np.repeat(curve(rng, [0.1])[0], 3, axis=0)


def test_half_the_cost_is_twice_as_fast():
    rng = np.random.default_rng(13)
    accuracy = curve(rng, [0.1, 0.4, 0.6, 0.7, 0.7])
    cost = np.array([0.0, 10, 20, 40, 80])
    base = np.repeat(accuracy[:1, 0], 3, axis=0)
    found = speed(
        Curve(accuracy, cost / 2), Curve(accuracy, cost), accuracy[:, -1], base, 1000, rng
    )
    assert math.exp(found.effect.value) == pytest.approx(2)
    assert found.first_never == found.second_never == found.lost == 0
    # The same answers in both: their ratio is certain.
    assert found.effect.stderr == pytest.approx(0, abs=1e-12)


def test_the_time_of_three_seeds_is_known_as_three_seeds_allow():
    rng = np.random.default_rng(14)
    cost = np.array([0.0, 10, 20, 40, 80])
    steep, flat = ([0.1, 0.6, 0.7, 0.7, 0.7], [0.1, 0.3, 0.5, 0.66, 0.7])
    runs = [Curve(curve(rng, levels), cost) for levels in (steep, flat)]
    found = speed(*runs, curve(rng, [0.7])[:, 0], one_base(rng), 1000, rng)
    assert found.effect.value > 0 and [part.freedom for part in found.effect.parts] == [299, 2]
    assert all(part.variance > 0 for part in found.effect.parts)


def test_a_run_that_never_gets_there_is_said_so():
    rng = np.random.default_rng(15)
    cost = np.array([0.0, 10, 20])
    good, bad = Curve(curve(rng, [0.1, 0.6, 0.7]), cost), Curve(curve(rng, [0.1, 0.1, 0.2]), cost)
    found = speed(good, bad, curve(rng, [0.7])[:, 0], one_base(rng), 1000, rng)
    assert (found.first_never, found.second_never) == (0, 1)


def test_a_run_that_got_there_by_luck_is_said_so():
    """One of three seeds crosses the threshold, by so much that their mean just does."""
    rng = np.random.default_rng(18)
    cost = np.array([0.0, 10, 20])
    ends = [curve(rng, [0.1, 0.5, level], seeds=1) for level in (0.8, 0.6, 0.6)]
    barely = Curve(np.concatenate(ends), cost)
    good = Curve(curve(rng, [0.1, 0.7, 0.7]), cost)
    found = speed(barely, good, curve(rng, [0.7])[:, 0], one_base(rng), 1000, rng)
    # All three draws of the mean, of 27, are those without the good seed: 8 of 27 never cross.
    assert 0.2 < found.first_never < 1 and found.second_never == 0


def test_a_clock_that_runs_so_many_times_as_fast_is_the_same_clock():
    """Also of a run that is there from the start, whose time is next to nothing."""
    rng = np.random.default_rng(25)
    cost = np.array([0.0, 10, 20])
    runs = [curve(rng, [0.8, 0.8, 0.8]), curve(rng, [0.1, 0.5, 0.8])]
    expert, base = curve(rng, [0.7])[:, 0], one_base(rng)
    found = [
        speed(
            *(Curve(run, cost * unit) for run in runs), expert, base, 1000, np.random.default_rng(1)
        )
        for unit in (1, 64)
    ]
    assert found[0].effect.value == pytest.approx(found[1].effect.value)
    assert found[0].effect.interval() == pytest.approx(found[1].effect.interval())


def test_an_expert_without_gain_has_no_yardstick():
    rng = np.random.default_rng(16)
    flat = np.zeros((3, 2, 50))
    run = Curve(flat, np.array([0.0, 10]))
    assert math.isnan(speed(run, run, flat[:, 0], flat[:, 0], 1000, rng).effect.value)
