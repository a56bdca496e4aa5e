"""Judge the paper's claims by what a study measured.

Writes the study's database with one table more (`claims`), and the same as JSON and Markdown. A
claim about something that this study has not stays in them as "not run", with the reason.
"""

import argparse
import shutil
from pathlib import Path

import duckdb

from online_il.claims.board import claims_markdown, count_summary
from online_il.claims.judge import Evidence, judge
from online_il.claims.measured import SQL, Measurements
from online_il.claims.records import ClaimVerdicts
from online_il.config.claims import ConfigError, load_claims
from online_il.errors import InputError
from online_il.files import write_json, write_text, written_aside
from online_il.program.cli import log, main, parser
from online_il.provenance import versions
from online_il.statistics.intervals import LEVEL


def run(options: argparse.Namespace) -> None:
    try:
        claims = load_claims(options.claims)
    except ConfigError as error:
        raise InputError(str(error)) from None
    evidence = Evidence(Measurements(options.measurements), options.theory, options.discrepancy)
    record = ClaimVerdicts(
        scale=options.scale,
        level=LEVEL,
        resamples=claims.resamples,
        seed=claims.seed,
        versions=versions(),
        code_hash=options.code or "",
        claims=judge(claims, evidence),
    )
    write_json(record, options.json)
    write_text(claims_markdown(record), options.markdown)
    add_table(options.measurements, options.json, options.database)
    log(count_summary(record))


def add_table(measurements: Path, claims: Path, database: Path) -> None:
    """Copy the database of measurements and add the table `claims`; complete or absent."""
    try:
        with written_aside(database) as aside:
            shutil.copyfile(measurements, aside)
            with duckdb.connect(str(aside)) as connection:
                connection.execute("SET VARIABLE claims = $1", [claims.as_posix()])
                connection.execute((SQL / "claims.sql").read_text(encoding="utf-8"))
    except duckdb.Error as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{measurements}: {reason}; delete it and start again") from None


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--scale", required=True, help="name of the study")
    arguments.add_argument("--claims", type=Path, required=True, help="config/claims.yaml")
    arguments.add_argument(
        "--measurements", type=Path, required=True, help="database of what was measured"
    )
    arguments.add_argument("--theory", type=Path, help="folder of the theory's tables, if any")
    arguments.add_argument(
        "--discrepancy",
        type=Path,
        nargs="*",
        default=[],
        help="comparisons, discrepancy/<task>/<expert>/<student>.parquet",
    )
    arguments.add_argument("--code", help="hash of the code, for provenance")
    arguments.add_argument("--database", type=Path, required=True, help="database to write")
    arguments.add_argument("--json", type=Path, required=True, help="JSON file to write")
    arguments.add_argument("--markdown", type=Path, required=True, help="Markdown file to write")
    main(run, arguments)
