"""What is said before something finished is made again: the reason, not what follows from it."""

import pytest

from online_il.program.reasons import names_inputs

MOVED = {"results/mini/eval/countdown/sft/seed14", "results/mini/samples/solver/seed14.id.parquet"}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (
            "['a/seed13/id.parquet']",
            "['a/seed13/id.parquet', 'results/mini/samples/solver/seed14.id.parquet']",
        ),
        ("'countdown/sft/seed13'", "'countdown/sft/seed13,countdown/sft/seed14'"),
        (
            "'{}'",
            '\'{"14": {"name": "sft", "read": "results/mini/eval/countdown/sft/seed14/id.json"}}\'',
        ),
        ("'countdown/sft/seed14'", "''"),
    ],
    ids=["list", "policies", "json", "gone"],
)
def test_a_setting_that_names_inputs_that_came_or_went_is_no_reason_of_its_own(before, now):
    assert names_inputs(before, now, MOVED)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("3", "6"),
        ("['wait']", "['wait', 'maybe']"),
        ("'countdown/sft/seed13'", "'countdown/sft/seed13,countdown/sft/seed14,gsm8k/sft/seed14'"),
        ("'countdown/sft/seed13'", "'countdown/sft/seed13,down/sft/seed1'"),
    ],
    ids=["number", "words", "another path too", "part of a name"],
)
def test_a_setting_of_its_own_is_told(before, now):
    assert not names_inputs(before, now, MOVED)
