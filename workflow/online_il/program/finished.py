"""Decides what is finished by identity, not by time; Snakemake's records lie with the results.

Snakemake keeps what a job was made from in `.snakemake`, which no copy of the results has, and
takes a file with a newer time stamp for a newer file. Here its records lie in
`results/<scale>/provenance/jobs`, and an input is another one where its content is: results that
were copied, with or without their times, are finished, and exactly what depends on a changed
setting, input or code is made again. Of a job count its settings, the content of its inputs, its
code (see `provenance`) and how its program is called; not where it lies, what it reports to and
how often it saves.
"""

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from snakemake.io import _IOFile  # type: ignore[import-untyped]
from snakemake.persistence import (  # type: ignore[import-untyped]
    UNREPRESENTABLE,
    ParamsChange,
    PersistenceBase,
)
from snakemake.persistence.file import FilePersistence  # type: ignore[import-untyped]

from online_il.layout import Layout
from online_il.program.flags import Flags
from online_il.provenance import same_code

WHOLE_BYTES = 16 * 2**20
"""A larger file is known by its size and by blocks from all over it: a start reads them all."""
BLOCKS, BLOCK_BYTES = 16, 2**16
UNTRACKED = {
    "script",
    "share",
    "config",
    "state",
    "journal",
    "progress",
    "report",
    "results",
    "stem",
    "place",
    "limit",
    "unit_rows",
}
"""Parameters that say where something lies, or where a program reports to."""
PLUMBING = re.compile(
    r"^\{params\.on_gpus\}"
    r"| --[\w-]+ \{params\.(?:state|journal|progress|limit|unit_rows)\}"
    r"| --[\w-]+ \{resources\.save_minutes\}|\{params\.(?:share|model)\}"
    r"|(?: 2>&1)? (?:>|\| tee) \{log\}(?: 2>&1)?$"
)
TIME_STAMP = ".snakemake_timestamp"


def decide_by_identity(results: Path) -> None:
    """Let this Snakemake keep its records in the results, and compare content instead of times."""
    place = Layout(results).jobs

    def init(self: Any, *arguments: Any, **options: Any) -> None:
        _INIT(self, *arguments, **options)
        self._fetch_max_len(self._metadata_path)  # Of a folder that is there.
        self._elsewhere, self._metadata_path = self._metadata_path, str(place)

    FilePersistence.__init__ = init
    FilePersistence._io_read = _read
    FilePersistence._delete_record = _delete
    PersistenceBase._params = _params
    PersistenceBase._code = _code
    PersistenceBase._input_changed = _input_changed
    PersistenceBase.params_changed = _params_changed
    _IOFile.is_checksum_eligible = _has_content
    _IOFile.checksum = _checksum


_INIT, _READ = FilePersistence.__init__, FilePersistence._io_read
_DELETE, _CHECKSUM = FilePersistence._delete_record, _IOFile.checksum
_INPUTS_CHANGED = PersistenceBase._input_changed


def _read(self: Any, subject: str, key: str) -> dict[str, Any]:
    """Read a record; one that lies in `.snakemake` where the results have none."""
    found = _READ(self, subject, key)
    if not found and subject == self._metadata_path:
        found = _READ(self, self._elsewhere, key)
    return found


def _delete(self: Any, key: str) -> bool:
    elsewhere = self._io_delete(self._elsewhere, key)
    return _DELETE(self, key) or elsewhere


def _params(self: Any, job: Any) -> list[str]:
    """List the parameters that count, with their names."""
    given: dict[str, Any] = {}
    for name, raw in job.rule.params._allitems():
        if not job.rule._is_deriving_function(raw):
            value = getattr(job.params, name)
            given |= value if isinstance(value, Flags) else {name: value}
    found = {name: self._serialize_param(given[name]) for name in given.keys() - UNTRACKED}
    return sorted(f"{name}={v}" for name, v in found.items() if v is not UNREPRESENTABLE)


def _code(self: Any, rule: Any) -> str | None:
    """Give the call of a rule's program, without what only says where it saves and reports to."""
    return rule.shellcmd and PLUMBING.sub("", rule.shellcmd)


def _params_changed(self: Any, job: Any, file: Any = None) -> ParamsChange:
    """List how the parameters differ; code that a person accepted is no difference."""
    new = set(self._params(job))
    changes = ParamsChange()
    for output in [file] if file is not None else job.output:
        recorded = self.params(output)
        if recorded is not None:
            only_old, only_new = set(recorded) - new, new - set(recorded)
            if not _is_same_code(only_old, only_new):
                changes |= ParamsChange(only_old, only_new, {output})
    return changes


def _is_same_code(only_old: set[str], only_new: set[str]) -> bool:
    old, new = ("".join(params).removeprefix("code=").strip("'") for params in (only_old, only_new))
    return old in same_code(new)


def _input_changed(self: Any, job: Any, file: Any = None) -> bool:
    """Tell whether a job reads other files than it did, or other content."""
    return _INPUTS_CHANGED(self, job, file) or bool(changed_inputs(self, job, file))


def changed_inputs(persistence: Any, job: Any, output: Any) -> list[str]:
    """List the inputs of a finished job whose content is another than it was."""
    record = persistence.metadata(output)
    known = (record and record.input_checksums) or {}
    return [
        str(file)
        for file in job.input
        if str(file) in known and Path(file).exists() and content(Path(file)) != known[str(file)]
    ]


async def _has_content(self: Any, threshold: Any) -> bool:
    return bool(await self.exists_local()) and not self.is_fifo()


async def _checksum(
    self: Any, threshold: Any = None, force: bool = False, algorithm: Any = None
) -> str | None:
    if force:
        return await _CHECKSUM(self, threshold, force, algorithm)
    return content(Path(self)) if await _has_content(self, threshold) else None


def content(path: Path) -> str:
    """Compute a name for the content of a file, or of all files in a folder."""
    if not path.is_dir():
        return _file(path, path.stat().st_mtime_ns, path.stat().st_size)
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.name != TIME_STAMP:
            digest.update(f"{file.relative_to(path)} {content(file)}\n".encode())
    return f"folder:{digest.hexdigest()}"


@cache
def _file(path: Path, changed: int, size: int) -> str:
    with path.open("rb") as stream:
        if size <= WHOLE_BYTES:
            return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
        digest = hashlib.sha256(str(size).encode())
        for block in range(BLOCKS):
            stream.seek((size - BLOCK_BYTES) * block // (BLOCKS - 1))
            digest.update(stream.read(BLOCK_BYTES))
    return f"blocks:{digest.hexdigest()}"
