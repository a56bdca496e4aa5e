"""TensorBoard, trackio and Weights & Biases: told the rows of training, each once.

What was told is written down, so that a start that goes on tells what is new. A training that was
begun anew, with other settings, becomes a run of its own.
"""

import importlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from online_il.files import write_text
from online_il.layout import Layout
from online_il.live.trainings import Course

Tell = Callable[[dict[str, float], int], Any]
"""Takes the numbers of an update, and the update."""
TOLD = "told.json"


class Told(NamedTuple):
    """What a tracker knows of a policy."""

    number: int
    """Which of its trainings, from 1."""
    first: dict[str, float]
    """The first row, by whose seconds a training is known from one that was begun anew."""
    update: int
    """The last update that was told."""


def tell(results: Path, tracker: str, courses: Iterable[Course]) -> None:
    """Tell a tracker the rows that it does not know yet, a run a policy."""
    path = Layout(results).tracked(tracker) / TOLD
    known = {name: Told(*row) for name, row in _read(path).items()}
    for course in courses:
        name, (first, *_) = str(course.policy), course.rows
        before = known.get(name, Told(1, first, 0))
        if before.first != first:
            before = Told(before.number + 1, first, 0)
        if rows := [row for row in course.rows if row["update"] > before.update]:
            run = name if before.number == 1 else f"{name}-{before.number}"
            with OPENED[tracker](results, run, course.method) as told:
                _tell_each(told, rows)
            known[name] = before._replace(update=rows[-1]["update"])
            write_text(json.dumps(known), path)


def _tell_each(told: Tell, rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        # A step of the method follows from the update, and trackio has another use for the name.
        numbers = {name: value for name, value in row.items() if name not in ("update", "step")}
        told(numbers, row["update"])


def _read(path: Path) -> dict[str, list[Any]]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # Told nothing yet.


@contextmanager
def _tensorboard(results: Path, run: str, method: str) -> Iterator[Tell]:
    summary = importlib.import_module("tensorboard.summary")
    writer = summary.Writer(str(Layout(results).tracked("tensorboard") / run))

    def told(numbers: dict[str, float], update: int) -> None:
        for name, value in numbers.items():
            writer.add_scalar(name, value, update)

    yield told
    writer.close()


@contextmanager
def _trackio(results: Path, run: str, method: str) -> Iterator[Tell]:
    # Read at the import. In the user's home studies of one name in two places would be one.
    os.environ.setdefault("TRACKIO_DIR", str(Layout(results).tracked("trackio").resolve()))
    trackio = importlib.import_module("trackio")
    opened = trackio.init(
        project=_project(results),
        name=run,
        config={"method": method},
        resume="allow",
        embed=False,
        auto_log_gpu=False,
        auto_log_cpu=False,
    )
    yield lambda numbers, update: opened.log(numbers, step=update)
    opened.finish()


@contextmanager
def _wandb(results: Path, run: str, method: str) -> Iterator[Tell]:
    wandb = importlib.import_module("wandb")
    folder = Layout(results).tracked("wandb")
    folder.mkdir(parents=True, exist_ok=True)
    opened = wandb.init(
        project=_project(results),
        name=run,
        id=f"{_project(results)}-{run}".replace("/", "-"),
        config={"method": method},
        resume="allow",
        dir=str(folder),
    )
    yield lambda numbers, update: opened.log(numbers, step=update)
    opened.finish()


def _project(results: Path) -> str:
    return f"online-il-{results.name}"


OPENED: dict[str, Callable[[Path, str, str], Any]] = {
    "tensorboard": _tensorboard,
    "trackio": _trackio,
    "wandb": _wandb,
}
"""How each opens a run, which it may know already."""
