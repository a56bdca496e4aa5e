"""Intervals of the learning curves: a row a point, each for itself and for its whole curve.

A curve is a run's accuracy on a benchmark, from what it starts from on. Its band leaves out any
point of the true curve in at most 5 of 100 studies (Bonferroni's correction: few seeds do not tell
how the points move together, and with many the band is hardly wider); a point's own interval leaves
out that point so often.
"""

from typing import NamedTuple

import duckdb
import pandas as pd

from online_il.statistics.intervals import TAIL, Array, mean_over_seeds

CURVE = ["task", "benchmark", "sampling", "run"]


class Point(NamedTuple):
    """A point of a curve: accuracies, and how many responses a prompt and seed they are of."""

    accuracy_S_P: Array
    responses: int


def add_intervals(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table `intervals` of a database that has `prompt_accuracy`.

    A row each point of each curve, what a run starts from being its step 0: stderr, low and
    high (95 %, `mean_over_seeds`), band_low and band_high (95 % for the whole curve).
    """
    rows = []
    columns_of = f"SELECT DISTINCT {', '.join(CURVE)}, start"
    curves = f"{columns_of} FROM evaluations WHERE accuracy IS NOT NULL ORDER BY ALL"
    for row in connection.execute(curves).fetchall():
        points_K, curve = _points(connection, *row), row[:-1]
        for step, (accuracy_S_P, responses) in points_K.items():
            _, stderr, low, high = mean_over_seeds(accuracy_S_P, responses=responses)
            band = mean_over_seeds(accuracy_S_P, TAIL / len(points_K), responses)
            rows.append((*curve, step, stderr, low, high, band.low, band.high))
    columns = [*CURVE, "step", "stderr", "low", "high", "band_low", "band_high"]
    connection.register("rows", pd.DataFrame(rows, columns=columns))
    connection.execute("CREATE TABLE intervals AS FROM rows")
    connection.unregister("rows")


def _points(
    connection: duckdb.DuckDBPyConnection,
    task: str,
    benchmark: str,
    sampling: str,
    run: str,
    start: str | None,
) -> dict[int, Point]:
    """Read a table (S, P) for each step of a curve, that of its start first.

    A start of several seeds is that of the run's seeds alone.
    """
    before, _, step = (start or "").partition("@")
    rows = connection.execute(
        """
        WITH points AS (
            FROM prompt_accuracy
            WHERE task = $1 AND benchmark = $2 AND sampling = $3
              AND (run = $4 OR (run = $5 AND step = $6))
        )
        SELECT if(run = $4, step, 0) AS step, seed, prompt_id, accuracy, responses
        FROM points
        WHERE run = $4 OR seed IN (SELECT seed FROM points WHERE run = $4)
           OR (SELECT count(DISTINCT seed) FROM points WHERE run = $5) = 1
        """,
        [task, benchmark, sampling, run, before, int(step or 0)],
    ).df()
    return {
        int(step): Point(
            part.pivot(index="seed", columns="prompt_id", values="accuracy").to_numpy(),
            int(part["responses"].min()),
        )
        for step, part in rows.groupby("step")
    }
