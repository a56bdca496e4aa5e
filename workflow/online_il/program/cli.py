"""Runs a script: its arguments, its log, and one line when something is wrong."""

import argparse
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from online_il.errors import InputError, ParameterError, Stopped
from online_il.program.exhausted import Exhausted, sentence
from online_il.program.lock import one_process_per_output

AGAIN = 75
"""The status of a program that was asked to stop: starting it again goes on (EX_TEMPFAIL)."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; see --help\n")


def parser(description: str | None) -> Parser:
    """An argument parser that shows the module's docstring as it is written."""
    return Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def add_run(arguments: argparse.ArgumentParser) -> None:
    """Arguments that name one trained policy and its provenance."""
    arguments.add_argument("--task", required=True, help="name of the task")
    arguments.add_argument("--run", required=True, help="name of the run")
    arguments.add_argument("--seed", type=int, required=True, help="seed of the run")
    arguments.add_argument("--code", required=True, help="hash of the code, for provenance")


def main(program: Callable[[argparse.Namespace], None], arguments: argparse.ArgumentParser) -> None:
    """Run a script; what is wrong ends it with one line that says what to do.

    The status is 2 for a parameter, 75 for a program that was asked to stop, and 1 for an input
    file or the system, a full disk and a full memory among it.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    options = arguments.parse_args()
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, _stop)
    try:
        with one_process_per_output(options):
            _run(program, options, Path(arguments.prog).stem)
    except Stopped as error:
        arguments.exit(AGAIN, f"{error}\n")
    except ParameterError as error:
        arguments.exit(2, f"error: {error}\n")
    except (InputError, FloatingPointError, Exhausted) as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        name = f" ({error.filename})" if error.filename else ""
        sys.exit(f"error: {error.strerror or error}{name}")


def _stop(number: int, _: FrameType | None) -> None:
    """End a program that has nothing to save but what is on the disk already."""
    raise Stopped(f"stopped by {signal.Signals(number).name}; the same command goes on")


def _run(
    program: Callable[[argparse.Namespace], None], options: argparse.Namespace, name: str
) -> None:
    """Run a program; raises `Exhausted` where it fails because something ran out."""
    try:
        program(options)
        return
    except Exception as error:
        line = sentence(error, options, name)
        if line is None:
            raise
    # Here, for while an error is handled it keeps what the program held.
    raise Exhausted(line)


def log(message: str, **numbers: Any) -> None:
    """One line in the rule's log."""
    logging.info(" ".join([message, *(f"{key}={value}" for key, value in numbers.items())]))
