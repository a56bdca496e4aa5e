"""Gather everything that a study measured in one DuckDB database, with the curves' intervals."""

import argparse
from pathlib import Path

from online_il.program.cli import log, main, parser
from online_il.store import build, query


def run(options: argparse.Namespace) -> None:
    build(
        options.results,
        options.database,
        options.policies.split(","),
        resamples=options.resamples,
        seed=options.seed,
    )
    for table in ("evaluations", "samples", "runs", "training"):
        count = query(options.database, f"SELECT count(*) FROM {table}").iloc[0, 0]
        log("gathered", table=table, rows=count)


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--results", type=Path, required=True, help="results of the study")
    arguments.add_argument(
        "--policies",
        required=True,
        help="<task>/<run>/seed<k> of every policy, with commas between",
    )
    arguments.add_argument(
        "--resamples", type=int, required=True, help="bootstrap samples of a curve"
    )
    arguments.add_argument("--seed", type=int, required=True, help="of the bootstrap samples")
    arguments.add_argument("--code", help="hash of the code; a change of it reruns the rule")
    arguments.add_argument("--database", type=Path, required=True, help="database to write")
    main(run, arguments)
