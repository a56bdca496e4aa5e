"""Generation that goes on after a kill: what was generated stays.

The rows are cut into units beforehand, as the engine takes its batches, and a unit's result is one
line of a file that is on the disk before the next unit begins. So a kill loses one unit at most. A
row draws from its own seed, and a unit always holds the same rows: with the decode loop and with
transformers' `generate` the samples are those of a job that was never stopped, bit for bit. vLLM's
depend on what else it computes at the time; with it, too, no sample is missing or there twice.
"""

import json
import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from online_il.config.sampling import Sampling
from online_il.errors import Stopped
from online_il.generation.engines import Engine
from online_il.generation.response import Response
from online_il.program import deadline
from online_il.program.aside import settle_file
from online_il.provenance import identity

SCORED = 512
"""Prompts of one unit where continuations are scored."""


class Resume(NamedTuple):
    """A job's file of generated responses, and the identity of what they are a function of."""

    path: Path
    """A file in a folder that Snakemake does not know, or it would delete it with the outputs."""
    identity: str
    """Hash of the policy, prompts, settings, code and versions; another's results are set aside."""
    code: str = ""
    """Hash of the code, which is said in the file."""
    accepted: tuple[str, ...] = ()
    """Identities of jobs that differ in code alone, which a person takes for this one."""
    until: float = math.inf
    """When it leaves, before its time limit ends it (`program/deadline.py`)."""
    unit_rows: int = 0
    """Most rows of a unit, so that a kill costs little; 0: as the engine cuts. Where something is
    there already, as that was cut."""


def respond(
    engine: Engine,
    prompts: Sequence[str],
    keys: Sequence[tuple[int, int]],
    *,
    sampling: Sampling,
    seed: int,
    resume: Resume,
    done: Callable[[int], None] = lambda rows: None,
) -> list[Response]:
    """Call `Engine.respond` unit by unit; `done` hears after each how many rows there are."""
    responses: dict[int, Response] = {}

    def make(rows: list[int]) -> list[Response]:
        return engine.respond(
            [prompts[row] for row in rows],
            [keys[row] for row in rows],
            sampling=sampling,
            seed=seed,
        )

    with Units(resume) as stored:
        units = list(_pieces(engine.units(prompts, keys), stored.unit_rows))
        stored.expect(len(units))
        for number, rows in enumerate(units):
            result = stored.result(number, lambda rows=rows: make(rows))  # type: ignore[misc]
            for row, response in zip(rows, result, strict=True):
                responses[row] = Response(*response)
            done(len(responses))
    return [responses[row] for row in range(len(prompts))]


def loglikelihoods(
    engine: Engine,
    prompts: Sequence[str],
    continuations: Sequence[Sequence[str]],
    resume: Resume,
) -> list[list[float]]:
    """Call `Engine.loglikelihoods` (nats) unit by unit."""
    starts = range(0, len(prompts), SCORED)
    scores: list[list[float]] = []
    with Units(resume) as stored:
        stored.expect(len(starts))
        for number, start in enumerate(starts):
            rows = slice(start, start + SCORED)
            scores += stored.result(
                number,
                lambda rows=rows: engine.loglikelihoods(prompts[rows], continuations[rows]),  # type: ignore[misc]
            )
    return scores


class Units:
    """The results of a job's units, in a file of a line each; use it in a `with` statement."""

    def __init__(self, resume: Resume) -> None:
        self._results: list[Any] = []
        self._name, self._until, self._total = resume.path.stem, resume.until, 0
        self.unit_rows = resume.unit_rows
        resume.path.parent.mkdir(parents=True, exist_ok=True)
        settle_file(resume.path, (resume.identity, *resume.accepted))
        self._file = resume.path.open("a+b")
        end = self._read(resume)
        self._file.truncate(end)
        if end == 0:
            head = {"identity": resume.identity, "code": resume.code}
            self._write(head | ({"unit_rows": self.unit_rows} if self.unit_rows else {}))

    def expect(self, total: int) -> None:
        """Hear how many units there are in all."""
        self._total = total
        if done := len(self._results):
            logging.info("%s: going on after batch %d of %d", self._name, done, total)

    def __enter__(self) -> "Units":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def result(self, number: int, make: Callable[[], Any]) -> Any:
        """Return a unit's result, which is made and kept at the first call. Units come in order.

        Raises `Stopped` after a unit that the job's time leaves no room behind.
        """
        if number < len(self._results):
            return self._results[number]
        result = make()
        # With its number, or a line that is lost or there twice would move all that follow.
        self._write({"unit": number, "result": result, "sha256": _hash(number, result)})
        self._results.append(result)
        if number + 1 < self._total and deadline.passed(self._until):
            raise Stopped(
                f"stopped by {deadline.NAME} after batch {number + 1} of {self._total}; the same "
                "command goes on from there"
            )
        return result

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self, resume: Resume) -> int:
        """Take in the whole lines from the start; returns where the last of them ends."""
        self._file.seek(0)
        head = self._file.readline()
        if not head:
            return 0
        known = _parsed(head)
        if known.get("identity") not in (resume.identity, *resume.accepted):
            logging.warning("%s, line 1 is damaged: all of it is generated again", resume.path)
            return 0
        self.unit_rows = known.get("unit_rows", 0)
        place = len(head)
        for line in self._file:
            entry = _parsed(line)
            number, result = len(self._results), entry.get("result")
            if (
                not line.endswith(b"\n")
                or entry.get("unit") != number
                or entry.get("sha256") != _hash(number, result)
            ):
                logging.warning(
                    "%s, line %d is damaged: it and what follows is generated again",
                    resume.path,
                    number + 2,
                )
                break
            self._results.append(result)
            place += len(line)
        return place


def _pieces(units: list[list[int]], most: int) -> Iterator[list[int]]:
    """Cut units into equal pieces of so many rows at most; 0: as they are."""
    for rows in units:
        count = math.ceil(len(rows) / most) if most else 1
        for piece in range(count):
            yield rows[piece * len(rows) // count : (piece + 1) * len(rows) // count]


def _hash(number: int, result: Any) -> str:
    return identity(unit=number, result=result)


def _parsed(line: bytes) -> dict[str, Any]:
    """Parse a line of the file; empty where it is none of ours."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
