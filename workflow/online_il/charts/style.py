"""The look of all figures, and the writing of their files.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; each run also has a marker
of its own and each method a dash, so that a print in grey can be read too.
"""

import json
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import altair as alt
import vl_convert

from online_il.files import write_text
from online_il.methods import METHODS

# Altair refuses more than 5,000 rows; the traces of some forty runs have them.
alt.data_transformers.disable_max_rows()

INK = "#222222"
GREY = "#6e6e6e"


class Style(NamedTuple):
    """The colour, dash and mark of one run."""

    colour: str
    marker: str


KNOWN = {
    "expert": Style("#000000", "square"),
    "sft-realizable": Style("#0072B2", "circle"),
    "sft-unrealizable": Style("#D55E00", "diamond"),
    "sft-self": Style("#CC79A7", "cross"),
    "distill-realizable": Style("#009E73", "triangle-up"),
    "distill-unrealizable": Style("#E69F00", "triangle-down"),
}
SPARE = [
    Style("#56B4E9", "triangle-right"),
    Style("#8C6D00", "triangle-left"),
    Style("#5D3A9B", "diamond"),
    Style("#8B3A3A", "triangle-down"),
    Style("#7F7F7F", "circle"),
]
# In the order of the legend.
DASHES = {name: list(method.dash) for name, method in METHODS.items()}


def styles(runs: Iterable[str]) -> dict[str, Style]:
    """Choose the style of each run, in the order in which legends show them.

    The first 25 without a style of their own differ, in colour or in mark.
    """
    names = set(runs)
    known = {name: look for name, look in KNOWN.items() if name in names}
    return known | {
        name: Style(
            SPARE[number % len(SPARE)].colour,
            SPARE[(number + number // len(SPARE)) % len(SPARE)].marker,
        )
        for number, name in enumerate(sorted(names - set(KNOWN)))
    }


def caption(*parts: str, width: int = 92) -> list[str]:
    """Break a paragraph into the lines of a subtitle, none of them inside a formula."""
    whole = re.sub(r" (?=[/=] |log |%)|(?<= [/=]) |(?<=\blog) ", "\u00a0", " ".join(parts))
    return [
        line.replace("\u00a0", " ") for line in textwrap.wrap(whole, width, break_on_hyphens=False)
    ]


def short(name: str, most: int = 30) -> str:
    """Cut the middle out of a name that is too long to be drawn: its end tells names apart, too."""
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"


def number(value: float) -> str:
    """Write a number with three decimals at most."""
    return f"{value:,.3f}".rstrip("0").rstrip(".")


def themed(chart: alt.TopLevelMixin) -> alt.TopLevelMixin:
    """Set the fonts and lines of all figures on a chart."""
    return chart.configure(
        background="white",
        font="Helvetica, Arial, Liberation Sans, sans-serif",
        padding=12,
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            labelColor=INK,
            titleColor=INK,
            labelFlush=False,
            gridColor="#ececec",
            domainColor="#999999",
            tickColor="#999999",
        ),
        legend=alt.LegendConfig(
            orient="top",
            title=None,
            labelFontSize=13,
            labelColor=INK,
            labelLimit=0,
            symbolSize=110,
            symbolOpacity=1,
            symbolStrokeWidth=2,
            columnPadding=22,
            offset=10,
        ),
        title=alt.TitleConfig(
            anchor="start",
            fontSize=13,
            fontWeight="bold",
            color=INK,
            subtitleFontSize=12,
            subtitleColor=GREY,
        ),
    )


def tooltips(**columns: tuple[str, str]) -> list[alt.Tooltip]:
    """List what pointing at a mark shows: each column's title and format; words have no format."""
    return [
        alt.Tooltip(
            f"{name}:{'Q' if form else 'N'}", title=title, **({"format": form} if form else {})
        )
        for name, (title, form) in columns.items()
    ]


def save(chart: alt.TopLevelMixin, stem: Path, code: str | None) -> None:
    """Write a chart as `<stem>.svg`, `.vl.json` and `.html`, which needs no network."""
    spec = chart.properties(usermeta={"code_hash": code}).to_dict()
    version = alt.SCHEMA_VERSION.rpartition(".")[0]  # The minor version, such as v6.1.
    texts = {
        ".svg": vl_convert.vegalite_to_svg(spec, vl_version=version),
        ".vl.json": json.dumps(spec, indent=1),
        ".html": vl_convert.vegalite_to_html(spec, vl_version=version, bundle=True),
    }
    for ending, text in texts.items():
        write_text(text, stem.with_name(stem.name + ending))
