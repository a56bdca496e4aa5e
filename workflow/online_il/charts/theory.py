"""The figures of Theorems 1, 2 and 5 and of the horizon, at the width of a paper's column."""

import math
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd

from online_il.charts.style import GREY, INK, caption, themed, tooltips
from online_il.records import Table, provenance, read_table
from online_il.theory.tables import HorizonTable, Theorem1Table, Theorem2Table, Theorem5Table

WIDTH, HEIGHT = 160, 200  # Of a panel, pixels; three side by side fill a column.
LEAST = 1e-6
"""Lower end of the axes of risk; what is below is not drawn."""

LEARNERS = {
    "offline": ("offline, Bayes-optimal", "#0072B2", "circle"),
    "sft": ("offline, maximum likelihood", "#56B4E9", "cross"),
    "on_policy": ("on-policy, sees πᵉ(y|x)", "#009E73", "triangle-up"),
    "ipw_density": ("base samples, f = p", "#D55E00", "diamond"),
    "ipw_log_shifted": ("base samples, f = shifted log", "#E69F00", "square"),
    "ipw_log": ("base samples, f = log", "#CC79A7", "triangle-down"),
}
BALANCED = "β = √(log K / CN)"
"""The beta that balances the bound's two terms, with C of the base for the best student."""
SWEEPS = {"samples": "samples N", "coverage": "coverage C", "contexts": "policies K = 2ˡ"}


def slopes(table: Path) -> pd.DataFrame:
    """Fit log risk to log rate by least squares over each sweep; give the ratio's range, too.

    Points where the rate is at its ceiling of 1 or the risk below `LEAST` are left out; a slope
    needs two. Columns: sweep, learner, slope, points, ratio_low, ratio_high.
    """
    rows = read_table(table, Theorem1Table)
    fitted = rows[(rows["sweep"] != "centre") & (rows["rate"] < 1) & (rows["risk_exact"] >= LEAST)]
    found = []
    for (sweep, learner), part in fitted.groupby(["sweep", "learner"], sort=False):
        slope = math.nan
        if part["rate"].nunique() > 1:
            slope = float(np.polyfit(np.log(part["rate"]), np.log(part["risk_exact"]), 1)[0])
        found.append((sweep, learner, slope, len(part), part["ratio"].min(), part["ratio"].max()))
    columns = ["sweep", "learner", "slope", "points", "ratio_low", "ratio_high"]
    return pd.DataFrame(found, columns=columns)


def theorem1(table: Path) -> alt.TopLevelMixin:
    """Draw risk against the rate: a panel a sweep, a line a learner, the rate itself dashed."""
    rows = _with_titles(table, Theorem1Table, {k: v[0] for k, v in LEARNERS.items()})
    centre = rows[rows["sweep"] == "centre"].iloc[0]
    offline = rows[(rows["learner"] == LEARNERS["offline"][0]) & (rows["rate"] < 1)]
    contexts = offline[offline["sweep"] == "contexts"].sort_values("contexts")
    limit = 1 / (2 * math.e * math.log(2))
    most, widest = contexts.iloc[-1], rows[rows["sweep"] == "coverage"]["coverage"].max()
    far = rows[(rows["sweep"] == "coverage") & (rows["coverage"] == widest)]
    text = caption(
        "Expected risk V* − V on Theorem 1's instance against the bound's rate C log K / N",
        f"(dashed); one parameter is swept, the others stay at l = {centre['contexts']},",
        f"C = {centre['coverage']:g}, N = {centre['samples']:,}. Lines: exact; points: Monte",
        f"Carlo with two standard errors. Offline risk is {offline['ratio'].min():.2f} to",
        f"{offline['ratio'].max():.2f} of the rate over all sweeps ({most['ratio']:.3f} at",
        f"l = {most['contexts']}; the limit of many contexts is 1 / (2e ln 2) = {limit:.3f}).",
        f"At C = {widest:g} the risks are",
        "; ".join(f"{r.learner} {r.risk_exact:.1g}" for r in far.itertuples()) + ".",
        f"Risks below {LEAST:g} are not drawn; learners that coincide hide each other.",
    )
    panels = [_risk_panel(rows[rows["sweep"] == sweep], title) for sweep, title in SWEEPS.items()]
    chart = alt.hconcat(*panels, spacing=10)
    return _finished(chart, "Theorem 1: what offline imitation cannot learn", text)


def _risk_panel(rows: pd.DataFrame, title: str) -> alt.LayerChart:
    rows = _with_errors(rows[rows["risk_exact"] >= LEAST], LEAST)
    x = alt.X("rate:Q").scale(type="log").title("C log K / N").axis(tickCount=3, format="~e")
    y = (
        alt.Y("risk_exact:Q")
        .scale(type="log", domain=[LEAST, 1])
        .title("risk")
        .axis(tickCount=4, format="~e")
    )
    colour, shape = _looks({look[0]: (look[1], look[2]) for look in LEARNERS.values()})
    chart = alt.Chart(rows)
    points = chart.transform_filter(f"datum.risk >= {LEAST}")
    rate = alt.Chart(rows.drop_duplicates("rate")).mark_line(color=INK, strokeDash=[4, 3])
    return alt.layer(
        rate.encode(x, alt.Y("rate:Q")),
        chart.mark_line(strokeWidth=1.5).encode(x, y, color=colour),
        points.mark_rule().encode(x, alt.Y("low:Q"), y2="high:Q", color=colour),
        points.mark_point(size=40, filled=True, opacity=1).encode(
            x,
            alt.Y("risk:Q"),
            color=colour,
            shape=shape,
            tooltip=tooltips(
                learner=("learner", ""),
                contexts=("contexts l (K = 2^l)", ","),
                coverage=("coverage C", ".3~g"),
                samples=("samples N", ","),
                rate=("C log K / N", ".3~g"),
                risk_exact=("risk, exact", ".3~g"),
                risk=("risk, simulated", ".3~g"),
            ),
        ),
    ).properties(width=WIDTH, height=HEIGHT, title=f"over the {title}")


def theorem2(table: Path) -> alt.TopLevelMixin:
    """Draw the bound and the true worst risk against epsilon, a panel an instance."""
    rows = read_table(table, Theorem2Table)
    lines = {
        "worst_risk": "true worst risk",
        "best": "bound, α of the best fit",
        "tenfold": "bound, ten times that α",
    }
    true = rows[rows["fit"] == "best"].assign(line=lines["worst_risk"], shown=rows["worst_risk"])
    bounds = rows.assign(line=rows["fit"].map(lines), shown=rows["bound"])
    drawn = pd.concat([true, bounds])
    drawn = drawn[np.isfinite(drawn["shown"]) & (drawn["epsilon"] > 0)]
    results = []
    for name, part in rows[rows["fit"] == "best"].groupby("instance", sort=False):
        first = part.sort_values("epsilon").iloc[0]
        results.append(
            f"{name} ({first['policies']} students, α = {first['alpha']:.3g}): at ε = "
            f"{first['epsilon']:g} bound {first['bound']:.3g}, true {first['worst_risk']:.3g}."
        )
    floor = 1e-4
    text = caption(
        "Worst risk max V − V over the students within ε of the best J = E f(πᵉ), and Theorem 2's",
        "bound (ε + δ(ε)) / α, all by enumeration; a bound above 1 (grey) says nothing. The",
        "Gaussian classes of Figure 4, discretised, have f = log πᵉ, Theorem 1's class has f = πᵉ.",
        *results,
        "Any α > 0 makes a decomposition; what a large one leaves of the gap lies between δ's",
        "students (J ≥ J(π*) − ε) and the theorem's (J ≥ max J − ε). Risks of 0 are drawn at",
        f"{floor:g}.",
    )
    colour, shape = _looks(
        {
            lines["worst_risk"]: (INK, "circle"),
            lines["best"]: ("#D55E00", "triangle-up"),
            lines["tenfold"]: ("#E69F00", "diamond"),
        },
        "line",
    )
    panels = []
    for name, part in drawn.groupby("instance", sort=False):
        chart = alt.Chart(part.assign(shown=part["shown"].clip(lower=floor)))
        x = alt.X("epsilon:Q").scale(type="log").title("ε").axis(tickCount=3, format="~e")
        top = 10 ** math.ceil(math.log10(max(1.0, float(drawn["shown"].max()))))
        y = alt.Y("shown:Q").scale(type="log", domain=[floor, top]).title("risk")
        y = y.axis(tickCount=5, format="~g")
        one = alt.Chart(pd.DataFrame([{"y": 1.0}])).mark_rule(color=GREY, strokeDash=[2, 2])
        tooltip = tooltips(
            line=("line", ""),
            epsilon=("ε", ".2~g"),
            alpha=("α", ".3~g"),
            delta=("δ(ε)", ".3~g"),
            bound=("bound", ".3~g"),
            worst_risk=("worst risk", ".3~g"),
        )
        marks = chart.mark_line(point=False, strokeWidth=1.5).encode(x, y, color=colour)
        points = chart.mark_point(size=40, filled=True, opacity=1)
        points = points.encode(x, y, color=colour, shape=shape, tooltip=tooltip)
        panels.append(
            alt.layer(one.encode(alt.Y("y:Q")), marks, points).properties(
                width=WIDTH, height=HEIGHT, title=str(name)
            )
        )
    chart = alt.hconcat(*panels, spacing=10)
    return _finished(chart, "Theorem 2: a bound as good as its δ", text)


def theorem5(table: Path) -> alt.TopLevelMixin:
    """Draw risk against samples: a line a beta, behaviour cloning, and the bound."""
    rows = read_table(table, Theorem5Table)
    given = provenance(table)["parameters"]
    cloned = rows["learner"] == "behaviour_cloning"
    names = rows["beta"].map(lambda beta: f"β = {beta:g}")
    names = names.mask(rows["is_theory_beta"], BALANCED).mask(cloned, "cloning")
    rows = rows.assign(name=names)
    swept = [f"β = {beta:g}" for beta in sorted(given["beta"])]
    blues = ["#111111", "#08306b", "#2171b5", "#4292c6", "#6baed6", "#9ecae1", "#c6dbef"]
    looks = {name: (blues[min(i, len(blues) - 1)], "circle") for i, name in enumerate(swept)}
    looks |= {BALANCED: ("#009E73", "triangle-up"), "cloning": ("#D55E00", "diamond")}
    colour, shape = _looks(looks, "name")
    least = min(given["beta"])
    text = caption(
        "Risk of Equation 6's learner on N base samples: one context,",
        f"{given['rare'] + 2} students. The base covers the good action fairly (1/π = 8), a bad",
        f"one better (2) and {given['rare']} bad ones badly ({4 * given['rare']}); the expert",
        f"plays the good one once in {given['coverage']:,.0f}. Grey: Theorem 5's bound over α,",
        "without its constant, at most 1. Risk stays below 0.05 from",
        f"N = {_enough(rows, BALANCED)} with the β that balances the bound,",
        f"from N = {_enough(rows, f'β = {least:g}')} with",
        f"β = {least:g}, from N = {_enough(rows, 'cloning')} for cloning as many expert samples.",
        "What Theorems 5 and 2 prove against Theorem 1: where the base covers the class, asking",
        "for πᵉ costs the base's coverage instead of the expert's. What they do not: that",
        "on-policy distillation does so (this learner samples the base alone), or anything for a",
        "base that covers badly. The bound's root is V_max √(C log K / N); the paper's lacks a",
        "root of V_max.",
    )
    x = alt.X("samples:Q").scale(type="log").title("samples N").axis(tickCount=5, format="~s")
    y = alt.Y("risk:Q").scale(domain=[0, 1]).title("risk")
    bound = alt.Chart(rows.drop_duplicates("samples")).mark_line(color=GREY, strokeDash=[4, 3])
    shown = tooltips(
        name=("learner", ""),
        samples=("samples N", ","),
        risk=("risk", ".3~g"),
        risk_stderr=("its standard error", ".2~g"),
    )
    lines = _lines(rows, x, y, (colour, shape), shown)
    chart = alt.layer(bound.encode(x, alt.Y("bound:Q")), *lines)
    chart = chart.properties(width=3 * WIDTH + 40, height=270)
    return _finished(chart, "Theorem 5: pessimism at work", text)


def _enough(rows: pd.DataFrame, name: str) -> str:
    """Find the number of samples from which a line stays at a risk of at most 0.05."""
    line = rows[rows["name"] == name].sort_values("samples", ascending=False)
    below = line[(line["risk"] <= 0.05).cummin()]["samples"]
    return f"{below.min():,}" if len(below) else f"more than {line['samples'].max():,}"


def horizon(table: Path) -> alt.TopLevelMixin:
    """Draw risk against the horizon: a panel a case, a line a learner."""
    names = {
        "behaviour_cloning": "behaviour cloning",
        "dagger": "DAgger-style labels",
        "reverse_kl": "on-policy, reverse KL",
    }
    rows = _with_titles(table, HorizonTable, names)
    looks = _looks(
        {
            names["behaviour_cloning"]: ("#0072B2", "circle"),
            names["dagger"]: ("#E69F00", "square"),
            names["reverse_kl"]: ("#009E73", "triangle-up"),
        }
    )
    top = 1.08 * float((rows["risk"] + 2 * rows["risk_stderr"]).max())
    panels = []
    for case, part in rows.groupby("case", sort=False):
        first = part.iloc[0]
        x = alt.X("horizon:Q").scale(type="log", base=2).title("horizon H")
        y = alt.Y("risk:Q").scale(domain=[0, top]).title("risk 1 − V / H")
        shown = tooltips(learner=("learner", ""), horizon=("horizon H", ","), risk=("risk", ".3~g"))
        title = f"{case} (C = {first['coverage']:g}, {first['labels']:,} labels)"
        panel = alt.layer(*_lines(part, x, y, looks, shown))
        panels.append(panel.properties(width=WIDTH + 85, height=HEIGHT, title=title))
    at = rows.set_index(["case", "learner", "horizon"])["risk"]
    low, high = int(rows["horizon"].min()), int(rows["horizon"].max())

    def risks(case: str, steps: int) -> str:
        return ", ".join(f"{at[case, name, steps]:.3f}" for name in names.values())

    text = caption(
        "Share of the reward lost in a tabular MDP: on the path one of two actions stays on it, in",
        "each of its contexts; off the path one leads back. In both cases cloning has the same",
        "error a step under the expert. Lost by cloning, DAgger-style labels and reverse KL:",
        *(
            f"{case} {risks(case, low)} at H = {low}, {risks(case, high)} at H = {high};"
            for case in ("realizable", "misspecified")
        ),
        "what grows with H is error accumulation, which labels on own states end (a mistake then",
        f"costs two steps). What differs between the panels, at H = {low} already, is the paper's",
        "cause: labels seldom show what a student can do, and the expert's density shows it at",
        "once.",
    )
    chart = alt.hconcat(*panels, spacing=14)
    return _finished(chart, "Accumulation and misspecification are two causes", text)


def _lines(
    rows: pd.DataFrame,
    x: alt.X,
    y: alt.Y,
    looks: tuple[alt.Color, alt.Shape],
    shown: list[alt.Tooltip],
) -> list[alt.Chart]:
    """Draw a line a learner with its points, and a band of two standard errors."""
    chart, (colour, shape) = alt.Chart(_with_errors(rows, 0.0)), looks
    return [
        chart.mark_area(opacity=0.2).encode(x, alt.Y("low:Q"), y2="high:Q", color=colour),
        chart.mark_line(strokeWidth=1.6).encode(x, y, color=colour),
        chart.mark_point(size=40, filled=True, opacity=1).encode(
            x, y, color=colour, shape=shape, tooltip=shown
        ),
    ]


def _with_errors(rows: pd.DataFrame, least: float) -> pd.DataFrame:
    """Add `low` and `high`: two standard errors below and above a risk, from `least` to 1."""
    reach = 2 * rows["risk_stderr"]
    low, high = (rows["risk"] - reach).clip(lower=least), (rows["risk"] + reach).clip(upper=1)
    return rows.assign(low=low, high=high)


def _with_titles(table: Path, kind: type[Table], names: dict[str, str]) -> pd.DataFrame:
    rows = read_table(table, kind)
    return rows.assign(learner=rows["learner"].map(names))


def _looks(
    looks: dict[str, tuple[str, str]], field: str = "learner"
) -> tuple[alt.Color, alt.Shape]:
    """Set colour and shape of each line; `field` is the column of their names."""
    domain = list(looks)
    legend = alt.Legend(columns=3, orient="top", title=None)
    colour = alt.Color(f"{field}:N").legend(legend)
    colour = colour.scale(domain=domain, range=[colour_ for colour_, _ in looks.values()])
    shape = alt.Shape(f"{field}:N").legend(legend)
    return colour, shape.scale(domain=domain, range=[marker for _, marker in looks.values()])


def _finished(chart: alt.TopLevelMixin, title: str, text: list[str]) -> alt.TopLevelMixin:
    heading = alt.TitleParams(title, subtitle=text, fontSize=16, offset=10)
    return themed(chart.properties(title=heading))
