"""Figure 4: Gaussian experts, classes of Gaussian students, and where both KL directions lead."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import altair as alt
import contourpy
import numpy as np
import pandas as pd

from online_il.charts.style import INK, caption, themed
from online_il.records import provenance, read_table
from online_il.theory import gaussian
from online_il.theory.tables import GaussianTable

EXPERT, REVERSE, FORWARD = "#0072B2", "#D55E00", "#009E73"
NAMES = {"reverse_kl": "reverse KL", "forward_kl": "forward KL"}
COLOURS = {"expert": EXPERT, "reverse KL": REVERSE, "forward KL": FORWARD}
REACH = 6.0  # Of the axes, from the origin.
SIDE = 225  # Of a panel, pixels.
DEVIATIONS = (1.0, 2.0)
"""Contours lie where a single Gaussian's would: that many standard deviations from its mean."""


def figure4(*tables: Path, titles: list[str]) -> alt.TopLevelMixin:
    """Draw a panel a table, two a row."""
    panels = [_panel(table, title) for table, title in zip(tables, titles, strict=True)]
    rows = [alt.hconcat(*panels[i : i + 2], spacing=20) for i in range(0, len(panels), 2)]
    text = caption(
        "Actions are points of the plane; the reward is 1 in the shaded half, y ≥ 0. Blue:",
        "contours of the expert, 1 and 2 deviations. Dashed black: means of the students N(μ, I).",
        "Orange and green: the student nearest to the expert by reverse KL (as in on-policy",
        "distillation) and by forward KL (as in SFT), with its contour at 1 deviation. V: expected",
        "reward; TV: to the expert. Where the two students coincide, a panel says nothing about",
        "online against offline imitation.",
        width=84,
    )
    title = alt.TitleParams("Gaussian experts and students", subtitle=text, fontSize=16)
    return themed(alt.vconcat(*rows, spacing=16).properties(title=title))


def _read(table: Path) -> tuple[gaussian.GaussianProblem, dict[str, dict[str, Any]]]:
    """Read the problem of a table, and its first row of each divergence."""
    given = provenance(table)["parameters"]
    problem = gaussian.problem(
        given["expert_mean"],
        given["expert_weight"],
        given["class_direction"],
        given["class_point"],
        given["reward_normal"],
        given["reward_threshold"],
    )
    rows = read_table(table, GaussianTable).drop_duplicates("divergence")
    return problem, {str(row["divergence"]): row for row in rows.to_dict("records")}  # type: ignore[misc]


def _values(rows: dict[str, dict[str, Any]]) -> list[str]:
    """Write V and TV of the expert and both students, for the head of a panel."""
    reverse, forward = rows["reverse_kl"], rows["forward_kl"]
    return [
        f"expert V {reverse['value_expert']:.3f}",
        *(
            f"{name} KL V {row['value']:.3f}, TV {row['total_variation']:.3f}"
            for name, row in (("reverse", reverse), ("forward", forward))
        ),
    ]


def _panel(table: Path, title: str) -> alt.LayerChart:
    problem, rows = _read(table)
    scale = alt.Scale(domain=[-REACH, REACH], nice=False)
    x = alt.X("x:Q").scale(scale).title("x").axis(grid=False, tickCount=5)
    y = alt.Y("y:Q").scale(scale).title("y").axis(grid=False, tickCount=5)
    # Half-planes of the figure are y >= 0, which the config's panels promise.
    shade = (
        alt.Chart(pd.DataFrame([{"x": -REACH, "y": 0.0, "x2": REACH, "y2": REACH}]))
        .mark_rect(color="#f4ecc8", opacity=0.75)
        .encode(x, y, x2="x2:Q", y2="y2:Q")
    )
    lines = _contours("expert", partial(gaussian.log_density, problem))
    students = []
    for divergence, row in rows.items():
        mean = np.array(json.loads(row["mean"]))
        component = problem._replace(weights_K=np.ones(1), means_K_D=mean[None])
        lines += _contours(NAMES[divergence], partial(gaussian.log_density, component))[:1]
        students.append({"who": NAMES[divergence], "x": mean[0], "y": mean[1]})
    colour = alt.Color("who:N").scale(domain=list(COLOURS), range=list(COLOURS.values()))
    # Forward KL's student may lie on reverse KL's, so one of the contours is dashed.
    dash = alt.StrokeDash("who:N")
    dash = dash.scale(domain=list(COLOURS), range=[[1, 0], [1, 0], [4, 4]])
    contours = (
        alt.Chart(pd.DataFrame([row for line in lines for row in line]))
        .mark_line(strokeWidth=1.3, clip=True)
        .encode(x, y, color=colour, strokeDash=dash, detail="line:N", order="place:Q")
    )
    direction = problem.directions_R_D[0]
    ends = [problem.point_D + far * direction / abs(direction).max() for far in (-REACH, REACH)]
    line = (
        alt.Chart(pd.DataFrame(ends, columns=["x", "y"]))
        .mark_line(color=INK, strokeDash=[5, 4], strokeWidth=1.2, clip=True)
        .encode(x, y)
    )
    places = pd.DataFrame(students)
    # One projection may hide the other, so forward KL is a ring around reverse KL's point.
    forward = places["who"] == NAMES["forward_kl"]
    ring = alt.Chart(places[forward]).mark_point(size=150, strokeWidth=2.2, clip=True)
    point = alt.Chart(places[~forward]).mark_point(size=45, filled=True, opacity=1, clip=True)
    layers = [shade, line, contours, *(m.encode(x, y, color=colour) for m in (ring, point))]
    heading = alt.TitleParams(title, subtitle=_values(rows), fontSize=13, subtitleColor=INK)
    return alt.layer(*layers).properties(width=SIDE, height=SIDE, title=heading)


def _contours(
    who: str, log_density: Callable[[gaussian.Array], gaussian.Array]
) -> list[list[dict[str, Any]]]:
    """Trace the contour lines of a density at the levels of `DEVIATIONS`, one row a line.

    The innermost level first. Levels are those of a unit Gaussian of the density's own height.
    """
    axis = np.linspace(-REACH - 1, REACH + 1, 141)
    grid = np.stack(np.meshgrid(axis, axis), -1)
    height = log_density(grid.reshape(-1, 2)).reshape(grid.shape[:2])
    generator = contourpy.contour_generator(axis, axis, height)
    found = []
    for deviation in DEVIATIONS:
        lines: Any = generator.lines(float(height.max()) - deviation**2 / 2)
        for number, line in enumerate(lines):
            name = f"{who} {deviation} {number}"
            found.append(
                [
                    {"who": who, "line": name, "place": i, "x": float(a), "y": float(b)}
                    for i, (a, b) in enumerate(line)
                ]
            )
    return found
