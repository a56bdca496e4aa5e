"""The record of answered requests: one JSON line each, on disk before the next one is asked.

A kill loses at most the requests in flight. A request is known by the hash of everything that
decides its answer, so that a changed one is asked again and an old answer is never taken for it.
"""

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from online_il.errors import InputError

End = Literal["stop", "length", "filtered", "broken"]
"""Ends of an answer: by itself, as long as allowed, cut by a filter, or broken off."""


class Usage(NamedTuple):
    """Tokens that a provider bills."""

    input_tokens: int = 0
    output_tokens: int = 0

    def plus(self, other: "Usage") -> "Usage":
        """Add two."""
        return Usage(
            self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens
        )

    def dollars(self, price_input: float, price_output: float) -> float:
        """Compute the cost at prices in US dollars a million tokens."""
        return (self.input_tokens * price_input + self.output_tokens * price_output) / 1e6


class Entry(BaseModel):
    """One line of a journal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt_id: str
    sample_index: int
    request: str
    """Hash of the request."""
    text: str | None
    """The answer; null where the server billed tokens but gave no whole answer."""
    finish_reason: str
    """As the server says; `none` where it does not."""
    end: End | None = None
    """The meaning of that word; lines of older versions have none."""
    input_tokens: int
    output_tokens: int
    estimated: bool = False
    """True where tokens are estimated from the text, for the server does not count all."""
    served_by: str | None
    """Model and version as the server names them."""

    @property
    def meaning(self) -> End:
        """Say how the answer ended. Older versions took three words of the server's for an end."""
        old: dict[str, End] = {"stop": "stop", "length": "length", "content_filter": "filtered"}
        return self.end or old.get(self.finish_reason, "broken")

    @property
    def answered(self) -> bool:
        """True for an answer. Older versions wrote no text where the end explains why."""
        return self.text is not None or self.meaning in {"length", "filtered"}

    @property
    def usage(self) -> Usage:
        """Tokens that this request was billed for."""
        return Usage(self.input_tokens, self.output_tokens)


class Journal:
    """A journal that is open for writing, by this process only; use it in a `with` statement.

    Memory holds where each answer lies in the file, not the answer. Raises `InputError` when
    another process writes the file, or when a line is not one of ours.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[str, int] = {}
        # Of an older version, which asked again for them: an answer with text counts before it.
        self._empty: dict[str, int] = {}
        self._billed: dict[str, Usage] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b", buffering=0)
        try:
            self._lock()
            self._recover()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __contains__(self, request: str) -> bool:
        return request in self._places or request in self._empty

    def add(self, entry: Entry) -> None:
        """Write a line; on return it is on the disk. A second answer to a request is an error."""
        if entry.text is not None and entry.request in self._places:
            raise ValueError(f"{entry.prompt_id}, response {entry.sample_index}: answered twice")
        place = self._file.seek(0, os.SEEK_END)
        line = entry.model_dump_json().encode() + b"\n"
        if self._file.write(line) != len(line):
            # Half a line is cut off at the next start.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        os.fsync(self._file.fileno())
        self._remember(entry, place)

    def entry(self, request: str) -> Entry:
        """Return the answer to a request. Raises `KeyError` where there is none."""
        places = self._places if request in self._places else self._empty
        with self.path.open("rb") as stream:
            stream.seek(places[request])
            return Entry.model_validate_json(stream.readline())

    def billed(self, request: str) -> Usage:
        """Add up the tokens billed for a request, attempts without an answer included."""
        return self._billed.get(request, Usage())

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{self.path}: another process is writing this journal; "
                "wait until it ends, or end it, and start again"
            ) from None
        except OSError as error:
            raise InputError(
                f"{self.path}: this file system knows no locks ({error.strerror}), so that two "
                "processes could ask for the same; put results on another, or mount it with flock"
            ) from None

    def _recover(self) -> None:
        """Read what is there, and cut off a last line that a kill tore."""
        place = 0
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.endswith(b"\n"):
                    break
                try:
                    self._remember(Entry.model_validate_json(line), place)
                except ValidationError:
                    raise InputError(
                        f"{self.path}, line {number}: not an answer that this program wrote; "
                        "delete the line and start again: its request is asked anew"
                    ) from None
                place += len(line)
        if place < self.path.stat().st_size:
            self._file.truncate(place)

    def _remember(self, entry: Entry, place: int) -> None:
        if entry.answered:
            (self._empty if entry.text is None else self._places).setdefault(entry.request, place)
        if any(entry.usage):
            self._billed[entry.request] = self.billed(entry.request).plus(entry.usage)


def canonical(value: object) -> bytes:
    """Write a value as JSON in one spelling only, to be hashed."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()
