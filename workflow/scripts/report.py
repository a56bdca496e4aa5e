"""Write the report of a study: one page that opens from disk, without a network."""

import argparse
import json
from pathlib import Path

from online_il.config.study import ConfigError, load
from online_il.errors import ParameterError
from online_il.files import write_text
from online_il.program.cli import main, parser
from online_il.report.page import page


def run(options: argparse.Namespace) -> None:
    if not options.results.is_dir():
        raise ParameterError(f"--results {options.results}: no such folder; run the study first")
    try:
        study = load(options.config, json.loads(options.overrides))
    except ConfigError as error:
        raise ParameterError(str(error)) from None
    chance = {task: float(rate) for task, rate in json.loads(options.chance).items()}
    html = page(options.results, study, options.config, options.deviations, chance, options.code)
    write_text(html, options.output)


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--results", type=Path, required=True, help="results of the study")
    arguments.add_argument("--config", type=Path, required=True, help="config of the study")
    arguments.add_argument("--overrides", default="{}", help="what --config laid over it, JSON")
    arguments.add_argument("--deviations", type=Path, required=True, help="docs/paper.md")
    arguments.add_argument(
        "--chance", default="{}", help="accuracy of guessing on forgetting by task, JSON"
    )
    arguments.add_argument("--code", help="hash of the code, for provenance")
    arguments.add_argument("--output", type=Path, required=True, help="page to write, .html")
    main(run, arguments)
