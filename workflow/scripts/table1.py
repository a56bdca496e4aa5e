"""Gather the comparisons of all pairs as Table 1: Parquet, Markdown and LaTeX."""

from pathlib import Path

import pandas as pd
from pydantic import Field

from online_il.discrepancy.tables import DiscrepancyTable, note, table1_latex, table1_markdown
from online_il.files import write_table, write_text
from online_il.program.cli import ProgramOptions, main
from online_il.provenance import versions
from online_il.records import provenance, read_table


class Options(ProgramOptions):
    tables: list[Path] = Field(description="a table a pair")
    code: str | None = Field(None, description="hash of the code, for provenance")
    output: tuple[Path, Path, Path] = Field(description="files to write: .parquet, .md, .tex")


def run(options: Options) -> None:
    tables = [read_table(path, DiscrepancyTable) for path in options.tables]
    facts = [provenance(path) for path in options.tables]
    rows = pd.concat(tables, ignore_index=True)
    pairs = [f"{table['expert'][0]} / {table['student'][0]}" for table in tables]
    notes = dict(zip(pairs, map(note, facts), strict=True))
    data, text, typeset = options.output
    write_table(
        rows,
        DiscrepancyTable,
        data,
        {"code_hash": options.code, "versions": versions(), "pairs": notes},
    )
    write_text(table1_markdown(rows, notes), text)
    write_text(table1_latex(rows), typeset)


if __name__ == "__main__":
    main(run, Options, __doc__)
