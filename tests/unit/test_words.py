"""Targets that Snakemake's `--configfile` would take for config files; words for one start."""

import pytest

from online_il.errors import InputError
from online_il.program.words import refuse_swallowed_targets
from online_il.studies import taken_out


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("my.yaml", "other.yml", "figure.svg"):
        (tmp_path / name).touch()


@pytest.mark.parametrize(
    "line",
    [
        "figure1 --configfile my.yaml",
        "--configfile my.yaml other.yml --cores 2 figure1",
        "--configfiles my.yaml -n",
        "--configfile=my.yaml figure1",
        "--configfile my.yaml -- figure1",
        "figure1 --config blocks=6",
        "",
    ],
)
def test_what_is_written_right_goes_on(line):
    refuse_swallowed_targets(line.split())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--configfile my.yaml figure1", "snakemake figure1 --configfile my.yaml"),
        ("-n --configfile my.yaml figure1 -p", "snakemake figure1 -n --configfile my.yaml -p"),
        ("--configfile my.yaml figure.svg", "snakemake figure.svg --configfile my.yaml"),
        ("--configfile mine.yaml", "--configfile mine.yaml: there is no such config file"),
        ("--configfile=mine.yaml", "mine.yaml: there is no such config file"),
    ],
)
def test_a_target_that_is_taken_for_a_file_is_named_with_the_right_order(line, words):
    with pytest.raises(SystemExit) as ended:
        refuse_swallowed_targets(line.split())
    assert words in str(ended.value) and "\n" not in str(ended.value)


def test_a_word_for_one_start_is_true_or_false():
    # As Snakemake reads retrain=true and partial=False.
    overrides = {"retrain": "true", "partial": False, "blocks": 3}
    assert taken_out(overrides, "retrain") and not taken_out(overrides, "partial")
    assert taken_out({"partial": True}, "partial") and not taken_out(
        {"partial": "false"}, "partial"
    )
    assert not taken_out(overrides, "retrain") and overrides == {"blocks": 3}
    with pytest.raises(InputError, match="--config retrain=no: write retrain=true, or leave it"):
        taken_out({"retrain": "no"}, "retrain")
