"""What figures of mixtures have in common: how each way to imitate looks, and who is measured."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import altair as alt
import pandas as pd

from online_il.benchmarks import IN_DISTRIBUTION, TITLES
from online_il.charts.curves import LINE, apart, in_words
from online_il.charts.style import INK, short, themed
from online_il.config.arms import ON_POLICY, RESPONSE, SFT, Way
from online_il.errors import InputError
from online_il.store import learning_curves, query

OFFLINE, ONLINE = (1, 0), (5, 3)  # Dashes: whose responses are learned from.
STAR = "M0,-1.3L0.4,-0.4L1.3,0L0.4,0.4L0,1.3L-0.4,0.4L-1.3,0L-0.4,-0.4Z"  # Of four rays.

Looks = tuple[alt.Color, alt.Shape, alt.StrokeDash]
"""Colour, mark and dash of the arms of a figure."""


class Look(NamedTuple):
    """What the legend calls a way to imitate, its colour, its mark and its dash."""

    label: str
    colour: str
    marker: str
    dash: tuple[int, int]


LOOKS = {
    SFT: Look("SFT (hard labels)", "#0072B2", "circle", OFFLINE),
    SFT._replace(filter="learnable"): Look(
        "SFT, learnable part only", "#8C6D00", "diamond", OFFLINE
    ),
    SFT._replace(filter="correct"): Look("SFT, correct only", "#56B4E9", "cross", OFFLINE),
    Way("distill", "forward", "expert", "token"): Look(
        "forward KL, expert's prefixes", "#E69F00", "square", OFFLINE
    ),
    Way("distill", "reverse", "expert", "token"): Look(
        "reverse KL, expert's prefixes", "#5D3A9B", "triangle-left", OFFLINE
    ),
    Way("distill", "forward", "own", "token"): Look(
        "forward KL, own prefixes", "#D55E00", "triangle-down", ONLINE
    ),
    ON_POLICY: Look("on-policy distillation", "#009E73", "triangle-up", ONLINE),
    RESPONSE: Look("reverse KL, whole responses", "#CC79A7", "triangle-right", ONLINE),
    RESPONSE._replace(divergence="log-density"): Look(
        "log-density, whole responses", "#8B3A3A", "cross", ONLINE
    ),
    Way("distill", "constant", "own", "token"): Look(
        "fixed advantage (control)", "#7F7F7F", STAR, ONLINE
    ),
}
"""In the order of the legends; on-policy distillation is reverse KL on own prefixes, by token."""


class Level(NamedTuple):
    """An accuracy to compare with."""

    label: str
    accuracy: float
    colour: str


def way_of(row: pd.Series) -> Way:
    """Read how a run imitates off a row of `arms`; what old records lack are today's defaults."""
    defaults = {"sft": SFT, "distill": ON_POLICY}.get(str(row["method"]), Way(str(row["method"])))
    given = {key: row[key] for key in Way._fields if isinstance(row[key], str)}
    return defaults._replace(**given)


def arms_of(database: Path, shown: dict[str, list[str]]) -> pd.DataFrame:
    """Read the students that a figure shows, by task, each with the look of its way as `look`.

    A student of a mixture has its `coverage` and its `learnable` part; another one has neither.
    Raises `InputError` where none of them is measured.
    """
    rows = query(database, "arms").merge(
        query(database, "mixtures").rename(columns={"mixture": "expert"}),
        on=["task", "expert"],
        how="left",
    )
    listed = pd.Series(zip(rows["task"], rows["run"], strict=True), dtype=object)
    wanted = {(task, run) for task, runs in shown.items() for run in runs}
    rows = rows[listed.isin(wanted).to_numpy()]
    if rows.empty:
        raise InputError(f"{database}: none of the runs that this figure shows is measured in it")
    ways = [way_of(row) for _, row in rows.iterrows()]
    looks = [LOOKS.get(way, Look(way.method, INK, "circle", OFFLINE)) for way in ways]
    own = pd.Series(ways, index=rows.index, dtype=object)
    return rows.assign(way=own, arm=[look.label for look in looks])


def curves_of(database: Path, arms: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Read the curves in distribution with their bands, by task and benchmark.

    Only what measures one of the `arms` counts, sampled from the policies themselves.
    Raises `InputError` where that is nothing.
    """
    rows = learning_curves(database)
    rows = rows[(rows["sampling"] == "policy") & rows["benchmark"].isin(IN_DISTRIBUTION)]
    found = {
        (str(task), benchmark): part
        for benchmark in IN_DISTRIBUTION
        for task, part in rows[rows["benchmark"] == benchmark].groupby("task")
        if set(part["run"]) & set(arms.loc[arms["task"] == task, "run"])
    }
    if not found:
        raise InputError(
            f"{database}: no run that this figure shows has a benchmark in distribution"
        )
    return dict(sorted(found.items(), key=lambda item: item[0][0]))


def title_of(task: str, benchmark: str) -> str:
    """Say what a panel measures."""
    return f"{short(task)}, {TITLES[benchmark]}"


def final(curves: pd.DataFrame, run: str) -> float | None:
    """Give the accuracy at the end of a run's curve, None where it is not measured."""
    own = curves[curves["run"] == run].sort_values("step")
    return float(own["accuracy"].iloc[-1]) if len(own) else None


def counted(rows: pd.DataFrame) -> str:
    """Say over how many seeds and prompts means are taken, and which arms have fewer seeds."""
    seeds, prompts = in_words(rows["seeds"], "seed"), in_words(rows["n_prompts"], "prompt")
    most = rows.groupby(["task", "benchmark"])["seeds"].transform("max")
    fewer = []
    for (_, run, arm), own in rows.assign(less=rows["seeds"] < most).groupby(
        ["task", "run", "arm"]
    ):
        less = own[own["less"]]
        where = "" if own["less"].all() else " at step " + ", ".join(map(str, sorted(less["step"])))
        if len(less):
            fewer.append(f"{arm} ({short(str(run))}), {in_words(less['seeds'], 'seed')}{where}")
    named = f" Fewer: {'; '.join(fewer)}." if fewer else ""
    return f"Means over {seeds} and {prompts}, sampled from the policies themselves.{named}"


def looks_of(arms: pd.DataFrame) -> list[Look]:
    """List the looks of some arms in the order of the legends; a way without one comes last."""
    names = set(arms["arm"])
    known = [look for look in LOOKS.values() if look.label in names]
    others = sorted(names - {look.label for look in known})
    return known + [Look(name, INK, "circle", OFFLINE) for name in others]


def legend_of(arms: pd.DataFrame) -> Looks:
    """Set colour, mark and dash of each arm that is shown, with one legend for all of them."""
    looks = looks_of(arms)
    domain = [look.label for look in looks]
    legend = alt.Legend(columns=3, symbolStrokeWidth=0)
    colour = alt.Color("arm:N").legend(legend)
    shape = alt.Shape("arm:N").legend(legend)
    return (
        colour.scale(domain=domain, range=[look.colour for look in looks]),
        shape.scale(domain=domain, range=[look.marker for look in looks]),
        alt.StrokeDash("arm:N")
        .legend(legend)
        .scale(domain=domain, range=[list(look.dash) for look in looks]),
    )


def level_marks(
    levels: list[Level], top: float, height: int, named: Sequence[Level] = ()
) -> list[alt.Chart]:
    """Rule off accuracies to compare with; their labels stand on the right, apart.

    What is `named` has a label among the others and no rule.
    """
    rows = pd.DataFrame([*levels, *named], columns=Level._fields)
    rows["place"] = apart(list(rows["accuracy"]), LINE * top / height, top)
    ink = alt.Color("colour:N").scale(None)
    rules = alt.Chart(rows[: len(levels)]).mark_rule(strokeDash=[3, 3], strokeWidth=1)
    text = alt.Chart(rows).mark_text(align="left", dx=7, fontSize=12)
    return [
        rules.encode(y=alt.Y("accuracy:Q"), color=ink),
        text.encode(x=alt.value("width"), y="place:Q", text="label:N", color=ink),
    ]


def finished(chart: alt.VConcatChart, title: str, text: list[str]) -> alt.TopLevelMixin:
    """Set a figure's title and caption."""
    heading = alt.TitleParams(title, subtitle=text, fontSize=16, offset=12)
    return themed(chart.properties(title=heading))
