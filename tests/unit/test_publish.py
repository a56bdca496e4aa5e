"""What a finished run publishes is complete, or its manifest is not there."""

import argparse
from pathlib import Path

import pytest
from training_runs import WORDS, tiny

from online_il.models import save_policy, word_tokenizer
from online_il.training import publish
from online_il.training.common import Recorder
from online_il.training.resume import Saving


class Killed(BaseException):
    """Stands for a kill."""


def test_no_manifest_names_policies_that_are_being_laid_out(tmp_path, monkeypatch):
    options = argparse.Namespace(checkpoints=tmp_path / "checkpoints", record=tmp_path / "run.json")
    options.record.write_text("{}")

    def killed(*_: Path) -> None:
        raise Killed

    monkeypatch.setattr(publish, "link_tree", killed)
    save_policy(tiny(), word_tokenizer(WORDS), tmp_path / "state" / "published" / "step1")
    recorder = object.__new__(Recorder)
    recorder.checkpoints = [argparse.Namespace(step=1)]
    with pytest.raises(Killed):
        publish.publish(
            recorder,
            Saving(tmp_path / "state", "", 1),
            options,
            method="sft",
            expert=None,
            expert_hash=None,
        )
    # A start refuses a manifest whose policies are not there, until somebody deletes it.
    assert not options.record.exists()
