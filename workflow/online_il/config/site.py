"""Facts about a cluster: the `site` block of slurm/config.yaml.

Snakemake ignores the block itself. The profile's own keys refer to it by YAML anchors, and the
rules read from here what a job with GPUs needs beside their number.
"""

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from online_il.config.settings import Settings

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


class SiteError(ValueError):
    """A site block that cannot be used; its text lists every problem."""


def load_site(path: Path) -> Site:
    """The site block of a profile. Raises `SiteError` naming everything that is wrong."""
    try:
        profile = yaml.safe_load(path.read_text())
        return Site.model_validate(profile["site"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SiteError(f"{path} cannot be read: {error}") from None
    except (KeyError, TypeError):
        raise SiteError(
            f"{path}: there is no `site:` block; take it from the repository's file"
        ) from None
    except ValidationError as error:
        problems = "\n".join(f"  {_sentence(problem)}" for problem in error.errors())
        raise SiteError(f"{path}, block `site`:\n{problems}") from None


def gpu_job(site: Site, gpus: int) -> dict[str, Any]:
    """What a job asks of Slurm beside the number of its GPUs; a job without any asks for no model.

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


def granted(amount: int, attempt: int, most: int | None) -> int:
    """What an attempt asks for: as many times the amount, but not more than the site grants.

    Slurm refuses a job that asks for more, or lets it wait forever. A training that runs into the
    longest time limit goes on in the next attempt.
    """
    return amount * attempt if most is None else min(amount * attempt, most)


def _sentence(problem: Any) -> str:
    """One line on what is wrong with a key and what the key is."""
    key = ".".join(map(str, problem["loc"]))
    field = Site.model_fields.get(key)
    if field is None:
        known = ", ".join(Site.model_fields)
        return f"{key}: unknown key; remove it, or use one of {known}"
    if problem["type"] == "missing":
        return f"{key}: a required key is missing; add: {field.description}"
    value = repr(problem["input"])
    return f"{key} = {value}: {problem['msg']}; {field.description} Text of digits needs quotes."


def warning(minutes: int) -> str:
    """How a job asks Slurm for SIGTERM before its time limit, so that it can save and leave.

    A tenth of the limit before, at most ten minutes: a training saves once the batch of rollouts
    that it is in has served, and what Slurm grants after the limit is seconds.
    """
    return f"--signal=TERM@{min(6 * minutes, 600)}"
