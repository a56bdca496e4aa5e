"""Claims about runs on tables made by hand: what is paired, where a run ends; no claims at all."""

import math

import numpy as np
import pytest

from online_il.claims.judge import Evidence, judge
from online_il.claims.measured import Design, Measured, Measurements
from online_il.claims.records import ClaimVerdict, read_claims
from online_il.config.claims import Claims
from online_il.errors import InputError
from online_il.statistics.effects import Part

PROMPTS = 200


class Tables:
    """A study of one task whose tables are given."""

    tasks = ("task",)

    def __init__(self, runs: dict[str, Measured], costs: dict[str, list[float]] | None = None):
        self._runs, self._costs = runs, costs or {}

    def benchmarks(self, task, group):
        return ["id"] if group == "in-distribution" else []

    def runs(self, task, benchmark):
        return self._runs

    def cost(self, task, run, unit, steps, seeds):
        return np.array(self._costs[run])

    def machine_noise(self, task, seeds):
        return self.noise

    def design(self, task):
        trained = [run for name, run in self._runs.items() if run.start and name != "base"]
        seeds = self.planned or sorted({seed for run in trained for seed in run.seeds})
        return Design(seeds=seeds, whole=self.whole)

    serves_all = Measurements.serves_all
    noise, planned, whole = None, None, ()


def measured(levels: list[float], seeds: list[int], rng: np.random.Generator) -> Measured:
    chance = np.array(levels)[None, :, None]
    answers = rng.random((len(seeds), len(levels), PROMPTS)) < chance
    return Measured(seeds, list(range(len(levels))), answers.astype(float))


def only(evidence: Tables, **claim) -> ClaimVerdict:
    whole = {"id": "c", "title": "T", "family": "f", "source": "S"} | claim
    claims = Claims.model_validate({"resamples": 1000, "seed": 1, "claims": [whole]})
    (found,) = judge(claims, Evidence(evidence, None, []))
    return found


ACCURACY = {
    "kind": "superiority",
    "benchmarks": "in-distribution",
    "statistic": "accuracy",
    "runs": ["a", "b"],
    "margin": 0.05,
}
CLOCK = ACCURACY | {"kind": "non-inferiority", "statistic": "samples", "margin": 1.5}


def test_runs_are_paired_by_the_seeds_that_both_have():
    rng = np.random.default_rng(1)
    one, other = measured([0.6], [1, 2, 3], rng), measured([0.3], [3, 2], rng)
    found = only(Tables({"a": one, "b": other}), **ACCURACY)
    pairs = one.accuracy_S_K_P[[2, 1], -1] - other.accuracy_S_K_P[[0, 1], -1]
    assert found.n_seeds == 2 and found.effect == pytest.approx(pairs.mean())


def test_seeds_that_move_together_narrow_the_interval():
    rng = np.random.default_rng(2)
    seed = np.array([-0.1, 0.0, 0.1])[:, None, None]
    hard = rng.random((1, 1, PROMPTS)) * 0.4 + 0.2
    expert = Measured([1, 2, 3], [0], hard + seed + rng.normal(0, 0.02, (3, 1, PROMPTS)))
    student = Measured([1, 2, 3], [0], expert.accuracy_S_K_P + rng.normal(0, 0.02, (3, 1, PROMPTS)))
    other = Measured([3, 1, 2], [0], student.accuracy_S_K_P)  # The same, wrongly named.
    close, far = (only(Tables({"a": expert, "b": run}), **ACCURACY) for run in (student, other))
    assert close.high - close.low < (far.high - far.low) / 5


def test_no_common_seed_and_no_run_and_no_benchmark_are_not_run():
    rng = np.random.default_rng(3)
    one, other = measured([0.6], [1], rng), measured([0.3], [2], rng)
    found = only(Tables({"a": one, "b": other}), **ACCURACY)
    assert found.verdict == "not run" and "no seed that all of them have" in found.note
    assert only(Tables({"a": one}), **ACCURACY).note == "task has no run b."
    found = only(Tables({"a": one}), **ACCURACY | {"benchmarks": "forgetting"})
    assert (found.verdict, found.note) == ("not run", "task has no benchmark of forgetting.")


@pytest.mark.parametrize(
    ("a_never", "a_cost", "verdict"),
    [
        # It never gets there within more time than the other one took: no faster.
        (True, [100.0, 400.0], "supported"),
        # It is given up early: how fast it would have been is not known.
        (True, [1.0, 2.0], "undecided"),
        (False, [1.0, 2.0], "contradicted"),
    ],
)
def test_a_run_that_ends_early_decides_only_what_it_bounds(a_never, a_cost, verdict):
    rng = np.random.default_rng(4)
    seeds = [1, 2, 3]
    runs = {
        "base": measured([0.1], [1], rng),
        "expert": measured([0.8], seeds, rng),
        "a": measured([0.2, 0.3] if a_never else [0.2, 0.8], seeds, rng),
        "b": measured([0.2, 0.8], seeds, rng),
    }
    found = only(Tables(runs, {"a": a_cost, "b": [50.0, 100.0]}), **CLOCK)
    assert found.verdict == verdict
    assert ("a never gets there" in found.note) == a_never


def test_device_seconds_carry_the_machines_noise_and_samples_do_not():
    """Both runs' times: twice the variance, with its own degrees of freedom."""
    rng = np.random.default_rng(7)
    runs = {name: measured([0.2, 0.8], [1, 2, 3], rng) for name in ("expert", "a", "b")}
    tables = Tables(runs | {"base": measured([0.1], [1], rng)}, {"a": [9, 20], "b": [10, 20]})
    tables.noise = Part(0.15**2, 10)
    samples = only(tables, **CLOCK)
    seconds = only(tables, **CLOCK | {"statistic": "device-seconds"})
    assert seconds.effect == pytest.approx(samples.effect)
    width = [math.log(one.high / one.effect) for one in (samples, seconds)]
    assert width[1] > math.hypot(width[0] / 4.31, 0.15 * math.sqrt(2)) * 1.96
    assert "15% more or less" not in samples.note and "16% more or less" in seconds.note


def test_forgetting_rests_on_seeds_alone_and_says_so():
    rng = np.random.default_rng(8)
    hard = rng.random((1, 1, PROMPTS)) * 0.9
    shift = np.array([0.09, 0.1, 0.11])[:, None, None]
    runs = {
        "base": Measured([1], [0], np.ones((1, 1, PROMPTS)), ""),
        "a": Measured([1, 2, 3], [0], 1 - hard - shift),
    }
    tables = Tables(runs)
    tables.benchmarks = lambda task, group: ["forgetting"]
    tables.whole = ["forgetting"]
    found = only(tables, **DROP | {"benchmarks": "forgetting"})
    drops = (hard + shift).mean((1, 2))
    # Two pairs more, of one prompt of 200 each.
    error = math.sqrt((drops.var(ddof=1) + 2 / PROMPTS**2 / 2) / 3)
    assert found.high - found.effect == pytest.approx(4.3027 * error, rel=1e-4)
    assert "the interval is of seeds alone" in found.note
    elsewhere = only(Tables(runs), **DROP)
    assert elsewhere.high - elsewhere.low > 1.3 * (found.high - found.low)
    assert "seeds alone" not in elsewhere.note


def test_updates_that_are_a_constant_times_samples_are_no_second_test():
    rng = np.random.default_rng(9)
    runs = {name: measured([0.2, 0.8], [1, 2, 3], rng) for name in ("expert", "a", "b")}
    runs["base"] = measured([0.1], [1], rng)
    tables = Tables(runs)
    times = {"samples": 64.0, "updates": 1.0, "device-seconds": 1.0}
    own = {"a": np.array([5.0, 10]), "b": np.array([20.0, 40])}
    tables.cost = lambda task, run, unit, steps, seeds: (
        own[run] * times[unit] * (3 if (unit, run) == ("device-seconds", "a") else 1)
    )
    rows = [
        {"id": unit, "title": "T", "family": family, "source": "S"} | CLOCK | {"statistic": unit}
        for unit, family in (("samples", "f"), ("updates", "g"), ("device-seconds", "g"))
    ]
    claims = Claims.model_validate({"resamples": 1000, "seed": 1, "claims": rows})
    samples, updates, seconds = judge(claims, Evidence(tables, None, []))
    assert (updates.effect, updates.low) == pytest.approx((samples.effect, samples.low))
    assert updates.note == "The same number as “T”, and counted there."
    assert seconds.p_holm == seconds.p and seconds.note != updates.note
    assert samples.p_holm == updates.p_holm == pytest.approx(samples.p)


def test_a_factor_is_shown_as_a_factor():
    rng = np.random.default_rng(5)
    runs = {
        "base": measured([0.1], [1], rng),
        "expert": measured([0.8], [1, 2, 3], rng),
        "a": measured([0.2, 0.8], [1, 2, 3], rng),
    }
    runs["b"] = runs["a"]
    found = only(Tables(runs, {"a": [10.0, 20.0], "b": [40.0, 80.0]}), **CLOCK)
    assert found.unit == "factor" and found.effect == pytest.approx(4)
    assert found.verdict == "contradicted"


@pytest.mark.parametrize(
    ("statistic", "curve", "verdict"),
    [
        ("final-drop", [0.8, 0.4], "supported"),
        ("final-drop", [0.3, 0.8], "contradicted"),
        ("drop-from-best", [0.95, 0.5], "supported"),
        ("drop-from-best", [0.5, 0.95], "contradicted"),
        ("worst-drop", [0.95, 0.95], "supported"),
        # The last checkpoint has recovered; the claim is about all of them.
        ("worst-drop", [0.3, 0.95], "contradicted"),
    ],
)
def test_drops_are_of_the_checkpoints_that_they_name(statistic, curve, verdict):
    rng = np.random.default_rng(6)
    runs = {"base": measured([0.8], [1], rng), "a": measured(curve, [1, 2, 3], rng)}
    claim = ACCURACY | {"kind": "degradation", "statistic": statistic, "runs": ["a"]}
    assert only(Tables(runs), **claim).verdict == verdict


DROP = {
    "kind": "degradation",
    "benchmarks": "in-distribution",
    "statistic": "final-drop",
    "runs": ["a"],
    "margin": 0.05,
}


def test_a_drop_is_one_from_the_base_that_the_run_goes_back_to():
    rng = np.random.default_rng(3)
    base, narrow = measured([0.9], [1], rng), measured([0.5], [7], rng)._replace(start="")
    between = measured([0.4, 0.3], [1, 2], rng)._replace(start="narrow")
    run = measured([0.3, 0.2], [1, 2], rng)._replace(start="between@1")
    known = {"base": base, "narrow": narrow, "between": between, "a": run}
    found = only(Tables(known), **DROP)
    drop = narrow.accuracy_S_K_P.mean() - run.accuracy_S_K_P[:, -1].mean()
    assert found.effect == pytest.approx(drop) and found.n_seeds == 2
    assert found.statistic == "accuracy on id, narrow less a at its end"
    found = only(Tables(known | {"a": run._replace(start="base")}), **DROP)
    drop = base.accuracy_S_K_P.mean() - run.accuracy_S_K_P[:, -1].mean()
    assert found.effect == pytest.approx(drop) and "base less a" in found.statistic
    del known["narrow"]
    assert "no run narrow" in only(Tables(known), **DROP).note


def test_a_run_whose_start_is_there_needs_no_time_to_get_there():
    """Both end alike; one starts from a policy that is there already, and is at its first step."""
    rng = np.random.default_rng(4)
    known = {
        "base": measured([0.1], [1], rng),
        "expert": measured([0.3, 0.8], [1, 2, 3], rng),
        "a": measured([0.8, 0.8], [1, 2, 3], rng),
        "b": measured([0.8, 0.8], [1, 2, 3], rng),
    }
    costs = {"a": [100.0, 200.0], "b": [100.0, 200.0], "expert": [10.0, 20.0]}
    even = only(Tables(known, costs), **CLOCK)
    assert even.effect == pytest.approx(1.0, abs=0.1)
    known["b"] = known["b"]._replace(start="expert@1")
    ahead = only(Tables(known, costs), **CLOCK)
    assert ahead.effect < 0.5


def test_claims_of_another_program_are_refused(tmp_path):
    (tmp_path / "claims.json").write_text("{}")
    with pytest.raises(InputError, match=r"claims\.json: not the claims of a study"):
        read_claims(tmp_path / "claims.json")
