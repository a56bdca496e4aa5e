"""Jobs that ask an endpoint, on the machine that submits."""

from pathlib import Path

import yaml
from project import copy_of_project, snakemake

# Stands for a program that asks: it says when it begins and ends, or that it cannot. It waits for
# two more beside it, eight seconds.
ASK = """
import sys, time
from pathlib import Path
output = Path(sys.argv[sys.argv.index("--output") + 1])
began, times = time.monotonic(), Path("times")
with times.open("a") as stream:
    stream.write("begin\\n"); stream.flush()
    while time.monotonic() < began + 8:
        if times.read_text().count("begin") - times.read_text().count("end") > 2:
            break
        time.sleep(0.05)
    stream.write("end\\n")
if Path("wrong-key").exists():
    sys.exit("error: the key is wrong")
output.write_text("")
"""
EXPERT = {
    "name": "far",
    "kind": "endpoint",
    "url": "http://127.0.0.1:9/v1",
    "model": "any",
    "key_variable": None,
}


def asking(folder: Path) -> tuple[Path, list[str]]:
    """The smoke study with an expert that six jobs ask, and their targets."""
    project = copy_of_project(folder)
    config = project / "config" / "smoke.yaml"
    raw = yaml.safe_load(config.read_text())
    task = next(task for task in raw["tasks"] if task["name"] == "countdown")
    task["experts"].append(EXPERT)
    config.write_text(yaml.safe_dump(raw))
    (project / "workflow" / "scripts" / "ask.py").write_text(ASK)
    targets = [f"results/smoke/samples/countdown/far/seed{seed}.parquet" for seed in range(1, 7)]
    return project, targets


def most_at_once(project: Path) -> int:
    running = most = 0
    for line in (project / "times").read_text().split():
        running += 1 if line == "begin" else -1
        most = max(most, running)
    return most


def test_two_jobs_at_once_ask_endpoints_or_as_many_as_somebody_wants(tmp_path):
    project, targets = asking(tmp_path)
    words = ("--configfile", "config/smoke.yaml", "--cores", "8", *targets)
    status, output = snakemake(project, *words)
    assert status == 0, output
    assert (project / "times").read_text().count("end") == 6
    assert most_at_once(project) == 2
    for made in ("times", *targets):
        (project / made).unlink()
    status, output = snakemake(project, "--resources", "endpoint=4", *words)
    assert status == 0, output
    assert most_at_once(project) in (3, 4)


def test_what_an_endpoint_refuses_is_told_once_and_not_once_a_retry(tmp_path):
    project, targets = asking(tmp_path)
    (project / "wrong-key").touch()
    status, output = snakemake(
        project, "--configfile", "config/smoke.yaml", "--retries", "2", targets[0]
    )
    assert status != 0
    assert (project / "times").read_text().count("begin") == 1
    assert output.count("Error in rule demonstrate") == 1
