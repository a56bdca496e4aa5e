"""What a training goes on from is hashed once, by one process, and several files at a time."""

import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import accelerate.utils
import pytest

from online_il.training import resume
from online_il.training.resume import Saving

FILES = 12


@pytest.fixture
def saving(tmp_path) -> Saving:
    """A run with one sealed checkpoint."""
    one = Saving(tmp_path / "state", "a run", 60)
    made = tmp_path / "made"
    (made / "optimizer_0").mkdir(parents=True)
    for number in range(FILES):
        (made / "optimizer_0" / f"__{number}_0.distcp").write_bytes(bytes([number]))
    recorded = {"rows": [], "tokens": 0, "seconds": 0.0, "checkpoints": []}
    (made / "recorded.json").write_text(json.dumps(recorded))
    one.folder.mkdir()
    resume.seal(made, one.folder / "update-00000004", one)
    return one


@pytest.fixture
def hashed(monkeypatch) -> list[Path]:
    """The files that are hashed, as they are."""
    found, file_hash = [], resume.file_hash
    monkeypatch.setattr(resume, "file_hash", lambda path: found.append(path) or file_hash(path))
    return found


class Reached(Exception):
    """Training would begin now."""


def goes_on(saving: Saving) -> None:
    def train(**_):
        raise Reached

    recorder = SimpleNamespace(steps=set())
    accelerator = SimpleNamespace(wait_for_everyone=lambda: None, end_training=lambda: None)
    trainer = SimpleNamespace(
        train=train,
        accelerator=accelerator,
        add_callback=lambda _: None,
        args=SimpleNamespace(max_steps=9),
        model=SimpleNamespace(parameters=list),
    )
    with pytest.raises(Reached):
        resume.train(trainer, recorder, saving, 1)
    assert recorder.tokens == 0, "what was recorded is taken"


def test_every_file_is_hashed_once(saving, hashed):
    goes_on(saving)
    assert len(hashed) == FILES + 1 == len(set(hashed))


def test_the_other_processes_hash_nothing_and_take_the_first_ones_word(saving, hashed, monkeypatch):
    monkeypatch.setattr(resume, "processes", lambda: 2)
    monkeypatch.setattr(resume, "main_process", lambda: False)
    said = iter([False, saving.folder / "update-00000004"])

    def broadcast(answer):
        answer[0] = next(said)

    monkeypatch.setattr(accelerate.utils, "broadcast_object_list", broadcast)
    goes_on(saving)
    assert hashed == []


def test_several_files_are_hashed_at_a_time(saving, monkeypatch):
    busy, most, lock = 0, 0, threading.Lock()
    file_hash = resume.file_hash

    def slow(path):
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.02)
        with lock:
            busy -= 1
        return file_hash(path)

    monkeypatch.setattr(resume, "file_hash", slow)
    goes_on(saving)
    assert most > 1
