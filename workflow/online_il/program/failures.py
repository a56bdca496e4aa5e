"""Says why a job failed: the last words of its program, not the shell that ran it.

Snakemake 9.27 prints the whole command of a failed job as its cause, with all that the rules put
before every command, and takes jobs that Ctrl-C ends for failed ones.
"""

import logging
import re
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

OWN = re.compile(r"(error: |stopped by ).+")
"""A line with which a program of ours ends."""
OTHERS = re.compile(r"(?!.*ChildFailedError)([A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt)\b).*")
"""The last line of a traceback; the launcher's own, which follows, says nothing."""
TAIL_BYTES = 2**16


class Plainly(logging.Filter):
    """Puts the cause into what Snakemake logs of a failed job; keeps quiet after a Ctrl-C."""

    interrupted = False

    def filter(self, record: logging.LogRecord) -> bool:
        if self.interrupted and record.levelno >= logging.ERROR:
            return False
        if record.levelno >= logging.ERROR and "\nCalledProcessError in file" in str(record.msg):
            return False  # What it is about follows: `Error in rule`.
        if hasattr(record, "aux") and (found := cause(getattr(record, "log", None) or [])):
            record.aux = {"cause": found, **record.aux}
        return True

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Take a Ctrl-C as Python does, and remember it."""
        self.interrupted = True
        signal.default_int_handler(number, frame)


def speak_plainly() -> Plainly:
    """Let this Snakemake say why jobs fail; returns what knows of a Ctrl-C."""
    from snakemake.logging import logger  # type: ignore[import-untyped]

    plainly = Plainly()
    for known in [one for one in logger.filters if type(one).__name__ == Plainly.__name__]:
        logger.removeFilter(known)
    logger.addFilter(plainly)
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, plainly.interrupt)
    return plainly


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
