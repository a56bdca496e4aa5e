"""Claims of blocks: each seed from its own base, planned looks, prompts that are all there are."""

import json
import math
from pathlib import Path

import duckdb
import numpy as np
import pytest
from fake_study import RUNS, fake_study
from scipy import stats
from test_claims import CLAIMS, designs, gaussian, run_claims
from test_claims_runs import ACCURACY, CLOCK, DROP, Tables, only

from online_il.claims.judge import Evidence, judge
from online_il.claims.measured import Design, Measured, Measurements
from online_il.claims.records import ClaimVerdict
from online_il.config.claims import Claims, load_claims
from online_il.statistics.looks import Plan
from online_il.store import build

SEEDS = [11, 12, 13]
PLAN = Plan((3, 6, 10))


def table(rows: list[list[list[int]]], start: str, seeds: list[int] = SEEDS) -> Measured:
    """A run whose right answers are given by seed and checkpoint, of four prompts."""
    answers = np.array([[[n < right for n in range(4)] for right in row] for row in rows])
    return Measured(seeds, list(range(len(rows[0]))), answers.astype(float), start)


# Right answers of four: bases of 1, 3 and 2, which the run loses in its way.
OWN = table([[1], [3], [2]], "")
RUN = table([[3, 1, 0], [2, 4, 1], [4, 4, 2]], "base")


@pytest.mark.parametrize(
    ("statistic", "run", "effect"),
    [
        # 1 - 0, 3 - 1 and 2 - 2 of four.
        ("final-drop", RUN, (1 + 2 + 0) / 12),
        # By checkpoint: 1-3 3-2 2-4, then 1-1 3-4 2-4, then 1-0 3-1 2-2: the last is the worst.
        ("worst-drop", RUN, (1 + 2 + 0) / 12),
        # Of the other two seeds the base has 5, 3 and 4 right, the first checkpoint 3, 2 and 3.
        ("drop-from-best", table([[1, 0], [2, 1], [1, 2]], "base"), (1 + 2 + 0) / 12),
    ],
)
def test_a_drop_is_from_the_base_of_the_same_seed(statistic, run, effect):
    found = only(Tables({"base": OWN, "a": run}), **DROP | {"statistic": statistic})
    assert found.effect == pytest.approx(effect) and found.n_seeds == 3
    # Bases in another order are those of their seeds all the same.
    turned = Measured([13, 11, 12], OWN.steps, OWN.accuracy_S_K_P[[2, 0, 1]], "")
    found = only(Tables({"base": turned, "a": run}), **DROP | {"statistic": statistic})
    assert found.effect == pytest.approx(effect)


def test_a_base_that_serves_all_is_taken_for_all():
    one = Measured([1], OWN.steps, OWN.accuracy_S_K_P[1:2], "")
    found = only(Tables({"base": one, "a": RUN}), **DROP)
    assert found.effect == pytest.approx((3 + 2 + 1) / 12) and found.n_seeds == 3


def test_a_further_base_of_each_seed_is_that_of_its_runs():
    run = RUN._replace(start="narrow")
    shared = Measured([1], OWN.steps, OWN.accuracy_S_K_P[1:2], "")
    found = only(Tables({"base": shared, "narrow": OWN, "a": run}), **DROP)
    assert found.effect == pytest.approx((1 + 2 + 0) / 12)
    assert found.statistic == "accuracy on id, narrow less a at its end"


def test_a_run_without_the_base_of_a_seed_goes_without_the_seed():
    two = Measured([11, 13], OWN.steps, OWN.accuracy_S_K_P[[0, 2]], "")
    found = only(Tables({"base": two, "a": RUN}), **DROP)
    assert (found.n_seeds, found.effect) == (2, pytest.approx((1 + 0) / 8))


def test_speed_is_counted_from_each_seeds_own_base():
    """Means over seeds: bases 2/4, expert 4/4, so that 0.95 is to be reached."""
    expert = table([[4], [4], [4]], "base")
    runs = {
        "base": OWN,
        "expert": expert,
        # Of 0.5 then 1: reached at 9/10 of the first 10. Of 0.5, 0.75, 1: at 10 + 8/10 of 10.
        "a": table([[4, 4], [4, 4], [4, 4]], "base"),
        "b": table([[3, 4], [3, 4], [3, 4]], "base"),
    }
    found = only(Tables(runs, {"a": [10.0, 20.0], "b": [10.0, 20.0]}), **CLOCK)
    assert found.effect == pytest.approx(18 / 9) and found.n_seeds == 3
    # From the first seed's base, 1/4: 0.925, at 9 and at 10 + 7/10 of 10.
    shared = runs | {"base": Measured([1], OWN.steps, OWN.accuracy_S_K_P[:1], "")}
    found = only(Tables(shared, {"a": [10.0, 20.0], "b": [10.0, 20.0]}), **CLOCK)
    assert found.effect == pytest.approx(17 / 9)


# ---- the whole of the prompts ----


def means(shift_S: list[float], prompts: int, responses: int = 1) -> Tables:
    """Two runs whose difference in each seed is given, on prompts that differ a lot."""
    rng = np.random.default_rng(5)
    hard = rng.random((1, 1, prompts))
    first = hard + np.array(shift_S)[:, None, None] + rng.normal(0, 0.2, (len(shift_S), 1, prompts))
    first += (np.array(shift_S) - (first - hard).mean((1, 2)))[:, None, None]
    seeds = list(range(11, 11 + len(shift_S)))
    runs = {"a": first, "b": np.repeat(hard, len(shift_S), 0)}
    counts = (responses,)
    tables = {name: Measured(seeds, [0], run, "base", counts) for name, run in runs.items()}
    return Tables(tables)


@pytest.mark.parametrize("shifts", [[0.1, 0.14, 0.09], [0.2, 0.1, 0.3, 0.15, 0.0]])
@pytest.mark.parametrize("responses", [1, 8])
def test_of_all_prompts_the_interval_is_students_t_of_the_seeds(shifts, responses):
    tables = means(shifts, 400, responses)
    sample = only(tables, **ACCURACY)
    tables.whole = ["id"]
    found = only(tables, **ACCURACY)
    # One right and one wrong response more keep the width from 0: 1 / (400 x responses) each.
    error = math.sqrt(np.var(shifts, ddof=1) + 2 / (400 * responses) ** 2 / (len(shifts) - 1))
    error /= math.sqrt(len(shifts))
    expected = stats.t.interval(0.95, len(shifts) - 1, np.mean(shifts), error)
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-6)
    exact = stats.ttest_1samp(shifts, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-3)
    assert "The 400 prompts are all that there are and carry no error" in found.note
    assert "seeds alone" not in sample.note and sample.effect == found.effect
    assert (sample.low, sample.high) != (found.low, found.high)
    # Of another task or benchmark nothing is said.
    tables.whole = ["ood"]
    assert only(tables, **ACCURACY) == sample


# ---- looks ----


def evidence(shifts: list[float]) -> Tables:
    return means(shifts, 200)


def at(tables: Tables, blocks: int, kind: str = "superiority", margin: float = 0.05):
    rows = [{"id": "c", "title": "T", "family": "f", "source": "S"} | ACCURACY]
    rows[0] |= {"kind": kind, "margin": margin}
    claims = Claims.model_validate({"resamples": 1000, "seed": 1, "claims": rows})
    (found,) = judge(claims, Evidence(tables, None, []), PLAN, blocks)
    return found


CLEAR = [0.3, 0.31, 0.29]


@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_before_the_first_look_nothing_is_decided_however_clear(blocks, tmp_path):
    found = at(evidence(CLEAR), blocks)
    assert found.verdict == "undecided" and found.decided_at is None
    assert found.effect == pytest.approx(0.3)
    assert "Nothing is decided before the look at 3 blocks." in found.note
    assert at(evidence(CLEAR), 3).verdict == "supported"
    # The theory has no blocks.
    gaussian(tmp_path, 0.97725)
    claims = load_claims(CLAIMS)
    kept = [claim for claim in claims.claims if claim.id == "gaussian-class-a"]
    claims = claims.model_copy(update={"claims": kept})
    (found,) = judge(claims, Evidence(evidence(CLEAR), tmp_path, []), PLAN, blocks)
    assert found.verdict == "supported" and "before the look" not in found.note


@pytest.mark.parametrize(("blocks", "counted"), [(3, 3), (4, 3), (5, 3), (6, 6), (9, 6), (10, 10)])
def test_between_looks_only_the_first_blocks_count(blocks, counted):
    shifts = [0.02, 0.04, 0.0, 0.9, -0.5, 0.7, 0.2, 0.1, -0.8, 0.6]
    found = at(evidence(shifts[:blocks]), blocks)
    assert found.n_seeds == counted
    assert found.effect == pytest.approx(np.mean(shifts[:counted]))


def test_a_missing_block_is_not_replaced_by_a_later_one():
    whole = evidence([*CLEAR, 0.9, -0.5, 0.7]).runs("", "")
    # Of one run the second seed is missing: the look at three has the two that are left.
    rows = [0, 2, 3, 4, 5]
    part = whole["a"]
    part = part._replace(
        seeds=[part.seeds[n] for n in rows], accuracy_S_K_P=part.accuracy_S_K_P[rows]
    )
    found = at(Tables(whole | {"a": part}), 3)
    assert found.n_seeds == 2 and found.effect == pytest.approx((0.3 + 0.29) / 2)
    assert "2 of the look's 3 blocks have all of these runs." in found.note
    assert "of the look's" not in at(Tables(whole), 3).note


# ---- the program ----


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    seeds = (11, 12, 13, 14)
    fake_study(folder, runs=RUNS, seeds=seeds, n_prompts=60, samplings=("policy",), at_last=4)
    build(folder, folder / "measurements.duckdb")
    return folder


def judged(study: Path, *more: object) -> dict[str, ClaimVerdict]:
    done = run_claims(study, *more)
    assert done.returncode == 0, done.stderr
    record = json.loads((study / "claims.json").read_text())
    rows = [ClaimVerdict.model_validate(row) for row in record.pop("claims")]
    return record | {row.id: row for row in rows}


def accuracies(study: Path, run: str, benchmark: str) -> np.ndarray:
    """Accuracies of a run by seed (rows) and step."""
    with duckdb.connect(str(study / "measurements.duckdb"), read_only=True) as database:
        rows = database.execute(
            "SELECT seed, step, avg(accuracy) AS accuracy FROM prompt_accuracy "
            "WHERE run = $1 AND benchmark = $2 GROUP BY ALL",
            [run, benchmark],
        ).df()
    return rows.pivot(index="seed", columns="step", values="accuracy").to_numpy()


MATCHES, STABLE = "countdown-sft-realizable-matches", "countdown-forgetting-realizable-stable"


def test_options_say_which_prompts_are_all_and_when_is_looked(study):
    seeds = (11, 12, 13, 14)
    plain = judged(study, "--designs", designs(seeds))
    assert (plain["looks"], plain["blocks"]) == ([], 4)
    assert plain[MATCHES].n_seeds == 4 and "all that there are" not in plain[MATCHES].note
    whole = designs(seeds, whole=["id", "forgetting"])
    found = judged(study, "--designs", whole, "--looks", 2, 3)
    assert (found["looks"], found["blocks"]) == ([2, 3], 4)
    row = found[MATCHES]
    student, expert = (accuracies(study, run, "id") for run in ("sft-realizable", "expert"))
    shifts = (student[:, -1] - expert[:, -1])[:3]
    # Two looks share 5 %; four responses to each of 60 prompts.
    error = math.sqrt((shifts.var(ddof=1) + 2 / 240**2 / 2) / 3)
    expected = stats.t.interval(0.975, 2, shifts.mean(), error)
    assert (row.low, row.high) == pytest.approx(expected)
    assert row.n_seeds == 3 and "all that there are" in row.note
    base, run = (accuracies(study, name, "forgetting") for name in ("base", "sft-realizable"))
    assert found[STABLE].effect == pytest.approx((base - run)[:3].mean(0).max())
    before = judged(study, "--looks", 6, "--designs", designs(seeds))
    of_runs = [row for row in before.values() if isinstance(row, ClaimVerdict) and row.task]
    assert {row.verdict for row in of_runs} == {"undecided", "not run"}


def test_seeds_are_those_of_runs_and_a_base_is_one_of_each(study):
    measurements = Measurements(study / "measurements.duckdb")
    assert measurements.design("countdown") == Design()
    base = measurements.runs("countdown", "id")["base"]
    assert base.seeds == [11, 12, 13, 14] and base.responses(last=True) == 4
    trained = measurements.runs("countdown", "id")["expert"]
    assert (trained.responses(last=True), trained.responses(last=False)) == (4, 1)
