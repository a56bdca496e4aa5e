"""The filter of demonstrations keeps what it names, counts it, and refuses to keep nothing."""

import logging

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online_il.errors import InputError
from online_il.training.demonstrations import filtered


def table(shares, correct) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "prompt_id": [f"train-{i}" for i in range(len(correct))],
            "share_learnable": shares,
            "correct": correct,
        },
        index=range(10, 10 + len(correct)),
    )


ROWS = table([0.9, 0.5, 0.51, 0.0], [False, True, True, False])


@pytest.mark.parametrize(
    "wanted, kept",
    [("none", [0, 1, 2, 3]), ("learnable", [0, 2]), ("correct", [1, 2])],
)
def test_each_filter_keeps_its_rows_in_their_order(wanted, kept, caplog):
    with caplog.at_level(logging.INFO):
        found = filtered(ROWS, wanted, "samples.parquet")
    assert list(found["prompt_id"]) == [f"train-{i}" for i in kept]
    said = [record.message for record in caplog.records]
    assert said == (
        [] if wanted == "none" else [f"demonstrations filter={wanted} kept=2 left_out=2"]
    )


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=8))
def test_filters_are_those_of_a_loop(rows):
    shares, correct = zip(*rows, strict=True)
    for wanted, keep in (
        ("learnable", [share > 0.5 for share in shares]),
        ("correct", list(correct)),
    ):
        expected = [f"train-{i}" for i, kept in enumerate(keep) if kept]
        if expected:
            found = filtered(table(shares, correct), wanted, "a table")
            assert list(found["prompt_id"]) == expected
            assert list(found.index) == list(range(len(expected)))
        else:
            with pytest.raises(InputError, match=f"a table: filter {wanted} keeps none of its"):
                filtered(table(shares, correct), wanted, "a table")


def test_an_expert_without_parts_has_no_learnable_one():
    samples = ROWS.drop(columns="share_learnable")
    with pytest.raises(InputError, match=r"solver\.parquet: its expert has no parts"):
        filtered(samples, "learnable", "solver.parquet")
    assert len(filtered(samples, "correct", "solver.parquet")) == 2
