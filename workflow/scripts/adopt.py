"""Take a model as it is for the base of a task: step 0 of every run that starts from it."""

import argparse
import json
from pathlib import Path

from online_il.layout import step
from online_il.program.cli import add_run, main, parser
from online_il.provenance import file_hash
from online_il.training.publish import publish_base


def run(options: argparse.Namespace) -> None:
    publish_base(
        options,
        source=step(options.model),
        method="pretrained",
        settings=json.loads(options.settings),
        rows=[],
        prompts_hash=file_hash(options.prompts),
    )


if __name__ == "__main__":
    arguments = parser(__doc__)
    add_run(arguments)
    arguments.add_argument("--settings", required=True, help="settings of the base, JSON")
    arguments.add_argument("--model", type=Path, required=True, help="the model's folder")
    arguments.add_argument("--prompts", type=Path, required=True, help="table of prompts")
    arguments.add_argument("--checkpoints", type=Path, required=True, help="folder to write")
    arguments.add_argument("--training", type=Path, required=True, help="training table to write")
    arguments.add_argument("--record", type=Path, required=True, help="manifest to write")
    main(run, arguments)
