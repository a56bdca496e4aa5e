"""Lay the tokenizer of a model of the hub in the study's results, without its weights."""

import argparse
import shutil
from pathlib import Path

from online_il.config.hub import Tokenizer
from online_il.hub import tokenizer_folder
from online_il.layout import step
from online_il.program.cli import main, parser


def run(options: argparse.Namespace) -> None:
    source = tokenizer_folder(Tokenizer.model_validate_json(options.settings))
    files = sorted(source.glob("tokenizer*"))
    place = step(options.output)
    shutil.rmtree(options.output, ignore_errors=True)
    place.mkdir(parents=True)
    for path in files:
        shutil.copy2(path, place / path.name)


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--settings", required=True, help="settings of the model, JSON")
    arguments.add_argument("--code", help="hash of the code; a change of it reruns the rule")
    arguments.add_argument("--output", type=Path, required=True, help="folder to write")
    main(run, arguments)
