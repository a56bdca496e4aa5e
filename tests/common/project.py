"""A copy of the project, and its workflow run there."""

import shutil
from pathlib import Path

import warm

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "rules", "workflow", "config", "envs", "docs", "profiles", "slurm")


def copy_of_project(folder: Path) -> Path:
    """What a clone holds, without what an earlier run left in this one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PARTS:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, folder / name)
    return folder


def snakemake(checkout: Path, *arguments: str) -> tuple[int, str]:
    """Run Snakemake at the root of a checkout; returns status and output."""
    done = warm.run("-m", "snakemake", "--cores", "2", *arguments, cwd=checkout)
    return done.returncode, done.stdout + done.stderr


def planned(output: str) -> set[str]:
    """The rules in the table of jobs that Snakemake prints first."""
    table = output.partition("Job stats:")[2].partition("\ntotal")[0]
    rows = [line.split() for line in table.splitlines()]
    return {row[0] for row in rows if len(row) == 2 and row[1].isdigit()}
