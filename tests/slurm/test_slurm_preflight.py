"""Preflight asks a real Slurm whether it would take a study's jobs."""

import re
from pathlib import Path

import pytest
from cluster import PARTITION
from conftest import checkout, site

from online_il.config.study import load
from online_il.preflight.cluster import check_slurm
from online_il.preflight.report import Report
from online_il.program.dag import Job

JOBS = [
    Job(rule, "countdown", run, 1)
    for rule, run in (("grpo", "expert"), ("sample", "expert"), ("evaluate", "expert"))
]


@pytest.fixture
def asked(cluster, tmp_path, monkeypatch):
    """Asks Slurm for the jobs of the smoke study, on a site and with GPUs for GRPO."""
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, cluster.env[name])
    folder = checkout(tmp_path / "checkout")

    def ask(gpus: int = 1, attempts: int = 1, **facts: object) -> Report:
        site(folder, **facts)
        asked_for = {"mem_mb": 1000, "runtime": 4, "gpu": gpus}
        study, report = (
            load(Path("config/smoke.yaml"), {"resources": {"grpo": asked_for}}),
            Report(),
        )
        check_slurm(study, JOBS, folder / "slurm" / "config.yaml", report, attempts)
        return report

    return ask


def test_slurm_takes_what_fits_and_nothing_is_submitted(cluster, asked):
    before = cluster.jobs()
    report = asked(gpus=2, cpu_partition=PARTITION)
    assert (report.problems, report.notes) == ([], [])
    assert cluster.jobs() == before


@pytest.mark.parametrize(
    ("gpus", "facts", "refused"),
    [
        (3, {}, {"countdown, grpo"}),  # The nodes with a100 have two.
        (1, {"gpu_model": "b200"}, {"countdown, grpo"}),
        (1, {"gpu_partition": "night"}, {"countdown, grpo"}),
        (1, {"cpus_per_gpu": 17}, {"countdown, grpo"}),  # A node has 16 cores.
        (
            1,
            {"cpu_partition": "night"},
            {"countdown, evaluate", "countdown, sample", "all other jobs"},
        ),
    ],
)
def test_what_slurm_would_refuse_is_named(asked, gpus, facts, refused):
    problems = asked(gpus, **facts).problems
    assert problems and {problem.split(":")[0] for problem in problems} <= refused
    for problem in problems:
        assert "Slurm refuses this job: " in problem and "`site` block" in problem
        assert re.search("Requested node configuration|Invalid partition name", problem)


def test_a_limit_that_a_partition_does_not_grant_is_named_and_so_is_a_later_attempts(
    cluster, asked
):
    """Without the check such a job waits in the queue for ever."""
    cluster.ask("scontrol", "create", "PartitionName=short", "Nodes=nodea", "MaxTime=7")
    try:
        facts = {"gpu_partition": "short", "cpu_partition": PARTITION, "max_runtime": "null"}
        assert asked(**facts).problems == []  # Four minutes.
        (problem,) = asked(attempts=3, **facts).problems
        assert problem.startswith("countdown, grpo: Slurm refuses attempt 2 of this job")
        assert "--time=8" in problem and "(`max_runtime` and" in problem
        assert asked(attempts=3, **facts | {"max_runtime": 7}).problems == []
        cluster.ask("scontrol", "update", "PartitionName=short", "MaxTime=3")
        (problem,) = asked(**facts).problems
        assert problem.startswith("countdown, grpo: Slurm refuses this job")
    finally:
        cluster.ask("scontrol", "delete", "PartitionName=short")
