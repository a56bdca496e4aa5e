"""Two studies side by side: differences by hand, what is paired, what is alone, bad folders."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import warm
from fake_study import RUNS, edit, fake_study

from online_il.claims.comparison import compare, study
from online_il.errors import InputError
from online_il.store import build, query

ROOT = Path(__file__).parents[2]
BETTER = RUNS | {"sft-realizable": ("sft", "expert", [(8, 8, 512), (24, 24, 1536)], 0.95)}


def made(folder: Path, **shape) -> Path:
    fake_study(folder, n_prompts=200, samplings=("policy",), **shape)
    build(folder, folder / "aggregate" / "measurements.duckdb")
    return folder


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The second has a better student, one more run and two seeds."""
    root = tmp_path_factory.mktemp("studies")
    more = BETTER | {"mine": ("sft", "expert", [(8, 8, 512)], 0.5)}
    return made(root / "a"), made(root / "b", runs=more, seeds=(4, 5))


def sections(one: Path, other: Path) -> dict[str, list[list[str]]]:
    return {part.title.split(";")[0]: part.rows for part in compare(study(one), study(other))}


ACCURACY = "Final accuracies, the policy's own sampling"


def test_differences_are_those_of_the_databases(studies):
    rows = {row[0]: row for row in sections(*studies)[ACCURACY]}
    name = "countdown, id: sft-realizable"
    means = [
        query(
            folder / "aggregate" / "measurements.duckdb",
            "SELECT avg(accuracy) FROM evaluations WHERE run = 'sft-realizable' AND step = 24 "
            "AND benchmark = 'id'",
        ).iloc[0, 0]
        for folder in studies
    ]
    assert rows[name][1:3] == [f"{mean:.3f}" for mean in means]
    assert rows[name][3].startswith(f"{means[1] - means[0]:+.3f} [")
    assert rows[name][4:] == ["differs", "same", "3 / 2"]
    assert len(rows) == 9


def test_what_only_one_has_is_listed(studies):
    alone = sections(*studies)["Measured in one alone"]
    assert {tuple(row) for row in alone} == {
        ("countdown", benchmark, "mine", "B") for benchmark in ("id", "ood", "forgetting")
    }


def test_a_study_is_like_itself(studies):
    found = sections(studies[0], studies[0])
    assert all(row[3].startswith("+0.000") and row[4] == "" for row in found[ACCURACY])
    assert not found["Measured in one alone"] and not found["Settings that differ"]
    assert not found["Versions and sampling that differ"]


def test_other_prompts_are_not_paired(studies, tmp_path):
    other = Path(shutil.copytree(studies[0], tmp_path / "other"))
    for path in other.glob("eval/*/*/seed*/step*/*.json"):
        edit(path, prompts_hash="another", versions={"online_il": "1"})
    (other / "aggregate" / "measurements.duckdb").unlink()
    build(other, other / "aggregate" / "measurements.duckdb")
    found = sections(studies[0], other)
    assert {row[5] for row in found[ACCURACY]} == {"other"}
    assert found["Versions and sampling that differ"] == [["versions", "online_il", '"0"', '"1"']]


def test_settings_that_differ_are_named_with_both_values(studies, tmp_path):
    other = Path(shutil.copytree(studies[0], tmp_path / "other"))
    for path in other.glob("runs/*/expert/seed*/run.json"):
        edit(path, settings={"steps": 2, "new": {"key": "x"}})
    (other / "aggregate" / "measurements.duckdb").unlink()
    build(other, other / "aggregate" / "measurements.duckdb")
    assert sections(studies[0], other)["Settings that differ"] == [
        ["countdown", "expert", "new", "null", '{"key": "x"}'],
        ["countdown", "expert", "steps", "1", "2"],
    ]


def test_runs_of_different_names_are_set_beside_each_other(studies):
    pairs = [("sft-realizable", "mine")]
    found = {
        part.title.split(";")[0]: part.rows
        for part in compare(study(studies[0]), study(studies[1]), pairs)
    }
    rows = {row[0]: row for row in found[ACCURACY]}
    ends = [
        query(
            studies[side] / "aggregate" / "measurements.duckdb",
            f"SELECT avg(accuracy) FROM evaluations WHERE run = '{pairs[0][side]}' "
            f"AND step = {step} AND benchmark = 'ood'",
        ).iloc[0, 0]
        for side, step in enumerate((24, 8))
    ]
    row = rows["countdown, ood: sft-realizable = mine"]
    assert row[1:3] == [f"{mean:.3f}" for mean in ends]
    assert row[3].startswith(f"{ends[1] - ends[0]:+.3f} [")
    assert row[5] == "same" and len(rows) == 9 + 3  # Those of one name are there as before.
    assert not found["Measured in one alone"]


def test_settings_of_a_pair_are_compared(studies, tmp_path):
    other = Path(shutil.copytree(studies[1], tmp_path / "other"))
    for path in other.glob("runs/*/mine/seed*/run.json"):
        edit(path, settings={"steps": 7})
    (other / "aggregate" / "measurements.duckdb").unlink()
    build(other, other / "aggregate" / "measurements.duckdb")
    sides = study(studies[0]), study(other)
    (settings,) = [
        part for part in compare(*sides, [("sft-realizable", "mine")]) if "Settings" in part.title
    ]
    assert ["countdown", "sft-realizable = mine", "steps", "1", "7"] in settings.rows


def claim(name: str, verdict: str) -> dict:
    return {
        "id": name,
        "title": "T",
        "family": "f",
        "task": None,
        "source": "S",
        "kind": "theory",
        "runs": [],
        "statistic": "s",
        "unit": "u",
        "margin": 0.1,
        "holds": "below",
        "verdict": verdict,
    }


@pytest.mark.parametrize("count", [0, 3])
def test_changed_verdicts_are_marked_and_what_neither_study_has_is_counted(studies, count):
    without_runs = [claim(f"absent{i}", "not run") for i in range(count)]
    for folder, verdict in zip(studies, ("supported", "contradicted"), strict=True):
        record = {
            "scale": "toy",
            "level": 0.95,
            "resamples": 1000,
            "seed": 1,
            "versions": {},
            "code_hash": "c",
            "claims": [claim("same", "supported"), claim("other", verdict), *without_runs],
        }
        (folder / "claims.json").write_text(json.dumps(record))
    named = " (3 more have their runs in neither)" if count else ""
    rows = sections(*studies)[f"Claims{named}"]
    assert rows == [
        ["same", "supported", "supported", ""],
        ["other", "supported", "contradicted", "changed"],
    ]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return warm.run(ROOT / "workflow/scripts/compare.py", *arguments, env={"COLUMNS": "150"})


def test_the_program_prints_and_writes_the_same(studies, tmp_path):
    found = run(*studies, "--output", tmp_path / "two.md")
    assert found.returncode == 0, found.stderr
    text = (tmp_path / "two.md").read_text()
    for words in ("countdown, id: sft-realizable", "Measured in one alone", "mine"):
        assert words in found.stdout and words in text


def test_a_folder_of_studies_gives_the_one_of_the_same_name(studies):
    root = studies[0].parent
    assert study(root, "a").folder == root / "a"
    with pytest.raises(InputError, match="several studies in it"):
        study(root, "c")


@pytest.mark.parametrize(
    ("pair", "status", "words"),
    [
        ("mine", 2, "write NAME=NAME"),
        ("=mine", 2, "write NAME=NAME"),
        ("expert=mine=x", 2, "write NAME=NAME"),
        ("mine=mine", 1, "a: it has no run mine; there are: base, expert, sft-realizable"),
        ("expert=other", 1, "b: it has no run other; there are: base, expert, mine"),
    ],
)
def test_a_pair_that_is_none_is_one_line(studies, pair, status, words):
    found = run(*studies, "--pair", pair)
    assert found.returncode == status and words in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1


def test_make_hands_the_pairs_on(studies):
    command = ["make", "-n", "-o", "setup", "compare", "A=a", "B=b", "PAIR=x=y z=w"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert 'compare.py "a" "b" --pair x=y z=w' in shown


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "no such folder"),
        (lambda path: path.mkdir(), r"no results\.duckdb in it"),
    ],
)
def test_bad_folders_are_one_line(studies, tmp_path, make, words):
    make(tmp_path / "bad")
    with pytest.raises(InputError, match=words):
        study(tmp_path / "bad")
    found = run(studies[0], tmp_path / "bad")
    assert found.returncode == 1 and len(found.stderr.strip().splitlines()) == 1


def test_a_damaged_database_is_one_line(studies, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "results.duckdb").write_text("nonsense")
    found = run(studies[0], tmp_path / "bad")
    assert found.returncode == 1 and len(found.stderr.strip().splitlines()) == 1
