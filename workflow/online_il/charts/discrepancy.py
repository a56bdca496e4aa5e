"""Figure 3: lengths, keywords, and every discrepancy against the performance gap, a row a pair."""

from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd

from online_il.charts.style import GREY, INK, caption, themed, tooltips
from online_il.discrepancy.bins import cut_in_words
from online_il.discrepancy.measures import GAP, SHARE, WITHIN
from online_il.discrepancy.tables import DiscrepancyTable
from online_il.records import provenance, read_table

EXPERT, STUDENT = "#0072B2", "#D55E00"
WIDTH, HEIGHT = 210, 170  # Of a panel, pixels.


def figure3(*tables: Path) -> alt.TopLevelMixin:
    """Draw three panels a pair: histograms of length, presence of keywords, all against the gap."""
    rows = [_pair(table) for table in tables]
    notes = provenance(tables[0])
    text = caption(
        "Left: lengths of the responses, and below the difference of the two models with the band",
        "in which 95 % of it lies when labels are swapped within prompts. Middle: responses that",
        "hold a keyword, with 95 % intervals over prompts. Right: every discrepancy that is a",
        "share, with its interval, against the absolute performance gap (line; band: its",
        "interval); hollow where it is not above the noise. Lengths in",
        f"{notes['length_unit'].partition(' of ')[0]}, bins of {notes['bin_width']}; all prompts",
        "weigh equally.",
        width=104,
    )
    title = alt.TitleParams("How far apart, and at what cost", subtitle=text, fontSize=16)
    return themed(alt.vconcat(*rows, spacing=24).properties(title=title))


def _pair(table: Path) -> alt.HConcatChart:
    rows, facts = read_table(table, DiscrepancyTable), provenance(table)
    expert, student = rows["expert"][0], rows["student"][0]
    heading = alt.TitleParams(
        f"{expert} (blue) and {student} (orange)",
        subtitle=f"{facts['n_prompts']} prompts, {facts['n_expert']} and {facts['n_student']} "
        f"responses, {cut_in_words(facts)}",
    )
    panels = [_lengths(facts["bins"]), _keywords(facts["presence"]), _strip(rows)]
    return alt.hconcat(*panels, spacing=16, title=heading)


def _lengths(bins: dict[str, Any]) -> alt.VConcatChart:
    edges = bins["edges"]
    frame = pd.DataFrame(
        {
            "start": edges[:-1],
            "end": edges[1:],
            "expert": bins["expert_B"],
            "student": bins["student_B"],
            "low": bins["null_low_B"],
            "high": bins["null_high_B"],
        }
    )
    frame["difference"] = frame["expert"] - frame["student"]
    # Empty bins beside each other are drawn as one: a long response may have made thousands.
    empty = (frame[["expert", "student", "low", "high"]] == 0).all(axis=1)
    run = (~(empty & empty.shift(fill_value=False))).cumsum()
    frame = frame.groupby(run).agg(dict.fromkeys(frame.columns, "first") | {"end": "last"})
    base = alt.Chart(frame)
    x = alt.X("start:Q").title(None).axis(grid=False, tickCount=4, format="~s")
    below = x.title("length").scale(domain=[0, edges[-1]], nice=False)
    bars = [
        base.mark_rect(opacity=0.45, color=colour).encode(
            x.scale(domain=[0, edges[-1]], nice=False),
            alt.Y(f"{name}:Q").title("share").axis(tickCount=3, format="~%"),
            x2="end:Q",
            y2=alt.datum(0),
        )
        for name, colour in (("expert", EXPERT), ("student", STUDENT))
    ]
    y = alt.Y("difference:Q").title("difference").axis(tickCount=3, format="~%")
    band = base.mark_rect(color="#cccccc", opacity=0.8).encode(
        below, alt.Y("low:Q").title("difference"), x2="end:Q", y2="high:Q"
    )
    steps = base.mark_rule(color=INK, strokeWidth=2).encode(
        below,
        y,
        x2="end:Q",
        tooltip=tooltips(
            start=("tokens, from", ","),
            end=("to", ","),
            expert=("expert", ".1%"),
            student=("student", ".1%"),
            difference=("difference", "+.1%"),
            low=("if both were one, above", "+.1%"),
            high=("and below", "+.1%"),
        ),
    )
    return alt.vconcat(
        alt.layer(*bars).properties(width=WIDTH, height=HEIGHT * 0.58),
        alt.layer(band, steps).properties(width=WIDTH, height=HEIGHT * 0.3),
        spacing=4,
    )


def _keywords(presence: list[dict[str, Any]]) -> alt.LayerChart:
    frame = pd.DataFrame(presence, columns=["keyword", "model", "share", "low", "high"])
    base = alt.Chart(frame)
    y = alt.Y("keyword:N").title(None).sort(None)
    offset = alt.YOffset("model:N").sort(["expert", "student"])
    colour = alt.Color("model:N").legend(None)
    colour = colour.scale(domain=["expert", "student"], range=[EXPERT, STUDENT])
    x = alt.X("share:Q").title("responses with the word").axis(format="~%", tickCount=3)
    x = x.scale(domain=[0, 1])
    return alt.layer(
        base.mark_bar(opacity=0.6).encode(x, y, yOffset=offset, color=colour),
        base.mark_rule(color=INK).encode(
            alt.X("low:Q").title("responses with the word"), y, x2="high:Q", yOffset=offset
        ),
    ).properties(width=WIDTH * 0.6, height=HEIGHT)


def _strip(rows: pd.DataFrame) -> alt.LayerChart:
    gap = rows[rows["measure"] == GAP].iloc[0]
    drawn = rows[(rows["unit"] == SHARE) & ~rows["measure"].isin([GAP, WITHIN])].copy()
    drawn["estimate"] = drawn["estimate"].clip(lower=0)  # The classifier's may fall below chance.
    drawn["above the noise"] = drawn["above_noise"].map({True: "yes", False: "no"})
    base = alt.Chart(drawn)
    y = alt.Y("measure:N").title(None).sort(None).axis(labelLimit=260, labelFontSize=11)
    x = alt.X("estimate:Q").title("share").axis(format="~%", tickCount=4)
    ends = sorted(abs(v) for v in (gap["ci_low"], gap["ci_high"]))
    low = 0.0 if gap["ci_low"] * gap["ci_high"] <= 0 else ends[0]
    line = alt.Chart(pd.DataFrame([{"gap": abs(gap["estimate"]), "low": low, "high": ends[1]}]))
    fill = alt.Fill("above the noise:N").legend(None)
    return alt.layer(
        line.mark_rect(color="#f0d9c8").encode(alt.X("low:Q").title("share"), x2="high:Q"),
        line.mark_rule(color=STUDENT, strokeDash=[4, 3]).encode(alt.X("gap:Q")),
        base.mark_rule(color=GREY).encode(alt.X("ci_low:Q"), y, x2="ci_high:Q"),
        base.mark_point(size=55, color=INK, strokeWidth=1.5, opacity=1).encode(
            x,
            y,
            fill=fill.scale(domain=["yes", "no"], range=[INK, "white"]),
            tooltip=tooltips(
                measure=("measure", ""),
                estimate=("share", ".1%"),
                ci_low=("95 % interval, from", ".1%"),
                ci_high=("to", ".1%"),
                null_p95=("95 % of pairs alike are below", ".1%"),
                p_value=("p of being alike", ".2~g"),
            ),
        ),
    ).properties(width=WIDTH, height=HEIGHT)
