"""A study that is run look by look: what is started, what is said, what the next look takes."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
from configs import ROOT
from test_claims import draft

from online_il.claims.board import decided_in_words
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
    assert found.startswith(
        "Look 2 of 3, at 6 blocks: claims decided: 2 at 3, 1 at 6; undecided: 1."
    )
    assert "at all looks at once" in found
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

    def begin(fails_at: int | None = None) -> list[int]:
        blocks.clear()

        def run(command):
            (given,) = [word for word in command if word.startswith("blocks=")]
            look = int(given.removeprefix("blocks="))
            assert command[command.index("--cores") + 1] == "2" and "--configfile" in command
            blocks.append(look)
            if look == fails_at:
                return SimpleNamespace(returncode=3)
            for seed in range(11, 11 + look):
                path = layout.benchmark("grpo", "countdown", "expert", f"seed{seed}")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("s\th:m:s\n3600\t1:00:00\n")
            write_json(record(look, [3, 6, 10], ("supported", 3)), layout.claims())
            return SimpleNamespace(returncode=0)

        monkeypatch.setattr(study.subprocess, "run", run)
        study.run(study.Options(config=ROOT / "config" / "mini.yaml", cores=2))
        return list(blocks)

    return begin


def test_looks_are_run_one_after_another_and_each_says_what_the_next_takes(started, capsys):
    assert started() == [3, 6, 10]
    said = capsys.readouterr().out
    # An hour a block on two cores: three blocks, then four.
    assert "The look at 6 blocks (make study) takes some 1.5 hours more on 2 cores" in said
    assert "The look at 10 blocks (make study) takes some 2.0 hours more on 2 cores" in said
    assert said.count("claims decided") == 3 and said.endswith("All planned looks are done.\n")


def test_it_goes_on_at_the_look_that_failed(started):
    with pytest.raises(SystemExit) as stopped:
        started(fails_at=6)
    assert stopped.value.code == 3
    # The look before may be finished again, which is nothing to do; none is left out.
    assert started()[-2:] == [6, 10]


def test_a_study_without_looks_is_told_so(study, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(f"extends: {ROOT}/config/mini.yaml\nscale: x\nlooks: null\n")
    with pytest.raises(InputError, match=r"study.yaml: no `looks`; add them"):
        study.run(study.Options(config=path))
