"""The worst of a curve's points: by hand, and how often few blocks say too much of it."""

import numpy as np
import pytest
from scipy import stats

from online_il.claims.drafts import Draft, finish, measure_curve
from online_il.statistics.effects import over_blocks

PROMPTS = 2000
"""So many that the two pairs of responses that keep a width from 0 add nothing."""


def below() -> Draft:
    """A claim of the kind that a curve stays below its margin."""
    fields = dict.fromkeys(("source", "kind", "unit", "statistic", "title"), "x")
    fields |= {"id": "c", "family": "f", "task": None, "runs": [], "margin": 0.05, "holds": "below"}
    return Draft("c", fields)


def test_the_worst_of_a_curve_is_corrected_for_its_points_and_its_best_is_not():
    blocks_S = np.array([-0.01, 0.0, 0.01])
    curve_S_K_P = (blocks_S[:, None] + np.array([0.2, 0.1, 0.0]))[:, :, None].repeat(PROMPTS, 2)
    one = below()
    measure_curve(one, curve_S_K_P, 0.05, over_blocks)
    t = 0.15 / (0.01 / np.sqrt(3))
    assert one.side == "contradicted"
    assert one.fields["p"] == pytest.approx(3 * 2 * stats.t.sf(t, 2), rel=1e-2)
    width = stats.t.isf(0.025 / 3, 2) * 0.01 / np.sqrt(3)
    assert one.fields["low"] == pytest.approx(0.2 - width, rel=1e-2)
    assert one.fields["high"] == pytest.approx(
        0.2 + stats.t.isf(0.025, 2) * 0.01 / np.sqrt(3), rel=1e-2
    )
    other = below()
    measure_curve(other, curve_S_K_P, 0.3, over_blocks)
    assert other.fields["p"] == pytest.approx(
        2 * stats.t.sf(0.1 / (0.01 / np.sqrt(3)), 2), rel=1e-2
    )


@pytest.mark.slow
def test_few_blocks_seldom_say_that_a_curve_at_its_margin_is_beyond_it():
    rng = np.random.default_rng(12)
    wrong, studies = 0, 1000
    for _ in range(studies):
        # Checkpoints of a block move together for the most part, as those of a training do.
        blocks_S_K = rng.normal(0, 0.05, (3, 1)) + rng.normal(0, 0.03, (3, 6))
        one = below()
        measure_curve(one, 0.05 + blocks_S_K[:, :, None].repeat(PROMPTS, 2), 0.05, over_blocks)
        wrong += finish([one])[0].verdict == "contradicted"
    assert wrong / studies <= 0.04  # 2.5 %, and three standard errors.
