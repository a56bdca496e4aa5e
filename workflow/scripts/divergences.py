"""Gather what is measured of all students and the probabilities of their experts."""

from pathlib import Path

import pandas as pd
from pydantic import Field

from online_il.files import write_table, write_text
from online_il.pairs.tables import DivergenceTable, markdown, note_of
from online_il.program.cli import ProgramOptions, main
from online_il.provenance import versions
from online_il.records import provenance, read_table


class Options(ProgramOptions):
    tables: list[Path] = Field(min_length=1, description="a table a student")
    code: str | None = Field(None, description="hash of the code, for provenance")
    output: tuple[Path, Path] = Field(description="files to write: .parquet, .md")


def run(options: Options) -> None:
    tables = [read_table(path, DivergenceTable) for path in options.tables]
    notes = [
        note_of(table["student"].iloc[0], provenance(path))
        for table, path in zip(tables, options.tables, strict=True)
    ]
    rows, (data, text) = pd.concat(tables, ignore_index=True), options.output
    where = {"code_hash": options.code, "versions": versions(), "notes": notes}
    write_table(rows, DivergenceTable, data, where)
    write_text(markdown(rows, notes), text)


if __name__ == "__main__":
    main(run, Options, __doc__)
