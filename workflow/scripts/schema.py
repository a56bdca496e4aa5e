"""Write the JSON schemas of studies and claims, by which editors check them as one types."""

import argparse
from pathlib import Path

from online_il.config import claims, study
from online_il.files import write_text
from online_il.program.cli import main, parser

SCHEMAS = {"schema.json": study.schema, "claims-schema.json": claims.schema}


def run(options: argparse.Namespace) -> None:
    for name, schema in SCHEMAS.items():
        write_text(schema(), options.output / name)


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--output", type=Path, required=True, help="folder to write: config")
    main(run, arguments)
