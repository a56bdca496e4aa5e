"""Stopping a training anywhere and going on from where it was.

At a boundary of rollout batches, at most so many minutes after the last time, everything that
training goes on from is written: the trainer's own checkpoint (weights, optimizer, scheduler,
random generators) and what was recorded so far. A checkpoint is written aside, flushed to the disk,
sealed with the hashes of its files and renamed, so that it is complete or absent. A start takes the
newest one whose seal holds and which belongs to the same run: the same code, settings, inputs and
versions. What belongs to another run is set aside first, and taken back when that one is trained
again (`program/aside.py`).

Only boundaries: TRL does not save the rollouts that wait for their second update. The order of the
prompts is planned beforehand, so that the place in it follows from the number of the update.
"""

import json
import logging
import math
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, TypeVar

from transformers import Trainer, TrainerCallback

from online_il.errors import InputError, Stopped
from online_il.files import flush, write_text
from online_il.layout import (
    FINISHED,
    PUBLISHED,
    RECORDED,
    SEAL,
    TOKENS,
    TRAINER,
    existing_updates,
    number_of,
    step,
    update,
)
from online_il.models import weights_hash
from online_il.program import deadline
from online_il.program.aside import settle
from online_il.program.exhausted import needs_of_checkpoints
from online_il.provenance import file_hash
from online_il.records import Checkpoint
from online_il.training.common import Recorder, main_process, processes
from online_il.training.state_size import CHECKPOINTS_KEPT, state_bytes

T = TypeVar("T")
HASHED_AT_ONCE = 8
"""Files; a processor hashes one gigabyte a second, a disk reads several."""


class Saving(NamedTuple):
    """The folder from which a run goes on, its identity, and how often it is saved."""

    folder: Path
    """A folder that Snakemake does not know, or it would delete it with the job's outputs."""
    identity: str
    """Hash of all that the run is a function of; a checkpoint of another run is not taken."""
    minutes: float
    """Longest time between two checkpoints, but for the time to the next boundary."""
    code: str = ""
    """Hash of the code, which is said beside a checkpoint."""
    accepted: tuple[str, ...] = ()
    """Identities of runs that differ in code alone, which a person takes for this one."""
    until: float = math.inf
    """When it saves and leaves, before its time limit ends it (`program/deadline.py`)."""

    @property
    def published(self) -> Path:
        """The policies that the run has published so far."""
        return self.folder / PUBLISHED

    @property
    def trainer_output(self) -> Path:
        """The trainer's own folder; what is needed of it is sealed elsewhere."""
        return self.folder / TRAINER


def train(trainer: Trainer, recorder: Recorder, saving: Saving, boundary: int) -> None:
    """Train to the end, from the newest checkpoint where there is one.

    `boundary` is the number of updates that a batch of rollouts serves. Raises `Stopped` where the
    job is asked to stop (SIGTERM, SIGUSR1) or its time is over, once it has saved.
    """
    recorder.trainer = trainer
    try:
        _train(trainer, recorder, saving, boundary)
    except Stopped:
        trainer.accelerator.end_training()
        raise
    # Processes that trained together part here. One that just ended would now and then be aborted
    # by its own communication threads. After an error they do not part: that waits for the others.
    trainer.accelerator.end_training()


def _train(trainer: Trainer, recorder: Recorder, saving: Saving, boundary: int) -> None:
    if main_process():
        settle(saving.folder, (saving.identity, *saving.accepted))
    trainer.accelerator.wait_for_everyone()
    finished = saving.folder / FINISHED
    begun = finished.with_suffix(".partial")
    if _agreed(lambda: finished.is_dir() and _usable(finished, saving)):
        restore(recorder, finished)
        logging.info("this run is finished; its policies are published again")
        _remove(*_newest_first(saving.folder), saving.trainer_output, saving.folder / TOKENS)
        return
    start = _agreed(
        lambda: next((path for path in _newest_first(saving.folder) if _usable(path, saving)), None)
    )
    if start is not None:
        restore(recorder, start)
        # Damaged ones, which would stand in the place of whole ones, and half of a checkpoint.
        newer = [path for path in _newest_first(saving.folder) if path > start]
        _remove(*newer, saving.trainer_output)
        done = number_of(start)
        logging.info("going on after update %d of %d", done, trainer.args.max_steps)
    else:
        # Damaged, or of a run that was stopped before its first checkpoint.
        _remove(
            *_newest_first(saving.folder), finished, begun, saving.published, saving.trainer_output
        )
    saver = Saver(trainer, recorder, saving, boundary)
    trainer.add_callback(saver)
    try:
        with saver:
            trainer.train(resume_from_checkpoint=None if start is None else str(start))
    except Exception as error:
        if main_process():  # Half of a checkpoint is of no use and may fill the disk.
            shutil.rmtree(saving.trainer_output, ignore_errors=True)
            parameters = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
            state = state_bytes(parameters)
            error.add_note(needs_of_checkpoints(state, CHECKPOINTS_KEPT, len(recorder.steps)))
        raise
    if saver.stopped and trainer.state.global_step < trainer.args.max_steps:
        raise Stopped(
            f"stopped by {saver.stopped.replace('elsewhere', 'a signal to another process')} after "
            f"update {trainer.state.global_step} of "
            f"{trainer.args.max_steps}; the same command goes on from there"
        )
    if main_process():
        _write_recorded(recorder, begun)
        seal(begun, finished, saving)
        # The trainer's own checkpoints are large, and nothing goes on from them any more.
        _remove(*_newest_first(saving.folder), saving.trainer_output, saving.folder / TOKENS)


def _remove(*folders: Path) -> None:
    if main_process():
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


class Saver(TrainerCallback):
    """Asks the trainer for checkpoints at boundaries, and makes each complete."""

    def __init__(self, trainer: Trainer, recorder: Recorder, saving: Saving, boundary: int) -> None:
        self.trainer, self.recorder = trainer, recorder
        self.saving, self.boundary = saving, boundary
        self.saved_at = time.monotonic()
        self.stopped = ""
        self.before: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGTERM, signal.SIGUSR1):
            self.before[number] = signal.signal(number, self._stop)

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, _: FrameType | None) -> None:
        self.stopped = signal.Signals(number).name

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self.boundary:
            return
        if deadline.passed(self.saving.until):
            self.stopped = self.stopped or deadline.NAME
        due = time.monotonic() - self.saved_at >= 60 * self.saving.minutes
        if self._together(due or bool(self.stopped)) and state.global_step < state.max_steps:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.trainer.accelerator.wait_for_everyone()
        if main_process():
            checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            _write_recorded(self.recorder, checkpoint)
            seal(checkpoint, update(self.saving.folder, state.global_step), self.saving)
            for path in _newest_first(self.saving.folder)[CHECKPOINTS_KEPT:]:
                shutil.rmtree(path)
        self.trainer.accelerator.wait_for_everyone()
        self.saved_at = time.monotonic()
        self.recorder.resumed_at = time.perf_counter()  # Saving is no training time.
        # Not each by itself: a process that leaves alone lets the others wait for it.
        if self._together(bool(self.stopped)):
            control.should_training_stop = True
            self.stopped = self.stopped or "elsewhere"

    def _together(self, wanted: bool) -> bool:
        """Let the first process decide for all, for their clocks differ."""
        return _agreed(lambda: wanted)


def _agreed(question: Callable[[], T]) -> T:
    """Let the first process answer for all of them, and the others not even ask."""
    if processes() == 1:
        return question()
    from accelerate.utils import broadcast_object_list

    answer = [question() if main_process() else None]
    broadcast_object_list(answer)
    return answer[0]  # type: ignore[return-value]


def seal(source: Path, place: Path, saving: Saving) -> None:
    """Flush a folder to the disk, list its files' hashes in it and give it its name."""
    files = sorted(path for path in source.rglob("*") if path.is_file() and path.name != SEAL)
    names = [str(path.relative_to(source)) for path in files]
    hashes = dict(zip(names, _side_by_side(file_hash, files), strict=True))
    content = {"identity": saving.identity, "code": saving.code, "files": hashes}
    write_text(json.dumps(content), source / SEAL)
    for path in [*files, source]:
        flush(path)
    shutil.rmtree(place, ignore_errors=True)
    source.rename(place)
    flush(place.parent)


def _side_by_side(hash_of: Callable[[Path], str], paths: Sequence[Path]) -> list[str]:
    """Hash several files or policies at once: tens of gigabytes, at the speed of a disk."""
    with ThreadPoolExecutor(HASHED_AT_ONCE) as pool:
        return list(pool.map(hash_of, paths))


def restore(recorder: Recorder, place: Path) -> None:
    """Let a recorder go on from what is recorded in a checkpoint that is usable."""
    recorded = json.loads((place / RECORDED).read_text())
    recorder.rows = recorded["rows"]
    recorder.tokens, recorder.seconds = recorded["tokens"], recorded["seconds"]
    recorder.checkpoints = [Checkpoint(**fields) for fields in recorded["checkpoints"]]


def _usable(place: Path, saving: Saving) -> bool:
    """Check that a checkpoint is complete and this run's; log why where it is not."""
    try:
        sealed = json.loads((place / SEAL).read_text())
        if sealed["identity"] not in (saving.identity, *saving.accepted):
            logging.info("%s is of another run (code, settings or inputs): not taken", place)
            return False
        names = list(sealed["files"])
        found = _side_by_side(file_hash, [place / name for name in names])
        broken = [n for n, now in zip(names, found, strict=True) if now != sealed["files"][n]]
        kept = json.loads((place / RECORDED).read_text())["checkpoints"]
        policies = [step(saving.published, checkpoint["step"]) for checkpoint in kept]
        found = _side_by_side(weights_hash, policies)
        broken += [
            f"its {policy.relative_to(saving.folder)}"
            for policy, now, checkpoint in zip(policies, found, kept, strict=True)
            if now != checkpoint["weights_hash"]
        ]
    except (OSError, ValueError, KeyError, TypeError, InputError) as error:
        broken = [f"unreadable ({error})"]
    if broken:
        logging.warning("%s is damaged: %s; the one before it is used", place, ", ".join(broken))
    return not broken


def _newest_first(folder: Path) -> list[Path]:
    return existing_updates(folder)[::-1]


def _write_recorded(recorder: Recorder, folder: Path) -> None:
    """Write what was recorded so far; NaN is written as Python's JSON reads it."""
    recorded = {
        "rows": recorder.rows,
        "tokens": recorder.tokens,
        "seconds": recorder.seconds,
        "checkpoints": [checkpoint.model_dump() for checkpoint in recorder.checkpoints],
    }
    write_text(json.dumps(recorded), folder / RECORDED)
