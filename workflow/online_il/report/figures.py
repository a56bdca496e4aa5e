"""The page's charts: learning curves with one panel a measure, training curves, finished figures.

Figures 1 and 2 and the training curves are drawn from the database, each against the paper's axis;
the page's script changes the axis. The others are the `.vl.json` files of their rules, whose
titles and captions become text of the page.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt
import pandas as pd

from online_il.benchmarks import FORGETTING, IN_DISTRIBUTION, OUT_OF_DISTRIBUTION
from online_il.charts.curves import (
    AXES,
    PICKED,
    PanelGroup,
    band,
    measures,
    panel,
)
from online_il.charts.style import Style, styles, themed
from online_il.layout import Layout
from online_il.methods import METHODS
from online_il.store import BASE, query

POINTS = 120
"""A training curve has at most so many points a seed; each is the mean of its neighbours."""
TRACES = {
    "reward": "reward",
    "kl": "KL to the base, nats a token",
    "entropy": "entropy, nats a token",
    "mean_length": "response length, tokens",
}
CURVES = ("figure5",)
"""Finished figures whose horizontal axis can be changed."""
FINISHED = {
    "figure3": "Figure 3",
    "figure4": "Figure 4",
    "figure5": "Figure 5",
    "figure6": "Figure 6",
    "figure7": "Figure 7",
    "theorem1": "Theorem 1",
    "theorem2": "Theorem 2",
    "theorem5": "Theorem 5",
    "horizon": "Remark 3",
}
SIZE = {"width": "container", "height": 260}


class Chart(NamedTuple):
    """One chart of the page: what stands around it, and its Vega-Lite specification."""

    name: str
    title: str
    subtitle: str
    alternative: str
    spec: dict[str, Any]
    curve: bool  # True where its horizontal axis can be changed.
    columns: list[str]
    rows: list[list[str]]


def accuracy_charts(database: Path, figure: int, chance: dict[str, float]) -> list[Chart]:
    """Draw Figure 1 or 2: a chart each task, benchmark and sampling that was measured."""
    wanted = IN_DISTRIBUTION if figure == 1 else (*OUT_OF_DISTRIBUTION, *FORGETTING)
    measured = set(query(database, "SELECT DISTINCT benchmark FROM evaluations")["benchmark"])
    if not measured & set(wanted):
        return []
    shown = list(measures(database, wanted, chance))
    looks = styles({run for measure in shown for run in measure.means["run"]} - {BASE})
    return [
        _accuracy(f"figure{figure}-{index}", measure, looks)
        for index, measure in enumerate(shown)
        if set(measure.means["run"]) - {BASE}
    ]


def _accuracy(name: str, measure: PanelGroup, looks: dict[str, Style]) -> Chart:
    """Draw one panel whose single seeds can be asked for, too."""
    present = set(measure.means["run"])
    lines = panel(
        measure,
        "samples",
        {run: look for run, look in looks.items() if run in present},
        labelled=True,
    )
    seeds = alt.Chart(measure.seeds[["run", "seed", "step", *AXES, "accuracy"]])
    hover = seeds.mark_point(size=60, opacity=0).encode(
        alt.X("samples:Q"), alt.Y("accuracy:Q"), tooltip=["run", "seed", "step", "accuracy"]
    )
    chart = alt.layer(hover, *lines.layer).add_params(PICKED).properties(**SIZE)
    last = measure.means.sort_values("step").groupby("run").tail(1)
    last = last.sort_values("accuracy", ascending=False)
    ends = [f"{row['run']} {row['accuracy']:.3f} {band(row)}" for row in last.to_dict("records")]
    rows = [
        [
            row["run"],
            f"{row['step']}",
            f"{row['updates']:,.0f}",
            f"{row['samples']:,.0f}",
            f"{row['device_seconds']:,.1f}",
            f"{row['accuracy']:.3f}",
            band(row),
        ]
        for row in measure.means.sort_values(["run", "step"]).to_dict("records")
    ]
    return Chart(
        name,
        measure.title,
        measure.scored,
        f"Accuracy during training, {measure.title}, {measure.scored}. At the end: "
        + "; ".join(ends)
        + ".",
        _bare(themed(chart)),
        True,
        ["run", "step", "updates", "samples", "device-seconds", "accuracy", "95 % band"],
        rows,
    )


def training_charts(database: Path) -> list[Chart]:
    """Draw reward, KL, entropy and length during training: a chart each task and quantity."""
    rows = query(database, "training")
    rows = rows[rows["method"].isin(METHODS)]
    charts: list[Chart] = []
    for task, part in rows.groupby("task"):
        for column, title in TRACES.items():
            drawn = part.dropna(subset=[column])
            if len(drawn):
                charts.append(_trace(f"training-{len(charts)}", str(task), column, title, drawn))
    return charts


def _trace(name: str, task: str, column: str, title: str, rows: pd.DataFrame) -> Chart:
    shown = thinned(rows, column)
    looks = styles(set(shown["run"]))
    names = list(looks)
    colour = alt.Color("run:N").scale(domain=names, range=[look.colour for look in looks.values()])
    chart = alt.Chart(shown).encode(
        alt.X("samples:Q").title(AXES["samples"]).axis(format=",~f", tickCount=4, grid=False),
        alt.Y(f"{column}:Q").title(title).axis(tickCount=4),
        color=colour,
        detail="seed:N",
        opacity=alt.when(PICKED).then(alt.value(0.8)).otherwise(alt.value(0.08)),
    )
    tooltip = [
        alt.Tooltip("run:N"),
        alt.Tooltip("seed:N"),
        alt.Tooltip("updates:Q", format=",.0f"),
        alt.Tooltip("samples:Q", format=",.0f"),
        alt.Tooltip(f"{column}:Q", format=".4~g"),
    ]
    chart = alt.layer(
        chart.mark_line(strokeWidth=1.2),
        chart.mark_point(size=50).encode(opacity=alt.value(0), tooltip=tooltip),
    )
    ends = shown.sort_values("samples").groupby(["run", "seed"])[column].agg(["first", "last"])
    ends = ends.groupby("run").mean()
    table = [
        [str(run), f"{row['first']:.4g}", f"{row['last']:.4g}"] for run, row in ends.iterrows()
    ]
    return Chart(
        name,
        f"{task}, {title}",
        "a line a seed",
        f"{title} during training, {task}; first and last, means over seeds: "
        + "; ".join(f"{run} {first}, {last}" for run, first, last in table)
        + ".",
        _bare(themed(chart.add_params(PICKED).properties(width="container", height=200))),
        True,
        ["run", "first", "last"],
        table,
    )


def thinned(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Keep at most `POINTS` rows a run and seed, each the mean of neighbours."""
    rows = rows.rename(columns={"update": "updates"}).sort_values("updates")
    place = rows.groupby(["run", "seed"]).cumcount()
    length = rows.groupby(["run", "seed"])["updates"].transform("size")
    rows = rows.assign(bin=place * POINTS // length.clip(lower=POINTS))
    columns = ["updates", "samples", "device_seconds", column]
    means: pd.DataFrame = rows.groupby(["run", "seed", "bin"], as_index=False)[columns].mean()
    return means.drop(columns="bin").round(6)


def finished_chart(results: Path, name: str) -> Chart | None:
    """Read a figure that a rule has drawn, or None; title and caption are taken out of it."""
    path = Layout(results).figure(name, "vl.json")
    if not path.is_file():
        return None
    spec = json.loads(path.read_text(encoding="utf-8"))
    title = spec.pop("title", {})
    lines = title.get("subtitle", [])
    caption = lines if isinstance(lines, str) else " ".join(lines)
    text = str(title.get("text", "")).removeprefix(f"{FINISHED[name]}: ")
    heading = f"{FINISHED[name]}. {text[:1].upper()}{text[1:]}"
    return Chart(
        name, heading, caption, f"{heading}. {caption}", _bare(spec), name in CURVES, [], []
    )


def rows_of(chart: Chart) -> list[Chart]:
    """Cut a finished figure into a chart a row, under the row's own title."""
    spec, datasets = chart.spec, chart.spec.get("datasets", {})
    found = []
    for index, row in enumerate(spec.get("vconcat", [])):
        title = row.get("title", {})
        shared = {key: value for key, value in spec.items() if key not in ("vconcat", "datasets")}
        drawn = shared | {key: value for key, value in row.items() if key != "title"}
        text_of = json.dumps(drawn)
        used = {name: rows for name, rows in datasets.items() if f'"{name}"' in text_of}
        text, subtitle = title.get("text", ""), title.get("subtitle", "")
        found.append(
            chart._replace(
                name=f"{chart.name}-{index}",
                title=text,
                subtitle=subtitle,
                alternative=f"{chart.title}: {text}, {subtitle}. {chart.subtitle}",
                spec={**drawn, "datasets": used},
            )
        )
    return found


def _bare(chart: alt.TopLevelMixin | dict[str, Any]) -> dict[str, Any]:
    """Take out of a specification what the page sets itself: background, padding, font, schema."""
    spec = chart if isinstance(chart, dict) else chart.to_dict()
    config = spec.get("config", {})
    for key in ("background", "padding", "font"):
        config.pop(key, None)
    spec.pop("$schema", None)
    spec.pop("usermeta", None)
    config.setdefault("axis", {})["labelSeparation"] = 6
    return {**spec, "background": None, "config": config}
