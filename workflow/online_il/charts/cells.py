"""Figure 7: whose prefixes by which direction of the KL, a table of cells for each start."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt
import pandas as pd

from online_il.charts.arms import arms_of, counted, curves_of, finished, title_of
from online_il.charts.curves import in_words, spread_over
from online_il.charts.style import caption, number, short, tooltips
from online_il.config.arms import CELLS, ON_POLICY, RESPONSE, SFT, Way
from online_il.store import BASE, query

INK = "#1b1b1b"  # On the light cells of any colour scheme, so not the ink of the other figures.
BLANK, FRAME = "#fafafa", "#b5b5b5"  # Of cells without a number.
LOW, MIDDLE, HIGH = "#f6cdb5", "#f5f1e8", "#a9dcc8"  # Of cells, by accuracy.
WIDTH, HEIGHT = (
    132,
    92,
)  # Of a cell, pixels: its words need them on any screen, so it has no other size.
OFFLINE, ONLINE = "expert's prefixes (offline)", "own prefixes (online)"
HARD, WHOLE = "hard labels", "whole responses"
COLUMNS = [HARD, "forward KL", "reverse KL", WHOLE]
IMPOSSIBLE = [(OFFLINE, WHOLE), (ONLINE, HARD)]
NAMES = {SFT: "SFT", ON_POLICY: "on-policy distillation", RESPONSE: "reverse KL"}


class Place(NamedTuple):
    """The cell of a way to imitate."""

    row: str
    column: str


def place_of(way: Way) -> Place:
    """Find the cell of a way to imitate."""
    if way == SFT:
        return Place(OFFLINE, HARD)
    row = ONLINE if way.prefixes == "own" else OFFLINE
    return Place(row, WHOLE if way == RESPONSE else f"{way.divergence} KL")


def figure7(database: Path, shown: dict[str, list[str]]) -> alt.TopLevelMixin:
    """Draw final accuracy and the share of direct answers, a table each start."""
    arms = arms_of(database, shown)
    tables, drawn = [], []
    for (task, benchmark), curves in curves_of(database, arms).items():
        ends = curves[curves["step"] == curves.groupby("run")["step"].transform("max")]
        columns = ["run", "way", "arm", "coverage"]
        cells = ends.merge(arms.loc[arms["task"] == task, columns], on="run")
        top = float(max(cells["accuracy"].max(), 0.05))
        usual = float(cells["updates"].mode().iloc[0])
        # The base first.
        for start in sorted(cells["start"].unique(), key=lambda start: (start != BASE, start)):
            part = cells[cells["start"] == start]
            begun = curves[(curves["run"] == part["run"].iloc[0]) & (curves["step"] == 0)]
            heading = alt.TitleParams(
                f"{title_of(task, benchmark)}: from "
                + ("the base" if start == BASE else _named(start)),
                subtitle=_of_start(begun, part["updates"], usual),
            )
            tables.append(_table(part, top).properties(title=heading))
        drawn.append(cells)
    cells = pd.concat(drawn)
    parts = query(
        database,
        "SELECT DISTINCT task, run AS expert, json_keys(settings -> 'parts') AS parts,"
        " settings ->> 'learnable' AS learnable FROM runs WHERE method = 'mixture'",
    )
    experts = cells[["task", "expert", "coverage"]].drop_duplicates(["task", "expert"])
    experts = experts.merge(parts, on=["task", "expert"])
    text = caption(
        f"Accuracy at the end of training with its 95 % interval over {spread_over(cells)}.",
        "Direct: the share of responses that are the solver's, which answers before any thought:",
        "the habit of the expert that the student's class cannot do well. Imitated is",
        "; ".join(map(_of_expert, experts.to_dict("records"))) + " everywhere.",
        "Whole responses: all of Equation 5's gradient; other cells take each token by itself,",
        "on-policy distillation among them. –: no arm; hard labels are on the expert's responses,",
        "whole responses are the student's.",
        counted(cells),
    )
    return finished(alt.vconcat(*tables, spacing=22), "Whose prefixes, and which direction", text)


def _named(start: str) -> str:
    run, _, step = start.partition("@")
    return f"{short(run)}, step {step}" if step else short(run)


def _of_expert(mixture: dict[Hashable, Any]) -> str:
    """Name a mixture with its C, and its parts but for the learnable one and the solver."""
    others = [part for part in mixture["parts"] if part not in (mixture["learnable"], "solver")]
    also = f", neither direct nor learnable: {', '.join(map(short, others))}" if others else ""
    return f"{short(mixture['expert'])} (C = {number(mixture['coverage'])}{also})"


def _of_start(begun: pd.DataFrame, updates: pd.Series, usual: float) -> str:
    """Say how good what a table's runs start from is, and how many updates follow if not as usual.

    Where it is not measured, nothing is said of it.
    """
    said = []
    for first in begun.to_dict("records"):
        direct = f", direct {first['direct']:.2f}" if pd.notna(first["direct"]) else ""
        said.append(f"before: accuracy {first['accuracy']:.2f}{direct}")
    if (updates != usual).any():
        said.append(f"{in_words(updates, 'update')} instead of {usual:,.0f}")
    return "; ".join(said)


def _table(rows: pd.DataFrame, top: float) -> alt.LayerChart:
    """Draw the cells of one start; colours reach from an accuracy of 0 to `top`."""
    known = dict(zip(rows["way"], rows.to_dict("records"), strict=True))
    cells = []
    for way in CELLS:
        row = known.get(way)
        cell = {"row": place_of(way).row, "column": place_of(way).column}
        if row is None:
            cells.append({**cell, "blank": "not run"})
            continue
        direct = "" if pd.isna(row["direct"]) else f"direct {row['direct']:.2f}"
        cells.append(
            {
                **cell,
                "name": NAMES.get(way, ""),
                "run": row["run"],
                "accuracy": row["accuracy"],
                "shown": f"{row['accuracy']:.2f}",
                "interval": f"[{row['low']:.2f}, {row['high']:.2f}]",
                "direct": direct,
                "seeds": row["seeds"],
                "updates": row["updates"],
            }
        )
    cells += [{"row": row, "column": column, "blank": "–"} for row, column in IMPOSSIBLE]
    if len(known) == 1:
        cells = [cell for cell in cells if "run" in cell]
    columns = [column for column in COLUMNS if column in {cell["column"] for cell in cells}]
    lines = [line for line in (OFFLINE, ONLINE) if line in {cell["row"] for cell in cells}]
    chart = alt.Chart(pd.DataFrame(cells))
    x = alt.X("column:N").title(None).sort(columns).scale(domain=columns, padding=0)
    x = x.axis(orient="top", domain=False, ticks=False, labelAngle=0, labelPadding=6, labelLimit=0)
    y = alt.Y("row:N").title(None).scale(domain=lines, padding=0)
    y = y.axis(domain=False, ticks=False, labelPadding=8, labelLimit=0)
    colour = alt.Color("accuracy:Q").legend(None)
    colour = colour.scale(domain=[0, top / 2, top], range=[LOW, MIDDLE, HIGH])
    told = tooltips(
        run=("run", ""),
        accuracy=("accuracy", ".3f"),
        interval=("95 % interval", ""),
        direct=("", ""),
        seeds=("seeds", ".0f"),
        updates=("updates", ",.0f"),
    )
    # Words lie over their cell, so they answer as it does; what nobody ran has no answer.
    measured = chart.transform_filter("isValid(datum.accuracy)").encode(x, y, tooltip=told)
    blank = chart.transform_filter("!isValid(datum.accuracy)").encode(x, y)
    width, height = alt.RelativeBandSize(0.97), alt.RelativeBandSize(0.96)
    frame = blank.mark_rect(fill=BLANK, stroke=FRAME, strokeDash=[3, 3], width=width, height=height)
    nobody = [
        frame,
        blank.mark_text(fontSize=13, color="#4a4a4a").encode(text="blank:N"),
    ]

    def line(field: str, dy: float, size: float, colour: str = INK, **more: str) -> alt.Chart:
        text = measured.mark_text(dy=dy, fontSize=size, color=colour, **more)
        return text.encode(text=f"{field}:N")

    return alt.layer(
        measured.mark_rect(stroke="white", strokeWidth=3).encode(color=colour),
        *(nobody if len(known) > 1 else []),
        line("name", -32, 11, "#4a4a4a"),
        line("shown", -10, 20, fontWeight="bold"),
        line("interval", 10, 11, "#4a4a4a"),
        line("direct", 30, 13),
    ).properties(width=alt.Step(WIDTH), height=alt.Step(HEIGHT))
