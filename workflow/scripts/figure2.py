"""Draw Figure 2: accuracy out of distribution, and forgetting, during training."""

import argparse
import json
from pathlib import Path

from online_il.charts.curves import figure2
from online_il.charts.style import save
from online_il.cli import main, parser


def run(options: argparse.Namespace) -> None:
    chance = {task: float(rate) for task, rate in json.loads(options.chance).items()}
    save(figure2(options.database, chance), options.output_stem, options.code)


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--database", type=Path, required=True, help="database of the study")
    arguments.add_argument("--code", help="hash of the code, for provenance")
    arguments.add_argument(
        "--chance", required=True, help="accuracy of guessing on forgetting by task, JSON"
    )
    arguments.add_argument(
        "--output-stem", type=Path, required=True, help="files to write, without .svg and so on"
    )
    main(run, arguments)
