"""Claims about four runs and about several: by hand, by simulation, and what is refused."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from test_claims_runs import ACCURACY, PROMPTS, Tables, measured, only

from online_il.claims.drafts import Draft, finish, measure_range
from online_il.claims.measured import Measured
from online_il.config.claims import load_claims
from online_il.config.reading import ConfigError
from online_il.statistics.effects import mean_effect

FOUR = ACCURACY | {
    "kind": "interaction",
    "runs": ["a", "b", "c", "d"],
    "expect": "at-least",
    "margin": 0.1,
}
RANGE = ACCURACY | {"kind": "range", "runs": ["a", "b", "c", "d"], "margin": 0.05}
SEEDS = [1, 2, 3]


def four(levels: list[float], rng: np.random.Generator, seeds: list[int] = SEEDS) -> Tables:
    return Tables({run: measured([x], seeds, rng) for run, x in zip("abcd", levels, strict=True)})


def interval_by_hand(table: list[list[float]], largest: float) -> tuple[float, float]:
    """The crossed interval of a table of seeds and prompts, from its sums of squares."""
    seeds, prompts = len(table), len(table[0])
    mean = sum(map(sum, table)) / seeds / prompts
    of_seed = [sum(row) / prompts for row in table]
    of_prompt = [sum(row[p] for row in table) / seeds for p in range(prompts)]
    left_over = sum(
        (table[s][p] - of_seed[s] - of_prompt[p] + mean) ** 2
        for s in range(seeds)
        for p in range(prompts)
    )
    ms_residual = left_over / (seeds - 1) / (prompts - 1)
    ms_seeds = prompts * sum((x - mean) ** 2 for x in of_seed) / (seeds - 1)
    more = 2 * (largest / seeds) ** 2
    ms_prompts = seeds * (sum((x - mean) ** 2 for x in of_prompt) + more) / (prompts - 1)
    seed = (max(ms_seeds, ms_residual) - ms_residual / 2) / seeds / prompts
    prompt = max(ms_prompts - ms_residual / 2, ms_prompts / 2) / seeds / prompts
    t_seed, t_prompt = stats.t.isf(0.025, seeds - 1), stats.t.isf(0.025, prompts - 1)
    reach = (seed * t_seed + prompt * t_prompt) / (seed + prompt) * math.sqrt(seed + prompt)
    return mean - reach, mean + reach


# ---- interactions ----


def test_an_interaction_is_the_mean_over_seeds_and_prompts_that_all_four_share():
    rng = np.random.default_rng(1)
    orders = {"a": [1, 2, 3], "b": [3, 2, 1], "c": [2, 3, 1, 4], "d": [1, 3, 2]}
    runs = {
        run: measured([0.1, level], orders[run], rng)
        for run, level in zip(orders, (0.9, 0.2, 0.6, 0.5), strict=True)
    }
    tables = Tables(runs)
    found = only(tables, **FOUR)
    tables.whole = ["id"]
    of_all = only(tables, **FOUR)
    last = {
        run: {seed: one.accuracy_S_K_P[s, -1].tolist() for s, seed in enumerate(one.seeds)}
        for run, one in runs.items()
    }
    table = [
        [
            (last["a"][seed][p] - last["b"][seed][p]) - (last["c"][seed][p] - last["d"][seed][p])
            for p in range(PROMPTS)
        ]
        for seed in SEEDS
    ]
    assert found.effect == of_all.effect == pytest.approx(sum(map(sum, table)) / 3 / PROMPTS)
    # Of all prompts Student's t over seeds; two pairs of responses that differ by 2 are added.
    blocks = np.mean(table, axis=1)
    error = math.sqrt((blocks.var() * 3 + 2 * (2 / PROMPTS) ** 2) / 2 / 3)
    reach = stats.t.isf(0.025, 2) * error
    by_t = blocks.mean() - reach, blocks.mean() + reach
    crossed = interval_by_hand(table, largest=2.0)
    for row, own, other, words in (
        (of_all, by_t, crossed, "With the prompts as a sample, too, the interval is "),
        (found, crossed, by_t, "By Student's t over seeds alone the interval is "),
    ):
        assert (row.low, row.high) == pytest.approx(own)
        assert f"{words}[{other[0]:+.3f}, {other[1]:+.3f}]." in row.note
    assert (found.n_seeds, found.n_prompts, found.runs) == (3, PROMPTS, ["a", "b", "c", "d"])
    assert found.statistic == "final accuracy on id, (a less b) less (c less d)"


def test_a_difference_keeps_the_interval_that_it_had():
    rng = np.random.default_rng(2)
    table = np.array([[-0.1], [0.0], [0.2]]) + rng.normal(0, 0.3, (3, 50))
    assert mean_effect(table).interval() == pytest.approx(
        interval_by_hand(table.tolist(), largest=1.0)
    )


def test_twice_the_difference_has_twice_the_width():
    rng = np.random.default_rng(3)
    table = rng.normal(0.1, 0.3, (3, 60))
    once, twice = mean_effect(table), mean_effect(2 * table, largest=2.0)
    assert twice.interval() == pytest.approx([2 * end for end in once.interval()])
    # Two pairs differ by 2: two prompts' means over three seeds by 2/3.
    flat = mean_effect(np.zeros((3, 400)), largest=2.0)
    assert flat.stderr == pytest.approx(math.sqrt(8 / 9 / 399 / 400))


@pytest.mark.parametrize(
    ("expect", "levels", "verdict"),
    [
        ("at-least", [0.9, 0.2, 0.6, 0.6], "supported"),
        ("at-least", [0.6, 0.6, 0.9, 0.2], "contradicted"),
        ("at-least", [0.6, 0.5, 0.6, 0.6], "undecided"),
        # Both are ahead by the same: that is no interaction, however far.
        ("at-least", [0.99, 0.02, 0.99, 0.02], "contradicted"),
        ("at-most", [0.99, 0.02, 0.99, 0.02], "supported"),
        ("at-most", [0.9, 0.2, 0.6, 0.6], "contradicted"),
        ("at-most", [0.6, 0.6, 0.9, 0.2], "supported"),
    ],
)
def test_an_interaction_is_judged_on_its_side_of_the_margin(expect, levels, verdict):
    found = only(four(levels, np.random.default_rng(4)), **FOUR | {"expect": expect})
    assert found.verdict == verdict
    assert found.holds == {"at-least": "above", "at-most": "below"}[expect]


def test_no_evidence_of_an_interaction_is_no_evidence_of_none():
    runs = {
        run: Measured(SEEDS, [0], one.accuracy_S_K_P[:, :, :12])
        for run, one in four([0.5] * 4, np.random.default_rng(5)).runs("", "").items()
    }
    found = only(Tables(runs), **FOUR | {"expect": "at-most"})
    assert found.low < 0 < 0.1 < found.high and found.verdict == "undecided"


def test_an_interaction_may_be_larger_than_any_difference():
    runs = {
        run: Measured(SEEDS, [0], np.full((3, 1, 50), value))
        for run, value in zip("abcd", (1.0, 0.0, 0.0, 1.0), strict=True)
    }
    found = only(Tables(runs), **FOUR)
    assert found.effect == 2.0 and 1 < found.low < found.high == 2.0


def test_one_seed_and_missing_runs_decide_nothing():
    rng = np.random.default_rng(6)
    found = only(four([0.9, 0.1, 0.5, 0.5], rng, [1]), **FOUR)
    assert found.verdict == "undecided" and "One seed" in found.note
    for claim in (FOUR, RANGE):
        part = {run: measured([0.5], SEEDS, rng) for run in "bd"}
        found = only(Tables(part), **claim)
        assert (found.verdict, found.note) == ("not run", "task has no run a and no run c.")


def test_the_interval_covers_the_interaction_and_the_verdicts_are_rarely_wrong():
    rng = np.random.default_rng(7)
    levels, sides = np.array([0.7, 0.3, 0.55, 0.25]), np.array([1, -1, -1, 1])
    truth, studies, prompts = float(levels @ sides), 800, 100
    assert truth == pytest.approx(0.1)
    effects = []
    for _ in range(studies):
        # Prompts are hard for all four alike, and each run has seeds of its own.
        chance_R_S_P = (
            levels[:, None, None]
            + rng.uniform(-0.1, 0.1, prompts)
            + rng.uniform(-0.1, 0.1, (4, 1, prompts))
            + rng.uniform(-0.05, 0.05, (4, 3, 1))
        )
        answers_R_S_P = (rng.random((4, 3, prompts)) < chance_R_S_P).astype(float)
        effects.append(mean_effect(np.tensordot(sides, answers_R_S_P, 1), largest=2.0))
    ends = np.array([one.interval() for one in effects])
    assert np.mean([one.value for one in effects]) == pytest.approx(truth, abs=0.01)
    covered = np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1]))
    assert covered > 0.95
    # At the margin 0.1 itself: "above" and "below" would both be wrong.
    assert np.mean(ends[:, 0] > 0.1) < 0.025 and np.mean(ends[:, 1] < 0.1) < 0.025
    # And it is no interval that covers everything: the width is a quarter of what is at stake.
    assert np.median(ends[:, 1] - ends[:, 0]) < 0.6


# ---- the range of several runs ----


def pairs_alone(runs: dict[str, Measured], margin: float) -> list[str]:
    """The verdict on each two runs, as an equivalence that is corrected for nothing."""
    return [
        only(
            Tables(runs),
            **ACCURACY | {"kind": "equivalence", "runs": list(two), "margin": margin},
        ).verdict
        for two in itertools.combinations(runs, 2)
    ]


@pytest.mark.parametrize("spread", [0.0, 0.02, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_a_range_holds_exactly_where_each_two_runs_are_equivalent(spread, seed):
    rng = np.random.default_rng([8, seed])
    levels = 0.5 + spread * np.array([-0.5, 0.5, 0.0, 0.1])
    runs = four(levels.tolist(), rng).runs("", "")
    found = only(Tables(runs), **RANGE | {"margin": 0.22})
    alone = pairs_alone(runs, 0.22)
    assert (found.verdict == "supported") == (set(alone) == {"supported"})
    if found.verdict == "contradicted":
        assert "contradicted" in alone
    means = {run: float(one.accuracy_S_K_P.mean()) for run, one in runs.items()}
    assert found.effect == pytest.approx(max(means.values()) - min(means.values()))
    highs = [
        mean_effect(runs[x].accuracy_S_K_P[:, -1] - runs[y].accuracy_S_K_P[:, -1]).interval()[1]
        for x, y in itertools.permutations(runs, 2)
    ]
    assert found.high == pytest.approx(max(highs))
    assert 0 <= found.low <= found.effect <= found.high


def test_a_range_is_supported_and_contradicted_by_hand():
    equal = Measured(SEEDS, [0], np.full((3, 1, 3000), 0.5))
    runs = dict.fromkeys("abcd", equal)
    found = only(Tables(runs), **RANGE)
    assert (found.verdict, found.effect, found.low) == ("supported", 0.0, 0.0)
    assert found.holds == "below" and "between any two of a, b, c, d" in found.statistic
    other = Measured(SEEDS, [0], np.full((3, 1, 3000), 0.3))
    found = only(Tables(runs | {"c": other}), **RANGE)
    assert found.verdict == "contradicted" and found.effect == pytest.approx(0.2)


def test_few_answers_could_never_have_shown_a_small_range():
    found = only(four([0.5] * 4, np.random.default_rng(9)), **RANGE)
    assert found.verdict == "undecided" and "No result could have supported" in found.note


def test_a_range_at_its_margin_is_rarely_decided():
    rng = np.random.default_rng(10)
    levels, margin = np.array([0.4, 0.5, 0.5, 0.6]), 0.2
    verdicts = []
    for _ in range(120):
        seed_R_S = rng.normal(0, 0.02, (4, 3, 1))
        answers = rng.random((4, 3, 100)) < levels[:, None, None] + seed_R_S
        draft = Draft("c", dict.fromkeys(("statistic", "unit", "source", "kind", "title"), "x"))
        draft.fields |= {"id": "c", "family": "f", "task": None, "runs": [], "margin": margin}
        draft.fields["holds"] = "below"
        measure_range(draft, answers.astype(float).transpose(1, 0, 2), margin)
        draft.detectable = None
        verdicts.append(finish([draft])[0].verdict)
    # The truth is the margin itself: either verdict is wrong, each in 5 of 200 studies at most.
    assert verdicts.count("supported") <= 6 and verdicts.count("contradicted") <= 6


# ---- what is refused ----

FILE = """\
resamples: 1000
seed: 1
claims:
  - id: one
    title: T
    family: f
    source: S
    kind: interaction
    benchmarks: in-distribution
    statistic: accuracy
    runs: [a, b, c, d]
    expect: at-least
    margin: 0.1
  - id: two
    title: T
    family: f
    source: S
    kind: range
    benchmarks: in-distribution
    statistic: accuracy
    runs: [a, b, c]
    margin: 0.1
  - id: three
    title: T
    family: f
    source: S
    kind: superiority
    benchmarks: in-distribution
    statistic: accuracy
    runs: [a, e]
    margin: 0.1
  - id: four
    title: T
    family: f
    source: S
    kind: discrepancy
    measure: m
    pair: [g, h]
    margin: 0.1
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "[a, b, c, d]",
            "[a, b, a, d]",
            "claims[0].runs[2]|would be compared with itself|name another",
        ),
        (
            "[a, b, c, d]",
            "[a, b, c, a]",
            "claims[0].runs[3]|would be compared with itself|name another",
        ),
        ("[a, b, c, d]", "[a, b, c]", "claims[0].runs|at least 4 items|The four runs"),
        ("[a, b, c, d]", "[a, b, c, d, e]", "claims[0].runs|at most 4 items|The four runs"),
        ("[a, b, c, d]", "[a, b, c, D x]", "claims[0].runs[3]|pattern"),
        ("[a, b, c, d]", "a", "claims[0].runs|valid list|The four runs"),
        ("expect: at-least", "expect: within", "claims[0].expect|Side of the margin"),
        ("statistic: accuracy", "statistic: samples", "claims[0].statistic|Final accuracies"),
        ("margin: 0.1", "margin: 0", "claims[0].margin|greater than 0"),
        ("kind: interaction", "kind: interacton", "did you mean 'interaction'?"),
        ("[a, b, c]\n", "[a, b]\n", "claims[1].runs|at least 3 items|three or more"),
        ("[a, b, c]\n", "[a, b, b]\n", "claims[1].runs[2]|compared with itself|name another"),
        ("[a, e]", "[a, a]", "claims[2].runs[1]|compared with itself|name another"),
        ("[g, h]", "[g, g]", "claims[3].pair[1]|compared with itself|name another"),
        ("[g, h]", "[g]", "claims[3].pair|at least 2 items|Expert and student"),
    ],
)
def test_wrong_runs_are_told_with_line_and_remedy(tmp_path, old, new, words):
    path = tmp_path / "claims.yaml"
    path.write_text(FILE)
    load_claims(path)
    line = FILE.count("\n", 0, FILE.index(old)) + 1
    path.write_text(FILE.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_claims(path)
    told = [row for row in str(caught.value).splitlines() if f"{path}:{line}: " in row]
    assert len(told) == 1, caught.value
    assert all(word in told[0] for word in words.split("|")), told[0]


def test_a_side_must_be_named(tmp_path):
    path = tmp_path / "claims.yaml"
    path.write_text(FILE.replace("    expect: at-least\n", ""))
    with pytest.raises(ConfigError, match=r"claims\[0\]\.expect: a required key is missing"):
        load_claims(path)
