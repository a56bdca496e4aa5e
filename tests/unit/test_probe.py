"""The probe: each check is told whatever happens to it, and one that fails hides no other."""

import json
import os
import re
import sys
import time
from pathlib import Path

import pytest

from online_il.config.study import load
from online_il.errors import InputError
from online_il.preflight.toolchain import Unfit
from online_il.probe import checks
from online_il.probe.causes import KNOWN, cause, last_words
from online_il.probe.checks import CHECKS, Check, explained, try_all
from online_il.probe.findings import Finding, ProbeRecord, unmet
from online_il.probe.running import findings_of
from online_il.probe.trial import Trial

ROOT = Path(__file__).parents[2]
STAND_IN = [sys.executable, "-IS", str(Path(__file__).with_name("probed.py"))]


def check(name: str, limit: float = 20, **options) -> Check:
    return Check(name, lambda trial: name, limit, **options)


def found(listed: list[Check], work: Path, hardware: str = "gpu") -> dict[str, Finding]:
    findings = list(findings_of(listed, STAND_IN, hardware, work))
    assert [finding.check for finding in findings] == [one.name for one in listed]
    return {finding.check: finding for finding in findings}


def gone(process: int) -> bool:
    """Whether a process has ended; one that waits to be reaped has."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


# ---- processes ----


def test_a_crash_is_a_finding_and_the_next_check_is_tried(tmp_path):
    told = found([check("crashes"), check("leaves"), check("passes")], tmp_path)
    assert told["crashes"].status == "failed"
    assert "signal SIGABRT: the last words of a crash" in told["crashes"].found
    assert told["crashes"].remedy.endswith("crashes.log tells more")
    assert told["leaves"].found == "its process ended with status 3"
    assert told["passes"].status == "passed"


def test_a_check_that_hangs_is_killed_at_its_limit_with_all_that_it_started(tmp_path):
    start = time.monotonic()
    told = found([check("hangs", 1.5), check("passes")], tmp_path)
    assert time.monotonic() - start < 15
    assert told["hangs"].status == "failed" and 1.5 <= told["hangs"].seconds < 10
    assert "killed; its last words: waiting for the other rank" in told["hangs"].found
    assert told["hangs"].remedy.startswith(f"look at {tmp_path}/hangs.log")
    assert gone(int((tmp_path / "child").read_text()))
    assert told["passes"].status == "passed"


def test_checks_of_one_process_go_on_in_a_new_one_after_a_crash(tmp_path):
    names = ("one", "crashes", "two", "fails", "three")
    told = found([check(name, process="shared") for name in names], tmp_path)
    states = {name: finding.status for name, finding in told.items()}
    assert states == {
        "one": "passed",
        "crashes": "failed",
        "two": "passed",
        "fails": "failed",
        "three": "passed",
    }


def test_the_limit_is_each_checks_own_though_they_share_a_process(tmp_path):
    told = found([check("one", process="shared"), check("hangs", 1, process="shared")], tmp_path)
    assert (told["one"].status, told["hangs"].status) == ("passed", "failed")


def test_checks_that_share_a_process_see_one_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    found([check("one", process="shared")], tmp_path)
    assert (tmp_path / "visible").read_text() == "3"
    found([check("one")], tmp_path)
    assert (tmp_path / "visible").read_text() == "3,5"


def test_what_a_check_needs_and_did_not_pass_is_named(tmp_path):
    listed = [
        check("fails"),
        check("later", needs=("fails",)),
        check("last", needs=("later",)),
        check("passes"),
    ]
    told = found(listed, tmp_path)
    assert [told[name].status for name in ("later", "last", "passes")] == [
        "skipped",
        "skipped",
        "passed",
    ]
    assert told["later"].found == "needs the check `fails`, which did not pass"


def test_without_a_gpu_what_needs_one_fails_and_says_what_to_do(tmp_path, monkeypatch):
    gpu = Check("gpu", lambda trial: "", 20, of_gpu=True)
    listed = [gpu, check("trains", needs=("gpu",)), check("passes")]
    monkeypatch.setattr("online_il.probe.running._of_one_process", _failing)
    told = found(listed, tmp_path)
    assert told["trains"].status == "failed" and told["trains"].remedy == checks.MEND
    monkeypatch.undo()
    told = found(listed, tmp_path, hardware="cpu")
    assert [told[name].status for name in ("gpu", "trains", "passes")] == [
        "skipped",
        "passed",
        "passed",
    ]
    assert told["gpu"].found == "hardware is cpu"


def _failing(listed, *_):
    status = "failed" if listed[0].name == "gpu" else "passed"
    yield Finding(check=listed[0].name, status=status, seconds=0, found="", remedy="")


def test_a_cause_that_is_known_has_its_remedy(tmp_path):
    told = found([check("lacks-nvcc")], tmp_path)
    assert "Could not find nvcc" in told["lacks-nvcc"].found
    assert "VLLM_USE_FLASHINFER_SAMPLER=0" in told["lacks-nvcc"].remedy


# ---- what is said ----


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("RuntimeError: Failed to find C compiler. Please specify via CC", "`compiler`"),
        ("/tmp/x/main.c:5:10: fatal error: Python.h: No such file or directory", "`compiler`"),
        ("The NVIDIA driver on your system is too old (found version 12020).", "older than 580"),
        ("CUDA driver version is insufficient for CUDA runtime version", "older than 580"),
        ("CUDA error: no kernel image is available for execution on the device", "newer one"),
        (
            "ValueError: Free memory on device cuda:0 (6.9/79.1 GiB) is less than desired GPU",
            "another process",
        ),
        ("AssertionError: Error in memory profiling. Initial free memory 41.1 GiB", "another"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "end what else"),
        ("RuntimeError: unable to write to file </torch_123>: /dev/shm is full", "--shm-size"),
        ("OSError: [Errno 122] Disk quota exceeded: '/home/x'", "`disk`"),
        ("torch.distributed.DistBackendError: NCCL error in: x.cpp:1", "NCCL_DEBUG=INFO"),
        ("exitcode: -9 (pid: 1)", "for want of memory"),
    ],
)
def test_causes_are_read_off_a_log(line, remedy, tmp_path):
    log = tmp_path / "log"
    log.write_text(f"INFO starting\n{line}\nEngine core initialization failed. See above.\n")
    said, what_to_do = cause(log)
    assert said == line and remedy in what_to_do


def test_a_log_without_a_known_cause_has_last_words(tmp_path):
    log = tmp_path / "log"
    log.write_text("INFO starting\nValueError: something else\n----\n\n")
    assert cause(log) is None and last_words(log) == "ValueError: something else"
    assert cause(tmp_path / "none") is None and last_words(tmp_path / "none") == ""
    assert all(re.compile(pattern) and remedy for pattern, remedy in KNOWN)


@pytest.mark.parametrize(
    ("error", "found_and_remedy"),
    [
        (InputError("a: no weights in it; delete it"), ("a: no weights in it", "delete it")),
        (OSError(28, "No space left on device"), ("no space is left", "free some")),
        (RuntimeError("odd\nthings"), ("RuntimeError: odd things", "log tells more")),
    ],
)
def test_an_error_is_two_lines_at_most(error, found_and_remedy, tmp_path):
    told = explained(error, tmp_path / "log")
    assert all(part in whole for part, whole in zip(found_and_remedy, told, strict=True))
    assert "\n" not in "".join(told)


def test_a_check_passes_fails_or_breaks_and_all_are_told(tmp_path, monkeypatch, capfd):
    def unfit(_):
        raise Unfit("a driver of stone", "get another")

    def broken(_):
        raise KeyError("stone")

    listed = (
        Check("good", lambda trial: trial.study.scale, 1),
        Check("unfit", unfit, 1),
        Check("broken", broken, 1),
        Check("after", lambda trial: "", 1, ("broken",)),
    )
    monkeypatch.setattr(checks, "CHECKS", listed)
    study = load(ROOT / "config" / "smoke.yaml")
    trial = Trial(study, tmp_path, tmp_path, tmp_path)
    told = list(try_all(["good", "unfit", "broken", "after"], trial, tmp_path / "log"))
    assert [(one.status, one.found, one.remedy) for one in told[:2]] == [
        ("passed", "smoke", ""),
        ("failed", "a driver of stone", "get another"),
    ]
    assert told[2].found == "KeyError: 'stone'" and told[3].status == "skipped"
    assert "Traceback" in capfd.readouterr().err  # In its own log.


def test_every_check_comes_after_what_it_needs_and_fits_the_jobs_limit():
    names = [one.name for one in CHECKS]
    assert len(set(names)) == len(names)
    for place, one in enumerate(CHECKS):
        assert set(one.needs) <= set(names[:place]), one.name
    assert sum(one.limit for one in CHECKS) < 40 * 60, "the rule's runtime"


def record(*states: str, complete: bool = True) -> ProbeRecord:
    findings = [
        Finding(check=f"c{n}", status=state, seconds=1.25, found="found " * 30, remedy="do it")
        for n, state in enumerate(states)
    ]
    start = complete and "failed" not in states
    return ProbeRecord(
        study="paper",
        hardware="gpu",
        host="node7",
        started="2026-11-26",
        complete=complete,
        can_start=start,
        findings=findings,
    )


def test_the_report_says_whether_the_study_can_start():
    assert "can start here: 2 checks passed" in record("passed", "skipped", "passed").verdict()
    assert "cannot start here: c1, c2 failed" in record("passed", "failed", "failed").verdict()
    assert "stopped before all was tried" in record("passed", complete=False).verdict()
    assert "and not all was tried" in record("failed", complete=False).verdict()
    lines = record("passed", "failed").text().splitlines()
    assert max(map(len, lines)) <= 100 and lines[0].startswith(
        "passed   c0             1.2 s  found"
    )
    assert json.loads(record("passed").model_dump_json())["can_start"] is True


def test_a_need_that_was_not_tried_is_no_obstacle():
    passed = Finding(check="a", status="passed", seconds=0, found="")
    assert unmet(["a", "b"], [passed]) is None
    assert unmet(["a"], [passed.model_copy(update={"status": "skipped"})]) == "a"


def test_the_environment_of_the_probe_is_left_as_it_was(tmp_path):
    before = dict(os.environ)
    found([check("passes")], tmp_path)
    assert dict(os.environ) == before
