"""Markdown that is written by programs."""

from collections.abc import Iterable, Sequence


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Write the lines of a Markdown table; a bar in a cell stays part of it."""
    head, *body = (
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
        for line in (columns, *rows)
    )
    return [head, "|" + "---|" * len(columns), *body]
