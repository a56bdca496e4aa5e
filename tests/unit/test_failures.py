"""What is said of a job that failed, and of jobs that a person ended."""

import logging
import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.logging import logger
from snakemake.scheduling.job_scheduler import JobScheduler

from online_il.program.failures import Plainly, cause, speak_plainly


@pytest.fixture(autouse=True)
def as_before():
    """What is put into Snakemake is taken out again."""
    kept, handler = JobScheduler.exit_gracefully, signal.getsignal(signal.SIGINT)
    yield
    JobScheduler.exit_gracefully = kept
    signal.signal(signal.SIGINT, handler)
    for one in [one for one in logger.filters if isinstance(one, Plainly)]:
        logger.removeFilter(one)


TRAP = (
    'RuleException:\nCalledProcessError in file "rules/theory.smk", line 42:\nCommand \'set -euo '
    "pipefail; trap : TERM USR1; trap '[ $? != 137 ] || echo \"error: killed\"' EXIT;  python a.py'"
    " returned non-zero exit status 1."
)


def record(text: str, level: int = logging.ERROR, **more) -> logging.LogRecord:
    made = logging.LogRecord("snakemake.logging", level, "file", 1, text, None, None)
    vars(made).update(more)
    return made


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ("begun\nerror: data/x: no row 3; mend it\n", "error: data/x: no row 3; mend it"),
        ("Traceback:\n  File\nValueError: broken\n", "ValueError: broken"),
        ("torch.OutOfMemoryError: full\n", "torch.OutOfMemoryError: full"),
        (
            "error: the first of two processes\n[rank0] ended\n"
            "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n",
            "error: the first of two processes",
        ),
        (
            "stopped by SIGTERM; the same command goes on\n",
            "stopped by SIGTERM; the same command goes on",
        ),
        ("12 % done\nno word of it\n", ""),
        ("", ""),
    ],
)
def test_the_cause_is_the_last_word_of_the_program(tmp_path, log, found):
    (tmp_path / "job.log").write_text(log)
    assert cause([str(tmp_path / "job.log"), str(tmp_path / "gone.log")]) == found


@pytest.fixture
def plainly() -> Plainly:
    return Plainly()


def failed(log: Path | str = "gone.log", told: str | None = None) -> logging.LogRecord:
    return record("Error in rule a", rule_name="a", log=[str(log)], rule_msg=told)


def test_a_failed_job_is_told_with_its_cause_and_without_the_shell_of_the_rules(tmp_path, plainly):
    (tmp_path / "job.log").write_text("error: no row 3; mend it\n")
    assert not plainly.filter(record(TRAP, exception="RuleException"))
    job = failed(tmp_path / "job.log")
    assert plainly.filter(job) and job.rule_msg == "error: no row 3; mend it"
    assert plainly.filter(record("WorkflowError: another"))


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        ("returned non-zero exit status 1.", "exit status 1"),
        ("returned non-zero exit status 143.", "killed by SIGTERM"),
        ("returned non-zero exit status 137.", "killed by SIGKILL"),
        ("died with <Signals.SIGSEGV: 11>.", "killed by SIGSEGV"),
        ("returned non-zero exit status 255.", "exit status 255"),
    ],
)
def test_a_job_that_said_nothing_is_told_by_how_it_ended(plainly, ended, said):
    assert not plainly.filter(record(TRAP.replace("returned non-zero exit status 1.", ended)))
    job = failed()
    assert plainly.filter(job) and job.rule_msg == said
    later = failed()
    assert plainly.filter(later) and later.rule_msg == "it failed"


def test_what_a_scheduler_says_of_a_job_is_kept(tmp_path, plainly):
    (tmp_path / "job.log").write_text("error: no row 3; mend it\n")
    job = failed(tmp_path / "job.log", "SLURM status is: TIMEOUT")
    assert plainly.filter(job)
    assert job.rule_msg == "error: no row 3; mend it; SLURM status is: TIMEOUT"


def test_an_error_raised_in_this_package_is_told_without_the_place(plainly):
    told = record('a.yaml: no target\n  File "/a/workflow/online_il/b.py", line 27, in file2jobs')
    assert plainly.filter(told) and told.msg == "a.yaml: no target"
    other = record('a.yaml: no target\n  File "/a/Snakefile", line 27, in rule')
    assert plainly.filter(other) and other.msg.endswith("in rule")


def test_no_hint_leads_to_results_that_do_not_follow_from_the_config(plainly):
    hint = "If you prefer that only modification time is used, use '--rerun-triggers mtime'."
    assert not plainly.filter(record(hint, logging.INFO))
    assert plainly.filter(record("Rules with provenance triggered jobs: sft", logging.INFO))


def test_a_start_that_is_refused_is_told_without_any_place(plainly):
    told = record(
        'WorkflowError in file "/a/rules/b.smk", line 30:\nnothing was started: see above\n'
        '  File "/a/Snakefile", line 9, in __onstart\n  File "/a/rules/b.smk", line 30, in check'
    )
    assert plainly.filter(told) and told.msg == "error: nothing was started: see above"


LAST = "WorkflowError:\nAt least one job did not complete successfully."


def test_what_a_ctrl_c_ends_is_not_called_failed(plainly):
    with pytest.raises(KeyboardInterrupt):
        plainly.interrupt(signal.SIGINT, None)
    assert not plainly.filter(record(TRAP))
    assert not plainly.filter(failed())
    assert not plainly.filter(record(LAST))
    assert plainly.filter(record("Terminating processes on user request", logging.INFO))


def test_what_a_sigterm_ends_is_not_called_failed(tmp_path, plainly):
    plainly.stopped_by = "SIGTERM"
    (tmp_path / "stopped.log").write_text("stopped by SIGTERM; the same command goes on\n")
    for job in (failed(tmp_path / "stopped.log"), failed()):
        assert not plainly.filter(record(TRAP.replace("status 1.", "status 143.")))
        assert not plainly.filter(job)
    assert not plainly.filter(record(LAST))


def test_what_fails_by_itself_after_a_sigterm_is_told(tmp_path, plainly):
    plainly.stopped_by = "SIGTERM"
    (tmp_path / "job.log").write_text("error: no row 3; mend it\n")
    job = failed(tmp_path / "job.log")
    assert plainly.filter(job) and job.rule_msg == "error: no row 3; mend it"
    assert plainly.filter(record(LAST)) and plainly.failed


def test_the_scheduler_of_this_snakemake_says_that_it_was_stopped():
    plainly = speak_plainly()
    scheduler = SimpleNamespace(_lock=threading.Lock(), _open_jobs=threading.Semaphore(0))
    JobScheduler.exit_gracefully(scheduler, signal.SIGTERM, None)
    assert plainly.stopped_by == "SIGTERM" and scheduler._user_kill == "graceful"
    assert scheduler._open_jobs.acquire(blocking=False)
    assert [one for one in logger.filters if isinstance(one, Plainly)] == [plainly]
    assert speak_plainly() is not plainly
    assert len([one for one in logger.filters if isinstance(one, Plainly)]) == 1
