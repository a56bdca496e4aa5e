"""Compare the results of two studies: other seeds, another config, another version.

Shows for every evaluation that both have the final accuracies and their difference with a 95 %
interval, paired by prompt where both answered the same prompts, the claims' verdicts, and the
settings and versions that differ. Runs are matched by their names, or as --pair says. A folder is
a study's results, or holds one such folder.
"""

import sys
from pathlib import Path
from typing import Annotated

from pydantic import Field
from rich import box
from rich.console import Console
from rich.table import Table

from online_il.claims.comparison import Section, compare, study
from online_il.errors import ParameterError
from online_il.files import write_text
from online_il.markdown import markdown_table
from online_il.program.cli import POSITIONAL, ProgramOptions, main


class Options(ProgramOptions):
    a: Annotated[Path, POSITIONAL] = Field(description="results of the first study")
    b: Annotated[Path, POSITIONAL] = Field(description="results of the second study")
    pair: list[str] = Field(
        [], description="runs of different names to compare, NAME=NAME, the first study's first"
    )
    output: Path | None = Field(None, description="Markdown file to write")


def pairs_of(options: Options) -> list[tuple[str, str]]:
    """Read the pairs. Raises `ParameterError` for one that is not two names."""
    pairs = []
    for text in options.pair:
        one, equals, other = (part.strip() for part in text.partition("="))
        if not (one and equals and other) or "=" in other:
            raise ParameterError(f"--pair {text}: write NAME=NAME, the first study's run first")
        pairs.append((one, other))
    return pairs


def section_table(section: Section) -> Table:
    """Lay out a section for the terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in section.columns:
        table.add_column(column, overflow="fold")  # Half a name may be another run's or key's.
    table.title, table.title_justify = section.title, "left"
    for row in section.rows:
        table.add_row(*row, style="bold" if {"differs", "changed"} & set(row) else None)
    return table


def section_markdown(section: Section) -> list[str]:
    """Write a section as Markdown."""
    head = ["", f"## {section.title}", ""]
    if not section.rows:
        return [*head, section.empty]
    return [*head, *markdown_table(section.columns, section.rows)]


def run(options: Options) -> None:
    pairs = pairs_of(options)
    one = study(options.a)
    other = study(options.b, one.folder.name)
    sections = compare(one, other, pairs)
    wide = None if sys.stdout.isatty() else 120
    console = Console(width=wide, highlight=False, markup=False)
    console.print(f"A: {one.folder}\nB: {other.folder}\n")
    for section in sections:
        console.print(
            section_table(section) if section.rows else f"{section.title}: {section.empty}\n"
        )
    if options.output:
        lines = ["# Two studies", "", f"A: `{one.folder}`, B: `{other.folder}`."]
        lines += [line for section in sections for line in section_markdown(section)]
        write_text("\n".join(lines) + "\n", options.output)
        console.print(f"written: {options.output}")


if __name__ == "__main__":
    main(run, Options, __doc__)
