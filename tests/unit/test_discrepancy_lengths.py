"""Discrepancy with one long response: memory, histograms and figure grow with its length alone."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online_il.charts.discrepancy import figure3
from online_il.claims.drafts import Draft, measure, measure_curve, region
from online_il.discrepancy import measures
from online_il.discrepancy.reading import Responses, read
from online_il.discrepancy.spread import jackknife
from online_il.discrepancy.tables import DiscrepancyTable
from online_il.files import write_table
from online_il.statistics.effects import mean_effect

LONG = 60_000


def model(path: Path, lengths: list[int], correct: list[bool] | None = None) -> Responses:
    """A response a prompt, of so many words."""
    grades = correct or [True] * len(lengths)
    rows = [
        {"prompt_id": prompt, "text": "so " * length, "correct": right}
        for prompt, (length, right) in enumerate(zip(lengths, grades, strict=True))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read([path], keywords=["so"], tokenizer=None, keep_empty=True)


def compared(folder: Path, expert: list[int], student: list[int], **more):
    both = [model(folder / name, lengths) for name, lengths in (("e", expert), ("s", student))]
    options = {"keywords": ["so"], "bin_width": 1, "resamples": 400, "seed": 0} | more
    return measures.compare(*both, **options)


@pytest.mark.slow
def test_a_long_response_costs_no_square_of_its_length(tmp_path):
    expert = [LONG, *range(10, 21)]
    student = list(range(20, 32))
    tracemalloc.start()
    found = compared(tmp_path, expert, student, resamples=10_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200e6  # Bytes; a dense table of 10,000 x 60,001 has 4.8e9.
    bins = found.bins
    assert bins.edges.tolist() == list(range(LONG + 2))
    for histogram, lengths in ((bins.expert_B, expert), (bins.student_B, student)):
        assert len(histogram) == LONG + 1
        counted = np.histogram(lengths, bins.edges)[0]
        assert histogram == pytest.approx(counted / 12)
    # Swapped or not, no response is in an empty bin.
    empty = np.setdiff1d(np.arange(LONG + 1), [*expert, *student])
    assert not bins.null_low_B[empty].any() and not bins.null_high_B[empty].any()
    assert bins.null_low_B[LONG] == pytest.approx(-1 / 12)
    # Of twelve lengths each, two are common.
    assert next(one for one in found.measures if one.name == "length, TV").estimate == (
        pytest.approx(11 / 12)
    )


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=2, max_size=8), st.data()
)
@pytest.mark.slow
def test_measures_of_length_are_those_of_the_dense_histograms(tmp_path_factory, pairs, data):
    width = data.draw(st.integers(1, 7))
    expert, student = ([max(1, pair[side]) for pair in pairs] for side in (0, 1))
    found = compared(
        tmp_path_factory.getbasetemp(), expert, student, bin_width=width, resamples=100
    )
    edges = np.arange(0, (max(*expert, *student) // width + 2) * width, width)
    one, other = (np.histogram(side, edges)[0] / len(pairs) for side in (expert, student))
    assert found.bins.edges.tolist() == edges.tolist()
    assert found.bins.expert_B == pytest.approx(one)
    assert found.bins.student_B == pytest.approx(other)
    estimates = {each.name: each.estimate for each in found.measures}
    assert estimates["length, TV"] == pytest.approx(np.abs(one - other).sum() / 2)
    assert estimates["length, Hellinger distance"] == pytest.approx(
        np.sqrt(((np.sqrt(one) - np.sqrt(other)) ** 2).sum() / 2)
    )
    within = np.mean([e // width != s // width for e, s in zip(expert, student, strict=True)])
    assert estimates["length, TV within a prompt"] == pytest.approx(within)


@pytest.mark.slow
def test_the_figure_of_a_long_response_is_drawn(tmp_path):
    found = compared(tmp_path, [LONG, 1, 3], [1, 2, 3])
    rows = pd.DataFrame([one._asdict() | {"measure": one.name} for one in found.measures])
    rows = rows.assign(
        expert="e", student="s", expert_value=rows["expert"], student_value=rows["student"]
    )
    rows["above_gap"] = rows["above_gap"].astype("boolean")
    rows = rows.drop(columns="name").astype(
        dict.fromkeys(
            ("excess", "excess_stderr", "excess_stderr_seeds", "expert_value", "student_value")
            + ("off_common",),
            float,
        )
    )
    facts = {
        "bins": {key: value.tolist() for key, value in found.bins._asdict().items()},
        "presence": [one._asdict() for one in found.presence],
        "length_unit": "words",
        "bin_width": 1,
        **dict.fromkeys(("n_prompts", "n_expert", "n_student"), 3),
        **dict.fromkeys(("truncated_expert", "truncated_student"), 0),
    }
    write_table(rows, DiscrepancyTable, tmp_path / "t.parquet", facts)
    datasets = figure3(tmp_path / "t.parquet").to_dict()["datasets"].values()
    drawn = max(datasets, key=lambda data: "difference" in data[0])
    # Bin 0, those of 1, 2 and 3 words, all empty ones in between as one, and the longest.
    assert [(row["start"], row["end"]) for row in drawn] == [
        *[(0, 1), (1, 2), (2, 3), (3, 4)],
        *[(4, LONG), (LONG, LONG + 1)],
    ]


# ---- intervals end where what they are about ends ----


@pytest.mark.parametrize("swapped", [False, True])
def test_the_interval_of_the_gap_stays_within_one(tmp_path, swapped):
    right, wrong = [True] * 6, [True, *[False] * 5]
    both = [
        model(tmp_path / f"{index}", [3] * 6, grades)
        for index, grades in enumerate((wrong, right) if swapped else (right, wrong))
    ]
    found = measures.compare(*both, keywords=[], bin_width=1, resamples=1000, seed=0)
    gap = found.measures[-1]
    assert gap.name == "performance gap"
    assert gap.estimate == pytest.approx(-5 / 6 if swapped else 5 / 6)
    # Six prompts: 5/6 and 2.57 standard errors of 1/6 are 1.26.
    ends = (gap.ci_low, gap.ci_high)
    assert min(ends) >= -1 and max(ends) <= 1 and abs(gap.corrected) <= 1
    assert (ends[0] if swapped else ends[1]) == (-1 if swapped else 1)


def test_the_interval_of_a_claims_difference_stays_within_one():
    # Four prompts, all but one gained: 0.75 and 3.18 standard errors.
    gained_S_P = np.array([[1.0, 1.0, 1.0, 0.0]] * 2)
    for sign in (1, -1):
        draft = Draft("c", {})
        measure(draft, mean_effect(sign * gained_S_P), region("above", 0.0), ratio=False)
        low, high = sorted((sign * draft.fields["low"], sign * draft.fields["high"]))
        assert low < 0.75 and high == 1
        draft = Draft("c", {})
        curve_S_K_P = sign * gained_S_P[:, None].repeat(3, axis=1)
        measure_curve(draft, curve_S_K_P, 0.1)
        assert -1 <= draft.fields["low"] < draft.fields["high"] <= 1


# ---- seeds ----


def seeded(folder, seed: int, moved: list[int], n_prompts: int = 40) -> list:
    """Two models of three seeds; a seed of the second one is longer by `moved`."""
    rng, both = np.random.default_rng(seed), []
    for name in ("expert", "student"):
        rows = [
            {
                "prompt_id": f"p{p}",
                "text": "a " * int(rng.integers(1, 9) + (moved[s] if name == "student" else 0)),
                "correct": True,
                "policy": name,
                "seed": s,
            }
            for s in range(3)
            for p in range(n_prompts)
        ]
        path = folder / f"{name}-{seed}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        both.append(read([path], keywords=[], tokenizer=None))
    return both


def test_table_1_is_wider_where_seeds_differ(tmp_path):
    def tv(moved: list[int], known: bool = True):
        models = seeded(tmp_path, 1, moved)
        models = [one if known else one._replace(seeds=()) for one in models]
        options = {"keywords": [], "bin_width": 4, "resamples": 500, "seed": 1}
        found = measures.compare(*models, **options)
        return found, next(one for one in found.measures if one.name == "length, TV")

    found, far = tv([0, 4, 8])
    assert found.n_seeds == 3 and far.excess_stderr_seeds > 0.05
    _, near = tv([4, 4, 4])
    assert near.excess_stderr_seeds < far.excess_stderr_seeds / 2
    unknown, plain = tv([0, 4, 8], known=False)
    assert unknown.n_seeds == 0 and plain.excess_stderr_seeds == 0
    assert plain.estimate == far.estimate
    assert plain.ci_high - plain.ci_low < far.ci_high - far.ci_low


def test_the_jackknife_of_a_mean_is_its_variance():
    values = np.array([0.1, 0.4, 0.7, 0.2])
    left_out = np.array([np.delete(values, index).mean() for index in range(4)])
    assert jackknife(left_out) == pytest.approx(values.var(ddof=1) / 4)


def test_what_nearly_all_responses_have_is_constant(tmp_path):
    models = seeded(tmp_path, 2, [0, 0, 0])
    found = measures.compare(*models, keywords=[], bin_width=1000, resamples=200, seed=1)
    length = next(one for one in found.measures if one.name == "length, TV")
    assert (length.off_common, length.estimate) == pytest.approx((0, 0), abs=1e-9)
    found = measures.compare(*models, keywords=[], bin_width=4, resamples=200, seed=1)
    length = next(one for one in found.measures if one.name == "length, TV")
    assert 0.2 < length.off_common < 0.8
