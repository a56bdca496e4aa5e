"""The table of all pairs for reading: means over seeds, words for what is no number, the gap."""

import math
from itertools import chain

import numpy as np
import pandas as pd
import pytest

from online_il.pairs.tables import DivergenceTable, markdown, note_of, over_seeds, shown


def rows_of(student: str, *measures: tuple, expert: str = "mixture", seed: int = 1) -> list[dict]:
    keys = ("measure", "unit", "estimate", "stderr", "note")
    names = {"task": "countdown", "student": student, "expert": expert, "seed": seed}
    return [names | dict(zip(keys, measure, strict=True)) for measure in measures]


def kl(estimate: float, stderr: float, name: str = "kl_expert_student", note: str = "") -> tuple:
    return name, "nats a response", estimate, stderr, note


def frame(*rows: list[dict]) -> pd.DataFrame:
    return DivergenceTable.validate(pd.DataFrame(list(chain(*rows))))


def table(rows: pd.DataFrame, title: str) -> dict[str, dict[str, str]]:
    (found,) = [one for one in shown(rows) if one.title == title]
    return {cells[0]: dict(zip(found.columns, cells, strict=True)) for cells in found.rows}


APART = "How far student and expert are apart"


def test_a_mean_over_seeds_has_the_larger_error():
    """Seeds 1, 2, 3: their standard deviation is 1, of the mean 1 / sqrt(3)."""
    value_S, little_S, much_S = np.array([[1.0, 2.0, 3.0], [0.1, 0.1, 0.1], [3.0, 3.0, 3.0]])
    assert over_seeds(value_S, little_S) == pytest.approx((2.0, 1 / math.sqrt(3)))
    assert over_seeds(value_S, much_S) == pytest.approx((2.0, math.sqrt(3)))
    assert over_seeds(value_S[:1], much_S[:1]) == (1.0, 3.0)
    mean, stderr = over_seeds(value_S[:1], np.array([math.nan]))
    assert mean == 1.0 and math.isnan(stderr)


def test_cells_are_means_over_seeds():
    rows = frame(*(rows_of("sft", kl(value, 0.3), seed=n) for n, value in ((1, 2.0), (2, 4.0))))
    assert table(rows, APART)["sft"]["KL(expert ‖ student)"] == "3.00 ± 1.00"
    one = frame(rows_of("sft", kl(2.0, 0.3)))
    assert table(one, APART)["sft"]["KL(expert ‖ student)"] == "2.00 ± 0.30"
    assert table(one, APART)["sft"]["learnable part"] == "–"


def test_infinity_is_said_in_words():
    words = "3 of 256 responses have no probability under expert"
    rows = frame(
        rows_of("sft", kl(math.inf, math.nan, "kl_student_expert", words)),
        rows_of("sft", kl(1.0, 0.1, "kl_student_expert"), seed=2),
    )
    assert table(rows, APART)["sft"]["KL(student ‖ expert)"] == f"infinite ({words})"
    missing = frame(rows_of("sft", ("alpha_log", "nats", math.nan, math.nan, "f is infinite")))
    cells = table(missing, "Assumption 1 and Theorem 2, f = log")["sft"]
    assert cells["α"] == "– (f is infinite)" and cells["verdict"] == "–"


def test_the_gap_is_the_smallest_of_an_experts_students():
    coverage = ("log_coverage", "nats a response", math.log(16), math.nan, "known")
    realizable = ("log_coverage", "nats a response", 0.0, math.nan, "known")
    rows = frame(
        rows_of("sft-mixture", kl(3.0, 0.1), coverage),
        rows_of("gap-mixture", kl(2.5, 0.1), coverage),
        rows_of("distill-mixture", kl(math.inf, math.nan), coverage),
        rows_of("sft-realizable", kl(0.5, 0.1), realizable, expert="expert"),
    )
    found = table(rows, "Realizability gap")
    assert found["mixture"]["smallest seen"] == "2.50 ± 0.10"
    assert (found["mixture"]["reached by"], found["mixture"]["of students"]) == ("gap-mixture", "3")
    assert found["mixture"]["gap"] == "between 0 and this"
    assert found["expert"]["gap"].startswith("0, for the expert is of the class")


def test_verdicts_of_seeds_are_counted():
    says, tells = "says nothing: no loss is above V(pi*) = 0.70", "informative: below V(pi*) = 0.7"
    rows = frame(
        *(
            rows_of("sft", ("bound_log", "reward", 1.0, math.nan, note), seed=seed)
            for seed, note in enumerate([says, says, tells])
        )
    )
    title = "Assumption 1 and Theorem 2, f = log"
    expected = "says nothing (2 of 3 seeds), informative (1 of 3 seeds)"
    assert table(rows, title)["sft"]["verdict"] == expected
    assert table(rows[rows["seed"] == 2], title)["sft"]["verdict"] == tells


def test_quantiles_and_forgetting_have_the_columns_that_were_measured():
    nats = "nats a response"
    rows = frame(
        rows_of(
            "sft",
            ("log_student_expert_q0.95", nats, 3.0, math.nan, ""),
            ("log_student_base_q1", nats, 7.0, math.nan, ""),
            ("forgotten_forgetting", "share", 0.125, 0.02, ""),
        )
    )
    bounds = table(rows, "What coverage coefficients bound")["sft"]
    assert bounds["log π/πᵉ, q0.95"] == "3.00" and bounds["log π/πᵇ, q1"] == "7.00"
    lost = table(rows, "Distance to the base beside forgetting")["sft"]
    assert lost["lost on forgetting"] == "0.125 ± 0.020"


def test_the_page_of_markdown_has_every_table_and_the_counts():
    counts = {"responses": 256, "truncated_student": 3, "truncated_expert": 0, "policies": 5}
    note = note_of("sft", {"seeds": {"seed1": counts, "seed2": counts}})
    assert "512 responses in 2 seeds, of which 6 of the student and 0 of the expert" in note
    text = markdown(frame(rows_of("sft", kl(1.0, 0.1))), [note])
    assert text.count("\n## ") + text.startswith("## ") == 7 and f"- {note}" in text
    assert "| sft | mixture | – | – | 1.00 ± 0.10 |" in text
