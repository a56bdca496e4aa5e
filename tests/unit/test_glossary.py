"""Every table and column of a database says what it is; DuckDB reads the evaluations' files."""

import json
import runpy
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as parquet
import pytest
from fake_study import fake_study

from online_il.files import write_table
from online_il.records import Passages, Samples
from online_il.store import build

ROOT = Path(__file__).parents[2]
CLAIMS = ROOT / "workflow" / "scripts" / "claims.py"
SQL = ROOT / "workflow" / "sql"


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Path:
    """A study's database, with the verdicts of no claim."""
    folder = tmp_path_factory.mktemp("study")
    fake_study(folder, seeds=(1, 2))
    build(folder, folder / "measurements.duckdb")
    (folder / "claims.json").write_text(json.dumps({"claims": []}))
    add_table = runpy.run_path(str(CLAIMS))["add_table"]
    add_table(folder / "measurements.duckdb", folder / "claims.json", folder / "results.duckdb")
    return folder / "results.duckdb"


def asked(database: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_no_table_view_or_column_is_without_a_comment(database):
    for name in ("results.duckdb", "measurements.duckdb"):
        place = database.with_name(name)
        columns = "FROM duckdb_columns() WHERE NOT internal"
        bare = asked(place, f"SELECT table_name, column_name {columns} AND comment IS NULL")
        assert bare == []
        assert asked(place, f"SELECT count(*) {columns}")[0][0] > 100
        tables = asked(place, "SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal")
        views = asked(place, "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal")
        assert all(words for _, words in [*tables, *views])
        made = {path.stem for path in SQL.glob("*.sql")} - {"read_passages"}
        assert made | {"intervals"} <= {name for name, _ in [*tables, *views]}


def test_a_comment_is_the_records_own_or_the_first_sentence_of_the_query(database):
    column = "SELECT comment FROM duckdb_columns() WHERE table_name = '{}' AND column_name = '{}'"
    described = Samples.to_schema().columns["sample_index"].description
    assert asked(database, column.format("samples", "sample_index")) == [(described,)]
    ((words,),) = asked(database, column.format("claims", "p_holm"))
    assert "corrected" in words
    table = "SELECT comment FROM duckdb_tables() WHERE table_name = 'evaluations'"
    head = (SQL / "evaluations.sql").read_text(encoding="utf-8").splitlines()[0]
    assert asked(database, table) == [(head.removeprefix("-- "),)]


def test_the_readme_names_where_the_views_are_made():
    assert "workflow/sql" in (ROOT / "README.md").read_text(encoding="utf-8")


# ---- the folders of evaluations ----


def all_files(folder: Path, **options: bool) -> duckdb.DuckDBPyRelation:
    return duckdb.read_parquet(f"{folder}/eval/**/*.parquet", **options)


def test_the_evaluations_of_a_study_are_read_as_one_table(tmp_path):
    fake_study(tmp_path, seeds=(1, 2))
    files = list(tmp_path.glob("eval/**/*.parquet"))
    assert len({str(parquet.read_schema(path).remove_metadata()) for path in files}) == 1
    rows = sum(parquet.read_metadata(path).num_rows for path in files)
    assert all_files(tmp_path).count("*").fetchall() == [(rows,)]


@pytest.mark.parametrize("first", ["base", "expert"])
def test_shares_of_a_mixture_and_texts_that_are_read_stand_beside_them(first, tmp_path):
    """Files of other columns, before the others by name or after them."""
    fake_study(tmp_path, seeds=(1,))
    rows = 0
    for path in tmp_path.glob(f"eval/countdown/{first}/**/*.parquet"):
        table = pd.read_parquet(path)
        write_table(table.assign(share_learnable=0.5, direct=0.25), Samples, path, {})
        rows += len(table)
    passage = {"prompt_id": "p", "policy": "base/step0", "seed": 1, "n_tokens": 3, "n_bytes": 9}
    folder = tmp_path / f"eval/countdown/{first}/seed1"
    write_table([passage | {"nats": 4.0}], Passages, folder / "step0" / "prose.parquet", {})
    found = all_files(tmp_path, union_by_name=True)
    assert found.filter("share_learnable = 0.5").count("*").fetchall() == [(rows,)]
    assert found.filter("nats = 4.0").count("*").fetchall() == [(1,)]
    ((reward,),) = found.filter("text IS NOT NULL").mean("reward").fetchall()
    assert 0 < reward < 1
