"""A policy that is finished is trained again with a word only; a dry run says what would be."""

from pathlib import Path

import pytest
from project import copy_of_project, planned
from project import snakemake as status_and_output

BASE = "results/smoke/runs/countdown/base/seed1/run.json"
TARGETS = (BASE, "--configfile", "config/smoke.yaml")
CHANGE = "settings of pretrain: learning_rate was "


def snakemake(checkout: Path, *arguments: str) -> tuple[int, str]:
    return status_and_output(checkout, *TARGETS, *arguments)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A checkout with a base that was trained without a word, and then its learning rate edited."""
    folder = copy_of_project(tmp_path_factory.mktemp("checkout"))
    status, output = snakemake(folder)
    assert status == 0 and "trained again" not in output, output[-3000:]
    assert "Nothing to be done" in snakemake(folder)[1]
    config = folder / "config" / "smoke.yaml"
    text, base, rest = config.read_text().partition("  - name: countdown")
    assert "learning_rate: " in rest
    config.write_text(text + base + rest.replace("learning_rate: ", "learning_rate: 0.5 # ", 1))
    return folder


def test_without_the_word_nothing_is_started(checkout):
    before = (checkout / BASE).read_bytes()
    status, output = snakemake(checkout)
    assert status == 1 and (checkout / BASE).read_bytes() == before
    assert output.count("1 finished policy is trained again, some minutes: countdown base") == 1
    assert f"because of {CHANGE}" in output and "--config retrain=true" in output
    assert "Traceback" not in output and "Job 0" not in output


def test_a_dry_run_says_it_alone(checkout):
    status, output = snakemake(checkout, "-n")
    assert status == 0 and "pretrain" in planned(output)
    assert "1 finished policy is trained again" in output and "retrain=true" in output
    assert CHANGE in output
    assert "(trained: countdown base (seed 1) and no other policy)" in output


def test_a_start_for_something_else_is_not_asked(checkout):
    status, output = status_and_output(checkout, "theorem5", "-n", *TARGETS[1:])
    assert status == 0 and "trained again" not in output


def test_code_is_named_by_its_module_and_can_be_accepted(checkout):
    config, module = (
        checkout / "config/smoke.yaml",
        checkout / "workflow/online_il/training/traces.py",
    )
    edited, code = config.read_text(), module.read_text()
    config.write_text(edited.replace("learning_rate: 0.5 # ", "learning_rate: "))
    module.write_text(code + "EDITED = 1\n")
    try:
        status, output = snakemake(checkout)
        assert status == 1 and "because of code of pretrain: training/traces.py changed" in output
        status, output = snakemake(checkout, "--config", "accept_code=pretrain", "-n")
        assert status == 0 and "trained again" not in output
    finally:
        config.write_text(edited)
        module.write_text(code)


def test_with_the_word_it_is_trained_again(checkout):
    before = (checkout / BASE).read_bytes()
    status, output = snakemake(checkout, "--config", "retrain=true")
    assert status == 0 and "1 finished policy is trained again" in output, output[-3000:]
    assert (checkout / BASE).read_bytes() != before


def test_a_rule_that_is_forced_needs_no_word(checkout):
    status, output = snakemake(checkout, "--forcerun", "pretrain", "-n")
    assert status == 0 and "pretrain" in planned(output) and "trained again" not in output


@pytest.mark.parametrize("word", ["retrain=no", "retrain=maybe"])
def test_a_word_that_is_none_is_refused(checkout, word):
    status, output = snakemake(checkout, "-n", "--config", word)
    assert status != 0 and "write retrain=true, or leave it out" in output
