"""Gather the comparisons of all pairs as Table 1: Parquet, Markdown and LaTeX."""

import argparse
from pathlib import Path

import pandas as pd

from online_il.discrepancy.tables import DiscrepancyTable, table1_latex, table1_markdown
from online_il.files import write_table, write_text
from online_il.program.cli import main, parser
from online_il.provenance import versions
from online_il.records import provenance, read_table


def note(facts: dict[str, object]) -> str:
    """Write what a reader must know of a pair."""
    return (
        f"{facts['n_prompts']} prompts; {facts['n_expert']} and {facts['n_student']} responses, "
        f"{facts['truncated_expert']} and {facts['truncated_student']} of them cut off; lengths in "
        f"{str(facts['length_unit']).partition(' of ')[0]}, bins of {facts['bin_width']}; "
        f"{facts['weights']}."
    )


def run(options: argparse.Namespace) -> None:
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
    arguments = parser(__doc__)
    arguments.add_argument("--tables", type=Path, nargs="+", required=True, help="a table a pair")
    arguments.add_argument("--code", help="hash of the code, for provenance")
    arguments.add_argument(
        "--output", type=Path, nargs=3, required=True, help="files to write: .parquet, .md, .tex"
    )
    main(run, arguments)
