"""The finished figures and tables of a report, made by the project's own programs.

The theory's programs get the theorems of the smoke config and the four panels of the mini config.
Responses are random words, for no study was trained; the mixtures' study is made up, too.
"""

import json
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_mixtures import made_up
from test_discrepancy import models, write
from test_pair_tables import frame, kl, rows_of

from online_il.config.arms import FIGURES
from online_il.config.study import load
from online_il.files import write_table
from online_il.layout import Layout
from online_il.pairs.tables import DivergenceTable

ROOT = Path(__file__).parents[2]
# The key of the config that holds each theorem's settings.
THEOREMS = {
    "theorem1": "offline_bound",
    "theorem2": "alignment",
    "theorem5": "pessimism",
    "horizon": "horizon",
}
# The students: a seed of the pair's responses, and how far the log of their length is off.
PAIRS = {"sft-realizable": (1, 0.1), "sft-unrealizable": (2, 1.5)}


def run(name: str, *words: object) -> None:
    """Run a program in this process, so that all of them import Altair and start Vega once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *map(str, words)])
        patch.setattr(signal, "signal", lambda *_: None)  # A program's handlers would outlive it.
        patch.chdir(Path(__file__).parent)  # Where Snakemake has run, programs would leave locks.
        runpy.run_path(str(ROOT / "workflow" / "scripts" / f"{name}.py"), run_name="__main__")


def draw(figure: str, inputs: list[Path], folder: Path, **settings: object) -> None:
    """Draw a figure into a folder, as its rule does."""
    words = ("--settings", json.dumps(settings), "--output-stem", folder / figure)
    run("draw", figure, *inputs, *words)


def flags(settings: dict[str, Any]) -> list[str]:
    """Settings as the options of a program, as the rules write them."""
    words: list[str] = []
    for key, value in settings.items():
        values = value if isinstance(value, list) else [value]
        repeated = key == "expert_weight" or isinstance(values[0], list)
        for group in values if repeated else [values]:
            words += [f"--{key.replace('_', '-')}"]
            words += map(str, group if isinstance(group, list) else [group])
    return words


def draw_theory(results: Path) -> None:
    """Figure 4, the figure of each theorem, and the slopes of Theorem 1."""
    tables, drawn = results / "theory", results / "figures"
    panels = load(ROOT / "config" / "mini.yaml").theory.model_dump(exclude_none=True)["gaussian"]
    for panel in panels:
        problem = {key: panel[key] for key in panel if key not in ("name", "title")}
        run("theory_gaussian", *flags(problem), "--out", tables / f"{panel['name']}.parquet")
    found = [tables / f"{panel['name']}.parquet" for panel in panels]
    titles = [panel["title"] for panel in panels]
    draw("figure4", found, drawn, titles=titles)
    theory = load(ROOT / "config" / "smoke.yaml").theory.model_dump(exclude_none=True)
    for theorem, key in THEOREMS.items():
        table = tables / f"{theorem}.parquet"
        run(f"theory_{theorem}", *flags(theory[key]), "--out", table)
        draw(theorem, [table], drawn)
    output = results / "tables" / "theorem1.md"
    run("slopes", "--table", tables / "theorem1.parquet", "--output", output)


def draw_discrepancy(results: Path) -> None:
    """Figure 3 and Table 1 of two pairs, one alike and one far apart."""
    folder = results / "discrepancy"
    folder.mkdir()
    found = [folder / f"{student}.parquet" for student in PAIRS]
    for table, (student, (seed, shift)) in zip(found, PAIRS.items(), strict=True):
        responses = models(seed, shift)
        expert, other = (
            write(folder / f"{student}-{i}.jsonl", rows) for i, rows in enumerate(responses)
        )
        files = ("--expert", expert, "--student", other)
        names = ("--expert-name", "expert", "--student-name", student)
        measured = ("--keyword", "a", "--keyword", "b", "--bin-width", 10, "--resamples", 200)
        run("discrepancy", *files, *names, *measured, "--out", table)
    draw("figure3", found, results / "figures")
    tables = [results / "tables" / f"table1.{kind}" for kind in ("parquet", "md", "tex")]
    run("table1", "--tables", *found, "--output", *tables)


def draw_mixtures(results: Path) -> None:
    """Figures 5 to 7 of a made-up study, and the table of divergences of two of its pairs."""
    folder = results / "mixtures"
    folder.mkdir()
    study, database = made_up(folder)
    for figure, students in FIGURES.items():
        shown = {task.name: students(task) for task in study.tasks}
        draw(figure, [database], results / "figures", shown=shown)
    infinite = kl(np.inf, np.nan, "kl_student_expert", "3 of 256 responses have no probability")
    rows = frame(rows_of("sft-mixture", kl(3.0, 0.1)), rows_of("distill-mixture", infinite))
    write_table(rows, DivergenceTable, Layout(results).table("divergence", "parquet"), {})
