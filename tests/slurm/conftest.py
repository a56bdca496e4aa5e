"""The cluster that the tests of this folder share, and Snakemake run on it with the profile."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import PARTITION, Cluster, processes_of
from project import ROOT, copy_of_project

PATIENCE_S = 500
# The first look at a job comes sooner than in the profile, or the tests would mostly wait.
SOON = ("--slurm-init-seconds-before-status-checks", "3")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "ONLINE_IL_SLURM" not in os.environ:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="`make test-slurm` runs it"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    # Whoever ends the tests with SIGTERM must not leave daemons and files behind.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Cluster() as running:
        yield running
    signal.signal(signal.SIGTERM, before)
    assert not running.folder.exists()
    assert processes_of(running.folder) == []


def start(folder: Path, cluster: Cluster, *arguments: str) -> subprocess.Popen[str]:
    """Start Snakemake with the profile at the root of a checkout."""
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--profile", "slurm", *SOON, *arguments],
        cwd=folder,
        env=cluster.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit status and the output of a run of Snakemake."""
    try:
        output, _ = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        pytest.fail(f"Snakemake did not end:\n{output[-3000:]}")
    return process.returncode, output


def site(folder: Path, **facts: object) -> None:
    """Change lines of the site block, as somebody with a cluster does."""
    profile = folder / "slurm" / "config.yaml"
    text = profile.read_text()
    for key, value in facts.items():
        text, count = re.subn(rf"(?m)^  {key}: (&\w+ )?.*$", rf"  {key}: \g<1>{value}", text)
        assert count >= 1, key
    profile.write_text(text)


def checkout(folder: Path) -> Path:
    """What a clone holds, set up for the cluster of the tests."""
    copy_of_project(folder)
    # A minute less than the smoke study asks for.
    site(folder, gpu_model="a100", cpus_per_gpu=2, gpu_partition=PARTITION, max_runtime=4)
    return folder


def toy(folder: Path, rules: str) -> Path:
    """A folder with the shipped profile and a workflow of our own: `rules`, all of them targets."""
    for name in ("profiles", "slurm"):
        shutil.copytree(ROOT / name, folder / name)
    site(folder, gpu_model="a100", cpus_per_gpu=2, gpu_partition=PARTITION)
    # The profile names a config.
    (folder / "config").mkdir()
    (folder / "config" / "paper.yaml").write_text("{}")
    (folder / "Snakefile").write_text(
        f"""
import sys
from pathlib import Path
sys.path.insert(0, "{ROOT / "workflow"}")
from online_il.config.site import gpu_job, load_site
SITE = load_site(Path("slurm/config.yaml"))
{rules}"""
    )
    return folder
