"""The shipped profile on a real Slurm: requests, queues, cancelled jobs, time-outs and refusals."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import harness as faults
import pytest
import yaml
from cluster import PARTITION, end, processes_of
from conftest import PATIENCE_S, checkout, finish, start, toy
from project import PARTS, copy_of_project

SAMPLES = "results/smoke/samples/countdown/expert/seed1.parquet"
SCANCELS = 3
UPDATES = 1500  # Of a training that is asked to stop: more than it makes until then.
SLOW_S = 100  # Longer than a minute's limit, which Slurm enforces up to 30 s late.


@pytest.fixture(scope="module", autouse=True)
def slow(cluster, tmp_path_factory):
    """A job of a minute's limit that needs longer, started first since it mostly waits."""
    folder = toy(
        tmp_path_factory.mktemp("slow"),
        f"""
rule slow:
    output: "done.txt"
    resources:
        mem_mb=lambda wildcards, attempt: 400 * attempt,
        runtime=lambda wildcards, attempt: attempt,
    shell: "while [ $(cat seconds.txt | wc -l) -lt {SLOW_S} ]; do"
        " echo second >> seconds.txt; sleep 1; done; touch {{output}}"
""",
    )
    (folder / "seconds.txt").touch()
    return folder, start(folder, cluster)


def jobs_of(cluster, rule: str) -> list[dict[str, str]]:
    return [job for job in cluster.jobs() if job.get("Comment", "").startswith(f"rule_{rule}")]


def not_slow(cluster) -> list[dict[str, str]]:
    return [job for job in cluster.jobs() if not job.get("Comment", "").startswith("rule_slow")]


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)


def wait_for(condition):
    limit = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def cancelled(cluster, tmp_path_factory):
    """The smoke study up to the expert's samples; GRPO asks for two GPUs and is cancelled."""
    folder = checkout(tmp_path_factory.mktemp("checkout"))
    config = folder / "config" / "smoke.yaml"
    settings = yaml.safe_load(config.read_text())
    settings["resources"]["grpo"]["gpu"] = 2
    settings["resources"]["sample"]["gpu"] = 1
    config.write_text(yaml.safe_dump(settings, sort_keys=False))
    command = (SAMPLES, "--retries", "0", "--configfile", "config/smoke.yaml")
    process = start(folder, cluster, *command)
    wait_for(lambda: process.poll() is not None or jobs_of(cluster, "grpo"))
    cluster.ask("scancel", *(job["JobId"] for job in jobs_of(cluster, "grpo")))
    return folder, command, finish(process)


def test_a_cancelled_job_is_reported(cancelled):
    _, _, (status, output) = cancelled
    assert status != 0, output
    assert "SLURM status is: 'CANCELLED'" in output and "Error in rule grpo" in output, output
    assert "Traceback" not in output


def test_the_same_command_finishes_the_study_and_redoes_nothing_that_was_done(cluster, cancelled):
    folder, command, _ = cancelled
    before = len(cluster.jobs())
    base = (folder / "results/smoke/runs/countdown/base/seed1/run.json").stat().st_mtime_ns
    status, output = finish(start(folder, cluster, *command))
    assert status == 0, output[-3000:]
    assert (folder / SAMPLES).exists()
    assert (folder / "results/smoke/runs/countdown/base/seed1/run.json").stat().st_mtime_ns == base
    rules = [job["Comment"].split("_wildcards")[0] for job in cluster.jobs()[before:]]
    assert sorted(rule for rule in rules if rule != "rule_slow") == ["rule_grpo", "rule_sample"]
    assert {path.name for path in folder.iterdir()} == {*PARTS, "results", ".snakemake"}


def test_slurm_was_asked_for_what_the_config_and_the_site_say(cluster, cancelled):
    folder, _, _ = cancelled
    grpo, sample = jobs_of(cluster, "grpo")[-1], jobs_of(cluster, "sample")[-1]
    assert (grpo["TresPerJob"], sample["TresPerJob"]) == ("gres:gpu:a100:2", "gres:gpu:a100:1")
    assert (grpo["NumCPUs"], sample["NumCPUs"]) == ("4", "2")
    assert (grpo["NumNodes"], grpo["NodeList"], grpo["Partition"]) == ("1", "nodea", PARTITION)
    assert (grpo["MinMemoryNode"], sample["MinMemoryNode"]) == ("1500M", "1000M")
    assert grpo["TimeLimit"] == "00:04:00"
    # A job without GPUs asks for no model; one whose config has two threads gets two CPUs.
    (pretrain,) = jobs_of(cluster, "pretrain")
    assert "TresPerJob" not in pretrain and "gpu" not in pretrain["TRES"]
    assert jobs_of(cluster, "prompts") == []
    assert (folder / "results/smoke/data/countdown/prompts.parquet").exists()


def test_a_task_of_the_smoke_study_runs_to_its_figures(cluster, tmp_path):
    folder = checkout(tmp_path)
    config = folder / "config" / "smoke.yaml"
    settings = yaml.safe_load(config.read_text())
    settings["tasks"] = [task for task in settings["tasks"] if task["name"] == "deepscaler"]
    settings["theory"] = settings["discrepancy"] = None
    for rule in ("grpo", "sft", "sample", "evaluate"):
        settings["resources"][rule]["gpu"] = 1
    config.write_text(yaml.safe_dump(settings, sort_keys=False))
    before = len(cluster.jobs())
    status, output = finish(start(folder, cluster, "--configfile", "config/smoke.yaml"))
    assert status == 0, output[-3000:]
    for name in (
        "figures/figure1.svg",
        "summary.txt",
        "aggregate/measurements.duckdb",
        "results.duckdb",
        "claims.json",
        "preflight/deepscaler.txt",
    ):
        assert (folder / "results" / "smoke" / name).stat().st_size > 0
    rules = Counter(job["Comment"].split("_wildcards")[0] for job in cluster.jobs()[before:])
    del rules["rule_slow"]
    assert rules == {"rule_grpo": 1, "rule_sample": 1, "rule_sft": 1, "rule_evaluate": 3}
    evaluations = jobs_of(cluster, "evaluate")
    assert {job["TresPerJob"] for job in evaluations} == {"gres:gpu:a100:1"}
    assert {job["JobState"] for job in evaluations} == {"COMPLETED"}


def test_two_jobs_of_two_gpus_take_turns_on_a_node_of_two(cluster, tmp_path):
    folder = toy(
        tmp_path,
        """
rule all:
    input: "first.txt", "second.txt"
    localrule: True

rule pair:
    output: "{name}.txt"
    resources: mem_mb=400, gpu=2, **gpu_job(SITE, 2)
    shell: "echo $CUDA_VISIBLE_DEVICES > {output}; sleep 1"
""",
    )
    status, output = finish(start(folder, cluster))
    assert status == 0, output[-3000:]
    jobs = sorted(jobs_of(cluster, "pair"), key=lambda job: job["StartTime"])
    first, second = [{k: when(job[f"{k}Time"]) for k in ("Submit", "Start", "End")} for job in jobs]
    assert second["Submit"] < first["End"] <= second["Start"]
    assert [job["NodeList"] for job in jobs] == ["nodea", "nodea"]
    assert {(folder / f"{name}.txt").read_text() for name in ("first", "second")} == {"0,1\n"}


def test_requests_that_cannot_be_met_are_refused_with_the_reason(cluster, tmp_path):
    folder = toy(
        tmp_path,
        """
rule all:
    input: "large.txt", "elsewhere.txt"
    localrule: True

rule large:
    output: "large.txt"
    resources: mem_mb=400, gpu=3, **gpu_job(SITE, 3)
    shell: "touch {output}"

rule elsewhere:
    output: "elsewhere.txt"
    resources: mem_mb=400, slurm_partition="attic"
    shell: "touch {output}"
""",
    )
    status, output = finish(start(folder, cluster))
    assert status != 0
    assert "Requested node configuration is not available" in output and "--gpus=a100:3" in output
    assert "invalid partition specified: attic" in output
    assert "Traceback" not in output
    assert all(job["NodeList"] in ("", "(null)") for job in jobs_of(cluster, "large"))
    assert jobs_of(cluster, "elsewhere") == []
    assert not list(folder.glob("*.txt"))


def test_gpus_of_one_job_are_never_spread_over_nodes(cluster, tmp_path):
    """Without the profile's `nodes`, Slurm gives five h100 of two machines to one process."""
    asked = ["sbatch", "--test-only", "--gpus=5", "--cpus-per-gpu=1", "--mem=400", "--wrap=true"]
    spread = subprocess.run(asked, env=cluster.env, capture_output=True, text=True)
    assert spread.returncode == 0, spread.stderr
    together = subprocess.run(
        [*asked[:1], "--nodes=1", *asked[1:]], env=cluster.env, capture_output=True, text=True
    )
    assert "Requested node configuration is not available" in together.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_cluster_that_is_interrupted_leaves_nothing_running(how):
    """Ended in order it leaves no file either; killed, its daemons still end."""
    script = "echo $SLURM_CONF; sbatch --quiet --wrap 'sleep 1000' --output /dev/null; sleep 1000"
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("cluster.py"), "bash", "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell starts what runs in its background without SIGINT, and a child inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    folder = Path(process.stdout.readline().strip()).parent
    try:
        wait_for(lambda: any("slurmstepd" in line for line in processes_of(folder)))
        process.send_signal(how)
        process.wait(timeout=60)
        if how != signal.SIGKILL:
            assert not folder.exists()
            assert processes_of(folder) == []
        else:
            wait_for(lambda: not [line for line in processes_of(folder) if "slurmctld" in line])
    finally:
        end(folder)


def test_a_time_out_is_reported_and_the_next_attempt_has_more_time_and_memory(cluster, slow):
    folder, process = slow
    status, output = finish(process)
    assert status == 0, output[-3000:]
    assert "SLURM status is: 'TIMEOUT'" in output and "Error in rule slow" in output
    first, second = jobs_of(cluster, "slow")
    assert (first["JobState"], second["JobState"]) == ("TIMEOUT", "COMPLETED")
    assert (first["TimeLimit"], second["TimeLimit"]) == ("00:01:00", "00:02:00")
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == ("400M", "800M")
    # The second attempt went on where the first had come to.
    assert (folder / "seconds.txt").read_text() == "second\n" * SLOW_S


def test_a_training_that_slurm_asks_to_stop_saves_first(cluster, tmp_path):
    """The signal that comes before a time limit goes to all processes of a job at once."""
    folder = checkout(tmp_path / "asked")
    config = folder / "config" / "smoke.yaml"
    settings = yaml.safe_load(config.read_text())
    settings["save_minutes"] = 60  # Without the signal nothing would be saved.
    settings["tasks"][-1]["base"]["updates"] = UPDATES
    config.write_text(yaml.safe_dump(settings, sort_keys=False))
    place = "countdown/base/seed1"
    command = (f"results/smoke/runs/{place}/run.json", "--configfile", "config/smoke.yaml")
    process = start(folder, cluster, *command)
    progress = folder / "results" / "smoke" / "progress" / "pretrain" / f"{place}.json"
    wait_for(lambda: process.poll() is not None or progress.is_file())
    (job,) = [job for job in jobs_of(cluster, "pretrain") if job["JobState"] == "RUNNING"]
    cluster.ask("scancel", "--signal=TERM", job["JobId"])
    status, output = finish(process)
    assert status == 0, output[-3000:]
    log = (folder / "results" / "smoke" / "logs" / "pretrain" / f"{place}.log").read_text()
    (line,) = [line for line in log.splitlines() if "going on after update" in line]
    assert 0 < int(line.split("after update ")[1].split()[0]) < UPDATES


def child_of_srun(job: str) -> int | None:
    """The process that srun started: the one child of the daemon of a job's step."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            if f"slurmstepd: [{job}.0]" in Path("/proc", parent, "cmdline").read_text():
                return int(process.name)
        except OSError:
            continue  # Ended meanwhile.
    return None


def test_a_training_that_no_signal_reaches_saves_before_its_limit(cluster, tmp_path):
    """With proctrack/cgroup, Slurm's default, signals reach srun's child alone: Snakemake."""
    folder = checkout(tmp_path / "limited")
    config = folder / "config" / "smoke.yaml"
    settings = yaml.safe_load(config.read_text())
    settings["save_minutes"] = 60
    settings["tasks"][-1]["base"]["updates"] = 20 * UPDATES  # Which its limit has no room for.
    config.write_text(yaml.safe_dump(settings, sort_keys=False))
    place = "countdown/base/seed1"
    target = f"results/smoke/runs/{place}/run.json"
    command = (target, "--configfile", "config/smoke.yaml", "--retries", "0")
    process = start(folder, cluster, *command)
    progress = folder / "results" / "smoke" / "progress" / "pretrain" / f"{place}.json"
    wait_for(lambda: process.poll() is not None or progress.is_file())
    (job,) = [job for job in jobs_of(cluster, "pretrain") if job["JobState"] == "RUNNING"]
    os.kill(wait_for(lambda: child_of_srun(job["JobId"])), signal.SIGTERM)
    status, output = finish(process)
    assert status != 0, output[-3000:]
    (job,) = [one for one in jobs_of(cluster, "pretrain") if one["JobId"] == job["JobId"]]
    # On a busy machine its Snakemakes may leave later than within the last twelve seconds.
    assert job["JobState"] in ("FAILED", "TIMEOUT"), job
    assert when(job["EndTime"]) - when(job["StartTime"]) > timedelta(seconds=200)
    log = (folder / "results" / "smoke" / "logs" / "pretrain" / f"{place}.log").read_text()
    stopped = int(log.split("stopped by its time limit after update ")[1].split()[0])
    state = folder / "results" / "smoke" / "state" / place
    assert [int(path.name[-8:]) for path in state.glob("update-*")] == [stopped]


def test_a_study_whose_jobs_are_cancelled_at_random_is_the_study_that_was_not(cluster, tmp_path):
    seed = random.randrange(2**31)
    draw = random.Random(seed)
    alone = copy_of_project(tmp_path / "alone")
    smoke = (SAMPLES, "--configfile", "config/smoke.yaml")
    faults.run_to_its_end(alone, seed, 0, print, *smoke)
    folder = checkout(tmp_path / "cancelled")
    command = (*smoke, "--retries", "0")
    failed = 0
    for _ in range(SCANCELS):
        seen = len(not_slow(cluster))
        process = start(folder, cluster, *command)
        wait_for(lambda p=process, n=seen: p.poll() is not None or len(not_slow(cluster)) > n)
        time.sleep(draw.uniform(0.0, 5.0))
        new = [job["JobId"] for job in not_slow(cluster)[seen:]]
        if new:
            cluster.ask("scancel", *new)
        status, output = finish(process)
        print(f"seed {seed}: {len(new)} cancelled, status {status}")
        failed += status != 0
    assert failed, f"seed {seed}: nothing was cancelled while it ran"
    status, output = finish(start(folder, cluster, *command))
    assert status == 0, f"seed {seed}: {output[-3000:]}"
    found = faults.artifacts(folder / "results" / "smoke")
    assert found == faults.artifacts(alone / "results" / "smoke"), f"seed {seed}"
