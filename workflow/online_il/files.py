"""Writing files: aside, then renamed, so that each is complete or absent."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as arrow
import pyarrow.parquet as parquet
from pydantic import BaseModel

from online_il.errors import InputError
from online_il.records import PROVENANCE, Table


def write_table(
    rows: list[dict[str, Any]] | pd.DataFrame,
    table: type[Table],
    path: Path,
    provenance: dict[str, Any],
) -> None:
    """Validate rows against their table and write them as Parquet with their provenance.

    Raises `InputError` for a text that UTF-8 cannot hold.
    """
    try:
        frame, columns = pd.DataFrame(rows), list(table.to_schema().columns)
        # In the table's order; a column too many stays, so that it is refused rather than dropped.
        order = [name for name in columns if name in frame]
        order += [name for name in frame if name not in columns]
        frame = table.validate(frame[order], lazy=True)
        data = arrow.Table.from_pandas(frame, preserve_index=False)
        if "token_ids" in columns and "token_ids" in frame:
            # A column that is empty in a whole file has no type of its own, and no other file's.
            ids = arrow.array(list(frame["token_ids"]), type=arrow.list_(arrow.int32()))
            place = data.schema.get_field_index("token_ids")
            data = data.set_column(place, "token_ids", ids)
    except UnicodeEncodeError as error:
        broken = str(error.object)[max(0, error.start - 20) : error.start + 20]
        raise InputError(
            f"{path}: cannot be written, for half a character is in a text ({broken!a}); mend it "
            "in the file that the rows come from"
        ) from None
    metadata = {**(data.schema.metadata or {}), PROVENANCE: json.dumps(provenance).encode()}
    with written_aside(path) as aside:
        parquet.write_table(data.replace_schema_metadata(metadata), aside)


def write_json(record: BaseModel, path: Path) -> None:
    """Write a record as JSON, complete or not at all."""
    write_text(record.model_dump_json(indent=2) + "\n", path)


def write_text(text: str, path: Path, *, lasting: bool = True) -> None:
    """Write a text file, complete or not at all; `lasting`: so that it outlives the machine."""
    with written_aside(path, lasting=lasting) as aside:
        aside.write_text(text, encoding="utf-8")


@contextmanager
def written_aside(path: Path, *, lasting: bool = True) -> Iterator[Path]:
    """Give a file to write, which gets the name `path` at the end; half a one is removed.

    It is on the disk before it has its name, or a machine that fails would leave an empty file
    under it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.partial")
    try:
        yield aside
        if lasting:
            flush(aside)
        aside.replace(path)
        if lasting:
            flush(path.parent)
    except BaseException:
        aside.unlink(missing_ok=True)  # On a full disk, the program's last words need the space.
        raise


@contextmanager
def made_aside(folder: Path) -> Iterator[Path]:
    """Give a folder to fill, which takes the place of `folder` at the end, or is removed.

    Who fills it sees to it that its files are on the disk.
    """
    aside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        shutil.rmtree(folder, ignore_errors=True)
        aside.replace(folder)
        flush(folder.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def flush(path: Path) -> None:
    """See to it that a file, or what a folder lists, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
