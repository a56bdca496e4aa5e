"""Runs a script: its options, its log, and one line when something is wrong."""

import argparse
import logging
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, UnionType
from typing import Any, NoReturn, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError
from pydantic.fields import FieldInfo

from online_il.errors import InputError, ParameterError, Stopped
from online_il.program.exhausted import Exhausted, sentence
from online_il.program.lock import one_process_per_output

AGAIN = 75
"""The status of a program that was asked to stop: starting it again goes on (EX_TEMPFAIL)."""
POSITIONAL = "positional"
"""Marks a field (`Annotated[Path, POSITIONAL]`) whose value stands without a flag before it."""
SHOWN = 60
"""A longer value is not repeated in the error about it."""


class ProgramOptions(BaseModel):
    """Options of a program: a field is `--its-name`, its description the help.

    A list takes one value or more and may be repeated, a list of lists is repeated. Settings are
    `Json[...]`: they arrive validated. An `alias` is another name of the flag.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class RunOptions(ProgramOptions):
    """What names one trained policy and its provenance."""

    task: str = Field(description="name of the task")
    run: str = Field(description="name of the run")
    seed: int = Field(description="seed of the run")
    code: str = Field(description="hash of the code, for provenance")


OptionsT = TypeVar("OptionsT", bound=ProgramOptions)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        # As it stands it takes -1e-05 for a flag.
        self._negative_number_matcher = re.compile(r"-\.?\d")

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        if action.option_strings and arg_strings == ["--"]:  # Python 3.11 drops `--flag=--`.
            return "--" if action.nargs is None else ["--"]
        return super()._get_values(action, arg_strings)  # type: ignore[misc]

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; see --help\n")


def parser(options: type[ProgramOptions], description: str | None) -> Parser:
    """Build the parser of a program's options; it shows the description as it is written."""
    command_line = Parser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    for name, field in options.model_fields.items():
        flag = field.alias or name
        settings: dict[str, Any] = {"help": (field.description or "").replace("%", "%%")}
        settings |= _number_of_values(field)
        if POSITIONAL in field.metadata:
            command_line.add_argument(flag, **settings)
        else:
            settings |= {"dest": flag, "required": field.is_required()}
            command_line.add_argument(f"--{flag.replace('_', '-')}", **settings)
    return command_line


def _number_of_values(field: FieldInfo) -> dict[str, Any]:
    """Say how many values a field takes, as argparse does."""
    kind = field.annotation
    if get_origin(kind) in (Union, UnionType):  # Something or None.
        kind = next(part for part in get_args(kind) if part is not type(None))
    if kind is bool:
        return {"action": "store_true"}
    if get_origin(kind) is tuple:
        return {"nargs": len(get_args(kind))}
    if get_origin(kind) is not list:
        return {}
    several = "+" if field.is_required() else "*"
    if POSITIONAL in field.metadata:
        return {"nargs": several}
    inner = get_origin(get_args(kind)[0])
    return {"action": "append" if inner is list else "extend", "nargs": several}


def read_options(
    options: type[OptionsT], command_line: Parser, words: list[str] | None = None
) -> OptionsT:
    """Read and validate a program's options; a wrong one ends it with a line that names it."""
    given = vars(command_line.parse_args(words))
    try:
        return options.model_validate(given)
    except ValidationError as error:
        command_line.error("; ".join(_problems(error, options, given)))


def _problems(
    error: ValidationError, options: type[ProgramOptions], given: dict[str, Any]
) -> Iterator[str]:
    """Say what is wrong with which option; settings, which may be long or private, are not told."""
    quotable = {
        field.alias or name: given.get(field.alias or name)
        for name, field in options.model_fields.items()
        if not any(isinstance(part, Json) for part in field.metadata)  # type: ignore[misc]
    }
    for one in error.errors(include_url=False):
        name, *inside = map(str, one["loc"]) if one["loc"] else ("",)
        flag = f"--{name.replace('_', '-')}"
        value = quotable.get(name)
        shown = f" {value}" if isinstance(value, str) and len(value) <= SHOWN else ""
        place = f", {'.'.join(inside)}" if inside else ""
        message = one["msg"].removeprefix("Value error, ")
        yield f"{flag}{shown}{place}: {message}" if name else message


def main(
    program: Callable[[OptionsT], None], options: type[OptionsT], description: str | None
) -> None:
    """Run a script; what is wrong ends it with one line that says what to do.

    The status is 2 for a parameter, 75 for a program that was asked to stop, and 1 for an input
    file or the system, a full disk and a full memory among it.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    command_line = parser(options, description)
    read = read_options(options, command_line)
    places = argparse.Namespace(**vars(read))
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, _stop)
    try:
        with one_process_per_output(places):
            _run(program, read, places, Path(command_line.prog).stem)
    except Stopped as error:
        command_line.exit(AGAIN, f"{error}\n")
    except ParameterError as error:
        command_line.exit(2, f"error: {_with_flags(str(error), options)}\n")
    except (InputError, FloatingPointError, Exhausted) as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        name = f" ({error.filename})" if error.filename else ""
        sys.exit(f"error: {error.strerror or error}{name}")


def _with_flags(message: str, options: type[ProgramOptions]) -> str:
    """Name parameters as the command line does: `bin_width` becomes --bin-width."""

    def flag(name: re.Match[str]) -> str:
        known = name[1] in options.model_fields
        return f"--{name[1].replace('_', '-')}" if known else name[0]

    return re.sub(r"`(\w+)`", flag, message)


def _stop(number: int, _: FrameType | None) -> None:
    """End a program that has nothing to save but what is on the disk already."""
    raise Stopped(f"stopped by {signal.Signals(number).name}; the same command goes on")


def _run(
    program: Callable[[OptionsT], None], options: OptionsT, places: argparse.Namespace, name: str
) -> None:
    """Run a program; raises `Exhausted` where it fails because something ran out."""
    try:
        program(options)
        return
    except Exception as error:
        line = sentence(error, places, name)
        if line is None:
            raise
    # Here, for while an error is handled it keeps what the program held.
    raise Exhausted(line)


def warn_once(said: set[str], message: str) -> None:
    """Write a warning in the rule's log, unless it is among those that were said."""
    if message not in said:
        said.add(message)
        logging.warning("%s", message)


def log(message: str, **numbers: Any) -> None:
    """Write one line in the rule's log."""
    logging.info(" ".join([message, *(f"{key}={value}" for key, value in numbers.items())]))
