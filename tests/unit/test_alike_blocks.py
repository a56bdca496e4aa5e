"""Blocks that do not differ at all: they decide nothing before the last planned look."""

import itertools

import numpy as np
import pytest
from scipy import stats
from test_claims import draft
from test_claims_blocks import PLAN
from test_claims_runs import ACCURACY, CLOCK, DROP, Tables, only

from online_il.claims.drafts import SUPPORTED, measure, measure_range, region
from online_il.claims.judge import Evidence, judge
from online_il.claims.measured import Measured
from online_il.config.claims import Claims
from online_il.statistics.effects import over_blocks

SEEDS = list(range(11, 21))
OTHERS = "No block differs from another"


def run(rows: list[list[int]], start: str = "base") -> Measured:
    """Of ten prompts so many are answered rightly, by seed and checkpoint: others in each seed."""
    answers = np.array(
        [[np.roll(np.arange(10) < n, seed) for n in row] for seed, row in enumerate(rows)]
    )
    table = np.repeat(answers.astype(float), 40, axis=2)
    return Measured(SEEDS[: len(rows)], list(range(len(rows[0]))), table, start)


def study(*rows: list[int], whole: tuple[str, ...] = ("id",)) -> Tables:
    """Runs `a` with these right answers and `b` with none."""
    runs = {"a": run(list(rows)), "b": run([[0] * len(rows[0])] * len(rows))}
    tables = Tables({"base": run([[9]] * len(rows), ""), **runs}, {"a": [1.0], "b": [1.0]})
    tables.whole = whole
    return tables


def at(tables: Tables, blocks: int, **claim: object):
    rows = [{"id": "c", "title": "T", "family": "f", "source": "S"} | ACCURACY | claim]
    claims = Claims.model_validate({"resamples": 1000, "seed": 1, "claims": rows})
    return judge(claims, Evidence(tables, None, []), PLAN, blocks)[0]


def test_alike_are_blocks_of_one_mean_whatever_their_prompts():
    same = np.array([[1.0, 0, 0.1], [0, 1.0, 0.1], [0.1, 1.0, 0]])
    assert over_blocks(same).alike and over_blocks(same / 3).alike
    assert not over_blocks(same + [[0], [0], [0.01]]).alike
    assert not over_blocks(same[:1]).alike  # One has no other.


@pytest.mark.parametrize(
    "claim",
    [
        {},
        {"kind": "equivalence"},
        {"kind": "range", "statistic": "accuracy", "runs": ["a", "b", "base"]},
        DROP | {"statistic": "worst-drop", "runs": ["b"]},
        DROP | {"statistic": "final-drop", "runs": ["b"]},
    ],
)
def test_before_the_last_look_they_decide_nothing_and_say_so(claim):
    for blocks, word in ((3, "three"), (6, "six")):
        found = at(study(*[[8]] * blocks), blocks, **claim)
        assert (found.verdict, found.decided_at) == ("undecided", None)
        words = f"{OTHERS}: {word} bases cannot say what the next one would do."
        assert found.note.endswith(words)
    found = at(study(*[[8]] * 10), 10, **claim)
    assert found.verdict in ("supported", "contradicted") and found.decided_at == 10
    # Were 26 % of the bases otherwise, ten would all be alike in 0.74^10 = 5 of 100 studies.
    assert "up to 26% of bases could do otherwise, and all 10 of these not" in found.note


def test_one_other_block_is_enough_at_any_point_of_a_curve():
    claim = DROP | {"statistic": "worst-drop", "margin": 0.2}
    assert OTHERS in at(study(*[[9, 9]] * 3), 3, **claim).note
    found = at(study([9, 9], [9, 9], [10, 9]), 3, **claim)
    assert OTHERS not in found.note
    assert OTHERS not in at(study([8], [8], [7]), 3).note
    # Prompts that are a sample have an error of their own.
    assert at(study(*[[8]] * 3, whole=()), 3).verdict == "supported"


def test_without_planned_looks_they_never_decide():
    found = only(study(*[[8]] * 10), **ACCURACY)
    assert found.verdict == "undecided" and "ten bases cannot say" in found.note
    assert only(study(*[[8]] * 9, [7]), **ACCURACY).verdict == "supported"


def test_a_speed_without_any_variance_decides_nothing_either():
    """Its interval had no width at all, and its p was the smallest that there is."""
    runs = {"base": run([[0]] * 3, ""), "expert": run([[8]] * 3), "a": run([[8]] * 3)}
    tables = Tables(runs | {"b": run([[8]] * 3)}, {"a": [1.0], "b": [4.0]})
    tables.whole = ("id",)
    found = only(tables, **CLOCK | {"runs": ["a", "b"]})
    assert found.low == pytest.approx(found.high) and found.p < 1e-9
    assert found.verdict == "undecided" and OTHERS in found.note


def lost(losing: int, blocks: int, look: int) -> bool:
    """Whether a look says of so many bases that lose a half that on average less is lost."""
    loss_B_P = np.repeat(0.5 * (np.arange(blocks) < losing)[:, None], 256, axis=1)
    found = draft()
    found.looks, found.last = 3, look == 10
    measure(found, over_blocks(loss_B_P), region("below", 0.05), ratio=False)
    return found.alone == SUPPORTED


def test_where_one_base_in_ten_loses_a_half_most_looks_no_longer_deny_it():
    """0.5 x 0.1 lies at the margin: each "supported" is wrong; their shares exactly."""
    chance, before = 0.0, 0.0
    for first, more, rest in itertools.product(range(4), range(4), range(5)):
        counts = ((first, 3), (first + more, 6), (first + more + rest, 10))
        share = np.prod(stats.binom.pmf((first, more, rest), (3, 3, 4), 0.1))
        chance += share * any(lost(n, look, look) for n, look in counts)
        before += share * any(lost(n, look, 10) for n, look in counts)
    assert before == pytest.approx(0.9**3)
    # Ten bases without a loser: what no t over ten blocks can know of.
    assert chance == pytest.approx(0.9**10) and pytest.approx(0.349, abs=0.001) == 0.9**10


def test_a_range_is_alike_where_every_pair_of_runs_is():
    found = draft(side="below")
    ends_S_K_P = np.zeros((3, 3, 100))
    measure_range(found, ends_S_K_P, 0.05, over_blocks)
    assert found.alone == "undecided" and OTHERS in found.notes[-1]
    found, ends_S_K_P[0, 1, :1] = draft(side="below"), 1.0
    measure_range(found, ends_S_K_P, 0.05, over_blocks)
    assert OTHERS not in " ".join(found.notes)
