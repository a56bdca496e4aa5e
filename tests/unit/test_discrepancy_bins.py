"""The width of a bin of length: from the data, in its unit, and told where it is too wide."""

import json
from pathlib import Path

import numpy as np
import pytest
import warm

from online_il.discrepancy.bins import crowded, cut_in_words, largest_share, usual_width
from online_il.discrepancy.reading import read
from online_il.discrepancy.tables import DiscrepancyTable
from online_il.records import provenance, read_table

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "discrepancy.py"


def two_models(folder: Path, **more: str) -> list[Path]:
    """Responses to twenty prompts: 1 to 20 words of one model, 41 to 60 of the other."""
    files = []
    for name, least in (("expert", 1), ("student", 41)):
        rows = [
            {"prompt_id": n, "text": " ".join(["w"] * (least + n)), "correct": n % 2, **more}
            for n in range(20)
        ]
        files.append(folder / f"{name}.jsonl")
        files[-1].write_text("".join(json.dumps(row) + "\n" for row in rows))
    return files


def compared(folder: Path, *options: object, **more: str):
    expert, student = two_models(folder, **more)
    words = ["--expert", expert, "--student", student, "--resamples", 100]
    done = warm.run(SCRIPT, *words, "--out", folder / "t.parquet", *options)
    assert done.returncode == 0, done.stderr
    rows = read_table(folder / "t.parquet", DiscrepancyTable).set_index("measure")
    return done, rows["estimate"], provenance(folder / "t.parquet")


def test_the_width_comes_from_the_data_and_is_printed(tmp_path):
    done, estimate, facts = compared(tmp_path)
    # 98 % of 1 to 60 words, in 20 bins.
    assert facts["bin_width"] == 3
    assert "lengths in words, bins of 3;" in done.stdout and "WARNING" not in done.stdout
    assert estimate["length, TV"] == pytest.approx(1)


def test_one_bin_is_a_warning_with_a_width_that_tells_apart(tmp_path):
    done, estimate, facts = compared(tmp_path, "--bin-width", 5000)
    assert estimate["length, TV"] == 0.0 and facts["bin_width"] == 5000
    words = " ".join(done.stdout.split())
    assert "WARNING: 100 % of the responses lie in one bin of 5000 words" in words
    assert "such as 3 (--bin-width" in words
    done, *_ = compared(tmp_path, "--bin-width", 5000, "--json")
    assert "WARNING" in done.stderr and "WARNING" not in done.stdout


@pytest.mark.parametrize(
    ("lengths", "width"),
    [
        ([7] * 50, 1),
        ([0, 1, 2], 1),
        (range(0, 100_001, 100), 4900),
        # One response that never ended does not widen the bins of all others.
        ([*range(200), 1_000_000], 10),
    ],
)
def test_most_lengths_make_twenty_bins(lengths, width):
    assert usual_width(np.array([*lengths])) == width


def test_a_width_is_told_where_a_narrower_one_says_more():
    facts = {"bin_width": 10, "usual_width": 2, "largest_bin": 0.96, "length_unit": "tokens of x"}
    assert "96 % of the responses lie in one bin of 10 tokens, so" in crowded(facts)
    assert crowded(facts | {"largest_bin": 0.95}) == ""
    assert crowded(facts | {"usual_width": 10}) == ""
    assert crowded({"bin_width": 10, "length_unit": "words"}) == ""  # An older table.
    assert largest_share(np.array([3, 3, 3]), 5000) == 0.0
    assert largest_share(np.array([1, 2, 3, 12]), 10) == 0.75


def test_what_no_finish_reason_says_is_not_called_zero(tmp_path):
    done, _, facts = compared(tmp_path)
    assert facts["truncated_expert"] is None
    words = " ".join(done.stdout.split())
    assert "whether any was cut off is not known (no finish_reason)" in words
    assert "0 and 0 of them" not in words
    done, _, facts = compared(tmp_path, finish_reason="stop")
    assert facts["truncated_student"] == 0 and "0 and 0 of them cut off" in done.stdout
    facts = {"truncated_expert": None, "truncated_student": 3}
    assert cut_in_words(facts) == "an unknown number and 3 of them cut off"


def test_a_file_whose_ends_are_null_says_nothing_of_them(tmp_path):
    path = tmp_path / "f.jsonl"
    row = {"prompt_id": 1, "text": "x", "correct": 1, "finish_reason": None}
    path.write_text(json.dumps(row) + "\n")
    assert read([path], keywords=[], tokenizer=None).truncated is None
