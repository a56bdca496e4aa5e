"""Bands of learning curves: how often they hold the whole truth, and what they fall back to."""

import numpy as np
import pytest

from online_il.statistics.curves import curve_tail
from online_il.statistics.intervals import TAIL, mean_over_seeds

pytestmark = pytest.mark.slow

SEEDS, PROMPTS = 3, 120
LEVELS = np.array([0.15, 0.4, 0.55, 0.6, 0.62, 0.63, 0.63])  # The base's first.


def study(rng: np.random.Generator, between: float) -> list[np.ndarray]:
    """Tables (S, P) of a curve's points: one base, then new answers at every checkpoint."""
    hard_P = rng.uniform(-0.13, 0.13, PROMPTS)
    points = []
    for point, level in enumerate(LEVELS):
        seeds = SEEDS if point else 1
        shift_S = rng.normal(0, between if point else 0.0, (seeds, 1))
        points.append((rng.random((seeds, PROMPTS)) < level + hard_P + shift_S).astype(float))
    return points


def held(points: list[np.ndarray], tail: float) -> bool:
    """Whether the intervals of all points hold the truth."""
    intervals = [mean_over_seeds(point, tail) for point in points]
    return all(one.low <= level <= one.high for one, level in zip(intervals, LEVELS, strict=True))


@pytest.mark.parametrize("between", [0.0, 0.04])
def test_a_band_holds_the_whole_curve_and_points_by_themselves_do_not(between):
    rng = np.random.default_rng(11)
    whole, single = 0, 0
    studies = 300
    for _ in range(studies):
        points = study(rng, between)
        whole += held(points, curve_tail(points, 1000, rng))
        single += held(points, TAIL)
    assert whole / studies >= 0.93
    assert single / studies < 0.9


def test_points_that_are_one_need_no_more_than_one():
    rng = np.random.default_rng(12)
    one = (rng.random((3, PROMPTS)) < 0.5).astype(float)
    assert curve_tail([one] * 6, 4000, rng) == pytest.approx(TAIL, abs=0.005)
    assert curve_tail([one], 1000, rng) == TAIL


def test_points_of_other_seeds_take_bonferronis():
    rng = np.random.default_rng(13)
    tables = [(rng.random((seeds, PROMPTS)) < 0.5).astype(float) for seeds in (3, 2, 3)]
    assert curve_tail(tables, 1000, rng) == TAIL / 3


def test_a_band_is_never_wider_than_bonferronis():
    rng = np.random.default_rng(14)
    tables = [(rng.random((1, 20)) < 0.1).astype(float) for _ in range(4)]
    assert TAIL / 4 <= curve_tail(tables, 1000, rng) <= TAIL


def test_the_same_seed_gives_the_same_band():
    points = study(np.random.default_rng(15), 0.0)
    points[2:] = [(points[1] + point) / 2 for point in points[2:]]  # They move together.
    first, second = (curve_tail(points, 1000, np.random.default_rng(1)) for _ in range(2))
    assert first == second != curve_tail(points, 1000, np.random.default_rng(2))
