"""What is compared to say that a job is finished, and in which words what differs is said."""

import os
from pathlib import Path

import pytest

from online_il.program.finished import PLUMBING, TIME_STAMP, WHOLE_BYTES, content
from online_il.program.reasons import _listed, _setting

RULES = Path(__file__).parents[2] / "rules"
SHELL = (
    "{params.launch} {params.script:q} --seed {wildcards.seed} --code {params.code}"
    " --hardware {params.hardware} --save-minutes {resources.save_minutes}"
    " --record {output.record} --state {params.state} --progress {params.progress} > {log} 2>&1"
)


def test_a_call_counts_without_where_it_saves_and_reports_to():
    short = (
        "{params.launch} {params.script:q} --seed {wildcards.seed} --code {params.code}"
        " --hardware {params.hardware} --record {output.record}"
    )
    assert PLUMBING.sub("", SHELL) == short
    assert PLUMBING.sub("", f"{short} 2>&1 | tee {{log}}") == short
    assert PLUMBING.sub("", f"{{params.on_gpus}}{short}") == short
    assert PLUMBING.sub("", f"{short} --steps {{params.steps}} > {{log}} 2>&1") != short


@pytest.mark.parametrize("path", sorted(RULES.glob("*.smk")), ids=lambda path: path.name)
def test_no_rule_calls_its_program_in_a_way_that_is_not_known(path):
    """A new option that only speaks is to be spelt as the others are."""
    left = PLUMBING.sub("", path.read_text().replace('"\n        "', ""))
    for word in ("--progress", "--state", "--journal", "--save-minutes"):
        assert f" {word} " not in left


def test_content_is_the_same_at_any_time_and_place(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "step1").mkdir(parents=True)
        (tmp_path / name / "step1" / "weights").write_bytes(b"1234")
        (tmp_path / name / "config.json").write_text("{}")
    os.utime(tmp_path / "b" / "config.json", (1, 1))
    (tmp_path / "b" / TIME_STAMP).touch()
    assert content(tmp_path / "a") == content(tmp_path / "b")
    (tmp_path / "b" / "step1" / "weights").write_bytes(b"1235")
    assert content(tmp_path / "a") != content(tmp_path / "b")
    (tmp_path / "b" / "step1" / "weights").write_bytes(b"1234")
    (tmp_path / "b" / "config.json").rename(tmp_path / "b" / "other.json")
    assert content(tmp_path / "a") != content(tmp_path / "b")


def test_a_small_file_is_known_by_its_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    known = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert content(tmp_path / "file") == known


@pytest.mark.parametrize("place", [0, WHOLE_BYTES // 2 + 9_000_000, 2 * WHOLE_BYTES - 1])
def test_a_large_file_is_known_by_blocks_from_all_over_it(tmp_path, place):
    path = tmp_path / "weights"
    with path.open("wb") as stream:
        stream.truncate(2 * WHOLE_BYTES)
    before = content(path)
    with path.open("r+b") as stream:
        stream.seek(place)
        stream.write(b"x" * (2_200_000 if 0 < place < 2 * WHOLE_BYTES - 1 else 1))
    assert content(path) != before
    with path.open("wb") as stream:
        stream.truncate(2 * WHOLE_BYTES)
    os.utime(path, (5, 5))
    assert content(path) == before


def test_a_setting_is_named_by_its_key():
    old, new = """'{"rate": 0.1, "steps": 3}'""", """'{"rate": 0.2, "steps": 3}'"""
    assert _setting("settings", old, new) == "rate was 0.1, is 0.2"
    assert _setting("steps", "3", "4") == "steps was 3, is 4"
    assert _setting("steps", "", "4") == "steps was absent, is 4"


def test_of_a_long_setting_the_part_that_differs_is_shown():
    many = ",".join(f"task/run{n}/seed1" for n in range(30))
    shown = _setting("policies", repr(many), repr(many.replace("run25", "other")))
    assert "run25/seed1" in shown and "other/seed1" in shown
    assert "run2/" not in shown and len(shown) < 220


def test_many_jobs_are_listed_in_one_line():
    assert _listed([]) == "one job" and _listed(["a", "b"]) == "a, b"
    assert _listed([str(n) for n in range(9)]) == "0, 1, 2, 3, 4, 5 and 3 more"
