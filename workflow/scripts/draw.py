"""Draw one of the figures from what it shows: the study's database, or tables of the theory.

draw.py figure1 results/mini/measurements.duckdb --output-stem figures/figure1
"""

import argparse
import json
from pathlib import Path

from online_il.charts import curves, discrepancy, gaussian, theory
from online_il.charts.style import save
from online_il.program.cli import main, parser

FIGURES = {
    "figure1": curves.figure1,
    "figure2": curves.figure2,
    "figure3": discrepancy.figure3,
    "figure4": gaussian.figure4,
    "theorem1": theory.theorem1,
    "theorem2": theory.theorem2,
    "theorem5": theory.theorem5,
    "horizon": theory.horizon,
}


def run(options: argparse.Namespace) -> None:
    chart = FIGURES[options.figure](*options.inputs, **json.loads(options.settings))
    save(chart, options.output_stem, options.code)


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("figure", choices=FIGURES, help="which one")
    arguments.add_argument("inputs", type=Path, nargs="+", help="database, or a table a panel")
    arguments.add_argument("--settings", default="{}", help="settings of the figure, JSON")
    arguments.add_argument("--code", help="hash of the code, for provenance")
    arguments.add_argument(
        "--output-stem", type=Path, required=True, help="files to write, without .svg and so on"
    )
    main(run, arguments)
