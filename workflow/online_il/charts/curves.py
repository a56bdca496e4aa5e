"""Learning curves: accuracy against what training consumed (the paper's Figures 1 and 2).

Every measure (a task, a benchmark and a sampling) is drawn three times: against the samples
consumed, which is the paper's axis, against optimizer updates and against device-seconds.
"""

import itertools
import math
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt
import pandas as pd

from online_il.benchmarks import FORGETTING, IN_DISTRIBUTION, OUT_OF_DISTRIBUTION, TITLES
from online_il.charts.style import DASHES, GREY, INK, Style, styles, themed
from online_il.errors import InputError
from online_il.store import BASE, from_start, learning_curves, query

EXPERT = "expert"
AXES = {
    "samples": "samples consumed (the paper's axis)",
    "updates": "optimizer updates",
    "device_seconds": "device-seconds of training",
}
SAMPLINGS = {
    "policy": "sampled from the policy itself",
    "paper": "the paper's validation sampling",
}
# Interactive only: a click on a run in the legend fades the others.
PICKED = alt.selection_point(name="picked", fields=["run"], bind="legend")
WIDTH, HEIGHT = 250, 220  # Of a panel, pixels.
LINE = 15.0  # Of text, pixels.


class PanelGroup(NamedTuple):
    """One row (Figure 1) or column (Figure 2) of panels."""

    title: str
    scored: str
    means: pd.DataFrame  # One row a run and step.
    seeds: pd.DataFrame  # One row a run, seed and step, what the run starts from being step 0.
    chance: float | None


def figure1(database: Path) -> alt.TopLevelMixin:
    """Draw accuracy in distribution: a row of panels a task and sampling, a column an axis."""
    shown = list(measures(database, IN_DISTRIBUTION))
    rows = [
        alt.hconcat(*panels, spacing=18, title=_heading(measure))
        for measure, panels in zip(shown, _panels(shown, labelled=list(AXES)[-1:]), strict=True)
    ]
    chart = alt.vconcat(*rows, spacing=26)
    return _finished(chart, "In-distribution accuracy during training", shown)


def figure2(database: Path, chance: dict[str, float]) -> alt.TopLevelMixin:
    """Draw accuracy out of distribution (left) and on what the base knew (right), a row an axis.

    `chance` is the accuracy of guessing on the forgetting benchmark of each task.
    """
    shown = list(measures(database, (*OUT_OF_DISTRIBUTION, *FORGETTING), chance))
    columns = [
        alt.vconcat(*panels, spacing=22, title=_heading(measure))
        for measure, panels in zip(shown, _panels(shown, labelled=list(AXES)), strict=True)
    ]
    chart = alt.hconcat(*columns, spacing=24)
    return _finished(chart, "Out-of-distribution accuracy and forgetting during training", shown)


def measures(
    database: Path, benchmarks: Sequence[str], chance: dict[str, float] | None = None
) -> Iterator[PanelGroup]:
    """Read the panel groups of some benchmarks: each task that has one, in each sampling.

    Means over seeds with their bands, and single seeds. A benchmark of what is forgotten is
    one of choices, of which the likeliest counts; `chance` is the accuracy of guessing there.
    """
    # What starts from nothing is no curve: an expert that is a mixture, another base.
    means, seeds = (
        rows[(rows["run"] == BASE) | rows["start"].notna()]
        for rows in (learning_curves(database), from_start(query(database, "evaluations")))
    )
    if not means["benchmark"].isin(benchmarks).any():
        raise InputError(
            f"{database}: no evaluation on {' or '.join(benchmarks)}; "
            "name the benchmarks in the config and run the study again"
        )
    for benchmark in benchmarks:
        scored = means[means["benchmark"] == benchmark]
        single = seeds[seeds["benchmark"] == benchmark]
        for task in scored["task"].unique():
            points = scored.loc[scored["task"] == task, "sampling"].value_counts()
            # A sampling of last checkpoints alone is no curve; the tables have it.
            samplings = set(points[points == points.max()].index)
            for sampling in sorted(samplings, key=[*SAMPLINGS, *samplings].index):
                guessed = benchmark in FORGETTING and chance is not None
                yield PanelGroup(
                    f"{task}, {TITLES[benchmark]}",
                    "the likeliest choice counts" if guessed else SAMPLINGS.get(sampling, sampling),
                    _of(scored, task, sampling),
                    _of(single, task, sampling),
                    chance[task] if guessed and chance is not None else None,
                )


def _of(rows: pd.DataFrame, task: str, sampling: str) -> pd.DataFrame:
    return rows[(rows["task"] == task) & (rows["sampling"] == sampling)]


def _heading(measure: PanelGroup) -> alt.TitleParams:
    return alt.TitleParams(measure.title, subtitle=measure.scored)


def _panels(shown: list[PanelGroup], labelled: list[str]) -> list[list[alt.LayerChart]]:
    """Draw the panels of each group, one an axis; on the axes `labelled` the levels have labels."""
    # The base is where the other runs start, not a run of its own.
    looks = styles({run for measure in shown for run in measure.means["run"]} - {BASE})
    panels = [
        [panel(measure, axis, looks, labelled=axis in labelled) for axis in AXES]
        for measure in shown
    ]
    # All panels share one choice of runs, which has to be declared in one of them.
    panels[0][0] = panels[0][0].add_params(PICKED)
    return panels


def panel(
    measure: PanelGroup, axis: str, looks: dict[str, Style], *, labelled: bool
) -> alt.LayerChart:
    """Draw one panel: lines, bands and single seeds of all runs, and the levels to compare with."""
    # The base is where the other runs start, not a run of its own.
    means = measure.means[measure.means["run"] != BASE]
    means = means.assign(interval=[band(row) for row in means.to_dict("records")])
    columns = ["run", "method", "seeds", "step", *AXES, "accuracy", "band_low", "band_high"]
    columns += ["interval"]
    top = _top(measure)
    names = list(looks)
    colour = alt.Color("run:N").scale(domain=names, range=[look.colour for look in looks.values()])
    dash = alt.StrokeDash("method:N").legend(None)
    dash = dash.scale(domain=list(DASHES), range=list(DASHES.values()))
    shape = alt.Shape("run:N").scale(domain=names, range=[look.marker for look in looks.values()])
    x = alt.X(f"{axis}:Q").title(AXES[axis]).axis(format=",~f", tickCount=4, grid=False)
    y = (
        alt.Y("accuracy:Q")
        .title("accuracy")
        .scale(domain=[0, top], nice=False)
        .axis(format=".2~f", tickCount=5)
    )
    seeds = alt.Chart(measure.seeds[["run", "seed", *AXES, "accuracy"]])
    curves = alt.Chart(means[columns])
    layers = [
        curves.mark_area(clip=True).encode(
            x, y=alt.Y("band_low:Q"), y2="band_high:Q", color=colour, opacity=_faded(0.11)
        ),
        seeds.mark_line(strokeWidth=0.7, clip=True).encode(
            x, y, color=colour, detail="seed:N", opacity=_faded(0.35)
        ),
        *_levels(measure, top, labelled=labelled),
        curves.mark_line(strokeWidth=2).encode(
            x, y, color=colour, strokeDash=dash, opacity=_faded(1)
        ),
        curves.mark_point(size=36, filled=True).encode(
            x,
            y,
            color=colour,
            shape=shape,
            opacity=_faded(1),
            tooltip=[
                alt.Tooltip("run:N"),
                alt.Tooltip("seeds:Q"),
                alt.Tooltip("step:Q"),
                alt.Tooltip("updates:Q", format=",.0f"),
                alt.Tooltip("samples:Q", format=",.0f"),
                alt.Tooltip("device_seconds:Q", title="device-seconds", format=",.1f"),
                alt.Tooltip("accuracy:Q", format=".3f"),
                alt.Tooltip("interval:N", title="95 % band"),
            ],
        ),
    ]
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


def band(point: dict[Hashable, Any]) -> str:
    """Write a point's part of its curve's band in words."""
    return f"[{point['band_low']:.3f}, {point['band_high']:.3f}]"


def _faded(opacity: float) -> alt.Opacity:
    """Make an opacity that drops while other runs are picked."""
    return alt.when(PICKED).then(alt.value(opacity)).otherwise(alt.value(opacity / 8))


def _top(measure: PanelGroup) -> float:
    """Choose the upper end of the accuracy axis: the next tenth above all that is drawn."""
    drawn = [*measure.means["band_high"], *measure.seeds["accuracy"]]
    highest = max(*drawn, measure.chance or 0.0, 0.05)
    return min(1.0, math.ceil(10 * float(highest)) / 10)


def _levels(measure: PanelGroup, top: float, *, labelled: bool) -> list[alt.Chart]:
    """Rule off the accuracies of the base, of the expert in the end, and of guessing."""
    levels = []
    for name, colour in ((EXPERT, INK), (BASE, GREY)):
        run = measure.means[measure.means["run"] == name]
        if len(run):
            last = float(run.sort_values("step")["accuracy"].iloc[-1])
            levels.append((f"{name} {last:.2f}", last, colour))
    if measure.chance is not None:
        levels.append((f"chance {measure.chance:.2f}", measure.chance, GREY))
    rows = pd.DataFrame(levels, columns=["label", "accuracy", "colour"])
    rows["place"] = apart(list(rows["accuracy"]), LINE * top / HEIGHT, top)
    chart = alt.Chart(rows)
    y = alt.Y("accuracy:Q")
    ink = alt.Color("colour:N").scale(None)
    rules = chart.mark_rule(strokeDash=[3, 3], strokeWidth=1).encode(y=y, color=ink)
    text = chart.mark_text(align="left", dx=9, fontSize=12).encode(
        x=alt.value("width"), y="place:Q", text="label:N", color=ink
    )
    return [rules, text] if labelled else [rules]


def apart(values: list[float], least: float, top: float) -> list[float]:
    """Move values where needed so that any two are at least `least` apart, none over `top`.

    They move upwards, and down from `top` where there is no room left below it.
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    places = list(values)
    for lower, upper in itertools.pairwise(order):
        places[upper] = max(places[upper], places[lower] + least)
    ceiling = top
    for index in reversed(order):
        places[index] = min(places[index], ceiling)
        ceiling = places[index] - least
    return places


def _finished(
    chart: alt.HConcatChart | alt.VConcatChart, title: str, shown: list[PanelGroup]
) -> alt.TopLevelMixin:
    """Set the figure's title, and below it what the reader must know to read it."""
    means = pd.concat([measure.means for measure in shown])
    prompts = in_words(means["n_prompts"], "prompt")
    trained = means[means["step"] > 0]  # One base may serve all seeds.
    begin = (
        "all start from the base."
        if (trained["start"] == BASE).all()
        else "each begins with what it starts from."
    )
    most = trained.groupby(["task", "benchmark"])["seeds"].transform("max")
    fewer = trained.assign(most=most)[trained["seeds"] < most]
    few = sorted({f"{r['run']} ({r['seeds']} of {r['most']})" for r in fewer.to_dict("records")})
    notes = [
        f"Mean over {in_words(trained['seeds'], 'seed')}, {prompts} a benchmark; band: 95 % for "
        f"all of a curve at once, over {spread_over(trained)}"
        + ("; thin lines: single seeds." if trained["seeds"].max() > 1 else "."),
        f"Dash-dotted: GRPO; solid: SFT; dashed: on-policy distillation; {begin}",
        "Device-seconds are those of a run's own training, without its expert's.",
        *(
            [f"Of fewer seeds, and of these alone from its start on: {', '.join(few)}."]
            if few
            else []
        ),
    ]
    heading = alt.TitleParams(title, subtitle=notes, fontSize=17, offset=14)
    return themed(chart.properties(title=heading))


def spread_over(rows: pd.DataFrame) -> str:
    """Say what the intervals of some means reach over: a single seed has no spread."""
    return "seeds and prompts" if rows["seeds"].max() > 1 else "prompts"


def in_words(counts: pd.Series, what: str) -> str:
    """Write a count of things, or the range of several counts."""
    low, high = int(counts.min()), int(counts.max())
    number = str(low) if low == high else f"{low}–{high}"
    return f"{number} {what}{'s' if high > 1 else ''}"
