"""The database of a study: everything that was measured, in one DuckDB file.

`build` checks that the files under a results folder are whole and belong together, and runs the
files of `workflow/sql` over them; the tables hold the data itself, so the database serves without
the folder. `query` and `learning_curves` read it.
"""

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import duckdb
import pandas as pd
import pyarrow as arrow
import pyarrow.parquet as parquet

from online_il.benchmarks import LANGUAGE
from online_il.errors import InputError
from online_il.files import written_aside
from online_il.glossary import comment
from online_il.layout import Layout, Policy, existing_evaluations, responses_of
from online_il.program.exhausted import cause_of
from online_il.records import (
    EvaluationRecord,
    Passages,
    RunRecord,
    Samples,
    Table,
    Training,
    read_record,
    read_table,
)
from online_il.statistics.curves import CURVE, add_intervals

SQL = Path(__file__).parents[1] / "sql"
# Later files read the tables of earlier ones.
ORDER = (
    "evaluations",
    "samples",
    "passages",
    "prompt_accuracy",
    "runs",
    "training",
    "curves",
    "final",
    "arms",
    "mixtures",
)
KEY = ["task", "run", "seed", "step", "benchmark", "sampling"]
BASE = "base"
COUNTS = ["updates", "samples", "tokens", "device_seconds"]
_REMEDY = "delete {} and start again: Snakemake makes it anew"


class Files(NamedTuple):
    """The files under a results folder that a database is made from, sorted."""

    evaluations: list[Path]
    responses: list[Path]
    passages: list[Path]
    runs: list[Path]
    training: list[Path]


def build(
    results: Path,
    database: Path,
    policies: Sequence[str] | None = None,
) -> None:
    """Gather the evaluations, responses and runs of the policies under `results` in a database.

    A policy is `<task>/<run>/seed<k>`; what else lies there, of runs that have left the config, is
    not gathered. Left out, they are all that are there. The database is complete or absent.
    Raises `InputError` for a damaged file, and for evaluations that do not belong together.
    """
    files = _files(results, policies)
    _check_files(results, files)
    with made_locally(database) as local:
        _fill(local, results, files)


@contextmanager
def made_locally(database: Path) -> Iterator[Path]:
    """Give a place on a local disk for a database, which is moved to its own at the end.

    DuckDB locks what it writes, which not every network's file system knows.
    """
    with tempfile.TemporaryDirectory(prefix="online-il-") as folder:
        local = Path(folder) / database.name
        yield local
        with written_aside(database) as aside:
            # A copy between open files: an error is one of the place that is written to.
            with local.open("rb") as source, aside.open("wb") as target:
                shutil.copyfileobj(source, target)
            # The log of an older database would be replayed into this one.
            database.with_name(f"{database.name}.wal").unlink(missing_ok=True)


def _fill(database: Path, results: Path, files: Files) -> None:
    try:
        with duckdb.connect(str(database)) as connection:
            connection.execute("SET VARIABLE results = $1", [results.as_posix()])
            for kind, paths in files._asdict().items():
                names = [path.as_posix() for path in paths]
                connection.execute(f"SET VARIABLE {kind} = $1", [names])
            for name in ORDER:
                connection.execute((SQL / f"{name}.sql").read_text(encoding="utf-8"))
                if name == "passages" and files.passages:
                    connection.execute((SQL / "read_passages.sql").read_text(encoding="utf-8"))
            _check_responses(connection, results)
            _check_passages(connection, results)
            add_intervals(connection)
            comment(connection, SQL)
    except duckdb.Error as error:
        if cause_of(error):
            raise
        for path, table in _tables(files):
            read_table(path, table)  # The damaged one says so.
        raise InputError(f"{results}: {_reason(error)}; is it the results folder?") from None


def query(database: Path, sql_or_name: str, parameters: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table or view, or run an SQL query with its parameters. Raises `InputError`."""
    sql = f"FROM {sql_or_name}" if re.fullmatch(r"\w+", sql_or_name) else sql_or_name
    if not database.is_file():
        raise InputError(f"{database}: there is no such database; make it with aggregate.py")
    try:
        with _opened(database) as connection:
            rows: pd.DataFrame = connection.execute(sql, list(parameters)).df()
            return rows
    except duckdb.IOException as error:
        raise InputError(
            f"{database}: not a database that can be read ({_reason(error)}); "
            + _REMEDY.format("it")
        ) from None
    except duckdb.Error as error:
        raise InputError(f"{database}: {_reason(error)}; {_REMEDY.format('it')}") from None


@contextmanager
def _opened(database: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database to read it; a copy where its file system knows no locks."""
    try:
        connection = duckdb.connect(str(database), read_only=True)
    except duckdb.IOException as error:
        if "Could not set lock" not in str(error):
            raise
        with tempfile.TemporaryDirectory(prefix="online-il-") as folder:
            copy = shutil.copyfile(database, Path(folder) / database.name)
            with duckdb.connect(str(copy), read_only=True) as connection:
                yield connection
        return
    with connection:
        yield connection


def learning_curves(database: Path) -> pd.DataFrame:
    """Join `curves` and their `intervals`; what a run starts from is also its step 0."""
    rows = query(database, "evaluations")
    rows = pd.concat([rows[rows["run"] == BASE], from_start(rows)], ignore_index=True)
    # The view of that name, over these rows.
    with duckdb.connect() as connection:
        connection.register("evaluations", rows)
        connection.execute((SQL / "curves.sql").read_text(encoding="utf-8"))
        curves = connection.table("curves").df()
    return curves.merge(query(database, "intervals"), on=[*CURVE, "step"], validate="one_to_one")


def from_start(rows: pd.DataFrame) -> pd.DataFrame:
    """Take the evaluations of all runs but the base; what each starts from becomes its step 0.

    A run that goes on from another one counts its own training alone. Where each seed has a start
    of its own, a run has those of its seeds; one that is alone serves all.
    """
    trained = rows[rows["run"] != BASE]
    own = [*CURVE, "method", "expert", "start"]
    runs = trained[own].drop_duplicates().dropna(subset="start")
    begun = runs["start"].str.split("@", expand=True).reindex(columns=[0, 1])
    runs = runs.assign(before=begun[0], at=pd.to_numeric(begun[1]).fillna(0).astype(int))
    before = rows.drop(columns=["method", "expert", "start"]).rename(columns={"run": "before"})
    starts = before.merge(
        runs, left_on=[*CURVE[:-1], "before", "step"], right_on=[*CURVE[:-1], "before", "at"]
    )
    alone = starts.groupby(CURVE)["seed"].transform("nunique") == 1
    seeds = pd.MultiIndex.from_frame(trained[[*CURVE, "seed"]])
    starts = starts[alone | pd.MultiIndex.from_frame(starts[[*CURVE, "seed"]]).isin(seeds)].copy()
    starts[["step", *COUNTS]] = 0
    return pd.concat([starts, trained], ignore_index=True)[rows.columns]


def _policy(name: str) -> Policy:
    try:
        return Policy.named(name)
    except ValueError:
        raise InputError(f"policy {name!r}: write <task>/<run>/seed<k> of one policy") from None


def _files(results: Path, names: Sequence[str] | None) -> Files:
    layout = Layout(results)
    policies = layout.existing_policies() if names is None else list(map(_policy, names))
    found = [existing_evaluations(layout.evaluations(*policy)) for policy in policies]
    tables_of = sorted(path for _, of_policy in found for path in of_policy)
    records = [layout.record(*policy) for policy in policies]
    tables = [layout.training(*policy) for policy in policies]
    return Files(
        evaluations=sorted(path for of_policy, _ in found for path in of_policy),
        responses=[path for path in tables_of if path.stem not in LANGUAGE],
        passages=[path for path in tables_of if path.stem in LANGUAGE],
        runs=sorted(path for path in records if path.is_file()),
        training=sorted(path for path in tables if path.is_file()),
    )


def _check_files(results: Path, files: Files) -> None:
    """Check that every file is complete and has its other half, and that all belong together."""
    layout = Layout(results)
    for found, what, place in (
        (files.evaluations, "evaluation", layout.evaluations("*", "*", "*")),
        (files.runs, "run", layout.record("*", "*", "*")),
        (files.training, "training table", layout.training("*", "*", "*")),
    ):
        if not found:
            where = place.relative_to(results)
            raise InputError(
                f"{results}: no {what} ({where}) in it; run the study first, or name another"
            )
    evaluations = [read_record(path, EvaluationRecord) for path in files.evaluations]
    _check_pairs(files.evaluations, [*files.responses, *files.passages])
    for path in files.training:
        if path.parent not in {record.parent for record in files.runs}:
            raise InputError(f"{path}: no run.json beside it; {_REMEDY.format(path.parent)}")
    for path in files.runs:
        read_record(path, RunRecord)
    for path, table in _tables(files):
        _check_columns(path, table)
    frame = pd.DataFrame([{key: getattr(e, key) for key in KEY} for e in evaluations])
    frame["prompts_hash"] = [evaluation.prompts_hash for evaluation in evaluations]
    frame["file"] = pd.Series(files.evaluations, dtype=object)
    _check_together(frame)


def _check_pairs(records: list[Path], tables: Iterable[Path]) -> None:
    expected = set(map(responses_of, records))
    present = set(tables)
    for path in sorted(expected ^ present):
        kind = "a record without its responses" if path in expected else "responses without record"
        raise InputError(
            f"{path.with_suffix('')}: {kind} (.json and .parquet); "
            + _REMEDY.format(path.parents[1])
        )


def _check_together(frame: pd.DataFrame) -> None:
    """Check that no evaluation is there twice and each benchmark has one set of prompts."""
    twice = frame[frame.duplicated(KEY, keep=False)].sort_values([*KEY, "file"])
    if len(twice):
        first, second = twice["file"].iloc[:2]
        raise InputError(
            f"{first} and {second}: the same evaluation twice; delete the one that is not where "
            "its record says (eval/<task>/<run>/seed<k>/step<n>)"
        )
    for (task, benchmark), part in frame.groupby(["task", "benchmark"]):
        usual = part["prompts_hash"].mode()[0]
        odd = part[part["prompts_hash"] != usual]["file"]
        if len(odd):
            most = part[part["prompts_hash"] == usual]["file"].iloc[0]
            folders = sorted({str(path.parents[1]) for path in odd})
            raise InputError(
                f"{', '.join(folders)}: {benchmark} of {task} was evaluated on other prompts "
                f"(prompts_hash) than in {most}; " + _REMEDY.format("the older of them")
            )


def _check_responses(connection: duckdb.DuckDBPyConnection, results: Path) -> None:
    """Check that each evaluation's responses are all there and give its accuracy."""
    wrong = connection.execute(
        """
        SELECT file, n_prompts * samples_per_prompt, coalesce(responses, 0), accuracy, recounted
        FROM evaluations LEFT JOIN (
            SELECT task, run, seed, step, benchmark, sampling,
                   count(*) AS responses, avg(correct::DOUBLE) AS recounted
            FROM samples GROUP BY ALL
        ) USING (task, run, seed, step, benchmark, sampling)
        WHERE nats_per_token IS NULL AND (
            coalesce(responses, 0) != n_prompts * samples_per_prompt
            OR accuracy IS NULL
            OR abs(accuracy - recounted) > 1e-9
        )
        ORDER BY file
        """
    ).fetchone()
    if wrong:
        file, expected, found, accuracy, recounted = wrong
        if expected == found:
            what = f"accuracy is {accuracy} in the .json and {recounted:.6g} in the .parquet"
        else:
            what = f"the .json tells of {expected} responses and the .parquet has {found}"
        raise InputError(f"{results / file}: {what}; {_REMEDY.format((results / file).parents[1])}")


def _check_passages(connection: duckdb.DuckDBPyConnection, results: Path) -> None:
    """Check that each text's passages are all there and give its nats per token."""
    wrong = connection.execute(
        """
        SELECT file, n_prompts, coalesce(n, 0), nats_per_token, recounted
        FROM evaluations LEFT JOIN (
            SELECT task, run, seed, step, benchmark, sampling,
                   count(*) AS n, sum(nats) / sum(n_tokens) AS recounted
            FROM passages GROUP BY ALL
        ) USING (task, run, seed, step, benchmark, sampling)
        WHERE nats_per_token IS NOT NULL
          AND (coalesce(n, 0) != n_prompts OR abs(nats_per_token - recounted) > 1e-9)
        ORDER BY file
        """
    ).fetchone()
    if wrong:
        file, expected, found, nats, recounted = wrong
        what = f"the .json tells of {expected} passages at {nats} nats a token, the .parquet of "
        what += f"{found} at {recounted}"
        raise InputError(f"{results / file}: {what}; {_REMEDY.format((results / file).parents[1])}")


def _tables(files: Files) -> Iterator[tuple[Path, type[Table]]]:
    for path in files.responses:
        yield path, Samples
    for path in files.passages:
        yield path, Passages
    for path in files.training:
        yield path, Training


def _check_columns(path: Path, table: type[Table]) -> None:
    """Check that all files have the same columns: DuckDB would fill gaps with nulls."""
    try:
        columns = set(parquet.read_schema(path).names)
    except (arrow.ArrowException, OSError):
        columns = set()
    if columns != set(table.to_schema().columns):
        read_table(path, table)  # It says what is wrong.


def _reason(error: duckdb.Error) -> str:
    return " ".join(str(error).split())[:300]
