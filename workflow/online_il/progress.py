"""Telling whoever watches how far a job is."""

import json
import time
from pathlib import Path


def report(path: Path, *, done: int, total: int, unit: str, **numbers: float | None) -> None:
    """Tell whoever watches how far this job is, in a small JSON file that is replaced each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.partial")
    aside.write_text(
        json.dumps({"done": done, "total": total, "unit": unit, "time": time.time(), **numbers})
    )
    aside.replace(path)


def summary_of(results: Path) -> str:
    """What a finished study shows in the terminal: the table of accuracies, the figures' paths."""
    table = results / "summary.txt"
    figures = sorted(results.glob("figures/*.html"))
    parts = [table.read_text()] if table.is_file() else []
    return "\n".join([*parts, *(f"figure: {path} (and .svg, .vl.json)" for path in figures)])
