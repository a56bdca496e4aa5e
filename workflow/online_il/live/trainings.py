"""The rows of training so far: the table of what is finished, what is told of the rest."""

import json
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as parquet

from online_il.layout import Layout, Policy
from online_il.records import RunRecord, read_record


class Course(NamedTuple):
    """How a training goes: a row an optimizer update, as in the table `training`."""

    policy: Policy
    method: str
    rows: list[dict[str, Any]]
    finished: bool


def courses(results: Path) -> Iterator[Course]:
    """Yield every training under a results folder, finished or not, that has a row.

    Raises `InputError`, `OSError` or pyarrow's errors for a file that is damaged or was removed.
    """
    layout = Layout(results)
    finished = {
        policy
        for policy in layout.existing_policies()
        if layout.record(*policy).is_file() and layout.training(*policy).is_file()
    }
    for policy in sorted(finished):
        path = layout.training(*policy)
        if rows := _table(path, path.stat().st_mtime_ns):
            method = read_record(layout.record(*policy), RunRecord).method
            yield Course(policy, method, rows, finished=True)
    for method, policy, path in layout.existing_rows():
        if policy not in finished and (rows := _told(path)):
            yield Course(policy, method, rows, finished=False)


@cache
def _table(path: Path, time: int) -> list[dict[str, Any]]:
    """Read a table; `time` is when it was written, so that each is read once."""
    return [_numbers(row) for row in parquet.read_table(path).to_pylist()]


def _told(path: Path) -> list[dict[str, Any]]:
    """Read the rows that a training has told; the last line may still be written."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [_numbers(json.loads(line)) for line in lines]


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    """Keep what was measured: a method has no number for some columns."""
    measured = {name: value for name, value in row.items() if value is not None}
    return {name: value for name, value in measured.items() if math.isfinite(value)}
