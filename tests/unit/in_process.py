"""The programs of the workflow, run in the test's own process: torch is there already."""

import runpy
import signal
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"


def run(script: str, *arguments: object) -> None:
    """Run a program with these arguments; `SystemExit` where it fails."""
    known = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"{script}.py", *map(str, arguments)])
        try:
            runpy.run_path(str(SCRIPTS / f"{script}.py"), run_name="__main__")
        finally:
            for number, handler in known.items():
                signal.signal(number, handler)


def refusal(script: str, *arguments: object) -> str:
    """What a program says as it ends because of its input."""
    with pytest.raises(SystemExit) as ended:
        run(script, *arguments)
    assert isinstance(ended.value.code, str), f"status {ended.value.code}"
    return ended.value.code
