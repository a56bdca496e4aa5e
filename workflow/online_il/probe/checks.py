"""The checks of the probe, in the order of what the next one needs, and how one is tried."""

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from online_il.errors import InputError
from online_il.preflight import toolchain
from online_il.preflight.toolchain import Unfit
from online_il.probe import cards, machine, sampling, training
from online_il.probe.causes import cause
from online_il.probe.findings import Finding, unmet
from online_il.probe.trial import Trial
from online_il.program.exhausted import sentence


class Check(NamedTuple):
    """One thing that the jobs of a study need."""

    name: str
    run: Callable[[Trial], str]
    """Says what was found; raises `Unfit` where it does not do."""
    limit: float
    """The longest that it may take, seconds."""
    needs: tuple[str, ...] = ()
    """Checks without which it cannot be tried."""
    of_gpu: bool = False
    """Tried where the study runs on GPUs, and nowhere else."""
    process: str = ""
    """Checks of one name share a process, as long as none of them ends it."""


CHECKS = (
    Check("packages", lambda trial: machine.packages(trial.study), 60),
    Check("driver", lambda _: toolchain.driver(), 60, of_gpu=True),
    Check("compiler", lambda _: toolchain.compiler(), 60, of_gpu=True),
    Check("gpu", cards.gpu, 120, of_gpu=True),
    Check("triton", cards.triton, 120, ("gpu",), of_gpu=True),
    Check("memory", cards.memory, 60, ("gpu",), of_gpu=True),
    Check("disk", lambda trial: machine.disk(trial.study, trial.results), 120),
    Check("model", sampling.model, 120),
    Check("engine", sampling.start, 300, ("gpu", "model"), process="engine"),
    Check("seeds", sampling.seeds, 120, ("gpu", "engine"), process="engine"),
    Check("scores", sampling.log_probabilities, 120, ("gpu", "engine"), process="engine"),
    Check("reload", sampling.reload, 300, ("gpu", "engine"), process="engine"),
    Check("training", training.training, 420, ("gpu", "model")),
)
NO_GPU = "needs a GPU, and none can be used here"
MEND = "mend what the check `gpu` names"


def skipped(check: Check, hardware: str, findings: Sequence[Finding]) -> Finding | None:
    """Say why a check is not tried; None where it is. Without its GPU one has failed."""

    def finding(status: str, found: str, remedy: str = "") -> Finding:
        return Finding.model_validate(
            {"check": check.name, "status": status, "seconds": 0, "found": found, "remedy": remedy}
        )

    if check.of_gpu and hardware != "gpu":
        return finding("skipped", f"hardware is {hardware}")
    needs = check.needs if hardware == "gpu" else tuple(n for n in check.needs if n != "gpu")
    lacking = unmet(needs, findings)
    if lacking == "gpu":
        return finding("failed", NO_GPU, MEND)
    if lacking is not None:
        return finding("skipped", f"needs the check `{lacking}`, which did not pass")
    return None


def tried(check: Check, trial: Trial, log: Path) -> Finding:
    """Try one check in this process; whatever happens is told, with what is known of its cause."""
    start = time.perf_counter()
    status, remedy = "failed", ""
    try:
        found, status = check.run(trial), "passed"
    except Unfit as lack:
        found, remedy = lack.found, lack.remedy
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        found, remedy = explained(error, log)
    return Finding.model_validate(
        {
            "check": check.name,
            "status": status,
            "seconds": round(time.perf_counter() - start, 2),
            "found": found,
            "remedy": remedy,
        }
    )


def explained(error: Exception, log: Path) -> tuple[str, str]:
    """Say why something failed and what to do, in one line each."""
    if known := cause(log):
        return known
    if line := sentence(error, argparse.Namespace(), "grpo"):
        found, _, remedy = line.partition("; ")
        return found, remedy
    if isinstance(error, InputError):
        found, _, remedy = str(error).rpartition("; ")
        return (found, remedy) if found else (remedy, f"{log} tells more")
    words = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {words}", f"{log} tells more"


def try_all(names: Iterable[str], trial: Trial, log: Path) -> Iterator[Finding]:
    """Try checks of one process, one after another; one whose need failed before is skipped."""
    findings: list[Finding] = []
    for check in chosen(names):
        finding = skipped(check, trial.study.hardware, findings) or tried(check, trial, log)
        findings.append(finding)
        yield finding


def chosen(names: Iterable[str]) -> list[Check]:
    """List the checks of these names. Raises `ValueError` for one that is none."""
    wanted = list(names)
    known = {check.name for check in CHECKS}
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(f"`checks`: there is no {unknown[0]}; there are {', '.join(known)}")
    return [check for check in CHECKS if check.name in wanted]
