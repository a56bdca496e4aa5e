"""How well each run reads a text in the end, beside its base: tables, for it is no accuracy."""

from pathlib import Path
from typing import NamedTuple

from online_il.benchmarks import TITLES
from online_il.store import BASE, query

COLUMNS = ["run", "seeds", "perplexity", "nats a token", "bits a byte", "more than the base"]


class Reading(NamedTuple):
    """A task's runs on a text, the base first: a row of `COLUMNS` each."""

    task: str
    title: str
    n_passages: int
    rows: list[list[str]]


def readings(database: Path) -> list[Reading]:
    """Read the means over seeds at each run's last step; empty where no text was read."""
    rows = query(
        database,
        "SELECT *, run != $1 AS later FROM final WHERE nats_per_token IS NOT NULL "
        "ORDER BY task, benchmark, later, run",
        [BASE],
    )
    found = []
    for (task, benchmark), part in rows.groupby(["task", "benchmark"], sort=False):
        of_base = part.loc[part["run"] == BASE, "bits_per_byte"].mean()
        found.append(
            Reading(
                str(task),
                TITLES[str(benchmark)],
                int(part["n_prompts"].max()),
                [
                    [
                        row["run"],
                        f"{row['seeds']}",
                        f"{row['perplexity']:.2f}",
                        f"{row['nats_per_token']:.3f}",
                        f"{row['bits_per_byte']:.4f}",
                        # A study without its base has nothing to compare with.
                        ""
                        if row["run"] == BASE or of_base != of_base
                        else f"{row['bits_per_byte'] - of_base:+.4f}",
                    ]
                    for row in part.to_dict("records")
                ],
            )
        )
    return found
