"""Gather everything that a study measured in one DuckDB database, with the curves' intervals."""

from pathlib import Path

from pydantic import Field

from online_il.program.cli import ProgramOptions, log, main
from online_il.store import build, query


class Options(ProgramOptions):
    results: Path = Field(description="results of the study")
    policies: str = Field(description="<task>/<run>/seed<k> of every policy, with commas between")
    code: str | None = Field(None, description="hash of the code; a change of it reruns the rule")
    database: Path = Field(description="database to write")


def run(options: Options) -> None:
    build(options.results, options.database, options.policies.split(","))
    for table in ("evaluations", "samples", "runs", "training"):
        count = query(options.database, f"SELECT count(*) FROM {table}").iloc[0, 0]
        log("gathered", table=table, rows=count)


if __name__ == "__main__":
    main(run, Options, __doc__)
