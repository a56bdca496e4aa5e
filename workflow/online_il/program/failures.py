"""Says why a job failed: the last words of its program, not the shell that ran it.

Snakemake 9.27 prints the whole command of a failed job as its cause, with all that the rules put
before every command, and takes jobs that Ctrl-C or SIGTERM end for failed ones.
"""

import logging
import re
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from snakemake.logging import logger  # type: ignore[import-untyped]
from snakemake.scheduling.job_scheduler import JobScheduler  # type: ignore[import-untyped]

_EXIT_GRACEFULLY = JobScheduler.exit_gracefully

OWN = re.compile(r"(error: |stopped by ).+")
"""A line with which a program of ours ends."""
OTHERS = re.compile(r"(?!.*ChildFailedError)([A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt)\b).*")
"""The last line of a traceback; the launcher's own, which follows, says nothing."""
STATUS = re.compile(r"returned non-zero exit status (\d+)|died with <Signals\.(\w+)")
OURS = re.compile(r'\n  File "[^"]*/online_il/[^"]*", line \d+, in \w+')
"""Where in this package an error that Snakemake prints was raised; the error says what is wrong."""
BY_TIME = "--rerun-triggers mtime"
"""Snakemake's hint after a plan, with which results would no longer follow from the config."""
HEAD = re.compile(r'^\w+ in file "[^"]*", line \d+:\n')
PLACE = re.compile(r'\n  File "[^"]*", line \d+, in \w+')
REFUSED = "nothing was started"
"""With these words a start is refused for what somebody wrote, wherever our code finds it."""
TAIL_BYTES = 2**16


class Plainly(logging.Filter):
    """Puts the cause into what Snakemake logs of a failed job; keeps quiet of stopped ones."""

    stopped_by = ""
    """What stopped Snakemake: Ctrl-C or SIGTERM."""
    status = ""
    """How the job ended of which Snakemake speaks next."""
    failed = False

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR:
            return BY_TIME not in str(record.msg)
        if self.stopped_by == "Ctrl-C":
            return False
        text = str(record.msg)
        if "\nCalledProcessError in file" in text:
            self.status = status_in_words(text)
            return False  # What it is about follows: `Error in rule`.
        if hasattr(record, "rule_msg"):
            found = cause(getattr(record, "log", None) or [])
            said = [text for text in (found or self.status, record.rule_msg) if text]
            if self.stopped_by and (not found or found.startswith("stopped by ")):
                return False
            record.rule_msg = "; ".join(said) or "it failed"
            self.status, self.failed = "", True
        elif self.stopped_by and not self.failed and "did not complete" in text:
            return False
        refused = REFUSED in text
        record.msg = HEAD.sub("error: ", PLACE.sub("", text)) if refused else OURS.sub("", text)
        return True

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Take a Ctrl-C as Python does, and remember it."""
        self.stopped_by = "Ctrl-C"
        signal.default_int_handler(number, frame)


def speak_plainly() -> Plainly:
    """Let this Snakemake say why jobs fail; returns what knows of a Ctrl-C and of a SIGTERM."""
    plainly = Plainly()
    for known in [one for one in logger.filters if type(one).__name__ == Plainly.__name__]:
        logger.removeFilter(known)
    logger.addFilter(plainly)
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, plainly.interrupt)

    def exit_gracefully(self: Any, *signalled: Any) -> None:
        plainly.stopped_by = "SIGTERM"
        _EXIT_GRACEFULLY(self, *signalled)

    JobScheduler.exit_gracefully = exit_gracefully
    return plainly


def status_in_words(text: str) -> str:
    """Say of Snakemake's words on a command how it ended, a signal by its name."""
    if not (found := STATUS.search(text)):
        return ""
    number, name = found.groups()
    if number and int(number) > 128:
        with suppress(ValueError):
            name = signal.Signals(int(number) - 128).name
    return f"killed by {name}" if name else f"exit status {number}"


def cause(logs: Sequence[str]) -> str:
    """Find the line in which a failed program says why, at the end of its logs; empty for none."""
    lines: list[str] = []
    for log in logs:
        with suppress(OSError), Path(log).open("rb") as stream:
            stream.seek(max(0, Path(log).stat().st_size - TAIL_BYTES))
            lines += stream.read().decode(errors="replace").splitlines()
    for form in (OWN, OTHERS):
        for line in reversed(lines):
            if form.fullmatch(line.strip()):
                return line.strip()
    return ""
