"""Telling whoever watches how far a job is."""

import json
import time
from pathlib import Path

from online_il.files import write_text
from online_il.layout import Layout

STARTED = time.time()
"""When this process began, seconds since 1970: from it follows how long the job will take."""


def report(path: Path, *, done: int, total: int, unit: str, **numbers: float | None) -> None:
    """Tell whoever watches how far this job is, in a small JSON file that is replaced each time."""
    state = {"done": done, "total": total, "unit": unit, "started": STARTED, "time": time.time()}
    # Written often, and of no use once the machine is gone.
    write_text(json.dumps(state | numbers), path, lasting=False)


def asked_for(layout: Layout) -> list[Path]:
    """List what is there of the files that the end of a start shows, and that it was asked for."""
    there = [path for path in layout.shown() if path.is_file()]
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
