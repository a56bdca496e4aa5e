"""Facts about a cluster: the `site` block of slurm/config.yaml.

Snakemake ignores the block itself. The profile's own keys refer to it by YAML anchors, and the
rules read from here what a job with GPUs needs beside their number.
"""

from pathlib import Path
from typing import Any

from pydantic import Field

from online_il.config.checking import problems_of
from online_il.config.problem import Problem
from online_il.config.reading import ConfigError, Lines, read_yaml, sentence
from online_il.config.settings import Settings
from online_il.config.written import Number

NAME = r"^[A-Za-z0-9_.,-]+$"


class Site(Settings):
    """What has to be known of a cluster; null leaves a choice to Slurm."""

    gpu_model: str | None = Field(
        description="Type of the GPUs, as Slurm names it; null: any.", pattern=r"^[A-Za-z0-9_.]+$"
    )
    cpus_per_gpu: int = Field(description="CPU cores for each GPU.", gt=0)
    gpu_partition: str | None = Field(
        description="Partition of jobs with GPUs; null: the default.", pattern=NAME
    )
    cpu_partition: str | None = Field(
        description="Partition of all other jobs; null: the default.", pattern=NAME
    )
    account: str | None = Field(description="Account that pays; null: the user's.", pattern=NAME)
    qos: str | None = Field(description="Quality of service; null: the default.", pattern=NAME)
    max_runtime: int | None = Field(description="Longest time limit, minutes; null: none.", gt=0)
    max_mem_mb: int | None = Field(description="Most memory of a job, MiB; null: no limit.", gt=0)


class SiteError(ConfigError):
    """A site block that cannot be used; its text lists every problem."""


def load_site(path: Path) -> Site:
    """Load the site block of a profile. Raises `SiteError` naming everything that is wrong."""
    block, lines, problems = _read(path)
    problems += [problem.below("site") for problem in problems_of(Site, block)]
    if problems:
        listed = "\n".join(f"  {sentence(problem, lines)}" for problem in problems)
        raise SiteError(f"{path}, block `site`:\n{listed}")
    return Site.model_validate(block)


def _read(path: Path) -> tuple[dict[str, Any], Lines, list[Problem]]:
    """Read the block, the places of its keys, and what YAML misreads.

    Of the rest of the profile, which is Snakemake's, only numbers are looked at: a time limit there
    is misread like one here.
    """
    try:
        profile, lines, problems = read_yaml(path, "a profile", "slurm/config.yaml")
    except ConfigError as error:
        raise SiteError(f"{error}: it cannot be read, so there is no `site:` block") from None
    block = profile.get("site")
    if not isinstance(block, dict):
        raise SiteError(f"{path}: there is no `site:` block; take it from the repository's file")
    misread = [
        problem
        for problem in problems
        if problem.keys[0] == "site" or isinstance(problem.value, Number)
    ]
    return block, lines, misread


def gpu_job(site: Site, gpus: int) -> dict[str, Any]:
    """Give what a job asks of Slurm beside the number of its GPUs; without any, no model.

    All GPUs of a job are on one node: Slurm may spread them over several if it is not told.
    """
    if gpus == 0:
        return {"slurm_partition": site.cpu_partition}
    return {
        "slurm_partition": site.gpu_partition,
        "gpu_model": site.gpu_model,
        "cpus_per_gpu": site.cpus_per_gpu,
        "nodes": 1,
    }


def capped(amount: int, attempt: int, most: int | None) -> int:
    """Multiply what a job asks for by its attempt, up to what the site grants.

    Slurm refuses a job that asks for more, or lets it wait forever. A training that runs into the
    longest time limit goes on in the next attempt.
    """
    return amount * attempt if most is None else min(amount * attempt, most)
