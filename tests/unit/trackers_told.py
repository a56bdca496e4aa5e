"""A study under way, and modules with the calls of trackers that write down what they are told."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pandas as pd
import pytest
from fake_study import fake_study

from online_il.layout import Layout, rows_of
from online_il.program import progress

RUNS = {
    "base": ("pretrain", None, [(0, 0, 0)], 0.16),
    "expert": ("grpo", None, [(2, 2, 512)], 0.67),
}
SECONDS = 1.5


def under_way(results: Path) -> Path:
    """A study whose base and expert are finished, with two updates each, on one seed."""
    fake_study(results, runs=RUNS, seeds=(1,))
    return results


def train(results: Path, updates: int, begun: float = 0.0, run: str = "sft-a") -> None:
    """Tell rows as a training does that has come so far; `begun` makes it another training."""
    path = Layout(results).progress("sft", "countdown", run, "seed1")
    progress._kept.pop(path, None)  # A process of its own.
    for done in range(1, updates + 1):
        rows = [row(update, begun) for update in range(1, done + 1)]
        progress.report(path, done=done, total=9, unit="update", rows=rows)
    assert len(rows_of(path).read_text().splitlines()) == updates


def row(update: int, begun: float = 0.0) -> dict[str, float]:
    """An update of a method that has no reward."""
    return {
        "update": update,
        "step": update,
        "samples": 64 * update,
        "tokens": 640 * update,
        "device_seconds": begun + SECONDS * update,
        "loss": 1 / update,
        "learning_rate": 1e-4,
        "reward": float("nan"),
    }


def finished(results: Path, run: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """The training table of a finished run, as its job wrote it."""
    table = pd.read_parquet(Layout(results).training("countdown", run, 1))
    return table[list(columns)]


class StandIn(ModuleType):
    """Takes the calls of wandb and trackio; `runs` are the rows that each run was told."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.runs: dict[str, list[tuple[int, dict[str, float]]]] = {}
        self.opened: list[dict[str, object]] = []

    def init(self, **settings: object) -> SimpleNamespace:
        self.opened.append(settings)
        rows = self.runs.setdefault(str(settings["name"]), [])
        return SimpleNamespace(
            log=lambda numbers, step: rows.append((step, json.loads(json.dumps(numbers)))),
            finish=lambda: None,
        )


def stand_in(name: str, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Put a stand-in in the place of a tracker's package."""
    module = StandIn(name)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def stand_in_writer(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[str, float, int]]]:
    """Put a stand-in in the place of TensorBoard's writer: it keeps the scalars of each folder."""
    scalars: dict[str, list[tuple[str, float, int]]] = {}

    def writer(folder: str) -> SimpleNamespace:
        rows = scalars.setdefault(folder, [])
        return SimpleNamespace(
            add_scalar=lambda tag, data, step: rows.append((tag, data, step)),
            close=lambda: None,
        )

    module = ModuleType("tensorboard.summary")
    vars(module)["Writer"] = writer
    monkeypatch.setitem(sys.modules, "tensorboard", ModuleType("tensorboard"))
    monkeypatch.setitem(sys.modules, "tensorboard.summary", module)
    return scalars
