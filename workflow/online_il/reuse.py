"""Finished results of another study that are what this one would make: taken, not made again.

Snakemake's records lie with the results (`finished.py`) and name all that a job was made from. An
output of the other study gets a second name here, and its record with it; then Snakemake is asked,
and what it would make again all the same, for another setting, input or code, is left out.
"""

import json
import shutil
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from pathlib import Path

from online_il.errors import InputError
from online_il.files import write_text
from online_il.layout import Layout
from online_il.models import link

_LONGEST = 254  # Of a part of a record's name, as Snakemake writes it.


def records_of(results: Path) -> dict[str, Path]:
    """Find by output, as it was called when it was made, the record of each finished job.

    Raises `InputError` for a folder without any.
    """
    folder = Layout(results).jobs
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            parts = path.relative_to(folder).parts
            name = "".join(part.removeprefix("@") for part in parts)
            found[urlsafe_b64decode(name).decode()] = path
    if not found:
        raise InputError(
            f"{results}: no record of a finished job in it; name the results of a study, such as "
            "results/mini"
        )
    return found


def take(other: Path, own: Path, wanted: Iterable[str]) -> list[str]:
    """Give outputs of another study, and their records, the names that they have in `own`.

    Of the outputs `wanted` here those are taken that are not there. Returns their names.
    """
    known = {_moved(name, own): (name, path) for name, path in records_of(other).items()}
    taken = []
    for name in wanted:
        source = other / Path(name).relative_to(own)
        # What a job took is a file that it makes, without a record.
        measured = Path(name).is_relative_to(Layout(own).benchmark("").parent)
        if not (name in known or measured) or Path(name).exists() or not source.exists():
            continue
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, name, copy_function=link)
        else:
            link(str(source), name)
        if name in known:
            called, record = known[name]
            write_text(_renamed(record.read_text(), called, own), _record(own, name))
        taken.append(name)
    return taken


def give_back(own: Path, names: Iterable[str]) -> None:
    """Remove outputs that were taken, and their records."""
    for name in names:
        path = Path(name)
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        _record(own, name).unlink(missing_ok=True)


def _moved(name: str, own: Path) -> str:
    """Give the name in `own` of an output below some `results/<scale>`."""
    return str(own.joinpath(*Path(name).parts[2:]))


def _renamed(record: str, called: str, own: Path) -> str:
    """Write a record with this study's names of files in the place of the other's."""
    before = "/".join(Path(called).parts[:2])

    def renamed(value: object) -> object:
        if isinstance(value, dict):
            return {renamed(key): renamed(one) for key, one in value.items()}
        if isinstance(value, list):
            return [renamed(one) for one in value]
        return value.replace(f"{before}/", f"{own}/") if isinstance(value, str) else value

    return json.dumps(renamed(json.loads(record)))


def _record(own: Path, name: str) -> Path:
    """Find the place of the record of an output, as Snakemake names it."""
    text = urlsafe_b64encode(name.encode()).decode()
    parts = [text[start : start + _LONGEST] for start in range(0, len(text), _LONGEST)]
    return Layout(own).jobs.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])
