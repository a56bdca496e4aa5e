"""The program that shows a study while it is under way, beside Snakemake (`scripts/follow.py`)."""

import json
import subprocess
from contextlib import suppress
from pathlib import Path

from online_il.layout import Layout
from online_il.program.dag import TRAINING

SCRIPT = Path(__file__).parents[2] / "scripts" / "follow.py"
FINISHED = "finished"
STOPS = 120
"""The longest that it may take to tell a tracker the last rows, seconds."""


class Follower:
    """Starts the program before the first job, and lets it end after the last."""

    def __init__(self, results: Path, tracker: str) -> None:
        self.layout, self.tracker = Layout(results), tracker
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it where something trains, a tracker wants what did, or a page is to go on."""
        trains = TRAINING & set(json.loads(self.layout.pending.read_text()))
        if not trains and self.tracker == "none" and not self.layout.live.is_file():
            return
        log = self.layout.log("follow")
        log.parent.mkdir(parents=True, exist_ok=True)
        command = ["python", str(SCRIPT), "--results", str(self.layout.results)]
        command += ["--tracker", self.tracker]
        with log.open("w") as stream:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=stream, stderr=stream, text=True
            )
        print(f"follow it while it goes on: {self.layout.live}", flush=True)

    def stop(self, word: str = "") -> None:
        """Say how the study ended, and wait for its last look; what went wrong there is a note."""
        if self.process is None:
            return
        with suppress(subprocess.TimeoutExpired, BrokenPipeError):
            self.process.communicate(f"{word}\n", timeout=STOPS)
        if self.process.poll() is None:
            self.process.kill()
        if self.process.wait() != 0:
            told = self.layout.log("follow")
            last = (told.read_text().splitlines() or ["it was ended"])[-1]
            print(f"note: {self.layout.live} or the tracker is behind: {last} (see {told})")
