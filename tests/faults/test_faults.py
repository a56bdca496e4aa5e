"""The smoke study, killed many times, against the smoke study that was left alone."""

import os
import random
from pathlib import Path

import pytest
from harness import artifacts, run_to_its_end
from project import copy_of_project, snakemake

KILLS = int(os.environ.get("ONLINE_IL_FAULTS", "0"))
SEED = int(os.environ.get("ONLINE_IL_FAULTS_SEED", "0")) or random.randrange(1, 2**31)
SMOKE = ("--configfile", "config/smoke.yaml")


def say(text: str) -> None:
    print(text, flush=True)


@pytest.mark.skipif(not KILLS, reason="`make test-faults` runs it")
def test_a_study_that_was_killed_is_the_study_that_was_not(tmp_path: Path) -> None:
    say(f"\nONLINE_IL_FAULTS_SEED={SEED} repeats these kills")
    alone = copy_of_project(tmp_path / "alone")
    status, output = snakemake(alone, *SMOKE)
    assert status == 0, output[-4000:]
    expected = artifacts(alone / "results" / "smoke")
    assert len(expected) > 200
    kills, study, resumed = 0, 0, 0
    while kills < KILLS:
        folder = copy_of_project(tmp_path / f"killed{study}")
        kills += run_to_its_end(folder, SEED + study, KILLS - kills, say, *SMOKE)
        found = artifacts(folder / "results" / "smoke")
        assert found.keys() == expected.keys()
        changed = {name for name in expected if found[name] != expected[name]}
        assert changed == set(), sorted(changed)
        logs = (folder / "results" / "smoke" / "logs").rglob("*.log")
        resumed += sum("going on after" in path.read_text() for path in logs)
        study += 1
    # Few do, for the study's jobs are short: that trainings go on is tests/unit/test_resume.py's.
    say(f"{resumed} logs tell of a job that went on from where it was")
