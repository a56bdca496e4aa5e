"""The final accuracies of a study, and what they took, as a table of plain text."""

import io
import json
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import fill
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from online_il.benchmarks import IN_DISTRIBUTION, ORDER
from online_il.errors import InputError
from online_il.layout import Layout
from online_il.report.texts import COLUMNS, readings
from online_il.store import build, learning_curves, query

FIRST = ["base", "expert"]
INSIDE = [*IN_DISTRIBUTION, "validation"]
LEAST_CHECK_RATE = 0.9
WIDTH = 120
"""Characters in a line of prose."""
LOOK: dict[str, Any] = {
    "box": box.SIMPLE_HEAD,
    "padding": (0, 1, 0, 0),
    "pad_edge": False,
    "show_edge": False,
}


def _accuracies(rows: pd.DataFrame, runs: list[str]) -> Table:
    """Tabulate the final accuracies of one sampling with their 95 % intervals, a row a run."""
    benchmarks = sorted(rows["benchmark"].unique(), key=ORDER.index)
    table = Table("run", *benchmarks, **LOOK)
    for run in runs:
        cells = []
        for benchmark in benchmarks:
            found = rows[(rows["run"] == run) & (rows["benchmark"] == benchmark)]
            values = found[["accuracy", "low", "high"]].to_numpy()
            cells.append("".join(f"{a:.3f} [{low:.2f}, {high:.2f}]" for a, low, high in values))
        table.add_row(run, *cells)
    return table


def _by_seed(each: pd.DataFrame, runs: list[str]) -> Table:
    """Tabulate the final accuracy of each seed on one benchmark, a row a run."""
    seeds = sorted(each["seed"].unique())
    table = Table("run", *(f"seed {seed}" for seed in seeds), **LOOK)
    found = each.set_index(["run", "seed"])["accuracy"].to_dict()
    for run in runs:
        cells = [found.get((run, seed)) for seed in seeds]
        table.add_row(run, *("" if one is None else f"{one:.3f}" for one in cells))
    return table


def _costs(rows: pd.DataFrame, runs: list[str]) -> Table:
    """Tabulate what each run took in training, and its responses: lengths, shares, a row a run."""
    table = Table("run", **LOOK)
    counted = ("seeds", "updates", "samples", "tokens", "device-seconds")
    inside = rows["benchmark"].isin(INSIDE) & (rows["sampling"] == "policy")
    drawn = rows[inside].drop_duplicates("run").set_index("run")
    shares = ["cut off", "direct"] if drawn["direct"].notna().any() else ["cut off"]
    for column in (*counted, "response length", *shares):
        table.add_column(column, justify="right")
    for run in runs:
        if run in drawn.index:
            r = drawn.loc[run]
            counts = [f"{r[key]:,.0f}" for key in ("seeds", "updates", "samples", "tokens")]
            counts += [f"{r['device_seconds']:,.1f}", f"{r['mean_length']:.1f}"]
            counts += [f"{r['truncation_rate']:.1%}"]
            if "direct" in shares:
                counts += ["" if pd.isna(r["direct"]) else f"{r['direct']:.1%}"]
            table.add_row(run, *counts)
    return table


def _check_lines(rows: pd.DataFrame) -> list[str]:
    """State the base's rate of honest checks, and warn where it is too low for GRPO."""
    base = rows[(rows["run"] == "base") & (rows["sampling"] == "policy")]
    lines = []
    for rate in base["check_rate"].dropna().head(1):
        lines.append(f"base's honest check rate: {rate:.3f}")
        if rate < LEAST_CHECK_RATE:
            lines.append(
                f"WARNING: below {LEAST_CHECK_RATE}. GRPO on a base that does not check its "
                "attempts honestly tends to collapse to one short attempt; train the base longer, "
                "or on more solved attempts."
            )
    return lines


def _dishonest_lines(each: pd.DataFrame) -> list[str]:
    """List the policies by GRPO that check their attempts less honestly than a base should."""
    trained = each[(each["method"] == "grpo") & (each["check_rate"] < LEAST_CHECK_RATE)]
    return [
        f"{row['run']}, seed {row['seed']}: its honest check rate is {row['check_rate']:.3f}, and "
        f"its accuracy {row['accuracy']:.3f}"
        for row in trained.to_dict("records")
    ]


def _still_lines(counts: pd.DataFrame) -> list[str]:
    """List the runs with updates that changed nothing, as all rewards of a group were equal."""
    return [
        f"{row['run']}, seed {row['seed']}: {row['still']:,} of {row['updates']:,} updates had no "
        "spread of reward and changed nothing"
        + (
            "; the run is its base: its rewards never differ"
            if row["still"] == row["updates"]
            else ""
        )
        for row in counts.to_dict("records")
    ]


STILL = """
SELECT task, run, seed, count(*) FILTER (reward_spread = 0) AS still, count(*) AS updates
FROM training GROUP BY ALL HAVING still > 0 ORDER BY ALL
"""


def summary(database: Path) -> str:
    """Write the table of a study as plain text: accuracies, costs, warnings, task by task."""
    last = query(database, "SELECT DISTINCT task, run, step FROM final")
    rows = learning_curves(database).merge(last, on=["task", "run", "step"])
    each = query(database, "evaluations").merge(last, on=["task", "run", "step"])
    each = each[each["sampling"] == "policy"]
    still = query(database, STILL)
    texts = readings(database)
    text = io.StringIO()
    # As wide as any table: a name or a number that is cut misleads.
    console = Console(file=text, width=10_000, color_system=None, highlight=False, markup=False)
    for task, part in rows.groupby("task"):
        names = sorted(part["run"].unique(), key=lambda name: (name not in FIRST, name))
        dishonest: list[str] = []
        for sampling in sorted(part["sampling"].unique(), key="policy".__ne__):
            how = "" if sampling == "policy" else f", {sampling}'s sampling"
            drawn = part[part["sampling"] == sampling]
            of_these = [name for name in names if name in set(drawn["run"])]
            title = f"{task}: final accuracy{how} [95 % interval]"
            console.print(title, _accuracies(drawn, of_these), "", sep="\n")
        for benchmark in (one for one in IN_DISTRIBUTION if one in set(part["benchmark"])):
            mine = each[(each["task"] == task) & (each["benchmark"] == benchmark)]
            dishonest += _dishonest_lines(mine)
            if mine["seed"].nunique() > 1:
                title = f"{task}: final accuracy of each seed, {benchmark}"
                console.print(title, _by_seed(mine, names), "", sep="\n")
        console.print(f"{task}: training, means over seeds", _costs(part, names), "", sep="\n")
        for reading in (one for one in texts if one.task == task):
            title = f"{task}: {reading.title}, {reading.n_passages} passages; bits over the base's"
            table = Table(*COLUMNS, **LOOK)
            for row in reading.rows:
                table.add_row(*row)
            console.print(title, table, "", sep="\n")
        for line in [*_check_lines(part), *dishonest, *_still_lines(still[still["task"] == task])]:
            console.print(fill(line, WIDTH))
        console.print()
    console.print("Training is that of the run itself, without its expert's.")
    console.print("Cut off: the share of responses that reach the limit of their length.")
    if rows["direct"].notna().any():
        console.print("Direct: the solver's share of a response, by the mixture that is imitated.")
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    return "\n".join(lines) + "\n"


def summary_of_named(results: Path) -> str:
    """Write the table of the policies that the last start was asked for by their runs' names.

    Empty where there are none, and where no run is among them.
    """
    layout = Layout(results)
    names = json.loads(layout.asked.read_text()) if layout.asked.is_file() else []
    asked = [results / name for name in names]
    evaluations = str(layout.evaluations("*", "*", "*"))
    policies = ["/".join(path.parts[-3:]) for path in asked if path.match(evaluations)]
    if not policies:
        return ""
    with TemporaryDirectory() as folder, suppress(InputError):
        database = Layout(Path(folder)).database("results")
        build(results, database, policies)
        return summary(database)
    return ""
