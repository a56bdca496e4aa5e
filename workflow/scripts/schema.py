"""Write the JSON schemas of studies and claims, by which editors check them as one types."""

from pathlib import Path

from pydantic import Field

from online_il.config import claims, study
from online_il.files import write_text
from online_il.program.cli import ProgramOptions, main

SCHEMAS = {"schema.json": study.schema, "claims-schema.json": claims.schema}


class Options(ProgramOptions):
    output: Path = Field(description="folder to write: config")


def run(options: Options) -> None:
    for name, schema in SCHEMAS.items():
        write_text(schema(), options.output / name)


if __name__ == "__main__":
    main(run, Options, __doc__)
