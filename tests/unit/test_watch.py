"""The progress display: what it reads from Snakemake's output and from the jobs."""

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

from online_il.program.accepted import MADE_AGAIN

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "watch.py"
spec = importlib.util.spec_from_file_location("watch", SCRIPT)
assert spec is not None and spec.loader is not None
watch = importlib.util.module_from_spec(spec)
spec.loader.exec_module(watch)

OUTPUT = """Building DAG of jobs...
Job stats:
job         count
--------  -------
grpo            3
evaluate        4
total           7

[Mon Nov 23 23:35:20 2026]
Finished jobid: 1 (Rule: grpo)
1 of 7 steps (14%) done
Finished jobid: 2 (Rule: evaluate)
"""


def read(results: Path):
    watcher = watch.Watcher(results)
    for line in OUTPUT.splitlines():
        watcher.read(line)
    return watcher


def progress(results: Path, name: str, **numbers) -> None:
    path = results / "progress" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    start = {"unit": "update", "started": time.time(), "time": time.time() + 1}
    path.write_text(json.dumps(start | numbers))


def test_jobs_are_counted_from_the_output(tmp_path):
    assert read(tmp_path).totals() == (2, 7)


def test_running_jobs_are_those_that_began_in_this_run_and_are_not_done(tmp_path):
    watcher = read(tmp_path)
    progress(tmp_path, "grpo/countdown/expert/seed1", done=3, total=10, reward=0.25)
    progress(tmp_path, "sft/countdown/a/seed1", done=10, total=10)
    progress(tmp_path, "sft/countdown/b/seed1", done=1, total=10, time=watcher.started - 5)
    (tmp_path / "progress" / "broken.json").write_text("{")
    assert [name for name, _ in watcher.running()] == ["grpo countdown expert seed1"]
    assert "grpo countdown expert seed1: update 3/10  reward 0.250" in watch.plain(watcher, 2)


def test_time_left_comes_from_the_durations_of_finished_jobs(tmp_path):
    watcher = read(tmp_path)
    for rule, seconds in (("grpo", 60.0), ("evaluate", 10.0)):
        path = tmp_path / "benchmarks" / rule / "countdown" / "run" / "seed1.tsv"
        path.parent.mkdir(parents=True)
        path.write_text(f"s\th:m:s\n{seconds}\t0:00:00\n")
    # Two grpo jobs of 60 s and three evaluations of 10 s on two cores.
    assert watcher.seconds_left(2) == (2 * 60 + 3 * 10) / 2
    # Half of a grpo job is done.
    progress(tmp_path, "grpo/countdown/expert/seed2", done=5, total=10)
    assert watcher.seconds_left(2) == (1.5 * 60 + 3 * 10) / 2


def test_a_rule_without_a_finished_job_is_judged_by_its_running_one(tmp_path):
    watcher = read(tmp_path)
    now = time.time()
    # Begun long after the study: 30 s for a tenth, so 270 s are left of it and 300 of the other.
    progress(tmp_path, "grpo/countdown/expert/seed2", done=1, total=10, started=now, time=now + 30)
    watcher.started = now - 1000
    watcher.planned["evaluate"] = watcher.finished["evaluate"]
    assert abs(watcher.seconds_left(2) - (300 + 270) / 2) < 1


def test_rules_without_a_job_so_far_are_judged_by_the_pace_of_the_others(tmp_path):
    watcher = read(tmp_path)
    watcher.planned.update(pretrain=1, sft=2, prompts=1)
    assert watcher.seconds_left(2) is None
    # Half of the base in 310 s: half as fast as usual. All else waits for it, and for two cores.
    now = time.time()
    progress(tmp_path, "pretrain/a/base/seed1", done=1, total=2, started=now, time=now + 310)
    usual = watch.USUAL
    after = 2 * (2 * usual["grpo"] + 3 * usual["evaluate"] + 2 * usual["sft"] + 1)
    assert abs(watcher.seconds_left(2) - (310 + after / 2)) < 1


def test_the_status_and_the_last_lines_of_a_failing_command_are_passed_on(tmp_path):
    command = "print('a sentence that helps'); raise SystemExit(3)"
    done = subprocess.run(
        [sys.executable, SCRIPT, "--results", tmp_path, "--", sys.executable, "-c", command],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(SCRIPT.parents[1])},
    )
    assert done.returncode == 3
    assert "a sentence that helps" in done.stderr
    assert "a sentence that helps" in (tmp_path / "logs" / "snakemake.log").read_text()


def test_what_is_made_again_and_why_is_shown_before_it_is_made(tmp_path):
    lines = "Building DAG of jobs...", MADE_AGAIN, "  code of grpo: training/grpo.py changed", "Job"
    done = subprocess.run(
        [sys.executable, SCRIPT, "--results", tmp_path, "--", sys.executable, "-c"]
        + [f"print({chr(10).join(lines)!r})"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(SCRIPT.parents[1])},
    )
    shown = done.stdout.splitlines()
    assert shown[:2] == [*lines[1:3]] and "Job" not in shown and "Building" not in done.stdout
