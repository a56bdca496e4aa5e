"""The options of a job as its rule gives them, by name, and as its program takes them, in words."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel


class Flags(dict[str, Any]):
    """Options by name; as a text they are words of a shell's command line.

    An option that is None is left out, True stands without a value, settings are JSON, a list of
    numbers follows its flag, and any other list repeats it.
    """

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Flags":
        """Make them of values, of which settings become JSON, so that they can be compared."""
        plain = {
            name: value.model_dump_json() if isinstance(value, BaseModel) else value
            for name, value in options.items()
        }
        return cls({k: v for k, v in plain.items() if v is not None and v is not False})

    def __str__(self) -> str:
        return shlex.join(word for name in self for word in self._words(name))

    def _words(self, name: str) -> Iterator[str]:
        flag, value = f"--{name.replace('_', '-')}", self[name]
        if value is True:
            yield flag
        elif not isinstance(value, list):
            yield f"{flag}={value}"
        elif all(isinstance(item, int | float) for item in value):
            yield from [flag, *map(str, value)]
        else:
            for item in value:
                yield from [flag, *map(str, item)] if isinstance(item, list) else [f"{flag}={item}"]
