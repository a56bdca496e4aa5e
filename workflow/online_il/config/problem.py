"""What is wrong in a config, as its checks tell it: where, what stands there, why, what to do."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from online_il.config.partial import readable

Keys = tuple[str | int, ...]


class _Absent:
    """Stands for the value of a key that is not there; YAML's null is a value."""


ABSENT = _Absent()


class Place(NamedTuple):
    """A line of a file, from 1."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class Problem(NamedTuple):
    """One thing that is wrong in a config, and what to do about it.

    `keys` lead to `value` from the part of the config that is checked. `place` says where it stands
    if that is known already; otherwise `reading.refuse` finds it by the keys.
    """

    keys: Keys
    value: object
    message: str
    remedy: str
    place: Place | None = None

    def below(self, *keys: str | int) -> "Problem":
        """Tell the same problem from a part further out."""
        return self._replace(keys=(*keys, *self.keys))


def value_at(raw: object, *keys: str | int) -> Any:
    """Give the value at a path of keys, `ABSENT` where the path ends early."""
    for key in keys:
        if isinstance(raw, list) and isinstance(key, int):
            raw = raw[key] if key < len(raw) else ABSENT
        else:
            raw = raw.get(key, ABSENT) if isinstance(raw, Mapping) else ABSENT
    return raw


def similar(name: object, known: Iterable[str]) -> str:
    """Find the name that is probably meant; empty where none is similar."""
    return next(iter(difflib.get_close_matches(str(name), list(known), 1)), "")


def closest(name: object, known: Iterable[str]) -> str:
    """Ask whether a similar name is meant, with a space after it; empty where none is similar."""
    meant = similar(name, known)
    return f"did you mean '{meant}'? " if meant else ""


def unknown(keys: Keys, name: str, message: str, known: Sequence[str]) -> Problem:
    """Tell of a name that nothing has."""
    remedy = f"{closest(name, known)}there are: {', '.join(known) or 'none'}"
    return Problem(keys, name, message, remedy)


def repetitions(listed: Sequence[object], keys: Keys) -> Iterator[Problem]:
    """Tell of values that stand in a list twice."""
    rows = readable(listed)
    for row, (index, value) in enumerate(rows):
        if any(value == before for _, before in rows[:row]):
            yield Problem((*keys, index), value, "this is listed twice", "keep one of them")


def indivisible(batch: int, micro: int, devices: int = 1) -> Iterator[Problem]:
    """Tell of an update of `batch` sequences that equal micro-batches do not divide."""
    if batch % (micro * devices):
        pieces = f"{micro}s" if devices == 1 else f"{micro}s on each of {devices} GPUs"
        remedy = (
            f"choose a divisor of {batch // devices}"
            if batch % devices == 0
            else f"choose a batch that {devices} GPUs divide"
        )
        message = f"an update has {batch} sequences, which do not divide into {pieces}"
        yield Problem(("micro_batch_size",), micro, message, remedy)


def unreachable(
    steps: Sequence[int], last: float | None, what: str, keys: Keys
) -> Iterator[Problem]:
    """Tell of checkpoints listed twice, before step 1 or after the `last` step."""
    yield from repetitions(steps, keys)
    early = [step for _, step in readable(steps) if step < 1]
    late = [step for _, step in readable(steps) if last is not None and step > last]
    if early:
        yield Problem(keys, early, "steps count from 1", "drop these checkpoints")
    if late:
        message = f"{what} ends at step {last} and never reaches these"
        yield Problem(keys, late, message, "raise its steps or drop these checkpoints")
