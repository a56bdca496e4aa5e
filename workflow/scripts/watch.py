"""Run a command of Snakemake and show how far the whole DAG is.

In a terminal: one live display (jobs done and left, each running job's step, reward, accuracy,
tokens a second, time left). Without one: a plain line every half minute. The full output goes to
<results>/logs/snakemake.log. Ends with the table of final accuracies and the command's status.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from online_il.claims.board import show
from online_il.layout import Layout
from online_il.program.accepted import MADE_AGAIN
from online_il.program.progress import in_words, running, seconds_of

PLAIN_INTERVAL = 30.0
"""Seconds between two lines where there is no terminal."""

BEGINNING = 0.05
"""Share of a job's work, whose pace says less than the plan does: programs start slowly."""
DOUBT = 0.25
"""So much of a job at the plan's pace is counted beside what is done of it: a machine that is busy
for a minute says little of an hour."""

ERROR_LINES = 40
"""Lines of output that are shown when the command fails."""


class Watcher:
    """Follows a DAG by Snakemake's output, progress files and benchmark files."""

    def __init__(self, results: Path) -> None:
        self.layout = Layout(results)
        self.started = time.time()
        self.finished: Counter[str] = Counter()
        self.lines: list[str] = []

    def read(self, line: str) -> None:
        """Take in one line of Snakemake's output."""
        self.lines = [*self.lines[-ERROR_LINES:], line]
        if done := re.match(r"Finished jobid: \d+ \(Rule: (\w+)\)", line.strip()):
            self.finished[done[1]] += 1

    def running(self) -> list[tuple[str, dict[str, Any]]]:
        """List the name and the numbers of every job that tells its progress and is not done."""
        return running(self.layout.results, self.started)

    def planned(self) -> dict[str, dict[str, Any]]:
        """By rule, what `online_il.program.dag.write_start` wrote down of this start's jobs."""
        path = self.layout.pending
        try:
            if path.stat().st_mtime < self.started - 1:
                return {}  # An earlier start's.
            return json.loads(path.read_text())
        except (OSError, ValueError):
            return {}

    def seconds_left(self, cores: int) -> float | None:
        """Work left over cores, from the pace of the jobs so far.

        A rule of which no job has told its pace is taken to need what the study's plan expects
        or, without a plan, its time limit: as much more or less as the others do. Before any job
        told its pace this is what the plan says, and None without one. The rules are added up, each
        as if its jobs alone ran side by side.
        """
        planned = self.planned()
        guessed = {rule: row["expected"] or 0.0 for rule, row in planned.items()}
        known = self._durations(guessed)
        paces = [1.0]
        if not any(guessed.values()):
            guessed, paces = {rule: 60 * (row["minutes"] or 0) for rule, row in planned.items()}, []
        told = [seconds / guessed[rule] for rule, seconds in known.items() if guessed.get(rule)]
        if not (told or paces):
            return None
        expected = {rule: median(told or paces) * guess for rule, guess in guessed.items()} | known
        waiting = {rule: row["jobs"] - self.finished[rule] for rule, row in planned.items()}
        seconds = {rule: count * expected[rule] for rule, count in waiting.items()}
        for name, numbers in self.running():
            rule = name.split()[0]
            if rule in seconds:
                seconds[rule] -= expected[rule] * numbers["done"] / numbers["total"]
        return sum(
            max(0.0, seconds[rule]) / min(max(1, cores // planned[rule]["threads"]), count)
            for rule, count in waiting.items()
            if count > 0
        )

    def _durations(self, guessed: dict[str, float]) -> dict[str, float]:
        """Seconds of a job of each rule: the longest that finished, or what a running one takes.

        The longest, because evaluating a base of one checkpoint says nothing about a run of ten.
        A job that has only begun says nothing where the plan has a guess.
        """
        durations = defaultdict(list)
        for rule, path in self.layout.existing_benchmarks():
            if (took := seconds_of(path)) is not None:
                durations[rule].append(took)
        known = {rule: max(values) for rule, values in durations.items()}
        for name, numbers in self.running():
            rule = name.split()[0]
            begun = numbers["done"] / numbers["total"]
            if rule not in known and begun and (begun >= BEGINNING or not guessed.get(rule)):
                elapsed, guess = numbers["time"] - numbers["started"], guessed.get(rule, 0.0)
                doubt = DOUBT if guess else 0.0
                known[rule] = (elapsed + doubt * guess) / (begun + doubt)
        return known

    def live(self) -> str:
        """Say where the curves so far are, as soon as this start has drawn them."""
        page = self.layout.live
        drawn = page.is_file() and page.stat().st_mtime >= self.started
        return f"   curves so far: {page}" if drawn else ""

    def totals(self) -> tuple[int, int]:
        """Count the jobs: (done, planned)."""
        return sum(self.finished.values()), sum(row["jobs"] for row in self.planned().values())


def clock(seconds: float | None) -> str:
    """Write `4:05`, `11:04:05`, or a question mark."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def picture(watcher: Watcher, cores: int) -> Group:
    """Draw the live display."""
    done, total = watcher.totals()
    head = Text(
        f"{done} of {total or '?'} jobs done   elapsed {clock(time.time() - watcher.started)}"
        f"   about {clock(watcher.seconds_left(cores))} left{watcher.live()}"
    )
    table = Table.grid(padding=(0, 2))
    for name, numbers in watcher.running():
        bar = ProgressBar(total=numbers["total"], completed=numbers["done"], width=20)
        table.add_row(name, bar, in_words(numbers))
    return Group(head, ProgressBar(total=max(total, 1), completed=done, width=72), table)


def plain(watcher: Watcher, cores: int) -> str:
    """Write the same as one line."""
    done, total = watcher.totals()
    jobs = "; ".join(f"{name}: {in_words(numbers)}" for name, numbers in watcher.running())
    return (
        f"[{clock(time.time() - watcher.started)}] {done} of {total or '?'} jobs done, about "
        f"{clock(watcher.seconds_left(cores))} left. {jobs}{watcher.live()}"
    )


def watch(options: argparse.Namespace) -> int:
    console = Console()
    watcher = Watcher(options.results)
    log = Layout(options.results).log("snakemake")
    log.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        options.command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )

    def drain() -> None:
        assert process.stdout is not None
        listing = False
        with log.open("w") as stream:
            for line in process.stdout:
                stream.write(line)
                stream.flush()
                watcher.read(line.rstrip("\n"))
                listing = line.startswith(MADE_AGAIN) or (listing and line.startswith("  "))
                if listing:
                    console.print(line.rstrip("\n"), markup=False, highlight=False)

    reader = threading.Thread(target=drain)
    reader.start()
    # Ctrl-C reaches Snakemake too, which ends its jobs; a SIGTERM may have been meant for this
    # program alone, and is passed on. Either way this program waits for Snakemake.
    stopped_by: list[str] = []

    def pass_on(*_: object) -> None:
        stopped_by.append("SIGTERM")
        process.terminate()

    signal.signal(signal.SIGINT, lambda *_: stopped_by.append("Ctrl-C"))
    signal.signal(signal.SIGTERM, pass_on)
    if console.is_terminal:
        while reader.is_alive() and not watcher.planned():
            reader.join(0.5)  # Before it starts anything it may ask something.
        with Live(console=console, refresh_per_second=2, transient=True) as live:
            while reader.is_alive():
                live.update(picture(watcher, options.cores))
                reader.join(0.5)
    else:
        last = 0.0
        while reader.is_alive():
            reader.join(0.5)
            if watcher.planned() and time.time() - last >= PLAIN_INTERVAL:
                print(plain(watcher, options.cores), flush=True)
                last = time.time()
    status = process.wait()
    elapsed = clock(time.time() - watcher.started)
    if status == 0:
        show(options.results, options.cores)
        print(f"done in {elapsed}")
    elif stopped_by:
        print(
            f"stopped by {stopped_by[0]} after {elapsed}; the same command goes on",
            file=sys.stderr,
        )
    else:
        print("\n".join(watcher.lines[-ERROR_LINES:]), file=sys.stderr)
        print(f"failed after {elapsed}; everything that was printed: {log}", file=sys.stderr)
    return status


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--results", type=Path, required=True, help="results folder")
    arguments.add_argument("--cores", type=int, default=2, help="jobs side by side")
    arguments.add_argument("command", nargs="+", help="the command, after --")
    sys.exit(watch(arguments.parse_args()))
