"""Claims: verdicts by hand and against statsmodels, and of a whole study."""

import json
import math
import subprocess
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import pytest
import warm
from fake_study import RUNS, fake_study
from rich.console import Console
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from online_il.claims import theory
from online_il.claims.board import board_table
from online_il.claims.drafts import Draft, finish, measure, measure_curve, region
from online_il.claims.judge import Evidence, judge
from online_il.claims.records import ClaimVerdict, read_claims
from online_il.config.claims import load_claims
from online_il.discrepancy.tables import DiscrepancyTable
from online_il.files import write_table
from online_il.statistics.effects import (
    Effect,
    Part,
    holm,
    mean_effect,
)
from online_il.store import build
from online_il.theory.tables import GaussianTable, HorizonTable, Theorem1Table

ROOT = Path(__file__).parents[2]
CLAIMS = ROOT / "config" / "claims.yaml"


def draft(claim: str = "c", family: str = "f", side: str = "within") -> Draft:
    fields = {
        "id": claim,
        "title": "T",
        "family": family,
        "task": None,
        "source": "S",
        "kind": "k",
        "runs": [],
        "statistic": "s",
        "unit": "u",
        "margin": 0.05,
        "holds": side,
    }
    return Draft(claim, fields)


def single(values: np.ndarray) -> Effect:
    """The effect of independent values: one part of variance, as in a one-sample t test."""
    part = Part(float(values.var(ddof=1)) / len(values), len(values) - 1)
    return Effect(float(values.mean()), (part,), 3, len(values))


def judged(curve: np.ndarray, margin: float = 0.05) -> tuple[Draft, ClaimVerdict]:
    one = draft(side="below")
    measure_curve(one, curve, margin)
    return one, finish([one])[0]


def test_a_curve_is_stable_where_every_point_is():
    rng = np.random.default_rng(10)
    curve = rng.normal(0, 0.05, (3, 5, 400))
    _, stable = judged(curve)
    assert stable.verdict == "supported"
    assert stable.low is not None and stable.high is not None and stable.high < 0.05
    curve[:, 2] += 0.3
    _, dropped = judged(curve)
    assert dropped.verdict == "contradicted" and dropped.low > 0.05
    assert dropped.effect == pytest.approx(curve[:, 2].mean())
    curve[:, 2] -= 0.25
    assert judged(curve)[1].verdict == "undecided"


# ---- verdicts ----


@pytest.mark.parametrize(
    ("side", "value", "verdict"),
    [
        ("within", 0.0, "supported"),
        ("within", -0.01, "supported"),
        ("within", 0.045, "undecided"),
        ("within", -0.2, "contradicted"),
        ("within", 0.2, "contradicted"),
        ("above", 0.2, "supported"),
        ("above", 0.055, "undecided"),
        ("above", 0.0, "contradicted"),
        ("below", 0.0, "supported"),
        ("below", -0.9, "supported"),
        ("below", 0.055, "undecided"),
        ("below", 0.2, "contradicted"),
    ],
)
def test_verdicts_are_those_of_the_interval_and_the_region(side, value, verdict):
    one = draft()
    effect = Effect(value, (Part(0.00005, 2), Part(0.00005, 399)), 3, 400)  # Half width 0.031.
    measure(one, effect, region(side, 0.05), ratio=False)
    found = finish([one])[0]
    assert found.verdict == verdict
    low, high = region(side, 0.05)
    inside = low < found.low and found.high < high
    outside = found.high < low or found.low > high
    assert (inside, outside) == (verdict == "supported", verdict == "contradicted")


def test_equivalence_is_two_one_sided_tests():
    values = np.random.default_rng(11).normal(0.01, 0.2, 300)
    one = draft()
    measure(one, single(values), region("within", 0.05), ratio=False)
    expected = DescrStatsW(values).ttost_mean(-0.05, 0.05)[0]
    assert one.fields["p"] == pytest.approx(2 * expected, rel=1e-6)


def test_one_seed_decides_nothing():
    one = draft()
    measure(one, mean_effect(np.zeros((1, 1000))), region("within", 0.05), ratio=False)
    found = finish([one])[0]
    assert found.verdict == "undecided" and "One seed" in found.note
    assert found.high < 0.05


def test_an_interval_wider_than_the_margin_says_that_nothing_could_have_been_shown():
    one = draft()
    measure(one, Effect(0.0, (Part(0.01, 50),), 3, 51), region("within", 0.05), ratio=False)
    assert "No result could have supported" in finish([one])[0].note


def test_holm_against_statsmodels_and_by_hand():
    assert holm(np.array([0.04, 0.01, 0.03])).tolist() == pytest.approx([0.06, 0.03, 0.06])
    p = np.random.default_rng(12).uniform(0, 1, 25) ** 3
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_holm_corrects_within_a_family_alone():
    drafts = [draft("a", "one"), draft("b", "one"), draft("c", "other")]
    for one in drafts:
        measure(one, Effect(0.1, (Part(0.0005, 100),), 3, 101), region("above", 0.05), ratio=False)
    found = finish(drafts)
    assert drafts[0].fields["p"] == pytest.approx(0.0276, abs=0.001)
    assert [claim.p_holm for claim in found] == pytest.approx(
        [2 * found[0].p, 2 * found[0].p, found[0].p]
    )
    assert [claim.verdict for claim in found] == ["undecided", "undecided", "supported"]
    assert "By itself supported" in found[0].note and found[2].note == ""


# ---- theory and pairs ----


def offline(folder: Path, power: float) -> Path:
    rows = []
    for sweep in ("centre", "samples"):
        for samples in (100, 200, 400, 800):
            rate = 40 / samples
            for learner, risk in (("offline", 0.2 * rate**power), ("on_policy", 1e-9)):
                rows.append(
                    {
                        "sweep": sweep,
                        "learner": learner,
                        "contexts": 8,
                        "coverage": 4.0,
                        "samples": samples,
                        "zeta": 0.01,
                        "rate": rate,
                        "risk_exact": risk,
                        "risk": risk,
                        "risk_stderr": 0.0,
                        "ratio": risk / rate,
                    }
                )
    write_table(rows, Theorem1Table, folder / "theorem1.parquet", {})
    return folder


def test_the_rate_is_told_from_another_one(tmp_path):
    assert theory.theory_number(offline(tmp_path, 1), "rate-slope", "").value == pytest.approx(0)
    assert theory.theory_number(tmp_path, "rate-ratio", "").value == pytest.approx(0.2)
    assert theory.theory_number(offline(tmp_path, 2), "rate-slope", "").value == pytest.approx(1)


def gaussian(folder: Path, value: float) -> None:
    rows = [
        {
            "divergence": divergence,
            "solver": "closed_form",
            "mean": "[0, 2]",
            "divergence_nats": 2.0,
            "value": value if divergence == "reverse_kl" else 0.1,
            "value_expert": 0.97725,
            "total_variation": 0.68,
        }
        for divergence in ("forward_kl", "reverse_kl")
    ]
    write_table(rows, GaussianTable, folder / "gaussian" / "class-a.parquet", {})


def test_a_discrepancy_is_told_with_the_gap_of_rewards_taken_off(tmp_path):
    gaussian(tmp_path, 0.47725)
    found = theory.theory_number(tmp_path, "gaussian-excess", "class-a")
    assert found.value == pytest.approx(0.68 - 0.5)


@pytest.mark.parametrize(("gain", "verdict"), [(0.0, "undecided"), (0.02, "supported")])
def test_no_excess_does_not_support_that_there_is_one(tmp_path, gain, verdict):
    row = {"case": "misspecified", "coverage": 1.0, "labels": 2, "horizon": 1}
    row |= {"risk_stderr": 0.0, "step_error": 0.0}
    write_table(
        [
            row | {"learner": learner, "risk": risk}
            for learner, risk in (("behaviour_cloning", 0.3 + gain), ("reverse_kl", 0.3))
        ],
        HorizonTable,
        tmp_path / "horizon.parquet",
        {},
    )
    claims = load_claims(CLAIMS)
    kept = [claim for claim in claims.claims if claim.id == "remark3-horizon-one"]
    evidence = Evidence(SimpleNamespace(tasks=[]), tmp_path, [])
    found = judge(claims.model_copy(update={"claims": kept}), evidence)
    assert [one.verdict for one in found] == [verdict]


def pair(folder: Path, excess: float, above_noise: bool = True) -> Path:
    names = ("length, TV", "length, TV within a prompt", "keyword, presence of wait")
    rows = pd.DataFrame(
        [
            {
                "expert": "far",
                "student": "near",
                "measure": name,
                "unit": "share",
                **dict.fromkeys(("estimate", "corrected", "ci_low", "ci_high"), 0.3),
                **dict.fromkeys(("null_mean", "null_p95"), 0.1),
                "p_value": 0.001,
                "above_noise": above_noise,
                "excess": math.nan if "within" in name else excess,
                "excess_stderr": math.nan if "within" in name else 0.02,
                "above_gap": None if "within" in name else excess > 0,
                **dict.fromkeys(("expert_value", "student_value"), math.nan),
                "excess_stderr_seeds": 0.0,
                "off_common": 0.5,
            }
            for name in names
        ]
    )
    rows["above_gap"] = rows["above_gap"].astype("boolean")
    path = folder / "discrepancy" / "aime" / "far" / "near.parquet"
    write_table(rows, DiscrepancyTable, path, {"n_prompts": 60, "n_seeds": 0})
    return path


# ---- a whole study ----


def run_claims(folder: Path, *more: object) -> subprocess.CompletedProcess[str]:
    command = [ROOT / "workflow" / "scripts" / "claims.py", "--scale", "toy"]
    names = {"database": "results.duckdb", "json": "claims.json", "markdown": "claims.md"}
    options = [x for key, name in names.items() for x in (f"--{key}", folder / name)]
    options += ["--claims", CLAIMS, "--measurements", folder / "measurements.duckdb"]
    options += [] if "--designs" in more else ["--designs", designs(range(3))]
    return warm.run(*command, *options, *more)


def designs(seeds: Iterable[int], **more: object) -> str:
    """What the rule says of the made-up study, as an option."""
    return json.dumps({"countdown": {"seeds": list(seeds), **more}})


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of one task with a realizable student alone, a panel of Figure 4 and a pair."""
    folder = tmp_path_factory.mktemp("study")
    fake_study(folder, runs=RUNS, n_prompts=300, samplings=("policy",))
    build(folder, folder / "measurements.duckdb")
    gaussian(folder / "theory", 0.97725)
    return folder


@pytest.fixture(scope="module")
def whole(study: Path) -> dict[str, ClaimVerdict]:
    found = run_claims(study, "--discrepancy", pair(study, 0.2))
    assert found.returncode == 0, found.stderr
    return {claim.id: claim for claim in read_claims(study / "claims.json").claims}


def test_a_claim_of_missing_runs_says_why_and_all_others_are_there(whole):
    absent = whole["countdown-distill-no-more-accurate"]
    assert absent.verdict == "not run" and absent.effect is None
    assert absent.note == "countdown has no run distill-realizable."
    assert whole["theorem1-rate"].note == "This study has no theory."
    assert whole["countdown-sft-realizable-matches"].effect is not None
    claims = {claim.id for claim in load_claims(CLAIMS).claims}
    for name in claims:
        assert any(name in found for found in whole), name


def test_a_pair_of_models_is_judged_by_what_exceeds_the_gap(whole, study):
    assert whole["aime-length-above-gap-far/near"].verdict == "supported"
    assert whole["aime-length-above-gap-far/near"].effect == pytest.approx(0.2)
    assert whole["aime-keyword-above-gap-far/near-wait"].runs == ["far", "near"]
    assert whole["aime-length-wide-margin-far/near"].margin == pytest.approx(0.1)
    assert not any("within" in name for name in whole)
    assert whole["online-length-above-gap"].verdict == "not run"


def test_what_a_study_lacks_of_the_title_question_is_not_run(whole):
    for name in ("mixture-online-ahead", "mixture-interaction", "coverage-online-flat"):
        found = whole[f"countdown-{name}"]
        assert (found.verdict, found.effect) == ("not run", None)
        assert "and no run" in found.note and "no run distill-mixture" in found.note
    answer = whole["abstract-misspecified"]
    # Nothing of it was: this study has neither the runs nor the theory.
    ahead = whole["countdown-mixture-online-ahead"].title
    assert answer.verdict == "not run" and f"“{ahead}” was not run." in answer.note


def test_the_numbers_are_those_of_the_answers(whole, study):
    with duckdb.connect(str(study / "measurements.duckdb"), read_only=True) as database:
        table = {
            run: database.execute(
                "SELECT accuracy FROM prompt_accuracy WHERE benchmark = 'id' AND run = $1 AND "
                "step = $2 ORDER BY seed, prompt_id",
                [run, step],
            )
            .df()["accuracy"]
            .to_numpy()
            .reshape(3, 300)
            for run, step in (("expert", 6), ("sft-realizable", 24))
        }
    expected = mean_effect(table["sft-realizable"] - table["expert"])
    found = whole["countdown-sft-realizable-matches"]
    assert found.effect == pytest.approx(expected.value)
    assert (found.low, found.high) == pytest.approx(expected.interval())
    assert (found.n_seeds, found.n_prompts) == (3, 300)


def test_the_database_has_everything_and_the_claims(whole, study):
    with duckdb.connect(str(study / "results.duckdb"), read_only=True) as database:
        rows = database.execute("SELECT id, verdict, effect, runs FROM claims").fetchall()
        assert database.execute("SELECT count(*) FROM evaluations").fetchone()[0] > 0
    assert {row[0]: row[1] for row in rows} == {name: one.verdict for name, one in whole.items()}
    assert {row[0]: row[3] for row in rows} == {name: one.runs for name, one in whole.items()}


def test_text_and_board_name_every_claim_and_verdict(whole, study):
    text = (study / "claims.md").read_text()
    console = Console(width=100, record=True, file=(study / "board.txt").open("w"))
    console.print(board_table(read_claims(study / "claims.json")))
    shown = " ".join(console.export_text().split())
    for name, claim in whole.items():
        assert f"`{name}`" in text and f"| {claim.verdict} |" in text
        assert claim.verdict in shown
    assert "SFT from a realizable expert matches the expert" in shown


def test_another_seed_of_the_resamples_moves_no_plain_effect(whole, study):
    record = json.loads((study / "claims.json").read_text())
    assert (record["scale"], record["level"], record["resamples"]) == ("toy", 0.95, 10000)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--claims", "absent.yaml"], "no such file"),
        (["--measurements", "absent.duckdb"], "no such database"),
    ],
)
def test_what_is_missing_is_one_line(study, more, words):
    found = run_claims(study, *more)
    lines = found.stderr.strip().splitlines()
    assert found.returncode == 1 and len(lines) == 1 and words in lines[0]
