"""Looks at a growing study: errors in closed form and by simulation, what is kept, whole claims."""

import math

import numpy as np
import pytest
from scipy import stats
from test_claims import draft
from test_claims_runs import ACCURACY, Tables

from online_il.claims.drafts import Draft, measure, region
from online_il.claims.judge import Evidence, judge
from online_il.claims.looks import carry_over, kept
from online_il.claims.measured import Measured
from online_il.claims.records import ClaimVerdict
from online_il.config.claims import Claims
from online_il.statistics.effects import Effect, Part, over_blocks
from online_il.statistics.looks import Plan, plan_of

PLAN = Plan((3, 6, 10))


def test_the_error_is_split_equally():
    assert PLAN.tail == pytest.approx(0.025 / 3)
    assert [PLAN.reached(n) for n in (2, 3, 7, 12)] == [(), (3,), (3, 6), (3, 6, 10)]
    assert [PLAN.following(n) for n in (0, 3, 9, 10)] == [3, 6, 10, None]


@pytest.mark.parametrize("looks", [(), (1, 3), (6, 3), (3, 3)])
def test_looks_that_are_no_plan_are_refused(looks):
    with pytest.raises(ValueError, match="growing numbers of blocks"):
        plan_of(looks)


def ever_beyond(tail: float) -> float:
    """The chance that a mean of blocks of known variance is beyond its quantile at any look."""
    looks = np.array(PLAN.looks)
    correlation = np.sqrt(np.minimum.outer(looks, looks) / np.maximum.outer(looks, looks))
    inside = stats.multivariate_normal([0, 0, 0], correlation, seed=1)
    return 1 - float(inside.cdf(np.full(3, stats.norm.isf(tail))))


def test_in_closed_form_the_plan_keeps_the_error_and_peeking_does_not():
    assert 0.015 < ever_beyond(PLAN.tail) < 0.025
    assert ever_beyond(0.025) > 0.045
    # One look by itself, for comparison.
    assert 1 - stats.norm.cdf(stats.norm.isf(0.025)) == pytest.approx(0.025)


def blocks(count: int, mean: float, spread: float) -> np.ndarray:
    """Studies of ten blocks' differences, a row a study."""
    return np.random.default_rng(41).normal(mean, spread, (count, 10))


def t_of(means: np.ndarray, look: int, truth: float) -> np.ndarray:
    first = means[:, :look]
    return (first.mean(1) - truth) / (first.std(1, ddof=1) / math.sqrt(look))


def test_with_students_t_the_plan_keeps_the_error_and_peeking_does_not():
    means = blocks(40_000, 0.05, 0.03)
    for tail, low, high in ((PLAN.tail, 0.015, 0.025), (0.025, 0.05, 0.08)):
        beyond = [t_of(means, look, 0.05) > stats.t.isf(tail, look - 1) for look in PLAN.looks]
        assert low < np.any(beyond, axis=0).mean() < high


def test_an_equivalence_is_decided_at_some_six_blocks():
    """Nothing differs; margins of 0.05, runs of a block that each differ by 0.015."""
    means = blocks(4000, 0.0, 0.015 * math.sqrt(2))
    at = np.full(len(means), 0)
    for look in reversed(PLAN.looks):
        reach = stats.t.isf(PLAN.tail, look - 1) * means[:, :look].std(1, ddof=1) / look**0.5
        at[np.abs(means[:, :look].mean(1)) + reach < 0.05] = look
    assert (at > 0).mean() > 0.99
    assert 5.5 < at[at > 0].mean() < 7


# ---- what is carried on and kept ----


def one(value: float, error: float = 0.01, name: str = "c") -> Draft:
    found = draft(name)
    found.looks = 3
    measure(found, Effect(value, (Part(error**2, 9),), 10, 50), region("above", 0.05), ratio=False)
    return found


def test_a_look_has_its_level_in_interval_and_p():
    found, alone = one(0.1).fields, stats.t(9)
    assert found["p"] == pytest.approx(3 * 2 * alone.sf(5))
    assert found["effect"] - found["low"] == pytest.approx(0.01 * alone.isf(0.025 / 3))


def test_the_most_telling_look_is_carried_on():
    strong, weak, other = one(0.12), one(0.06), one(0.0, 0.001)
    p, side = strong.fields["p"], strong.side
    carry_over([strong], [weak])
    assert (weak.fields["p"], weak.side) == (p, side)
    carry_over([weak], [other])
    assert other.side == "contradicted" and other.fields["p"] < p
    unrelated = one(0.06, name="d")
    carry_over([strong], [unrelated])
    assert unrelated.fields["p"] != p


def row(verdict: str, name: str = "c") -> ClaimVerdict:
    return ClaimVerdict(**draft(name).fields, verdict=verdict)


def test_what_a_look_decided_is_kept():
    theory = row("supported", "t").model_copy(update={"kind": "theory"})
    looks = {
        3: [row("undecided"), row("supported", "d"), theory],
        6: [row("contradicted"), row("undecided", "d")],
        10: [row("supported"), row("contradicted", "d"), row("undecided", "e"), theory],
    }
    found = {each.id: each for each in kept(looks)}
    assert (found["c"].verdict, found["c"].decided_at) == ("contradicted", 6)
    assert (found["d"].verdict, found["d"].decided_at) == ("supported", 3)
    assert (found["e"].verdict, found["e"].decided_at) == ("undecided", None)
    assert (found["t"].verdict, found["t"].decided_at) == ("supported", None)
    assert found["c"].note == "Decided at the look of 6 blocks."


def test_no_look_decides_the_theory():
    """It has no blocks: its claims were counted as decided at the first look."""
    theory = row("supported").model_copy(update={"kind": "theory"})
    (found,) = kept({3: [theory], 6: [theory]})
    assert (found.verdict, found.decided_at, found.note) == ("supported", None, theory.note)


# ---- whole claims ----


def study(between: float, difference: float, rng: np.random.Generator) -> Tables:
    """Two runs of ten blocks; a block moves both, and their difference by `between`."""
    seeds = list(range(1, 11))
    shift = rng.normal(0, between, 10)[:, None, None]
    table = np.full((10, 1, 200), 0.5) + rng.normal(0, 0.05, (10, 1, 1))
    runs = {"a": table + difference + shift, "b": table}
    return Tables({name: Measured(seeds, [0], run) for name, run in runs.items()})


def claims(kind: str) -> Claims:
    whole = {"id": "c", "title": "T", "family": "f", "source": "S"} | ACCURACY | {"kind": kind}
    both = {"id": "x", "title": "T", "family": "f", "source": "S", "kind": "conjunction"}
    rows = [whole, both | {"claims": ["c"]}]
    return Claims.model_validate({"resamples": 1000, "seed": 1, "claims": rows})


def test_a_study_is_judged_by_its_first_blocks_at_each_look():
    evidence = Evidence(study(0.01, 0.0, np.random.default_rng(42)), None, [])
    at = {n: judge(claims("equivalence"), evidence, PLAN, n) for n in (3, 4, 6, 10)}
    assert [at[n][0].n_seeds for n in (3, 4, 6, 10)] == [3, 3, 6, 10]
    assert at[3] == at[4]
    assert {each.verdict for each in at[10]} == {"supported"}
    first = next(n for n in (3, 6, 10) if at[n][0].verdict == "supported")
    assert at[10][0].decided_at == at[10][1].decided_at == first
    without = judge(claims("equivalence"), evidence)[0]
    assert without.high - without.low < at[10][0].high - at[10][0].low
    assert without.decided_at is None


def test_before_the_first_look_there_is_no_verdict():
    evidence = Evidence(study(0.01, 0.0, np.random.default_rng(43)), None, [])
    found = judge(claims("equivalence"), evidence, PLAN, 2)
    assert [each.verdict for each in found] == ["undecided"] * 2
    assert found[0].effect == pytest.approx(0, abs=0.02) and found[0].decided_at is None
    assert "Nothing is decided before the look at 3 blocks." in found[0].note


def test_a_verdict_stays_when_later_blocks_are_otherwise():
    tables = study(0.001, 0.2, np.random.default_rng(44))
    tables.runs("", "")["a"].accuracy_S_K_P[6:] -= 0.8
    found = judge(claims("superiority"), Evidence(tables, None, []), PLAN, 10)[0]
    assert (found.verdict, found.decided_at) == ("supported", 3)
    assert found.effect < 0 and "Decided at the look of 3 blocks." in found.note
    assert over_blocks(np.zeros((10, 200))).value == 0
