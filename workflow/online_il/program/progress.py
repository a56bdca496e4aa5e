"""Telling whoever watches how far a job is."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from online_il.files import write_text
from online_il.layout import Layout, rows_of

STARTED = time.time()
"""When this process began, seconds since 1970: from it follows how long the job will take."""


def report(
    path: Path,
    *,
    done: int,
    total: int,
    unit: str,
    rows: Sequence[dict[str, Any]] | None = None,
    **numbers: float | None,
) -> None:
    """Tell whoever watches how far this job is, in a small JSON file that is replaced each time.

    `rows` are those of its table so far; they are kept beside it (`layout.rows_of`).
    """
    state = {"done": done, "total": total, "unit": unit, "started": STARTED, "time": time.time()}
    # Written often, and of no use once the machine is gone.
    write_text(json.dumps(state | numbers), path, lasting=False)
    if rows is not None:
        _keep(rows, rows_of(path))


_kept: dict[Path, int] = {}
"""How many rows this process has written to a file."""


def _keep(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Append the rows that are new; a process that goes on writes those before it anew."""
    before = _kept.get(path, 0)
    goes_on = 0 < before < len(rows) and path.is_file()
    lines = [f"{json.dumps(row)}\n" for row in rows[before if goes_on else 0 :]]
    if goes_on:
        with path.open("a", encoding="utf-8") as stream:
            stream.writelines(lines)
    else:
        write_text("".join(lines), path, lasting=False)
    _kept[path] = len(rows)


def running(results: Path, since: float) -> list[tuple[str, dict[str, Any]]]:
    """List the name and the numbers of every job that is not done and told its progress `since`."""
    jobs = []
    for name, path in Layout(results).existing_progress():
        try:
            numbers = json.loads(path.read_text())
        except (OSError, ValueError):
            continue  # Replaced or removed between the listing and the reading.
        if numbers["time"] >= since and numbers["done"] < numbers["total"]:
            jobs.append((name, numbers))
    return jobs


def in_words(numbers: dict[str, Any]) -> str:
    """Write the numbers of one job in a line."""
    parts = [f"{numbers['unit']} {numbers['done']}/{numbers['total']}"]
    for key in ("reward", "loss", "accuracy"):
        if numbers.get(key) is not None:
            parts.append(f"{key} {numbers[key]:.3f}")
    if numbers.get("tokens_per_second"):
        parts.append(f"{numbers['tokens_per_second']:,.0f} tokens/s")
    return "  ".join(parts)


def seconds_of(benchmark: Path) -> float | None:
    """Read from its benchmark file how long a job took; None where that is not written yet."""
    try:
        return float(benchmark.read_text().splitlines()[1].split("\t")[0])
    except (OSError, IndexError, ValueError):
        return None


def shown(layout: Layout) -> list[Path]:
    """List what is there of the verdicts, table, figures and report that a start's end shows."""
    listed = (layout.claims(), layout.summary, *layout.existing_figures(), layout.report)
    return [path for path in listed if path.is_file()]


def is_shown(layout: Layout, path: Path) -> bool:
    """Tell whether the end of a start shows a file, which may not be there so far."""
    figure = layout.figure(path.stem, "html")
    return path in (layout.claims(), layout.summary, layout.report, figure)


def asked_for(layout: Layout) -> list[Path]:
    """List what is there of the files that the end of a start shows, and that it was asked for."""
    there = shown(layout)
    if not layout.asked.is_file():
        return there
    names = json.loads(layout.asked.read_text())
    return [path for path in there if str(path.relative_to(layout.results)) in names]


def summary_of(results: Path) -> str:
    """Show a finished study in the terminal: the table of accuracies, the figures' paths."""
    layout = Layout(results)
    asked, table = asked_for(layout), layout.summary
    parts = [table.read_text()] if table in asked else []
    figures = [path for path in layout.existing_figures() if path in asked]
    return "\n".join([*parts, *(f"figure: {path} (and .svg, .vl.json)" for path in figures)])
