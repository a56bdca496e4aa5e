"""Try on this node, in minutes, what the jobs of a study will need, and say whether it can start.

Driver, compiler, a Triton kernel, memory, disk and caches, the engine, its seeds, log-probabilities
and new weights, and two steps of GRPO as the rules start it, each in a process of its own with a
time limit. What is found is told as it goes, each failure with what to do about it; the status is 1
where one failed.
"""

import json
import os
import shlex
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field, Json

from online_il.config.study import load
from online_il.errors import ParameterError
from online_il.files import write_json, write_text
from online_il.layout import Layout, step
from online_il.probe.checks import CHECKS, chosen, try_all
from online_il.probe.findings import Finding, ProbeRecord
from online_il.probe.running import append, findings_of
from online_il.probe.trial import Trial
from online_il.program.cli import ProgramOptions, main
from online_il.program.flags import Flags


class Options(ProgramOptions):
    config: Path = Field(description="config of the study")
    overrides: Json[dict[str, Any]] = Field({}, description="values over the config's, JSON")
    results: Path = Field(description="folder of the study's results; the report lies in it")
    model: Path = Field(description="small model to try, as the rule fetch lays it out")
    gpus: int = Field(0, description="GPUs that the job asked for")
    launch: str = Field("python", description="what starts a training on so many GPUs")
    launch_one: str = Field("python", description="what starts a training on one GPU")
    checks: list[str] = Field([], description="names of checks to try; all without it")
    alone: bool = Field(False, description="try them in this process; the probe calls itself so")
    findings: Path | None = Field(None, description="with alone: file to tell findings to")
    log: Path = Field(Path(os.devnull), description="with alone: file that this process writes to")


def run(options: Options) -> None:
    study = load(options.config, options.overrides)
    try:
        checks = chosen(options.checks or [check.name for check in CHECKS])
    except ValueError as error:
        raise ParameterError(str(error)) from None
    layout = Layout(options.results)
    if options.alone:
        trial = Trial(
            study,
            options.results,
            step(options.model),
            layout.probing,
            options.gpus,
            options.launch,
            options.launch_one,
        )
        for finding in try_all([check.name for check in checks], trial, options.log):
            if options.findings is None:
                print(finding.line(), flush=True)
            else:
                append(finding, options.findings)
        # A library's threads and processes may wait for each other at the end.
        sys.stdout.flush()
        os._exit(0)
    layout.probing.mkdir(parents=True, exist_ok=True)
    found: list[Finding] = []
    record = ProbeRecord(
        study=study.scale,
        hardware=study.hardware,
        host=socket.gethostname(),
        started=datetime.now(UTC).isoformat(timespec="minutes"),
        complete=False,
        can_start=False,
        findings=found,
    )
    write(record, layout)
    command = [sys.executable, str(Path(__file__)), *words(options)]
    for finding in findings_of(checks, command, study.hardware, layout.probing):
        print(finding.line(), flush=True)
        found.append(finding)
        complete = len(found) == len(checks)
        failed = any(one.status == "failed" for one in found)
        record = record.model_copy(
            update={"findings": found, "complete": complete, "can_start": complete and not failed}
        )
        write(record, layout)
    print(record.verdict(), flush=True)
    if not record.can_start:
        sys.exit(1)


def words(options: Options) -> list[str]:
    """Write the options again that a process of one check needs."""
    names = ("config", "results", "model", "gpus", "launch", "launch_one")
    given = {name: getattr(options, name) for name in names}
    given["overrides"] = json.dumps(options.overrides)
    return shlex.split(str(Flags.of(given)))


def write(record: ProbeRecord, layout: Layout) -> None:
    """Write the report for programs and for people."""
    write_json(record, layout.probe("json"))
    write_text(record.text(), layout.probe("txt"))


if __name__ == "__main__":
    main(run, Options, __doc__)
