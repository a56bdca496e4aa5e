"""What is finished is decided by identity: a copy is, and what something depends on is not."""

import json
import os
import random
import shutil
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from project import PARTS, copy_of_project, planned
from project import snakemake as status_and_output

TARGETS = ("figure4", "slopes", "--configfile", "config/smoke.yaml")
GAUSSIAN = "workflow/online_il/theory/gaussian.py"


def snakemake(checkout: Path, *arguments: str) -> str:
    status, output = status_and_output(checkout, *TARGETS, *arguments)
    assert status == 0, output
    return output


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A checkout with the theory of the smoke study: jobs of seconds, one after another."""
    folder = copy_of_project(tmp_path_factory.mktemp("checkout"))
    snakemake(folder)
    return folder


@pytest.fixture
def copy(study, tmp_path) -> Path:
    """Another checkout with a copy of the results alone, their times new and in no order."""
    for name in (*PARTS, "results"):
        source = study / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, tmp_path / name)
    files = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    for path in files:
        time = 1_800_000_000 + random.Random(str(path.name)).randrange(1000)
        os.utime(path, (time, time))
    assert not (tmp_path / ".snakemake").exists()
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_copy_of_the_results_is_finished_and_a_setting_reruns_what_depends_on_it(copy):
    assert "Nothing to be done" in snakemake(copy, "-n")
    edit(copy / "config/smoke.yaml", "replicates: 100", "replicates: 101")
    output = snakemake(copy, "-n")
    assert planned(output) == {"theory_theorem1", "slopes"}
    assert "settings of theory_theorem1: replicates was 100, is 101" in output
    assert output.count("(trained: no policy)") == 1


def test_a_copy_is_told_once_to_be_taken_as_it_is(copy):
    """Of five jobs: two tables of the theory, what is drawn and written of them."""
    words = "4 jobs were finished elsewhere and are taken as they are"
    assert words in snakemake(copy, "-n") and words in snakemake(copy)
    assert "finished elsewhere" not in snakemake(copy)


def test_a_copy_beside_snakemakes_own_folder_is_finished_too(copy, study):
    shutil.copytree(study / ".snakemake", copy / ".snakemake")
    assert "Nothing to be done" in snakemake(copy, "-n")


def test_other_content_is_another_input_whatever_its_time(copy):
    (table,) = (copy / "results").rglob("class-a.parquet")
    rows = parquet.read_table(table)
    parquet.write_table(rows.replace_schema_metadata({b"online_il": b"{}"}), table)
    os.utime(table, (1, 1))
    output = snakemake(copy, "-n")
    assert planned(output) == {"figure4"}
    assert f"inputs of figure4 with other content: {table.relative_to(copy)}" in output


def test_code_that_changed_is_named_and_can_be_accepted(copy):
    (copy / GAUSSIAN).write_text((copy / GAUSSIAN).read_text() + "EDITED = 1\n")
    output = snakemake(copy, "-n")
    assert planned(output) == {"theory_gaussian", "figure4"}
    assert "code of theory_gaussian: theory/gaussian.py changed (class-a)" in output
    some = snakemake(copy, "-n", "--config", "accept_code=theory_gaussian")
    assert planned(some) == {"figure4"}
    ledger = copy / "results" / "smoke" / "provenance" / "accepted.json"
    assert not ledger.exists()  # Asked, not told.
    told = snakemake(copy, "--config", "accept_code=theory_gaussian,figure4")
    assert "Nothing to be done" in told
    accepted = json.loads(ledger.read_text())
    assert {entry["rule"] for entry in accepted} == {"figure4", "theory_gaussian"}
    assert all(entry["modules"] == ["theory/gaussian.py"] for entry in accepted)
    assert "Nothing to be done" in snakemake(copy, "-n")  # It holds.
    # What is made later says so, and code that changes once more is not taken.
    edit(copy / "config/smoke.yaml", "replicates: 100", "replicates: 101")
    snakemake(copy)
    made = copy / "results" / "smoke" / "theory" / "theorem1.parquet"
    metadata = json.loads(parquet.read_schema(made).metadata[b"online_il"])
    assert json.loads(metadata["versions"]["accepted_code"]) == accepted
    (copy / GAUSSIAN).write_text((copy / GAUSSIAN).read_text() + "EDITED = 2\n")
    assert planned(snakemake(copy, "-n")) == {"theory_gaussian", "figure4"}


def test_words_and_plumbing_rerun_nothing(copy):
    edit(copy / GAUSSIAN, "raise ParameterError(", "raise ParameterError('Wait: ' + ")
    edit(copy / "workflow/online_il/program/cli.py", "see --help", "ask --help")
    edit(copy / "rules/theory.smk", "project the Gaussian expert", "project one Gaussian expert")
    assert "Nothing to be done" in snakemake(copy, "-n")


def test_a_rule_that_is_not_there_is_named(study):
    status, output = status_and_output(study, "-n", *TARGETS, "--config", "accept_code=grop")
    assert status != 0 and "there is no rule grop" in output
