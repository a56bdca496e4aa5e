"""A copy of the project for tests that run its workflow."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "rules", "workflow", "config", "envs", "docs", "profiles", "slurm")


def copy_of_project(folder: Path) -> Path:
    """What a clone holds, without what an earlier run left in this one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PARTS:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, folder / name)
    return folder
