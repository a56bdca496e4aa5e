"""What a newcomer runs into: a study without a comparison, a swallowed target, checks that fail."""

import re
from pathlib import Path

import pytest
import yaml
from project import ROOT, copy_of_project, planned, snakemake


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A checkout with a study that compares, and whose one expert is a model."""
    folder = copy_of_project(tmp_path_factory.mktemp("checkout"))
    study = yaml.safe_load((ROOT / "config" / "smoke.yaml").read_text())
    (task,) = [task for task in study["tasks"] if task["name"] == "countdown"]
    shape = dict(task["base"]["architecture"])
    teacher = {"name": "teacher", "kind": "random", "seed": 1, "max_length": 256}
    task["experts"] = [{**teacher, "architecture": shape}]
    run = {"method": "sft", "expert": "teacher", "steps": 2, "learning_rate": 0.001}
    task["runs"] = [{"name": "sft-teacher", **run}]
    study["tasks"], study["discrepancy"]["models"] = [task], []
    study["scale"], study["theory"] = "teacher", None
    study.pop("extends", None)
    (folder / "teacher.yaml").write_text(yaml.safe_dump(study))
    return folder


def test_a_study_with_nothing_to_compare_is_planned_without_the_comparison(checkout):
    status, output = snakemake(checkout, "-n", "--configfile", "teacher.yaml")
    assert status == 0, output[-3000:]
    assert {"sft", "figure1", "claims", "report_page"} <= planned(output)
    assert not {"table1", "figure3", "discrepancy"} & planned(output)
    assert output.count("nothing is compared") == 1 and "`discrepancy.models`" in output


@pytest.mark.parametrize("target", ["figure3", "table1"])
def test_what_it_has_not_is_said_in_one_line(checkout, target):
    status, output = snakemake(checkout, "-n", target, "--configfile", "teacher.yaml")
    assert status == 1
    assert f"the study has no {target}: nothing is compared" in output
    assert "Traceback" not in output


def test_a_target_after_configfile_is_named_before_anything_is_read(checkout):
    status, output = snakemake(checkout, "-n", "--configfile", "teacher.yaml", "figure1")
    assert status == 1 and "Traceback" not in output
    order = re.search(r"snakemake (figure1 .*)", output)
    assert order and order[1].endswith("-n --configfile teacher.yaml")
    assert snakemake(checkout, *order[1].split())[0] == 0


def test_what_the_checks_find_is_said_once_whatever_the_retries(checkout):
    study = yaml.safe_load((checkout / "teacher.yaml").read_text())
    (teacher,) = study["tasks"][0]["experts"]
    study["tasks"][0]["experts"] = [
        {"name": teacher["name"], "kind": "model", "repo": "a/b", "revision": "0" * 40}
        | {"folder": "nowhere"}
    ]
    (checkout / "lacking.yaml").write_text(yaml.safe_dump(study))
    asked = ("preflight", "--configfile", "lacking.yaml", "--retries", "2")
    status, output = snakemake(checkout, *asked)
    assert status == 1
    assert output.count("problem; nothing was started") == 1, output
    assert "trap : TERM" not in output and "CalledProcessError" not in output


@pytest.mark.parametrize(
    ("target", "word"), [("all", "seeds=[1]"), ("all", "accept_code=grop"), ("plan", "budget=-3")]
)
def test_a_wrong_word_is_told_without_a_place_in_our_files(checkout, target, word):
    asked = ("-n", target, "--configfile", "teacher.yaml", "--config", word)
    status, output = snakemake(checkout, *asked)
    (said,) = [line for line in output.splitlines() if "error" in line.lower()]
    assert status == 1 and said.startswith("error: "), output
    assert word.split("=")[0] in output
    assert not re.search(r"WorkflowError|Traceback|Snakefile|\.smk", output), output
