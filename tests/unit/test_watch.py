"""The progress display: what it reads from Snakemake's output and from the jobs."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from online_il.layout import Layout
from online_il.program.accepted import MADE_AGAIN

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "watch.py"
spec = importlib.util.spec_from_file_location("watch", SCRIPT)
assert spec is not None and spec.loader is not None
watch = importlib.util.module_from_spec(spec)
spec.loader.exec_module(watch)

OUTPUT = """Building DAG of jobs...
[Mon Nov 23 23:35:20 2026]
Finished jobid: 1 (Rule: grpo)
1 of 7 steps (14%) done
Finished jobid: 2 (Rule: evaluate)
"""


def planned(results: Path, threads: int = 1, **jobs: tuple[float | None, ...]) -> None:
    """What a start has written down: by rule, its jobs, their time limit (minutes), their plan."""
    path = Layout(results).pending
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ("jobs", "minutes", "expected")
    rows = {
        rule: {"threads": threads, "expected": None} | dict(zip(names, row, strict=False))
        for rule, row in jobs.items()
    }
    path.write_text(json.dumps(rows))


def read(results: Path):
    watcher = watch.Watcher(results)
    planned(results, grpo=(3, 30), evaluate=(4, 10))
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
    planned(tmp_path, grpo=(3, 30))
    assert abs(watcher.seconds_left(2) - (300 + 270) / 2) < 1


def test_rules_without_a_job_so_far_are_judged_by_their_time_limits(tmp_path):
    watcher = read(tmp_path)
    planned(
        tmp_path, pretrain=(1, 30), grpo=(3, 30), evaluate=(4, 10), sft=(2, 5), prompts=(1, None)
    )
    assert watcher.seconds_left(2) is None
    # Half of the base in 90 s: a tenth of its limit, so that the others take a tenth of theirs. Two
    # cores are of no use to the one job of the base.
    now = time.time()
    progress(tmp_path, "pretrain/a/base/seed1", done=1, total=2, started=now, time=now + 90)
    assert abs(watcher.seconds_left(2) - (90 + (2 * 180 + 3 * 60 + 2 * 30) / 2)) < 1


def test_before_any_job_told_its_pace_the_plan_says_how_long_all_takes(tmp_path):
    watcher = read(tmp_path)
    plan = {"finetune": (1, 240, 7200.0), "sft": (4, 120, 600.0), "claims": (1, None)}
    planned(tmp_path, **plan)
    assert watcher.seconds_left(2) == 7200 + 4 * 600 / 2
    assert "about 2:20:00 left" in watch.plain(watcher, 2)
    # Of 200 updates 20 took 1,440 s: twice as long as planned. With 50 as planned (1,800 s) beside
    # them a job takes 3,240 s / 70 * 200, and so it will be of the others.
    now = time.time()
    told = {"done": 20, "total": 200, "started": now, "time": now + 1440}
    progress(tmp_path, "finetune/countdown/base/seed11", **told)
    whole = 3240 / 70 * 200
    assert abs(watcher.seconds_left(2) - (0.9 * whole + 4 * 600 * whole / 7200 / 2)) < 1


def test_a_job_that_has_only_begun_does_not_overrule_the_plan(tmp_path):
    watcher = watch.Watcher(tmp_path)
    planned(tmp_path, pretrain=(1, 600, 300.0))
    late = {"started": time.time() - 60, "time": time.time()}
    progress(tmp_path, "pretrain/countdown/base/seed1", done=20, total=3000, **late)
    assert watcher.seconds_left(2) == pytest.approx(300 * (1 - 20 / 3000))
    progress(tmp_path, "pretrain/countdown/base/seed1", done=300, total=3000, **late)
    assert watcher.seconds_left(2) == pytest.approx(0.9 * (60 + 0.25 * 300) / 0.35, abs=1)


def test_a_minute_of_a_busy_machine_does_not_make_an_afternoon(tmp_path):
    """Seen: 28 minutes by the plan, 3:40 hours four minutes later, then 1:04 hours."""
    watcher = watch.Watcher(tmp_path)
    planned(tmp_path, pretrain=(1, 600, 120.0), grpo=(1, 600, 600.0))
    late = {"started": time.time() - 150, "time": time.time()}
    progress(tmp_path, "pretrain/countdown/base/seed1", done=180, total=3000, **late)
    assert 720 < watcher.seconds_left(1) < 5 * 720  # By its pace alone it is 20 times the plan.
    late["started"] -= 3600
    progress(tmp_path, "pretrain/countdown/base/seed1", done=2700, total=3000, **late)
    assert watcher.seconds_left(1) > 20 * 720  # What stays slow is believed.


def test_jobs_that_take_all_cores_run_one_after_another(tmp_path):
    watcher = read(tmp_path)
    planned(tmp_path, threads=2, sft=(4, 120, 600.0))
    assert watcher.seconds_left(2) == 4 * 600
    assert watcher.seconds_left(5) == 4 * 600 / 2
    assert watcher.seconds_left(1) == 4 * 600


def test_times_are_written_with_hours_where_there_are_any():
    assert [watch.clock(s) for s in (None, 5, 245.9, 3600, 39845)] == [
        "?",
        "0:05",
        "4:05",
        "1:00:00",
        "11:04:05",
    ]


def test_what_an_earlier_start_had_to_do_is_not_what_this_one_has(tmp_path):
    planned(tmp_path, grpo=(3, 30))
    watcher = watch.Watcher(tmp_path)
    watcher.started += 60
    assert watcher.totals() == (0, 0)
    assert watcher.seconds_left(2) is None


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


@pytest.mark.parametrize(
    ("name", "number", "send"),
    [
        ("Ctrl-C", signal.SIGINT, os.killpg),  # As a terminal does.
        ("SIGTERM", signal.SIGTERM, os.killpg),  # As timeout does.
        ("SIGTERM", signal.SIGTERM, os.kill),
    ],
)
def test_a_command_that_a_signal_ended_is_not_called_failed(tmp_path, name, number, send):
    command = "import time; print('begun', flush=True); time.sleep(60)"
    words = [SCRIPT, "--results", tmp_path, "--", sys.executable, "-c", command]
    log = tmp_path / "logs" / "snakemake.log"
    with subprocess.Popen(
        # What is started in the background of a shell ignores the signal of a Ctrl-C.
        ["env", "--default-signal=INT", sys.executable, *words],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={"PYTHONPATH": str(SCRIPT.parents[1])},
    ) as watching:
        while not log.is_file() or "begun" not in log.read_text():
            time.sleep(0.1)
        time.sleep(0.5)
        send(watching.pid, number)
        told = watching.communicate(timeout=60)[1]
    assert watching.returncode != 0
    assert f"stopped by {name} after " in told and "the same command goes on" in told
    assert "failed" not in told and "Traceback" not in told


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
