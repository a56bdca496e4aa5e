"""The rows of a file of responses, each with its place: Parquet, JSON Lines or one JSON array."""

import io
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as arrow
import pyarrow.parquet as parquet

from online_il.errors import ParameterError
from online_il.text import BROKEN, encoding_of, unpacked

BATCH = 500
RawRow = dict[str, Any]
Place = str
OTHERS = {
    b"PAR1": "a packed Parquet file",
    b"PK\x03\x04": "a zip archive",
    b"ARRO": "an Arrow file",
}
"""First bytes of files that are not read as text."""


def rows(path: Path, wanted: Collection[str]) -> Iterator[tuple[Place, RawRow]]:
    """Read a file's rows in batches, each with its place; of Parquet only the columns `wanted`.

    A file of JSON may be packed and begin with a byte order mark. Raises `ParameterError` naming
    file and line.
    """
    try:
        with path.open("rb") as plain:
            is_parquet = plain.read(4) == b"PAR1"
    except OSError as error:
        raise ParameterError(f"{path}: cannot be read: {error.strerror}") from None
    if is_parquet:
        yield from _parquet_rows(path, wanted)
        return
    try:
        with unpacked(path) as stream:
            yield from _json_rows(path, stream)
    except BROKEN as error:
        reason = " ".join(str(error).split())[:100]
        raise ParameterError(
            f"{path}: damaged or cut off, it cannot be unpacked ({reason}); make or copy it anew"
        ) from None


def _json_rows(path: Path, stream: IO[bytes]) -> Iterator[tuple[Place, RawRow]]:
    head = stream.peek(4)[:4]  # type: ignore[attr-defined]
    if head in OTHERS:
        raise ParameterError(f"{path}: {OTHERS[head]}; unpack it or save it as JSON Lines")
    encoding = encoding_of(head)
    lines = io.TextIOWrapper(stream, encoding=encoding)
    number, begun = 0, False
    try:
        for number, line in enumerate(lines, 1):
            text = line.lstrip("\ufeff")  # Joined files may have marks inside.
            if not text.strip():
                continue
            if not begun and text.lstrip().startswith("["):
                yield from _array_rows(path, number, text + lines.read())
                return
            begun = True
            row = _parsed(path, number, text)
            if not isinstance(row, dict):
                raise ParameterError(
                    f"{path}:{number}: not a JSON object; a response is one a line"
                )
            yield f"{path}:{number}", row
    except UnicodeError:
        name = encoding.removesuffix("-sig").upper()
        place = f"{path}:{number + 1}"
        raise ParameterError(f"{place}: not {name} from about here; save it as UTF-8") from None


def _array_rows(path: Path, number: int, text: str) -> Iterator[tuple[Place, RawRow]]:
    """Read the items of a JSON array that begins on line `number`."""
    for item, row in enumerate(_parsed(path, number, text), 1):
        if not isinstance(row, dict):
            raise ParameterError(
                f"{path}:{number}: item {item} of the array is not a JSON object; a response is one"
            )
        yield f"{path}: item {item}", row


def _parsed(path: Path, number: int, text: str) -> Any:
    try:
        return json.loads(text.rstrip())
    except (ValueError, RecursionError) as error:
        line = number + getattr(error, "lineno", 1) - 1
        reason = getattr(error, "msg", "nested too deeply, or a number of thousands of digits")
        remedy = "mend this line"
        if "\0" in text:
            reason = "it holds NUL bytes; save it as UTF-8"
        elif text.lstrip().startswith("{") and getattr(error, "pos", 0) == len(text.rstrip()):
            reason = "an object ends on another line, or not at all"
            remedy = "write each response on a line of its own (`jq -c . FILE` does), or one array"
        raise ParameterError(f"{path}:{line}: not JSON: {reason}; {remedy}") from None


def _parquet_rows(path: Path, wanted: Collection[str]) -> Iterator[tuple[Place, RawRow]]:
    try:
        table = parquet.ParquetFile(path)
        columns = [name for name in table.schema_arrow.names if name in wanted]
        number = 0
        for batch in table.iter_batches(BATCH, columns=columns or table.schema_arrow.names):
            for row in batch.to_pylist():
                number += 1
                yield f"{path}: row {number}", row
    except (arrow.ArrowException, OSError):
        raise ParameterError(f"{path}: not a whole Parquet file; make it anew") from None
