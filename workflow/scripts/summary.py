"""Write the final accuracies of a study, and what they took, as a plain-text table."""

import io
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field
from rich import box
from rich.console import Console
from rich.table import Table

from online_il.benchmarks import IN_DISTRIBUTION, ORDER
from online_il.files import write_text
from online_il.program.cli import ProgramOptions, main
from online_il.store import learning_curves, query

FIRST = ["base", "expert"]
INSIDE = [*IN_DISTRIBUTION, "validation"]
LEAST_CHECK_RATE = 0.9
LOOK: dict[str, Any] = {
    "box": box.SIMPLE_HEAD,
    "padding": (0, 1, 0, 0),
    "pad_edge": False,
    "show_edge": False,
    "title_justify": "left",
}


class Options(ProgramOptions):
    database: Path = Field(description="database of the study")
    code: str | None = Field(None, description="hash of the code; a change of it reruns the rule")
    output: Path = Field(description="text file to write")


def accuracies(rows: pd.DataFrame, runs: list[str], task: str) -> Table:
    """Final accuracies with their 95 % intervals: a row a run."""
    measures = rows[["benchmark", "sampling"]].drop_duplicates().itertuples(index=False)
    columns = sorted(measures, key=lambda m: (m.sampling != "policy", ORDER.index(m.benchmark)))
    titles = [b if s == "policy" else f"{b}, {s}'s sampling" for b, s in columns]
    table = Table("run", *titles, **LOOK, title=f"{task}: final accuracy [95 % interval]")
    for run in runs:
        cells = []
        for benchmark, sampling in columns:
            found = rows[
                (rows["run"] == run)
                & (rows["benchmark"] == benchmark)
                & (rows["sampling"] == sampling)
            ]
            values = found[["accuracy", "low", "high"]].to_numpy()
            cells.append("".join(f"{a:.3f} [{low:.2f}, {high:.2f}]" for a, low, high in values))
        table.add_row(run, *cells)
    return table


def costs(rows: pd.DataFrame, runs: list[str], task: str) -> Table:
    """What each run took in training, and how long its responses are: a row a run."""
    table = Table("run", **LOOK, title=f"{task}: training, means over seeds")
    for column in ("seeds", "updates", "samples", "tokens", "device-seconds", "response length"):
        table.add_column(column, justify="right")
    inside = rows["benchmark"].isin([*IN_DISTRIBUTION, "validation"]) & (
        rows["sampling"] == "policy"
    )
    drawn = rows[inside].drop_duplicates("run").set_index("run")
    for run in runs:
        if run in drawn.index:
            r = drawn.loc[run]
            counts = [f"{r[key]:,.0f}" for key in ("seeds", "updates", "samples", "tokens")]
            table.add_row(run, *counts, f"{r['device_seconds']:,.1f}", f"{r['mean_length']:.1f}")
    return table


def check_lines(rows: pd.DataFrame) -> list[str]:
    """The base's honest checks, and a warning where they are too few for GRPO."""
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


def still_lines(counts: pd.DataFrame) -> list[str]:
    """The runs with updates that changed nothing, for no rewards of a group differed in them."""
    return [
        f"{row.run}, seed {row.seed}: {row.still:,} of {row.updates:,} updates had no spread of "
        "reward and changed nothing"
        + ("; the run is its base: its rewards never differ" if row.still == row.updates else "")
        for row in counts.itertuples()
    ]


STILL = """
SELECT task, run, seed, count(*) FILTER (reward_spread = 0) AS still, count(*) AS updates
FROM training GROUP BY ALL HAVING still > 0 ORDER BY ALL
"""


def run(options: Options) -> None:
    last = query(options.database, "SELECT DISTINCT task, run, step FROM final")
    rows = learning_curves(options.database).merge(last, on=["task", "run", "step"])
    still = query(options.database, STILL)
    text = io.StringIO()
    console = Console(file=text, width=120, color_system=None, highlight=False, markup=False)
    for task, part in rows.groupby("task"):
        names = sorted(part["run"].unique(), key=lambda name: (name not in FIRST, name))
        console.print(accuracies(part, names, str(task)))
        console.print()
        console.print(costs(part, names, str(task)))
        console.print()
        for line in [*check_lines(part), *still_lines(still[still["task"] == task])]:
            console.print(line)
        console.print()
    console.print("Training is that of the run itself, without its expert's.")
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    write_text("\n".join(lines) + "\n", options.output)


if __name__ == "__main__":
    main(run, Options, __doc__)
