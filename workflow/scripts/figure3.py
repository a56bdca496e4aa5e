"""Draw Figure 3: lengths, keywords and every discrepancy against the performance gap."""

import argparse
from pathlib import Path

from online_il.charts.discrepancy import figure3
from online_il.charts.style import save
from online_il.cli import main, parser


def run(options: argparse.Namespace) -> None:
    save(figure3(options.tables), options.output_stem, options.code)


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--tables", type=Path, nargs="+", required=True, help="a table a pair")
    arguments.add_argument("--code", help="hash of the code, for provenance")
    arguments.add_argument(
        "--output-stem", type=Path, required=True, help="files to write, without .svg and so on"
    )
    main(run, arguments)
