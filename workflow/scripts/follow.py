"""Show a study while it is under way: a page of its curves so far, and a tracker that is told them.

Snakemake starts it beside the first job and says a word when it is done; where it is killed, the
page says that nothing goes on any more. It reads what jobs write and no job reads what it writes.
"""

import logging
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Literal

import pyarrow as arrow
from pydantic import Field

from online_il.errors import InputError
from online_il.files import write_text
from online_il.layout import Layout
from online_il.live.page import onwards, page
from online_il.live.trackers import tell
from online_il.live.trainings import Course, courses
from online_il.program.cli import ProgramOptions, main
from online_il.program.follower import FINISHED
from online_il.program.progress import asked_for

RESTS = 20
"""So many times as long as it works it rests."""
UNFINISHED = (InputError, FileNotFoundError, arrow.ArrowException)
"""A job replaces its files as it starts again: the next look finds them whole."""


class Options(ProgramOptions):
    results: Path = Field(description="folder of the results")
    tracker: Literal["none", "tensorboard", "trackio", "wandb"] = Field(
        "none", description="who is told the rows of training"
    )
    seconds: float = Field(30, gt=0, description="time between two looks")


def run(options: Options) -> None:
    # Ctrl-C reaches all programs of a terminal, and a SIGTERM may be meant for all of a group;
    # Snakemake ends its jobs first, then says its word to this one, or is gone, which ends it too.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(10)
    started, word, untold = time.time(), None, ""
    while word is None:
        before = time.process_time()
        found = look(options, started, options.seconds)
        untold = untold or told(options, found)
        # A large study's page takes seconds to draw, which are the trainings' too.
        word = said(max(options.seconds, RESTS * (time.process_time() - before)))
    found = look(options, started, None, ended=word.strip() == FINISHED)
    if untold := untold or told(options, found):
        raise InputError(f"{options.tracker} failed and was told no more: {untold}")


def told(options: Options, found: list[Course]) -> str:
    """Tell the tracker what is new of the trainings; returns what it failed with, if anything."""
    if options.tracker == "none":
        return ""
    try:
        tell(options.results, options.tracker, found)
    except UNFINISHED as error:
        logging.info("%s", " ".join(str(error).split()))
    except Exception as error:  # Somebody else's program, without which the page goes on.
        return " ".join(f"{type(error).__name__}: {error}".split())
    return ""


def look(
    options: Options, started: float, refresh: float | None, *, ended: bool = False
) -> list[Course]:
    """Draw the page, and give the trainings; one that `ended` leads to a report that was made."""
    layout, found = Layout(options.results), list[Course]()
    try:
        found = list(courses(options.results))
        if ended and layout.report in asked_for(layout):
            text = onwards(options.results)
        else:
            text = page(options.results, found, started, refresh, ended=ended)
    except UNFINISHED as error:
        logging.info("%s", " ".join(str(error).split()))
    else:
        write_text(text, layout.live, lasting=False)
    return found


def said(seconds: float) -> str | None:
    """Wait for Snakemake's word; empty where it is gone without one, None where it goes on."""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return sys.stdin.readline() if ready else None


if __name__ == "__main__":
    main(run, Options, __doc__)
