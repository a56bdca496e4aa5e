"""Claims about discrepancy: which pairs of a study they judge, each in a row of its own."""

import math
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from scipy import stats

from online_il.claims.judge import Evidence, judge
from online_il.claims.records import ClaimVerdict
from online_il.config.claims import Claims
from online_il.discrepancy.tables import DiscrepancyTable
from online_il.files import write_table
from online_il.layout import Layout
from online_il.statistics.looks import Plan

# A mixture is evaluated as a run is; the solver and a model of files are not.
STUDY = SimpleNamespace(tasks=("task",), names=lambda task: {"base", "expert", "mixture"})
EXCESS = {
    ("solver", "sft-unrealizable"): -0.7,
    ("solver", "sft-longer"): 0.3,
    ("mixture", "distill-mixture"): 0.5,
    ("mixture", "sft-mixture"): 0.1,
    ("expert", "sft-realizable"): 0.2,
}
LENGTH = {"measure": "length, TV", "title": "Lengths differ"}
KEYWORD = {"measure": "keyword, presence of ", "title": "Keywords differ"}


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> list[Path]:
    layout = Layout(tmp_path_factory.mktemp("results"))
    paths = []
    for (expert, student), excess in EXCESS.items():
        rows = pd.DataFrame(
            [
                {
                    "expert": expert,
                    "student": student,
                    "measure": measure,
                    "unit": "share",
                    **dict.fromkeys(("estimate", "corrected", "ci_low", "ci_high"), 0.3),
                    **dict.fromkeys(("null_mean", "null_p95"), 0.1),
                    "p_value": 0.001,
                    "above_noise": True,
                    "excess": excess,
                    "excess_stderr": 0.02,
                    "excess_stderr_seeds": 0.01,
                    "off_common": 0.004 if measure.endswith("ok") else 0.3,
                    "above_gap": excess > 0,
                    **dict.fromkeys(("expert_value", "student_value"), math.nan),
                }
                for measure in ("length, TV", "keyword, presence of no", "keyword, presence of ok")
            ]
        )
        rows["above_gap"] = rows["above_gap"].astype("boolean")
        path = Path(str(layout.discrepancy("task", expert, student)))
        write_table(rows, DiscrepancyTable, path, {"n_prompts": 200, "n_seeds": 3})
        paths.append(path)
    return paths


def judged(tables: list[Path], **claim: object) -> list[ClaimVerdict]:
    whole = {"id": "c", "family": "f", "source": "S", "kind": "discrepancy", "margin": 0.0} | claim
    claims = Claims.model_validate({"resamples": 1000, "seed": 1, "claims": [whole]})
    return judge(claims, Evidence(STUDY, None, tables))


def test_each_pair_of_an_expert_that_is_no_run_is_a_row_that_names_it(tables):
    found = judged(tables, **LENGTH)
    assert {(one.id, one.title, one.verdict) for one in found} == {
        (
            "task-c-solver/sft-unrealizable",
            "Lengths differ (solver / sft-unrealizable)",
            "contradicted",
        ),
        ("task-c-solver/sft-longer", "Lengths differ (solver / sft-longer)", "supported"),
    }
    words = judged(tables, **KEYWORD)
    assert len({one.id for one in words}) == len(words) == 4
    assert "Keywords differ (solver / sft-longer: ok)" in {one.title for one in words}


def test_a_measure_that_is_constant_in_both_is_not_run(tables):
    words = judged(tables, **KEYWORD)
    alike = [one for one in words if one.title.endswith("ok)")]
    assert {one.verdict for one in alike} == {"not run"} and all(
        one.effect is None for one in alike
    )
    assert "Nearly all responses of both are alike in it" in alike[0].note
    assert {one.verdict for one in words if one not in alike} == {"contradicted", "supported"}


def test_the_seeds_are_in_the_interval(tables):
    (found,) = judged(tables, **LENGTH, pair=["mixture", "distill-mixture"])
    quantiles = stats.t.isf(0.025, [199, 2])
    # Cochran and Cox: the mean of both, weighted by the variances 0.0004 and 0.0001.
    reach = (0.8 * quantiles[0] + 0.2 * quantiles[1]) * math.sqrt(0.0005)
    assert found.high - found.effect == pytest.approx(reach)
    assert found.n_seeds == 3 and "not seeds" not in found.note


def test_two_margins_of_one_measure_are_one_number(tables):
    """Contradicted above 0 and above 0.1: the family has one number, and Holm nothing to do."""
    rows = [
        LENGTH | {"id": name, "margin": margin, "family": "f", "source": "S", "kind": "discrepancy"}
        for name, margin in (("c", 0.0), ("d", 0.1))
    ]
    pair = ["mixture", "sft-mixture"]
    claims = Claims.model_validate(
        {"resamples": 1000, "seed": 1, "claims": [row | {"pair": pair} for row in rows]}
    )
    found = judge(claims, Evidence(STUDY, None, tables))
    assert [one.p_holm for one in found] == pytest.approx([one.p for one in found])


def test_at_a_later_look_a_pair_is_judged_anew_and_says_so(tables):
    """Its table is of all blocks: nothing says what it was at an earlier look."""
    claim = {"id": "c", "family": "f", "source": "S", "kind": "discrepancy", "margin": 0.0}
    claims = Claims.model_validate({"resamples": 1000, "seed": 1, "claims": [claim | LENGTH]})
    notes = {
        blocks: {
            row.note for row in judge(claims, Evidence(STUDY, None, tables), Plan((3, 6)), blocks)
        }
        for blocks in (3, 6)
    }
    assert not any("anew" in note for note in notes[3])
    anew = "Judged anew at 6 blocks: nothing is kept of earlier looks."
    assert all(anew in note for note in notes[6])


def test_a_claim_that_names_its_pair_is_about_it_alone(tables):
    (found,) = judged(tables, **LENGTH, pair=["mixture", "distill-mixture"])
    assert (found.id, found.title, found.runs) == (
        "task-c",
        "Lengths differ",
        ["mixture", "distill-mixture"],
    )
    assert found.effect == pytest.approx(0.5) and found.verdict == "supported"
    words = judged(tables, **KEYWORD, pair=["mixture", "distill-mixture"])
    assert [(one.id, one.title) for one in words] == [
        ("task-c-no", "Keywords differ (no)"),
        ("task-c-ok", "Keywords differ (ok)"),
    ]


def test_a_pair_that_is_not_compared_is_not_run(tables):
    (found,) = judged(tables[:1], **LENGTH, pair=["mixture", "distill-mixture"])
    assert found.verdict == "not run"
    assert found.note == "mixture is not compared with distill-mixture in this study."
    (found,) = judged(tables[2:], **LENGTH)
    assert found.note == "No unrealizable expert is compared with a student in this study."
