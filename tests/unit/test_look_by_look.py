"""A study that is run look by look: what is started, what is said, what the next look takes."""

import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from configs import ROOT
from test_claims import draft

from online_il.claims.board import decided_in_words, next_in_words, seen
from online_il.claims.records import ClaimVerdict, ClaimVerdicts
from online_il.errors import InputError
from online_il.files import write_json
from online_il.layout import Layout


def record(blocks: int, looks: list[int], *verdicts: tuple[str, int | None]) -> ClaimVerdicts:
    rows = [
        ClaimVerdict(**draft(f"c{n}").fields, verdict=verdict).model_copy(
            update={"decided_at": look}
        )
        for n, (verdict, look) in enumerate(verdicts)
    ]
    facts = {"scale": "x", "level": 0.95, "resamples": 1000, "seed": 1, "code_hash": "c"}
    return ClaimVerdicts(**facts, versions={}, looks=looks, blocks=blocks, claims=rows)


def test_what_each_look_decided_is_said():
    verdicts = [("supported", 3), ("contradicted", 3), ("supported", 6), ("undecided", None)]
    found = decided_in_words(record(7, [3, 6, 10], *verdicts, ("not run", None)))
    assert found == (
        "Look 2 of 3, at 6 blocks (of 7 that were run): claims decided: 2 at 3, 1 at 6; undecided: "
        "1. Intervals are at 98.3 % each, 95 % for all looks at once."
    )
    theory = record(3, [3, 6], ("supported", 3), ("supported", None), ("contradicted", None))
    assert "1 at 3; of the theory, which has no looks: 2; undecided: 0" in decided_in_words(theory)
    assert "that were run" not in decided_in_words(record(6, [3, 6, 10], *verdicts))
    before = decided_in_words(record(2, [3, 6], ("undecided", None)))
    assert "2 blocks" in before and "before 3" in before
    assert decided_in_words(record(7, [], ("supported", None))) == ""


@pytest.fixture
def study():
    spec = importlib.util.spec_from_file_location("study", ROOT / "workflow/scripts/study.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def started(study, tmp_path, monkeypatch):
    """Runs the miniature look by look; each start of Snakemake writes verdicts and what it took."""
    monkeypatch.chdir(tmp_path)
    blocks, layout = [], Layout(Path("results/mini"))

    def begin(fails_at: int | None = None, *, retrain: bool = False) -> list[int]:
        blocks.clear()

        def run(command):
            (given,) = [word for word in command if word.startswith("blocks=")]
            look = int(given.removeprefix("blocks="))
            assert command[command.index("--cores") + 1] == "2" and "--configfile" in command
            assert (command[-1] == "retrain=true") == retrain
            blocks.append(look)
            if look == fails_at:
                return SimpleNamespace(returncode=3)
            write_json(record(look, [3, 6, 10], ("supported", 3)), layout.claims())
            return SimpleNamespace(returncode=0)

        monkeypatch.setattr(study.subprocess, "run", run)
        study.run(study.Options(config=ROOT / "config" / "mini.yaml", cores=2, retrain=retrain))
        return list(blocks)

    return begin


def test_looks_are_run_one_after_another(started):
    assert started() == [3, 6, 10]


def test_the_word_for_training_again_goes_to_every_look(started):
    assert started(retrain=True) == [3, 6, 10]


def test_each_look_says_what_the_next_takes(tmp_path):
    """Also where more blocks, or parts of one, lie there than were judged."""
    layout = Layout(tmp_path)
    hours = {11: 1, 12: 1, 13: 1, 14: 0.1, 7: 0.2}
    for seed, each in hours.items():
        for rule in ("grpo", "sft"):
            path = layout.benchmark(rule, "countdown", "expert", f"seed{seed}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"s\th:m:s\n{1800 * each}\t0:30:00\n")
    plan = [3, 6, 10]
    # An hour a block: three more on two cores, or on eight.
    assert next_in_words(record(3, plan), layout, 2) == (
        "The look at 6 blocks takes some 1.5 hours more on 2 cores: "
        "`workflow/scripts/study.py --config CONFIG`."
    )
    mini = record(3, plan).model_copy(update={"scale": "mini"})
    assert "2 cores: `make study`." in next_in_words(mini, layout, 2)
    assert "some 0.4 hours more on 8 cores" in next_in_words(record(3, plan), layout, 8)
    assert next_in_words(record(10, plan), layout, 2) == ""
    assert (
        next_in_words(record(3, []), layout, 2) == next_in_words(record(0, plan), layout, 2) == ""
    )


def test_it_goes_on_at_the_look_that_failed(started):
    with pytest.raises(SystemExit) as stopped:
        started(fails_at=6)
    assert stopped.value.code == 3
    # The look before may be finished again, which is nothing to do; none is left out.
    assert started()[-2:] == [6, 10]


@pytest.mark.parametrize("looks", ["[3, 6, 11]", "[12]"])
def test_a_look_that_the_seeds_do_not_come_to_is_told_before_the_first(study, tmp_path, looks):
    """Two looks and hours later it was."""
    path = tmp_path / "study.yaml"
    path.write_text(f"extends: {ROOT}/config/mini.yaml\nscale: x\nlooks: {looks}\n")
    words = f"study.yaml: looks = {looks}: countdown has 10 seeds, one a block; leave out"
    with pytest.raises(InputError, match=re.escape(words)):
        study.run(study.Options(config=path))


def test_a_study_without_looks_is_told_so(study, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(f"extends: {ROOT}/config/mini.yaml\nscale: x\nlooks: null\n")
    with pytest.raises(InputError, match=r"study.yaml: no `looks`; add them"):
        study.run(study.Options(config=path))


@pytest.mark.parametrize(
    ("unit", "kind", "distance", "words"),
    [
        ("accuracy", "equivalence", 0.31, "0.31"),
        ("share", "discrepancy", 1.3, "none that is possible"),
        ("accuracy", "interaction", 1.6, "1.6"),
        ("factor", "superiority", 140.0, "none that is possible"),
        ("factor", "superiority", 14.0, "14"),
        ("accuracy", "equivalence", None, ""),
    ],
)
def test_no_distance_is_named_that_cannot_be(unit, kind, distance, words):
    row = record(3, [], ("undecided", None)).claims[0]
    new = {"unit": unit, "kind": kind, "detectable": distance}
    assert seen(row.model_copy(update=new)) == words
