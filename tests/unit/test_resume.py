"""A training that is killed goes on, and ends as if it had never been."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from training_runs import WORDS, tiny
from warm import Program

from online_il.models import save_policy, word_tokenizer
from online_il.program.cli import AGAIN
from online_il.provenance import file_hash
from online_il.training import resume
from online_il.training.resume import Saving

PROGRAM = Path(__file__).with_name("train_process.py")
STEPS = 10
EVERY_BOUNDARY = {"minutes": 0}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("policies") / "base"
    save_policy(tiny(), word_tokenizer(WORDS), folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(base, tmp_path_factory):
    """The outcome of a training that nothing stops, by method and engine."""
    known: dict[tuple[str, str], dict] = {}

    def outcome_of(method: str, engine: str = "loop") -> dict:
        if (method, engine) not in known:
            folder = tmp_path_factory.mktemp("undisturbed") / method
            if (method, engine) == ("grpo", "loop"):
                # The real Python draws the order of sets of strings anew.
                words = map(str, command(method, folder, base))
                subprocess.run([sys.executable, *words], check=True, timeout=300)
                known[method, engine] = outcome(folder)
            else:
                known[method, engine] = whole(method, folder, base, engine=engine)
        return known[method, engine]

    return outcome_of


def start(method: str, folder: Path, base: Path, **options: object) -> Program:
    with (folder.parent / f"{folder.name}.log").open("a") as log:
        return Program(command(method, folder, base, **options), stdout=log, stderr=log)


def command(method: str, folder: Path, base: Path, **options: object) -> list[object]:
    return [PROGRAM, method, folder, base, STEPS, json.dumps(options)]


def log_of(folder: Path) -> str:
    return (folder.parent / f"{folder.name}.log").read_text()


def whole(method: str, folder: Path, base: Path, **options: object) -> dict:
    """The outcome of a training that runs to its end."""
    assert start(method, folder, base, **options).wait(timeout=300) == 0, log_of(folder)[-3000:]
    return outcome(folder)


def outcome(folder: Path) -> dict:
    """All that a training leaves, but for the time that it took."""
    result = json.loads((folder / "result.json").read_text())
    for row in [*result["rows"], *result["kept"]]:
        row.pop("device_seconds")
    published = folder / "state" / "published"
    files = sorted(path for path in published.rglob("*") if path.is_file())
    hashes = {str(path.relative_to(published)): file_hash(path) for path in files}
    return {"result": json.dumps(result), "files": hashes}


def updates_of(folder: Path) -> int:
    try:
        return int(json.loads((folder / "progress.json").read_text())["done"])
    except (OSError, ValueError):
        return 0


def after(process: Program, folder: Path, update: int, number: int) -> int:
    """The status of a training that gets a signal once it has made some updates."""
    while updates_of(folder) < update and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(number)
    return process.wait(timeout=300)


@pytest.mark.parametrize(
    ("method", "engine"),
    [("grpo", "loop"), ("grpo", "transformers"), ("sft", "loop"), ("distill", "loop")],
)
def test_a_killed_training_ends_as_one_that_was_never_killed(
    method, engine, base, undisturbed, tmp_path
):
    expected = undisturbed(method, engine)
    folder, rng = tmp_path / "killed", random.Random(f"{method} {engine}")
    for update in sorted(rng.sample(range(2, STEPS), 2)):
        process = start(method, folder, base, engine=engine, **EVERY_BOUNDARY)
        assert after(process, folder, update, signal.SIGKILL) == -signal.SIGKILL
        assert updates_of(folder) >= update
    assert whole(method, folder, base, engine=engine, **EVERY_BOUNDARY) == expected
    assert "going on after update" in log_of(folder)


def test_at_most_the_work_since_the_last_boundary_is_lost(base, tmp_path):
    folder = tmp_path / "run"
    after(start("grpo", folder, base, **EVERY_BOUNDARY), folder, 7, signal.SIGKILL)
    made = updates_of(folder)
    whole("grpo", folder, base, **EVERY_BOUNDARY)
    (line,) = [line for line in log_of(folder).splitlines() if "going on after update" in line]
    resumed = int(line.split("update ")[1].split(" ")[0])
    # Two updates a batch of rollouts; the checkpoint after the last boundary may be unfinished.
    assert resumed % 2 == 0 and made - resumed <= 3


def test_a_checkpoint_is_due_at_the_first_boundary_after_its_minutes(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(resume.time, "monotonic", lambda: clock[0])
    saver = resume.Saver(None, None, Saving(tmp_path, "", 10), boundary=2)

    def saves(update: int, seconds: float) -> bool:
        clock[0], control = seconds, SimpleNamespace(should_save=False)
        saver.on_step_end(None, SimpleNamespace(global_step=update, max_steps=9), control)
        return control.should_save

    assert not saves(2, 599)
    assert not saves(3, 601)  # In the middle of a batch of rollouts.
    assert saves(4, 601)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_training_that_is_asked_to_stop_saves_first(number, base, undisturbed, tmp_path):
    expected = undisturbed("grpo")
    folder = tmp_path / "run"
    # An hour between checkpoints: without the signal there would be none.
    assert after(start("grpo", folder, base), folder, 3, number) == AGAIN
    assert f"stopped by {number.name} after update" in log_of(folder)
    assert whole("grpo", folder, base) == expected
    assert "going on after update" in log_of(folder)


@pytest.mark.parametrize("damage", ["cut", "flip", "missing", "seal"])
def test_a_damaged_checkpoint_is_said_and_the_one_before_it_used(
    damage, base, undisturbed, tmp_path
):
    expected = undisturbed("sft")
    folder = tmp_path / "run"
    after(start("sft", folder, base, **EVERY_BOUNDARY), folder, 6, signal.SIGKILL)
    older, newest = sorted((folder / "state").glob("update-*"))
    victim = newest / ("seal.json" if damage == "seal" else "optimizer.pt")
    content = victim.read_bytes()
    if damage == "missing":
        victim.unlink()
    elif damage == "flip":
        victim.write_bytes(content[:99] + bytes([content[99] ^ 1]) + content[100:])
    else:
        victim.write_bytes(content[:-7])
    assert whole("sft", folder, base, **EVERY_BOUNDARY) == expected
    log = log_of(folder)
    assert f"{newest} is damaged" in log and "the one before it is used" in log
    assert f"going on after update {int(older.name.removeprefix('update-'))} of" in log


def test_a_damaged_checkpoint_does_not_stand_in_the_place_of_a_whole_one(base, tmp_path):
    folder = tmp_path / "run"
    after(start("sft", folder, base, **EVERY_BOUNDARY), folder, 6, signal.SIGKILL)
    older, newest = sorted((folder / "state").glob("update-*"))
    (newest / "optimizer.pt").unlink()
    # An hour until the next checkpoint; the stop saves one.
    resumed = int(older.name.removeprefix("update-"))
    (folder / "progress.json").unlink()
    assert after(start("sft", folder, base), folder, resumed + 1, signal.SIGTERM) == AGAIN
    kept = sorted((folder / "state").glob("update-*"))
    assert kept[0] == older and len(kept) == 2
    assert all((path / "optimizer.pt").is_file() for path in kept)


def test_a_finished_training_is_not_trained_again(base, tmp_path):
    expected = whole("sft", tmp_path / "run", base)
    (tmp_path / "run" / "result.json").unlink()
    # Killed after it was finished and before it had tidied up.
    (tmp_path / "run" / "state" / "update-00000009").mkdir()
    made = (tmp_path / "run" / "progress.json").read_text()
    assert whole("sft", tmp_path / "run", base) == expected
    assert "published again" in log_of(tmp_path / "run")
    assert (tmp_path / "run" / "progress.json").read_text() == made
    # What it would have gone on from is gone: optimizers are large.
    assert sorted(path.name for path in (tmp_path / "run" / "state").iterdir()) == [
        "finished",
        "published",
    ]


def test_nothing_is_taken_from_another_run(base, undisturbed, tmp_path):
    whole("sft", tmp_path / "run", base)
    for seal in (tmp_path / "run" / "state").glob("*/seal.json"):
        seal.write_text(seal.read_text().replace("a run", "another run"))
    (tmp_path / "run" / "state" / "published" / "step1" / "config.json").unlink()
    assert whole("sft", tmp_path / "run", base) == undisturbed("sft")
    assert "is of another run" in log_of(tmp_path / "run")


def identity_of(folder: Path, name: str) -> str:
    return json.loads((folder / "state" / name / "seal.json").read_text())["identity"]


def test_an_edit_that_is_undone_goes_on_from_what_was_set_aside(base, undisturbed, tmp_path):
    folder = tmp_path / "run"
    after(start("sft", folder, base, **EVERY_BOUNDARY), folder, 6, signal.SIGKILL)
    (folder / "progress.json").unlink()
    edited = {"identity": "an edited run"}
    assert after(start("sft", folder, base, **edited), folder, 2, signal.SIGTERM) == AGAIN
    assert "is of another run" in log_of(folder) and "going on" not in log_of(folder)
    assert list((folder / "state").glob("set-aside-*/update-*"))
    whole("sft", folder, base, **edited)
    # Undone after the other one was finished.
    assert whole("sft", folder, base) == undisturbed("sft")
    log = log_of(folder)
    assert "is taken back" in log and "going on after update" in log.partition("taken back")[2]
    # And done again: the finished one is there, nothing is trained.
    made = (folder / "progress.json").read_text()
    whole("sft", folder, base, **edited)
    assert identity_of(folder, "finished") == "an edited run"
    assert (folder / "progress.json").read_text() == made


def test_state_of_code_that_is_accepted_is_taken(base, undisturbed, tmp_path):
    folder = tmp_path / "run"
    after(start("sft", folder, base, **EVERY_BOUNDARY), folder, 6, signal.SIGKILL)
    same = {"identity": "the same run", "accepted": ["a run"], "code": "newer"}
    assert whole("sft", folder, base, **same) == undisturbed("sft")
    assert "going on after update" in log_of(folder)
    assert identity_of(folder, "finished") == "the same run"
    assert json.loads((folder / "state/finished/seal.json").read_text())["code"] == "newer"
    assert not list((folder / "state").glob("set-aside-*"))


def test_a_published_policy_that_is_damaged_is_trained_again(base, tmp_path):
    expected = whole("sft", tmp_path / "run", base)
    shutil.rmtree(tmp_path / "run" / "state" / "published" / "step1")
    assert whole("sft", tmp_path / "run", base) == expected
