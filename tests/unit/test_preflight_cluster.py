"""What a login node can know of a cluster: what Slurm takes, the time it grants, and the keys."""

import json
from pathlib import Path
from typing import Any

import pytest
import warm
import yaml
from preflight_studies import check, study_raw, trainings_of

from online_il.config.study import Study, load
from online_il.cost.jobs import Cost
from online_il.cost.rules import Work
from online_il.preflight import cluster
from online_il.preflight.cluster import check_slurm
from online_il.preflight.report import Report

ROOT = Path(__file__).parents[2]


def sbatch(folder: Path, monkeypatch, script: str, sinfo: str = "exit 1") -> Path:
    """Stand-ins for Slurm's commands; sbatch notes its options in the file that is returned."""
    program, notes = folder / "bin" / "sbatch", folder / "asked.txt"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f'#!/bin/sh\necho "$@" >> {notes}\n{script}\n')
    program.chmod(0o755)
    limits = program.with_name("sinfo")
    limits.write_text(f"#!/bin/sh\n{sinfo}\n")
    limits.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return notes


SITE = {
    "gpu_model": "h100",
    "cpus_per_gpu": 8,
    "gpu_partition": "gpu",
    "cpu_partition": "cpu",
    "account": None,
    "qos": None,
    "max_runtime": None,
    "max_mem_mb": None,
}


def slurm(folder: Path, raw: dict[str, Any], attempts: int = 1, **site: Any) -> Report:
    """What Slurm's check finds for the study and a site."""
    profile = folder / "profile.yaml"
    profile.write_text(yaml.safe_dump({"executor": "slurm", "site": SITE | site}))
    study, report = Study.model_validate(raw), Report()
    check_slurm(study, trainings_of(study), profile, report, attempts)
    return report


def test_slurm_is_asked_once_for_each_distinct_request(tmp_path, monkeypatch):
    raw = study_raw(tmp_path)
    for rule, runtime in (("grpo", 600), ("distill", 600), ("sft", 60)):
        raw["resources"][rule] = {"gpu": 2, "threads": 16, "mem_mb": 9000, "runtime": runtime}
    notes = sbatch(tmp_path, monkeypatch, "exit 0")
    found = slurm(tmp_path, raw, qos="day", max_runtime=100, account="us")
    assert found.problems == []
    common, gpus = "--account=us --qos=day", "--nodes=1 --gpus=h100:2 --cpus-per-gpu=8"
    assert notes.read_text().splitlines() == [
        f"--test-only --time=100 --mem=9000 {common} --partition=gpu {gpus} --wrap=true",
        f"--test-only --time=60 --mem=9000 {common} --partition=gpu {gpus} --wrap=true",
        f"--test-only --time=60 --mem=2000 {common} --partition=cpu --cpus-per-task=1 --wrap=true",
    ]
    notes.unlink()
    slurm(tmp_path, raw, gpu_model=None, gpu_partition=None)
    assert "--mem=9000 --nodes=1 --gpus=2 --cpus-per-gpu=8" in notes.read_text()


def test_what_slurm_refuses_is_a_problem_in_its_own_words(tmp_path, monkeypatch):
    raw = study_raw(tmp_path)
    words = "Requested node configuration is not available"
    sbatch(
        tmp_path,
        monkeypatch,
        f'case "$*" in *gpus=h100:8*) echo "sbatch: error: x\nallocation failure: error: {words}"'
        " >&2; exit 1;; esac",
    )
    assert slurm(tmp_path, raw).problems == []
    raw["resources"]["distill"]["gpu"] = 8
    raw["methods"]["distill"] |= {"batch_size": 64, "micro_batch_size": 8}
    (problem,) = slurm(tmp_path, raw).problems
    assert problem.startswith(f"countdown, distill: Slurm refuses this job: {words} (sbatch ")
    assert "--gpus=h100:8" in problem and "`site` block" in problem and "`resources`" in problem


def test_nodes_that_are_down_for_now_stop_nothing(tmp_path, monkeypatch):
    words = "Required node not available (down, drained or reserved)"
    sbatch(tmp_path, monkeypatch, f"echo 'allocation failure: {words}' >&2; exit 1")
    report = slurm(tmp_path, study_raw(tmp_path))
    assert report.problems == [] and words in report.notes[0]


def test_without_slurm_there_is_a_note_and_a_wrong_site_is_a_problem(tmp_path, monkeypatch):
    raw = study_raw(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    report = slurm(tmp_path, raw)
    assert report.problems == [] and "no `sbatch`" in report.notes[0]
    found = slurm(tmp_path, raw, cpus_per_gpu=0, more=1).problems
    assert len(found) == 2 and all("profile.yaml" in problem for problem in found)
    assert "cpus_per_gpu" in found[0] and "more = 1: unknown key" in found[1]


def test_every_attempt_of_a_job_is_asked_for_as_it_will_be_submitted(tmp_path, monkeypatch):
    raw = study_raw(tmp_path)
    for rule in ("grpo", "distill", "sft"):
        raw["resources"][rule] = {"gpu": 2, "threads": 16, "mem_mb": 9000, "runtime": 600}
    notes = sbatch(tmp_path, monkeypatch, "exit 0")
    assert slurm(tmp_path, raw, attempts=3, max_runtime=1000).problems == []
    asked = [line.split()[1:3] for line in notes.read_text().splitlines()]
    assert asked == [
        *(["--time=600", "--mem=9000"], ["--time=1000", "--mem=18000"]),
        ["--time=1000", "--mem=27000"],
        *(["--time=60", "--mem=2000"], ["--time=120", "--mem=4000"]),
        ["--time=180", "--mem=6000"],  # The profile's own are not cut.
    ]


def test_an_attempt_that_slurm_would_refuse_is_a_problem_before_the_first(tmp_path, monkeypatch):
    """A training that was stopped by its limit asks for more, and is then never taken again."""
    raw = study_raw(tmp_path)
    for rule in ("grpo", "distill", "sft"):
        raw["resources"][rule] = {"gpu": 2, "mem_mb": 9000, "runtime": 1000}
    words = "Requested partition configuration not available now"
    refuse = f'case "$*" in *time=2000*) echo "error: {words}" >&2; exit 1;; esac'
    notes = sbatch(tmp_path, monkeypatch, refuse)
    assert slurm(tmp_path, raw, attempts=1).problems == []
    notes.unlink()
    (problem,) = slurm(tmp_path, raw, attempts=3).problems
    assert problem.startswith("countdown, distill: Slurm refuses attempt 2 of this job")
    assert words in problem and "(`max_runtime` and `max_mem_mb`" in problem
    assert "time=3000" not in notes.read_text()  # It would be refused, too.
    assert slurm(tmp_path, raw, attempts=3, max_runtime=1999).problems == []


HOURS = 100.0


@pytest.mark.parametrize(
    ("attempts", "site", "granted", "retries"),
    [
        (1, {}, 47.5, "retries: 2"),  # 50 hours, and 50 + 100 + 150.
        (2, {"max_runtime": 1440}, 45.6, "retries: 8"),  # 24 hours each.
        (9, {"max_runtime": 1440}, None, None),
        (3, {}, None, None),
    ],
)
def test_a_job_that_needs_more_time_than_its_attempts_have_is_told_of(
    tmp_path, monkeypatch, attempts, site, granted, retries
):
    raw = study_raw(tmp_path)
    for rule in ("grpo", "distill", "sft"):
        raw["resources"][rule] = {"gpu": 2, "mem_mb": 9000, "runtime": 3000}

    def cost(job: Any, *_: Any) -> Cost:
        hours = HOURS if job.rule == "distill" else 1.0
        return Cost(Work(), gpus=2, limit_hours=50, gpu_hours=2 * hours)

    monkeypatch.setattr(cluster, "cost_of", cost)
    sbatch(tmp_path, monkeypatch, "exit 0")
    report = slurm(tmp_path, raw, attempts, **site)
    assert report.problems == []
    if granted is None:
        assert report.notes == []
        return
    (note,) = report.notes  # Once, not once a seed.
    assert note.startswith("countdown, distill: distill-realizable takes about 100 hours")
    assert f"its {attempts} attempts have {granted:.0f}" in note
    assert retries in note and "resources.distill.gpu" in note
    # So many do: each a day, or 50 hours more than the one before, of which 95 % are used.
    enough = int(retries.split()[1]) + 1
    each = [min(50 * n, site.get("max_runtime", 10**6) / 60) * 0.95 for n in range(1, enough + 1)]
    assert sum(each) >= 2 * HOURS > sum(each[:-1])  # The plan may err by a factor of two.


def test_the_papers_longest_job_is_told_of_where_a_day_is_the_limit(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    profile, report = tmp_path / "profile.yaml", Report()
    profile.write_text(yaml.safe_dump({"site": SITE | {"max_runtime": 1440}}))
    study = load(ROOT / "config" / "paper.yaml")
    check_slurm(study, trainings_of(study), profile, report, attempts=3)
    assert any(note.startswith("deepscaler, distill: ") for note in report.notes)
    assert not any(note.startswith("countdown") for note in report.notes)


def test_what_the_tasks_share_is_said_once(tmp_path, monkeypatch):
    """One partition that is not there is one mistake, whatever number of tasks would use it."""
    words = "Invalid partition name specified"
    said = f"sbatch: error: Batch job submission failed: {words}"
    sbatch(tmp_path, monkeypatch, f"echo '{said}' >&2; exit 1")
    profile = tmp_path / "profile.yaml"
    profile.write_text(yaml.safe_dump({"site": SITE}))
    study = load(ROOT / "config" / "smoke.yaml")
    names = [task.name for task in study.tasks if task.runs]
    jobs = [list(job[:4]) for job in trainings_of(study)]
    output = [str(tmp_path / f"{name}.txt") for name in names]
    asked = ["--config", "config/smoke.yaml", "--results", str(tmp_path), "--jobs", "-"]
    asked += ["--slurm", str(profile), "--attempts", "3", "--task", *names, "--output", *output]
    script = str(ROOT / "workflow" / "scripts" / "preflight.py")
    done = warm.run(script, *asked, cwd=ROOT, input=json.dumps(jobs))
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stdout.splitlines() if words in line]
    assert len(lines) == len(set(lines)) and len(names) > 1
    assert sum("all other jobs" in line for line in lines) == 1
    assert not any(Path(path).exists() for path in output)


@pytest.mark.parametrize("key", ["sk-one\nsk-two", "sk secret", "sk-sécret"])
def test_a_key_that_can_be_none_is_named_before_it_is_sent_and_not_shown(
    tmp_path, monkeypatch, key
):
    monkeypatch.setenv("DEEPSEEK_API_KEY", key)
    (problem,) = check(study_raw(tmp_path), asked=(1, 2))
    assert problem.startswith("countdown/deepseek-v3.2-exp: the environment variable DEEPSEEK_API")
    assert "holds no key" in problem and "export DEEPSEEK_API_KEY" in problem
    assert "cret" not in problem and "two" not in problem


@pytest.mark.parametrize(
    ("partition", "listed", "refused"),
    [
        ("gpu", "gpu|16:39", "gpu grants 16.65 minutes, and it asks 17"),
        ("gpu", "gpu|17:00", None),
        ("gpu", "cpu|1:00\ngpu*|0-00:16:00", "gpu grants 16 minutes"),
        (None, "other|1:00\ngpu*|16:00", "the default partition grants 16 minutes"),
        (None, "other|1:00", None),  # No default is known.
        ("gpu,long", "gpu|1:00\nlong|1-00:00:00", None),
        ("gpu,long", "gpu|1:00\nlong|2:00", "gpu,long grants 2 minutes"),
        ("gpu", "gpu|infinite", None),
        ("gpu", "gpu|n/a", None),
        ("gpu", "", None),
    ],
)
def test_a_time_that_no_partition_grants_is_named(
    tmp_path, monkeypatch, partition, listed, refused
):
    """Slurm itself takes such a job unless a site sets EnforcePartLimits, and never runs it."""
    raw = study_raw(tmp_path)
    for rule in ("grpo", "distill", "sft"):
        raw["resources"][rule] = {"gpu": 2, "mem_mb": 9000, "runtime": 17}
    sbatch(tmp_path, monkeypatch, "exit 0", f"printf '%s\\n' '{listed}'")
    site = {"gpu_partition": partition, "cpu_partition": "elsewhere"}
    problems = slurm(tmp_path, raw, **site).problems
    assert len(problems) == (refused is not None)
    if refused:
        assert refused in problems[0] and "`site` block" in problems[0]


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("7:00", 7),
        ("1:30:30", 90.5),
        ("2-00:00:00", 2880),
        ("infinite", float("inf")),
        ("n/a", None),
        ("", None),
        ("7", None),
    ],
)
def test_slurms_times_are_read(text, minutes):
    assert cluster.minutes_of(text) == minutes
