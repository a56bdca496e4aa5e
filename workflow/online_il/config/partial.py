"""Settings in which something is refused: what is left of them, so that the rest can be checked.

A part leaves out the keys whose values its class refuses or misses; a check ends where it reads one
(`spared`), and the others go on. Nothing runs with such settings.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

from pydantic import BaseModel, ValidationError, create_model

PARTIAL = "partial"
"""The context of a validation in which parts leave out what they refuse."""

P = ParamSpec("P")
T = TypeVar("T")
Part = TypeVar("Part", bound=BaseModel)


class Refused(Exception):
    """A check needs a value that is missing, or that its class refuses."""


class Stub:
    """Stands for what is refused. It has a name at most; every other use raises `Refused`."""

    def __init__(self, raw: object) -> None:
        self.raw = raw
        names = raw.items() if isinstance(raw, dict) else ()
        vars(self).update({k: v for k, v in names if k in ("name", "id") and isinstance(v, str)})

    def __repr__(self) -> str:
        return repr(self.raw)

    def _refuse(self, *_: object) -> Any:
        raise Refused

    __getattr__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _refuse
    __format__ = __bool__ = __len__ = __iter__ = __contains__ = __getitem__ = __int__ = (
        __float__
    ) = _refuse
    __add__ = __radd__ = __mul__ = __rmul__ = __mod__ = __rmod__ = __floordiv__ = _refuse


def spared(check: Callable[P, Iterable[T]]) -> Callable[P, Iterator[T]]:
    """Have a check end, with what it has told, where it needs a value that is refused."""

    @wraps(check)
    def told(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        try:
            yield from check(*args, **kwargs)
        except Refused:
            return

    return told


def if_known(part: object, key: str) -> Any:
    """Give the value of a part's key; None where either is none or is refused."""
    try:
        return getattr(part, key, None)
    except Refused:
        return None


def value_of(part: object, key: str) -> Any:
    """Give the value of a part's key; a `Stub` where it is refused."""
    try:
        return getattr(part, key)
    except Refused:
        return Stub(None)


def readable(listed: Sequence[T]) -> list[tuple[int, T]]:
    """List what is not refused, with the index of each."""
    return [(index, one) for index, one in enumerate(listed) if not isinstance(one, Stub)]


def names_of(parts: Sequence[object]) -> list[str]:
    """List the names that can be read."""
    return [name for part in parts if (name := if_known(part, "name")) is not None]


def named(parts: Sequence[T], name: str) -> T | None:
    """Find the part of a name, None if there is none.

    Raises `Refused` where it may be one of those whose name is missing or refused.
    """
    for part in parts:
        if if_known(part, "name") == name:
            return part
    if len(names_of(parts)) < len(parts):
        raise Refused
    return None


# ---- how they are made ----


def partial_part(kind: type[Part], raw: dict[str, Any]) -> Part:
    """Make a part of what `kind` accepts in a raw mapping."""
    known = [key for key in kind.model_fields if key in raw]
    part = kind.model_construct({*known}, **{key: _accepted(kind, key, raw[key]) for key in known})
    for key in known:
        if isinstance(part.__dict__[key], Stub):
            del part.__dict__[key]
    return part


def _accepted(kind: type[BaseModel], key: str, raw: Any) -> Any:
    """Give what a class makes of the value of a key; in a list or mapping, of its single values."""
    validate = _field(kind, key)
    try:
        return validate(raw)
    except ValidationError as error:
        wrong = {detail["loc"][1] for detail in error.errors() if len(detail["loc"]) > 1}
    if key in ("name", "id") and isinstance(raw, str) and kind.model_fields[key].annotation is str:
        return raw  # A name that no pattern allows still names.
    try:
        if isinstance(raw, list) and wrong:
            good = iter(validate([one for index, one in enumerate(raw) if index not in wrong]))
            return [Stub(one) if index in wrong else next(good) for index, one in enumerate(raw)]
        if isinstance(raw, dict) and wrong:
            good = validate({one: value for one, value in raw.items() if one not in wrong})
            # A key that YAML takes for a number still names.
            return good | {str(one): Stub(raw[one]) for one in raw if one in wrong}
    except ValidationError:
        pass  # What is left is too little.
    return Stub(raw)


@cache
def _field(kind: type[BaseModel], key: str) -> Callable[[Any], Any]:
    """Make a validator of one key."""
    field = kind.model_fields[key]
    fields: dict[str, Any] = {key: (field.annotation, field)}
    alone = create_model(kind.__name__, __config__=kind.model_config, **fields)
    return lambda raw: getattr(alone.model_validate({key: raw}, context=PARTIAL), key)
