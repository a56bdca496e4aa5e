"""Finished results of another study: what is the same is taken, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
from project import copy_of_project, planned, snakemake

TARGETS = ("slopes",)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A checkout with one theorem of the smoke study, and studies that extend it."""
    folder = copy_of_project(tmp_path_factory.mktemp("reuse"))
    status, output = snakemake(folder, *TARGETS, "--configfile", "config/smoke.yaml")
    assert status == 0, output
    (folder / "config" / "same.yaml").write_text("extends: smoke.yaml\nscale: same\n")
    (folder / "config" / "other.yaml").write_text(
        "extends: smoke.yaml\nscale: other\ntheory: {offline_bound: {replicates: 101}}\n"
    )
    return folder


def reuse(project: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "workflow/scripts/reuse.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=project, timeout=300)
    return done.returncode, done.stdout + done.stderr


def files_of(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_all_of_an_equal_study_is_taken_from_wherever_it_lies(project, tmp_path):
    (project / "results" / "smoke").rename(tmp_path / "elsewhere")
    before = files_of(tmp_path / "elsewhere")
    status, output = reuse(project, str(tmp_path / "elsewhere"), "--config", "config/same.yaml")
    (tmp_path / "elsewhere").rename(project / "results" / "smoke")
    assert status == 0, output
    assert files_of(project / "results" / "smoke") == before
    assert "taken: theory" in output and "not the same" not in output
    status, output = snakemake(project, "-n", *TARGETS, "--configfile", "config/same.yaml")
    assert status == 0 and "Nothing to be done" in output, output
    table = "theory/theorem1.parquet"
    own, other = (project / "results" / scale / table for scale in ("same", "smoke"))
    assert own.samefile(other)


def test_what_has_another_setting_stays_to_be_done(project):
    status, output = reuse(project, "results/smoke", "--config", "config/other.yaml")
    assert status == 0, output
    assert "not the same in this study: theory/theorem1.parquet (1)" in output
    assert not (project / "results" / "other" / "theory" / "theorem1.parquet").exists()
    status, output = snakemake(project, "-n", *TARGETS, "--configfile", "config/other.yaml")
    assert status == 0 and planned(output) == {"theory_theorem1", "slopes"}, output
    assert "Made again" not in output


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ("results/nothing", "no record of a finished job in it"),
        ("results/smoke/../same", "results of this very study"),
    ],
)
def test_a_folder_of_which_nothing_can_be_taken_is_named(project, other, words):
    status, output = reuse(project, other, "--config", "config/same.yaml")
    assert status == 1 and words in output and "Traceback" not in output
