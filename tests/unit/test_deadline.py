"""A program ends by itself before the time limit of its job, and what follows goes on."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import warm
from accelerate.commands.launch import _filter_args, launch_command_parser
from project import ROOT
from test_generation_resume import command, make_policy, write_prompts
from test_resume import AGAIN, EVERY_BOUNDARY, log_of, outcome, start, whole
from torch.distributed.run import get_args_parser
from training_runs import WORDS, tiny

from online_il.models import save_policy, word_tokenizer
from online_il.program import deadline
from online_il.program.environment import LAUNCHER, prepare

SAVES = """
import signal, sys, time
def save(number, _):
    open("saved", "w").write(signal.Signals(number).name)
    sys.exit(75)
for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, save)
open("ready", "w").close()
time.sleep(60)
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("policies") / "base"
    save_policy(tiny(), word_tokenizer(WORDS), folder)
    return folder


@pytest.mark.parametrize("method", ["sft", "grpo"])
def test_a_training_whose_time_is_over_saves_and_goes_on_to_the_same_end(method, base, tmp_path):
    expected = whole(method, tmp_path / "whole", base)
    folder, starts = tmp_path / "run", 0
    # An hour between two checkpoints, no signal, and no time: a boundary of rollouts each.
    while (status := start(method, folder, base, minutes=60, limit=0).wait(timeout=300)) == AGAIN:
        starts += 1
        assert starts < 20, log_of(folder)[-2000:]
    assert status == 0, log_of(folder)[-3000:]
    assert outcome(folder) == expected
    said = log_of(folder)
    assert said.count("stopped by its time limit after update") == starts > 2
    assert said.count("going on after update") == starts


def test_a_training_with_time_left_does_not_stop(base, tmp_path):
    whole("sft", tmp_path / "run", base, limit=60, **EVERY_BOUNDARY)
    assert "stopped" not in log_of(tmp_path / "run")


def test_a_sampling_whose_time_is_over_leaves_after_each_batch_and_goes_on(tmp_path):
    policy = make_policy(tmp_path / "policy" / "step0")
    write_prompts(tmp_path)
    expected, _ = command(tmp_path, policy, "whole", count=8)
    warm.run(*expected, check=True)
    short, state = command(tmp_path, policy, "short", count=8)
    limited = [*short, "--limit-minutes", "0"]
    for batch in (1, 2, 3):
        done = warm.run(*limited)
        assert done.returncode == AGAIN, done.stderr
        assert f"stopped by its time limit after batch {batch} of 4" in done.stderr
        assert state.read_bytes().count(b"\n") == 1 + batch
        assert not (tmp_path / "short.parquet").exists()
    warm.run(*limited, check=True)
    assert (tmp_path / "short.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_the_end_comes_at_95_percent_of_the_limit_from_the_start_of_the_job(monkeypatch):
    monkeypatch.delenv(deadline.BEGAN, raising=False)
    now = time.monotonic()
    assert deadline.until(math.inf) == math.inf
    assert deadline.until(100) == pytest.approx(now + 95 * 60, abs=5)
    deadline.note_start()  # This process runs for some seconds already, or minutes.
    assert deadline.until(100) <= now + 95 * 60
    monkeypatch.setenv(deadline.BEGAN, str(time.time() - 600))
    deadline.note_start()  # By the step within the job, which began later.
    assert deadline.until(100) == pytest.approx(now + 85 * 60, abs=5)
    assert not deadline.passed(now + 60) and deadline.passed(now - 1)


def test_a_job_of_a_cluster_is_told_its_limit_and_one_of_this_machine_has_none(tmp_path):
    asked = ("-m", "snakemake", "--configfile", "config/smoke.yaml", "--cores", "2", "-n", "-p")
    target = "results/smoke/eval/countdown/base/seed1"
    here = warm.run(*asked, target, cwd=ROOT, check=True).stdout
    there = warm.run(*asked, "--mode", "remote", "--attempt", "2", target, cwd=ROOT).stdout
    assert here.count("--limit-minutes inf") == 2  # pretrain and evaluate
    assert there.count("--limit-minutes 10") == 2, there[-3000:]


@pytest.fixture
def launched(monkeypatch):
    """The environment of a rule's program."""
    for name in LAUNCHER:
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    prepare(ROOT, "gpu")
    yield dict(os.environ)
    os.environ.clear()
    os.environ.update(before)


def test_accelerates_launcher_waits_for_a_batch_of_rollouts(launched):
    """It kills its processes 30 s after it was asked to stop unless it is told otherwise."""
    given = launch_command_parser().parse_args(["program.py"])
    made = _filter_args(given, get_args_parser(), ["--training_script", "program.py"])
    assert made.shutdown_timeout >= 1800


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_the_launcher_hands_what_asks_to_stop_to_its_processes(number, launched, tmp_path):
    (tmp_path / "program.py").write_text(SAVES)
    words = ["-m", "torch.distributed.run", "--nproc-per-node", "1", "program.py"]
    process = subprocess.Popen([sys.executable, *words], cwd=tmp_path, env=launched)
    while not (tmp_path / "ready").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(timeout=60) != 0
    assert (tmp_path / "saved").read_text() == number.name
