"""Speed where each seed has a base of its own, and where the prompts are all that there are."""

import itertools
import math

import numpy as np
import pytest
from test_effects import curve

from online_il.statistics.speed import Curve, speed


def test_each_seed_begins_at_a_base_of_its_own():
    """By hand: bases at 0.1, 0.3 and 0.2, experts 0.5 above, so that 0.65 is to be reached."""
    base = np.repeat([[0.1], [0.3], [0.2]], 50, axis=1)
    fast, slow = (np.stack([base, base + rise, base + 0.5], axis=1) for rise in (0.45, 0.2))
    cost = np.array([0.0, 10, 20])
    found = speed(
        Curve(fast, cost), Curve(slow, cost), base + 0.5, base, 1000, np.random.default_rng(1)
    )
    # Reached at 10 by the fast one; the slow one goes from 0.2 to 0.5 in 10 more: 10 + 25 / 3.
    assert math.exp(found.effect.value) == pytest.approx((10 + 25 / 3) / 10)
    # Every seed gains the same over its own base, so that neither seeds nor prompts move it.
    assert found.effect.stderr == pytest.approx(0, abs=1e-9)
    one = speed(
        Curve(fast, cost),
        Curve(slow, cost),
        base + 0.5,
        base[[0] * 3],
        1000,
        np.random.default_rng(1),
    )
    assert one.effect.stderr > 1e-3


def test_prompts_that_are_all_there_are_carry_no_error_of_their_own():
    """What is left is the variance over seeds that are drawn with replacement, here all 27."""
    rng = np.random.default_rng(30)
    cost = np.array([0.0, 10, 20, 40, 80])
    steep, flat = ([0.1, 0.6, 0.7, 0.7, 0.7], [0.1, 0.3, 0.5, 0.66, 0.7])
    tables = [curve(rng, levels) for levels in (steep, flat)]
    expert, base = curve(rng, [0.7])[:, 0], curve(rng, [0.1])[:, 0]
    runs = [Curve(table, cost) for table in tables]
    sample = speed(*runs, expert, base, 4000, np.random.default_rng(1))
    whole = speed(*runs, expert, base, 4000, np.random.default_rng(1), whole=True)
    assert whole.effect.value == sample.effect.value
    (part,) = whole.effect.parts
    assert part.freedom == 2 and part in sample.effect.parts
    # The means of the seeds, by interpolation, for each of the 27 draws of three.
    means = [table.mean(2) for table in tables]
    logs = []
    for rows in itertools.product(range(3), repeat=3):
        start, end = base[list(rows)].mean(), expert[list(rows)].mean()
        level, times = start + 0.9 * (end - start), []
        for mean in means:
            line = np.maximum.accumulate(mean[list(rows)].mean(0))
            times.append(np.interp(level, line, cost))
        logs.append(math.log(times[1] / times[0]))
    assert part.variance == pytest.approx(np.var(logs) * 3 / 2, rel=0.1)


def test_one_seed_of_all_prompts_has_the_prompts_part_alone():
    rng = np.random.default_rng(31)
    cost = np.array([0.0, 10, 20])
    runs = [Curve(curve(rng, [0.1, level, 0.7], seeds=1), cost) for level in (0.6, 0.4)]
    expert, base = (curve(rng, [level], seeds=1)[:, 0] for level in (0.7, 0.1))
    found = speed(*runs, expert, base, 1000, rng, whole=True)
    assert [part.freedom for part in found.effect.parts] == [299]
