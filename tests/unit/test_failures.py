"""What is said of a job that failed, and of jobs that a person ended."""

import logging
import signal

import pytest

from online_il.program.failures import Plainly, cause

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


def test_a_failed_job_is_told_with_its_cause_and_without_the_shell_of_the_rules(tmp_path):
    (tmp_path / "job.log").write_text("error: no row 3; mend it\n")
    plainly = Plainly()
    assert not plainly.filter(record(TRAP, exception="RuleException"))
    failed = record("Error in rule a", rule_name="a", log=[str(tmp_path / "job.log")], aux={})
    assert plainly.filter(failed) and failed.aux == {"cause": "error: no row 3; mend it"}
    assert plainly.filter(record("WorkflowError: another"))


def test_what_a_ctrl_c_ends_is_not_called_failed():
    plainly = Plainly()
    with pytest.raises(KeyboardInterrupt):
        plainly.interrupt(signal.SIGINT, None)
    assert not plainly.filter(record(TRAP))
    assert not plainly.filter(record("Error in rule a", rule_name="a", log=[], aux={}))
    assert not plainly.filter(record("WorkflowError:\nAt least one job did not complete."))
    assert plainly.filter(record("Terminating processes on user request", logging.INFO))
