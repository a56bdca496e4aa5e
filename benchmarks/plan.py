"""How long and in how much memory a study of 1,000 runs is planned.

Measures a dry run of the whole DAG (`snakemake -n`) and the plan (`workflow/scripts/plan.py`) on
config/paper.yaml with so many students that it has 1,000 runs, seeds counted. The bounds are 60 s
and 1 GiB each. `PYTHONPATH=workflow python benchmarks/plan.py`
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent


def config(runs: int) -> dict[str, object]:
    """The paper's study with more students: `runs` policies, its seeds counted."""
    study = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text())
    study["scale"], study["extends"] = "benchmark", str(ROOT / "config" / study["extends"])
    tasks = [task for task in study["tasks"] if task.get("runs")]
    students = [
        dict(run, name=f"{run['name']}-{number}")
        for number in range(runs)
        for run in tasks[0]["runs"]
        if run["method"] != "grpo"
    ]
    count = sum(len(task["runs"]) * len(task["seeds"]) for task in tasks)
    for number, student in enumerate(students):
        task = tasks[number % len(tasks)]
        if count + len(task["seeds"]) > runs:
            break
        task["runs"].append(student)
        count += len(task["seeds"])
    return study


def measure(name: str, command: list[str]) -> dict[str, object]:
    """Wall time and peak memory of a program."""
    before = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    seconds = time.perf_counter() - before
    if done.returncode:
        sys.exit(f"{name}: failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    total = re.findall(r"^total +(\d+)", done.stdout, re.MULTILINE)
    return {"what": name, "seconds": round(seconds, 1)} | ({"jobs": int(total[0])} if total else {})


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=1000, help="policies to plan for")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.yaml"
        study = config(options.runs)
        path.write_text(yaml.safe_dump(study))
        policies = sum(len(t.get("runs", [])) * len(t["seeds"]) for t in study["tasks"])  # type: ignore[attr-defined]
        snakemake = [str(Path(sys.executable).parent / "snakemake"), "-n", "--quiet", "rules"]
        plan = [sys.executable, "workflow/scripts/plan.py", "--config", str(path)]
        plan += ["--output", *(f"{folder}/plan.{kind}" for kind in ("parquet", "md", "html"))]
        for name, command in (
            ("plan", plan),
            ("snakemake -n", [*snakemake, "--directory", folder, "--configfile", str(path)]),
        ):
            found = measure(name, command)
            # The largest child so far: the plan, the smaller one, is measured first.
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(json.dumps(found | {"runs": policies, "peak_mib": round(peak)}), flush=True)


if __name__ == "__main__":
    main()
