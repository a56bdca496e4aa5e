"""Draw Theorem 1: risk of each learner against the bound's rate C log K / N."""

import argparse
from pathlib import Path

from online_il.charts.style import save
from online_il.charts.theory import theorem1
from online_il.cli import main, parser


def run(options: argparse.Namespace) -> None:
    save(theorem1(options.table), options.output_stem, options.code)


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--table", type=Path, required=True, help="table of the theorem")
    arguments.add_argument("--code", help="hash of the code, for provenance")
    arguments.add_argument(
        "--output-stem", type=Path, required=True, help="files to write, without .svg and so on"
    )
    main(run, arguments)
