"""Draw Figure 1: accuracy in distribution against samples, updates and device-seconds."""

import argparse
from pathlib import Path

from online_il.charts.curves import figure1
from online_il.charts.style import save
from online_il.cli import main, parser


def run(options: argparse.Namespace) -> None:
    save(figure1(options.database), options.output_stem, options.code)


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--database", type=Path, required=True, help="database of the study")
    arguments.add_argument("--code", help="hash of the code, for provenance")
    arguments.add_argument(
        "--output-stem", type=Path, required=True, help="files to write, without .svg and so on"
    )
    main(run, arguments)
