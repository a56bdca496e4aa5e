"""Write the JSON schema of a config file, against which editors check it as one types."""

import argparse
from pathlib import Path

from online_il.config.study import schema
from online_il.files import write_text
from online_il.program.cli import main, parser


def run(options: argparse.Namespace) -> None:
    write_text(schema(), options.output)


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--output", type=Path, required=True, help="schema to write")
    main(run, arguments)
