"""Figures 5 and 6: the same expert imitated offline and online, and what its coverage costs.

Both are drawn from the study's database; which runs they show, by task, follows from the config
(`online_il.config.arms`). The expert is a mixture of which students can represent one part.
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path

import altair as alt
import pandas as pd

from online_il.charts.arms import (
    Level,
    Looks,
    arms_of,
    counted,
    curves_of,
    final,
    finished,
    legend_of,
    level_marks,
    looks_of,
    title_of,
)
from online_il.charts.curves import AXES, band, spread_over
from online_il.charts.style import GREY, INK, caption, number, short, tooltips
from online_il.store import BASE

LINES_WIDTH, LINES_HEIGHT = 238, 290  # Of a panel of Figure 5, pixels.
COVERAGE_WIDTH, COVERAGE_HEIGHT = 480, 320  # Of Figure 6.
LETTER = 7.0  # Of a label, pixels, digits being the widest.


def figure5(database: Path, shown: dict[str, list[str]]) -> alt.TopLevelMixin:
    """Draw the learning curves of all arms: unrealizable expert left, realizable one right."""
    arms = arms_of(database, shown)
    looks = legend_of(arms)
    rows, drawn = [], []
    for (task, benchmark), curves in curves_of(database, arms).items():
        students = arms.loc[arms["task"] == task, ["run", "arm", "coverage", "learnable"]]
        points = curves.merge(students, on="run")
        # What each panel rules off is drawn in both.
        top = _top([*points["band_high"], *_ends(curves, points["expert"])])
        mixed_first = points.sort_values("coverage", na_position="last")["expert"].unique()
        panels = [
            _learning(curves, points[points["expert"] == expert], looks, top)
            for expert in mixed_first
        ]
        drawn.append(points)
        rows.append(alt.hconcat(*panels, spacing=24, title=title_of(task, benchmark)))
    points = pd.concat(drawn)
    trained = points[points["step"] > 0]
    text = caption(
        "The same ways to imitate an expert that the student's class cannot represent (left) and",
        "the part of it that the class can, by itself (right). All start from the base. Solid:",
        "learned from the expert's responses (offline); dashed: from the student's own (online).",
        "On-policy distillation is the reverse KL on own prefixes, token by token.",
        counted(trained),
        f"Bands: 95 % for all of a curve at once, over {spread_over(trained)}. Points: what was",
        "measured; lines only join them.",
        _of_update(points),
    )
    chart = alt.vconcat(*rows, spacing=26)
    return finished(chart, "One expert, imitated offline and online", text)


def _learning(
    curves: pd.DataFrame, points: pd.DataFrame, looks: Looks, top: float
) -> alt.LayerChart:
    """Draw the curves of one expert's students, and the levels to compare them with."""
    first = points.iloc[0]
    if pd.notna(first["coverage"]):
        title = f"unrealizable: {short(first['expert'])}, C = {number(first['coverage'])}"
        levels = [(first["expert"], "the expert"), (first["learnable"], "learnable part")]
    else:
        title, levels = f"realizable: {short(first['expert'])}", [(first["expert"], "the expert")]
    points = points.assign(interval=[band(row) for row in points.to_dict("records")])
    columns = ["run", "arm", "seeds", "step", *AXES, "accuracy", "band_low", "band_high"]
    chart, (colour, shape, dash) = alt.Chart(points[[*columns, "interval"]]), looks
    x = alt.X("samples:Q").title(AXES["samples"]).axis(format=",~f", tickCount=4, grid=False)
    y = alt.Y("accuracy:Q").title("accuracy").scale(domain=[0, top], nice=False)
    y = y.axis(format=".2~f", tickCount=5)
    shown = tooltips(
        arm=("taught by", ""),
        run=("run", ""),
        seeds=("seeds", ".0f"),
        updates=("updates", ",.0f"),
        samples=("samples", ",.0f"),
        accuracy=("accuracy", ".3f"),
        interval=("95 % band", ""),
    )
    # All bands on one another leave what is below them to be seen.
    faint = min(0.1, 1 - 0.6 ** (1 / points["arm"].nunique()))
    area = chart.mark_area(clip=True, opacity=faint)
    marks = chart.mark_point(size=34, filled=True, opacity=1)
    return alt.layer(
        area.encode(x, y=alt.Y("band_low:Q"), y2="band_high:Q", color=colour),
        *level_marks(_levels(curves, [*levels, (BASE, "base")]), top, LINES_HEIGHT),
        chart.mark_line(strokeWidth=2).encode(x, y, color=colour, strokeDash=dash),
        marks.encode(x, y, color=colour, shape=shape, tooltip=shown),
    ).properties(width=LINES_WIDTH, height=LINES_HEIGHT, title=title)


def figure6(database: Path, shown: dict[str, list[str]]) -> alt.TopLevelMixin:
    """Draw final accuracy against coverage: a line an arm, a panel a task and benchmark."""
    arms = arms_of(database, shown)
    looks = legend_of(arms)
    panels, drawn = [], []
    for (task, benchmark), curves in curves_of(database, arms).items():
        own = arms[arms["task"] == task]
        ends = curves[curves["step"] == curves.groupby("run")["step"].transform("max")]
        columns = ["run", "arm", "coverage", "learnable", "demonstrations"]
        points = ends.merge(own[columns], on="run")
        panel = _coverage(points, ends, looks)
        panels.append(panel.properties(title=title_of(task, benchmark)))
        drawn.append(points)
    points = pd.concat(drawn)
    several = points.duplicated(["task", "benchmark", "arm", "coverage"])
    text = caption(
        "Accuracy at the end of training against the coverage coefficient C: one over the share of",
        "the expert's responses that the student's class can represent (Theorem 1's rate is",
        "C log K / N). Of N demonstrations an offline learner has N / C to learn from; a learner",
        "that asks for the expert's probabilities has them everywhere.",
        counted(points),
        f"Whiskers: 95 % over {spread_over(points)}.",
        "Where several experts have one C, lines lead through their mean." if several.any() else "",
    )
    chart = alt.vconcat(*panels, spacing=26)
    return finished(chart, "What coverage costs offline and online", text)


def _coverage(rows: pd.DataFrame, ends: pd.DataFrame, looks: Looks) -> alt.LayerChart:
    """Draw one panel: `rows` are the students' last checkpoints, `ends` those of all policies."""
    first = rows.iloc[0]
    experts = rows[["expert", "coverage"]].drop_duplicates("expert")
    experts = experts.merge(ends[["run", "accuracy"]], left_on="expert", right_on="run")
    of_widest = experts.loc[experts["coverage"] == experts["coverage"].max(), "accuracy"]
    named = [Level("the expert itself", of_widest.mean(), GREY)] if len(of_widest) else []
    top = _top([*rows["high"], *experts["accuracy"]])
    rows = rows.assign(
        interval=[f"[{row['low']:.3f}, {row['high']:.3f}]" for row in rows.to_dict("records")]
    )
    values = sorted(rows["coverage"].unique())
    # Arms stand beside each other, so that no whisker hides another one.
    names = [look.label for look in looks_of(rows)]
    aside = {name: 1.07 ** (index - (len(names) - 1) / 2) for index, name in enumerate(names)}
    rows["at"] = rows["coverage"] * rows["arm"].map(aside)
    scale = alt.Scale(type="log", domain=[values[0] / 1.4, values[-1] * 1.4], nice=False)
    x, at = alt.X("coverage:Q").scale(scale), alt.X("at:Q").scale(scale)
    x = x.axis(values=values, grid=False, **_labels(values, rows["demonstrations"]))
    y = alt.Y("accuracy:Q").title("accuracy at the end").scale(domain=[0, top], nice=False)
    y = y.axis(format=".2~f", tickCount=5)
    columns = ["run", "arm", "seeds", "at", "coverage", "accuracy", "low", "high"]
    chart, (colour, shape, dash) = alt.Chart(rows[[*columns, "interval"]]), looks
    shown = tooltips(
        arm=("taught by", ""),
        run=("run", ""),
        coverage=("coverage C", ",.3~f"),
        seeds=("seeds", ".0f"),
        accuracy=("accuracy", ".3f"),
        interval=("95 % interval", ""),
    )
    levels = [(first["learnable"], "learnable part"), (BASE, "base")]
    expert = alt.Chart(experts)
    mean = alt.Y("mean(accuracy):Q").title("accuracy at the end")
    return alt.layer(
        *level_marks(_levels(ends, levels), top, COVERAGE_HEIGHT, named),
        expert.mark_line(color=GREY, strokeWidth=1).encode(x, mean),
        expert.mark_point(color=GREY, size=22, filled=True, opacity=1).encode(x, y),
        chart.mark_line(strokeWidth=2).encode(at, mean, color=colour, strokeDash=dash),
        chart.mark_rule(strokeWidth=1.5).encode(at, alt.Y("low:Q"), y2="high:Q", color=colour),
        chart.mark_point(size=60, filled=True, opacity=1).encode(
            at, y, color=colour, shape=shape, tooltip=shown
        ),
    ).properties(width=COVERAGE_WIDTH, height=COVERAGE_HEIGHT)


def _labels(values: list[float], demonstrations: pd.Series) -> dict[str, object]:
    """Write coverage below its axis, and N / C where the offline learners have one number N.

    What has no room beside the label on its left has none, and the title names it.
    """
    counts = sorted(demonstrations.dropna().unique())
    labels = [
        [number(value), *([f"{counts[0] / value:,.0f}"] if len(counts) == 1 else [])]
        for value in values
    ]
    pixels = COVERAGE_WIDTH / math.log(1.4**2 * values[-1] / values[0])
    unnamed, end = [], -math.inf
    for index, (value, lines) in enumerate(zip(values, labels, strict=True)):
        at, half = pixels * math.log(value), LETTER * max(map(len, lines)) / 2
        if at - half < end:
            unnamed.append(" with N / C = ".join(lines))
            labels[index] = [""]
        else:
            end = at + half + LETTER
    title = ["coverage C of the expert"]
    if len(counts) == 1:
        title.append(f"below: learnable ones of {counts[0]:,.0f} demonstrations, N / C")
    elif counts:
        numbers = " or ".join(f"{count:,.0f}" for count in counts)
        title.append(f"no N / C: the arms differ in the number N of demonstrations, {numbers}")
    if unnamed:
        title += caption("without room for a label: C =", "; ".join(unnamed), width=80)
    return {
        "title": title,
        "labelExpr": f"{json.dumps(labels)}[indexof({json.dumps(values)}, datum.value)]",
        "labelLineHeight": 16,
        "labelOverlap": False,
    }


def _levels(curves: pd.DataFrame, wanted: list[tuple[str, str]]) -> list[Level]:
    """Read the last accuracies of some policies, (run, label), of those that are measured."""
    ends = [(run, label, final(curves, run)) for run, label in wanted]
    return [
        Level(f"{label} {end:.2f}", end, GREY if run == BASE else INK)
        for run, label, end in ends
        if end is not None
    ]


def _ends(curves: pd.DataFrame, runs: Iterable[str]) -> list[float]:
    found = [final(curves, run) for run in set(runs)]
    return [end for end in found if end is not None]


def _top(accuracies: list[float]) -> float:
    """Choose the upper end of an accuracy axis: the next tenth above all that is drawn."""
    return min(1.0, math.ceil(10 * max(*accuracies, 0.05)) / 10)


def _of_update(points: pd.DataFrame) -> str:
    """Say how many samples an update takes, where that is the same for all."""
    trained = points[points["updates"] > 0]
    sizes = (trained["samples"] / trained["updates"]).round(6).unique()
    return f"An update takes {sizes[0]:g} samples." if len(sizes) == 1 else ""
