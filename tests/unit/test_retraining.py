"""Finished policies that would be trained again: which, how long, because of what, and a word."""

import os
import pty
import subprocess
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from online_il.program import retraining
from online_il.program.reasons import _setting

LIBRARY = Path(__file__).parents[2] / "workflow"


class Job(SimpleNamespace):
    """What is read of a job of Snakemake's."""

    __hash__ = object.__hash__


def job(folder: Path, rule: str, run: str, seed: int = 1, *, there=True, seconds=None) -> Job:
    place = folder / f"{run}{seed}"
    if there:
        place.touch()
    benchmark = folder / f"{run}{seed}.tsv"
    if seconds is not None:
        benchmark.write_text(f"s\th:m:s\n{seconds}\t0:00:01\n")
    return Job(
        rule=SimpleNamespace(name=rule),
        output=[str(place)],
        wildcards_dict={"task": "countdown", "run": run, "seed": str(seed)},
        benchmark=str(benchmark),
    )


class Dag:
    """Jobs, each after the one before it, all to be done again."""

    def __init__(
        self,
        *jobs: Job,
        forced: tuple[Job, ...] = (),
        idle: tuple[Job, ...] = (),
        broken_off: tuple[Job, ...] = (),
        unrecorded: tuple[Job, ...] = (),
    ) -> None:
        self.jobs, self.forced, self.idle, self.broken_off = jobs, forced, idle, broken_off
        without = {output for job in unrecorded for output in job.output}
        known = SimpleNamespace(metadata=lambda output: None if output in without else "a record")
        self.workflow = SimpleNamespace(persistence=known)
        self.dependencies = defaultdict(list)
        for before, after in pairwise(jobs):
            self.dependencies[after].append(before)

    def needrun(self, job: Job) -> bool:
        return job not in self.idle

    def needrun_jobs(self) -> list[Job]:
        return [job for job in self.jobs if self.needrun(job)]

    def reason(self, job: Job) -> SimpleNamespace:
        return SimpleNamespace(
            forced=job in self.forced, incomplete_output=job.output * (job in self.broken_off)
        )


@pytest.fixture
def changed(monkeypatch):
    """What changed of jobs themselves, by run."""
    own: dict[str, list[str]] = {}
    monkeypatch.setattr(
        retraining, "changes", lambda known, job, ledger: own.get(job.wildcards_dict["run"], [])
    )
    return own


def test_what_changed_and_what_follows_from_it_is_asked_about_by_the_name_of_the_change(
    tmp_path, changed
):
    changed["expert"] = ["settings of grpo: learning_rate was 0.1, is 0.2"]
    expert = job(tmp_path, "grpo", "expert")
    sampled = job(tmp_path, "sample", "samples")
    student = job(tmp_path, "sft", "student")
    found = retraining.retrained(Dag(expert, sampled, student), None)
    assert found == {expert: {*changed["expert"]}, student: {*changed["expert"]}}


def test_what_was_never_finished_or_is_not_made_again_is_not_asked_about(tmp_path, changed):
    changed["expert"] = ["settings of grpo: steps was 1, is 2"]
    expert = job(tmp_path, "grpo", "expert", there=False)
    chart = job(tmp_path, "figure1", "chart")
    assert retraining.retrained(Dag(expert, chart), None) == {}
    expert = job(tmp_path, "grpo", "expert")
    assert retraining.retrained(Dag(expert, idle=(expert,)), None) == {}


def test_a_rule_that_is_forced_is_the_word_for_it_and_for_what_follows_alone(tmp_path, changed):
    expert, student = job(tmp_path, "grpo", "expert"), job(tmp_path, "sft", "student")
    assert retraining.retrained(Dag(expert, student, forced=(expert,)), None) == {}
    changed["student"] = ["code of sft: training/supervised.py changed"]
    found = retraining.retrained(Dag(expert, student, forced=(expert,)), None)
    assert found == {student: {*changed["student"]}}


def test_a_policy_after_one_that_is_gone_is_asked_about(tmp_path, changed):
    expert, student = job(tmp_path, "grpo", "expert", there=False), job(tmp_path, "sft", "student")
    found = retraining.retrained(Dag(expert, student), None)
    assert found == {student: {"what grpo made is gone"}}


def test_policies_of_a_folder_that_was_renamed_are_asked_about_and_what_broke_off_is_not(
    tmp_path, changed
):
    expert, student = job(tmp_path, "grpo", "expert"), job(tmp_path, "sft", "student")
    why = {"what grpo made is not on record in this study"}
    found = retraining.retrained(Dag(expert, student, unrecorded=(expert, student)), None)
    assert found == {
        expert: why,
        student: {"what sft made is not on record in this study"},
    }
    broken_off = Dag(expert, student, unrecorded=(expert,), broken_off=(expert,), idle=(student,))
    assert retraining.retrained(broken_off, None) == {}


def test_it_is_said_which_how_many_how_long_and_why(tmp_path):
    jobs = [job(tmp_path, "grpo", "expert", seed, seconds=3600) for seed in (10, 2)]
    jobs.append(job(tmp_path, "sft", "student", seconds=1800))
    words = retraining.in_words({one: {"settings of grpo: steps"} for one in jobs}, lambda _: {})
    assert words == (
        "3 finished policies are trained again, about 2.5 hours of jobs: countdown expert (seed 2, "
        "10), countdown student (seed 1); because of settings of grpo: steps"
    )


def test_the_plan_says_how_long_where_no_job_was_measured(tmp_path):
    jobs = [job(tmp_path, "sft", "student", seed) for seed in (1, 2)]
    found = {one: {"why"} for one in jobs}
    planned = retraining.in_words(found, lambda jobs: {"sft": 3600.0})
    assert "about 2.0 hours" in planned
    assert "for how long is not known" in retraining.in_words(found, lambda jobs: {})
    half = retraining.in_words({jobs[0]: {"why"}}, lambda jobs: {"sft": 60.0})
    assert half.startswith("1 finished policy is trained again, some minutes: ")


def test_without_a_terminal_nothing_starts_and_the_word_is_named(monkeypatch):
    monkeypatch.setattr(os, "isatty", lambda _: False)
    with pytest.raises(SystemExit, match="nothing was started: 3 policies; say yes with `--config"):
        retraining.require_word("3 policies")


@pytest.mark.parametrize(
    ("answer", "status"), [("y", 0), ("yes", 0), ("n", 1), ("", 1), ("maybe", 1)]
)
def test_a_terminal_is_asked(answer, status):
    code = (
        "from online_il.program.retraining import require_word\nrequire_word('3 policies')\n"
        "print('started')"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.environ["PYTHONPATH"] = str(LIBRARY)
        os.execv(sys.executable, [sys.executable, "-c", code])
    told = b""
    while b"[y/N]" not in told:
        told += os.read(terminal, 1000)
    os.write(terminal, f"{answer}\n".encode())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == status
    assert b"3 policies" in told


def test_a_program_in_the_background_of_a_terminal_does_not_wait_for_an_answer():
    code = "from online_il.program.retraining import require_word; require_word('3 policies')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(LIBRARY)},
    )
    assert done.returncode == 1 and "--config retrain=true" in done.stderr


@pytest.mark.parametrize(
    ("before", "now"), [("'" + "ab" * 8 + "'", "'" + "cd" * 8 + "'"), ("folder:" + "0" * 64,) * 2]
)
def test_a_hash_that_differs_is_told_by_its_name_alone(before, now):
    assert _setting("content", before, now) == "content changed"
