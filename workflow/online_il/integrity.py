"""Checks, before anything is started, that the files of an earlier run are whole.

Reads only what is cheap: sizes, headers and footers, and hashes of small weights. A job that reads
large weights checks their hash itself.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from online_il.layout import Layout, step, weights_of
from online_il.provenance import files_hash

HASHED_BYTES = 16 * 2**20
"""Weights up to this size are hashed at every start."""


def damaged(results: Path) -> list[str]:
    """Write one line for each damaged file below a results folder: which, why, and what to do."""
    problems = [*_tables(results), *_records(results), *_weights(results)]
    remedy = "delete it (or move it away) and start again: Snakemake makes it anew"
    return [f"{path}: {reason}; {remedy}" for path, reason in problems]


def _tables(results: Path) -> Iterator[tuple[Path, str]]:
    for path in Layout(results).existing_tables():
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - 8))
            footer = stream.read()
        length = int.from_bytes(footer[:4], "little")
        if size < 12 or footer[4:] != b"PAR1" or length > size - 12:
            yield path, "not a whole Parquet file"


def _records(results: Path) -> Iterator[tuple[Path, str]]:
    for path in Layout(results).existing_records():
        if not isinstance(_json(path), dict):
            yield path, "not a whole JSON record"


def _weights(results: Path) -> Iterator[tuple[Path, str]]:
    layout = Layout(results)
    for policy in layout.existing_policies():
        record, folder = layout.record(*policy), layout.checkpoints(*policy)
        content = _json(record)
        if not isinstance(content, dict) or not folder.is_dir():
            continue
        for checkpoint in content.get("checkpoints", []):
            place = step(folder, checkpoint["step"])
            parts = weights_of(place)
            sizes = [path.stat().st_size for path in parts]
            whole = [size == declared_size(path) for size, path in zip(sizes, parts, strict=True)]
            if not parts:
                yield folder, f"step {checkpoint['step']} is missing, which {record} names"
            elif not all(whole):
                path = parts[whole.index(False)]
                yield folder, f"{path.relative_to(folder)} is not a whole safetensors file"
            elif sum(sizes) <= HASHED_BYTES and files_hash(parts) != checkpoint["weights_hash"]:
                yield folder, f"{place.relative_to(folder)} has another hash than {record} names"


def declared_size(path: Path) -> int | None:
    """Read the size that a safetensors header declares, or None where it is no such header."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > path.stat().st_size:
            return None
        try:
            header = json.loads(stream.read(length))
            parts = [entry for name, entry in header.items() if name != "__metadata__"]
            return 8 + length + max((int(entry["data_offsets"][1]) for entry in parts), default=0)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return None


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return None
