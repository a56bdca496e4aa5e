"""Judge the claims by what a study measured.

Writes the study's database with one table more (`claims`), and the same as JSON and Markdown. A
claim about something that this study has not stays in them as "not run", with the reason.
"""

import shutil
from pathlib import Path

import duckdb
from pydantic import Field, Json

from online_il.claims.board import claims_markdown, count_summary
from online_il.claims.judge import Evidence, judge
from online_il.claims.measured import SQL, Design, Measurements, adapters_of
from online_il.claims.records import ClaimVerdicts
from online_il.config.claims import load_claims
from online_il.errors import InputError
from online_il.files import write_json, write_text
from online_il.glossary import comment
from online_il.program.cli import ProgramOptions, log, main
from online_il.provenance import versions
from online_il.statistics.intervals import LEVEL
from online_il.statistics.looks import plan_of
from online_il.store import made_locally


class Options(ProgramOptions):
    scale: str = Field(description="name of the study")
    claims: Path = Field(description="config/claims.yaml")
    measurements: Path = Field(description="database of what was measured")
    theory: Path | None = Field(None, description="folder of the theory's tables, if any")
    discrepancy: list[Path] = Field([], description="comparisons, a table a pair")
    designs: Json[dict[str, Design]] = Field(description="what the config says, JSON, by task")
    looks: list[int] = Field([], description="planned numbers of blocks; none: one look at all")
    code: str | None = Field(None, description="hash of the code, for provenance")
    database: Path = Field(description="database to write")
    verdicts: Path = Field(alias="json", description="JSON file to write")
    markdown: Path = Field(description="Markdown file to write")


def run(options: Options) -> None:
    claims = load_claims(options.claims)
    measurements = Measurements(options.measurements, options.designs)
    blocks = min((len(task.seeds or []) for task in options.designs.values()), default=0)
    adapters = adapters_of(options.measurements)
    evidence = Evidence(measurements, options.theory, options.discrepancy, adapters)
    plan = plan_of(tuple(options.looks)) if options.looks else None
    record = ClaimVerdicts(
        scale=options.scale,
        level=LEVEL,
        resamples=claims.resamples,
        seed=claims.seed,
        versions=versions(),
        code_hash=options.code or "",
        looks=options.looks,
        blocks=blocks,
        claims=judge(claims, evidence, plan, blocks),
    )
    write_json(record, options.verdicts)
    write_text(claims_markdown(record), options.markdown)
    add_table(options.measurements, options.verdicts, options.database)
    log(count_summary(record))


def add_table(measurements: Path, claims: Path, database: Path) -> None:
    """Copy the database of measurements and add the table `claims`; complete or absent."""
    try:
        with made_locally(database) as local:
            shutil.copyfile(measurements, local)
            with duckdb.connect(str(local)) as connection:
                connection.execute("SET VARIABLE claims = $1", [claims.as_posix()])
                connection.execute((SQL / "claims.sql").read_text(encoding="utf-8"))
                comment(connection, SQL.parent)
    except duckdb.Error as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{measurements}: {reason}; delete it and start again") from None


if __name__ == "__main__":
    main(run, Options, __doc__)
