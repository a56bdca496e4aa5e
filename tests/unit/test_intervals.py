"""Bands of learning curves: how often they hold the whole truth."""

import numpy as np
import pytest

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
        whole += held(points, TAIL / len(points))
        single += held(points, TAIL)
    assert whole / studies >= 0.93
    assert single / studies < 0.9
