"""Runs the checks, each process of them with a time limit: a crash or a hang is a finding, too."""

import itertools
import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from online_il.probe.causes import cause, last_words
from online_il.probe.checks import Check, skipped
from online_il.probe.findings import Finding

MARK = "ONLINE_IL_PROBE"
"""The variable by which the processes of one check are known, wherever they came from."""
LOOK = 0.05
"""Seconds between two looks at a process."""
GIVE_UP = (
    "look at {log}; where it waits for another GPU, try NCCL_DEBUG=INFO and NCCL_P2P_DISABLE=1"
)


def findings_of(
    checks: Sequence[Check],
    command: Sequence[str],
    hardware: str,
    work: Path,
    limits: float = 1.0,
) -> Iterator[Finding]:
    """Yield what each check finds, in their order.

    `command` is what tries checks in a process of its own; it is given `--alone`, the names and
    the file to write findings to. `limits` is what the time limits are multiplied by.
    """
    work.mkdir(parents=True, exist_ok=True)
    findings: list[Finding] = []
    for _, sharing in itertools.groupby(checks, key=lambda check: check.process or check.name):
        waiting = list(sharing)
        while waiting:
            if finding := skipped(waiting[0], hardware, findings):
                waiting.pop(0)
                findings.append(finding)
                yield finding
                continue
            # Those of a process that ended before its time are tried in a new one.
            for finding in _of_one_process(list(waiting), command, work, limits):
                waiting.pop(0)
                findings.append(finding)
                yield finding


def _of_one_process(
    checks: Sequence[Check], command: Sequence[str], work: Path, limits: float
) -> Iterator[Finding]:
    """Yield what checks find in one process, up to the one that ends it or takes too long."""
    names = [check.name for check in checks]
    told, log = work / f"{names[0]}.jsonl", work / f"{names[0]}.log"
    told.unlink(missing_ok=True)
    words = [*command, "--alone", "--findings", str(told), "--log", str(log), "--checks", *names]
    with log.open("w") as stream, _marked(one_gpu=bool(checks[0].process)) as environment:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env=environment,
            start_new_session=True,
        )
        begun, read = time.monotonic(), 0
        while read < len(checks):
            ended = process.poll() is not None
            lines = told.read_text().splitlines(keepends=True) if told.exists() else []
            for line in [line for line in lines if line.endswith("\n")][read:]:
                yield Finding.model_validate_json(line)
                begun, read = time.monotonic(), read + 1
            if read == len(checks):
                break
            check, seconds = checks[read], time.monotonic() - begun
            if ended:
                yield _crashed(check, process.returncode, seconds, log)
                return
            if seconds > check.limit * limits:
                yield _hung(check, seconds, log)
                return
            time.sleep(LOOK)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)  # An engine stops its own processes.


def _crashed(check: Check, status: int, seconds: float, log: Path) -> Finding:
    how = f"status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"
    known = cause(log)
    said = known[0] if known else last_words(log)
    return Finding(
        check=check.name,
        status="failed",
        seconds=round(seconds, 2),
        found=f"its process ended with {how}" + (f": {said}" if said else ""),
        remedy=known[1] if known else f"{log} tells more",
    )


def _hung(check: Check, seconds: float, log: Path) -> Finding:
    known = cause(log)
    said = known[0] if known else last_words(log)
    return Finding(
        check=check.name,
        status="failed",
        seconds=round(seconds, 2),
        found=f"no end after {seconds:.0f} s, and killed"
        + (f"; its last words: {said}" if said else ""),
        remedy=known[1] if known else GIVE_UP.format(log=log),
    )


@contextmanager
def _marked(one_gpu: bool) -> Iterator[dict[str, str]]:
    """Give the environment of a check's processes, and end all that are left of them."""
    mark = uuid.uuid4().hex
    environment = os.environ | {MARK: mark}
    if one_gpu:
        # vLLM would spread over all GPUs a model whose heads they do not divide.
        given = os.environ.get("CUDA_VISIBLE_DEVICES") or "0"
        environment["CUDA_VISIBLE_DEVICES"] = given.split(",")[0]
    try:
        yield environment
    finally:
        end(mark)


def end(mark: str) -> None:
    """Kill every process that has the mark in its environment, and wait until none is left."""
    wanted = f"{MARK}={mark}".encode()
    for _ in range(200):
        left = [number for number in _processes() if wanted in _environment(number)]
        for number in left:
            with suppress(OSError):
                os.kill(number, signal.SIGKILL)
            with suppress(OSError):
                os.waitpid(number, os.WNOHANG)
        if not left:
            return
        time.sleep(LOOK)


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _environment(number: int) -> list[bytes]:
    """List the variables of a process; none of one that has ended or is another's."""
    try:
        return Path(f"/proc/{number}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def append(finding: Finding, told: Path) -> None:
    """Tell a finding to the process that waits for it: a line of a file."""
    with told.open("a") as stream:
        stream.write(json.dumps(finding.model_dump()) + "\n")
        stream.flush()
