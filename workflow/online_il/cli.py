"""What every script shares: its arguments, its log and how it ends when something is wrong."""

import argparse
import fcntl
import hashlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from online_il.records import InputError


class ParameterError(ValueError):
    """A parameter out of its range; the text names the parameter and the range."""


class Stopped(BaseException):
    """A program was asked to stop and has saved what it needs to go on; the text says so.

    No `Exception`, for it comes at any moment, also where a library catches all of those.
    """


WRITTEN = ("output", "output_stem", "out", "record", "database")
"""Options that name what a program writes, the telling ones first."""
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
    file or the system.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    options = arguments.parse_args()
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, _stop)
    try:
        with alone(options):
            program(options)
    except Stopped as error:
        arguments.exit(AGAIN, f"{error}\n")
    except ParameterError as error:
        arguments.exit(2, f"error: {error}\n")
    except (InputError, FloatingPointError) as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        name = f" ({error.filename})" if error.filename else ""
        sys.exit(f"error: {error.strerror or error}{name}")


def _stop(number: int, _: FrameType | None) -> None:
    """Ends a program that has nothing to save but what is on the disk already."""
    raise Stopped(f"stopped by {signal.Signals(number).name}; the same command goes on")


@contextmanager
def alone(options: argparse.Namespace) -> Iterator[None]:
    """Lets one process at a time do a job: a second one waits until the first has ended.

    A Snakemake that is killed leaves its jobs running, and the next one starts them again. The
    lock is the kernel's and ends with its process. It is named after what the
    program writes; one that is started elsewhere than in a Snakemake's folder has none.
    """
    folder = Path(".snakemake")
    place = next((getattr(options, name, None) for name in WRITTEN if hasattr(options, name)), None)
    first = os.environ.get("RANK", "0") == "0"  # Of the processes that train together.
    if place is None or not folder.is_dir() or not first:
        yield
        return
    name = hashlib.sha256(str(place).encode()).hexdigest()[:24]
    path = folder / "online-il" / f"{name}.lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as lock:
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logging.info("another process still makes %s; waiting until it ends", place)
                fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            logging.warning("%s: no lock on this file system (%s)", path, error.strerror)
        yield


def newest_step(folder: Path) -> Path:
    """The last checkpoint in a folder of `step<n>` folders. Raises `InputError` for none."""
    steps = sorted(folder.glob("step*"), key=lambda path: int(path.name.removeprefix("step")))
    if not steps:
        raise InputError(f"{folder}: no checkpoint in it; delete it and start again")
    return steps[-1]


def log(message: str, **numbers: Any) -> None:
    """One line in the rule's log."""
    logging.info(" ".join([message, *(f"{key}={value}" for key, value in numbers.items())]))
