"""The verdicts as they are written: claims.json, and the table `claims` of the database."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from online_il.errors import InputError


class ClaimVerdict(BaseModel):
    """The verdict on one claim of the paper in one task."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    id: str = Field(description="The task's name, if any, and the claim's.")
    title: str
    family: str = Field(description="Claims whose p are corrected together, within a task.")
    task: str | None
    source: str = Field(description="Where the paper says so.")
    kind: str
    runs: list[str]
    statistic: str = Field(description="What is measured, in words.")
    unit: str
    margin: float
    holds: Literal["within", "above", "below", "all"] = Field(
        description="On which side of the margin the claim holds; all: of other claims."
    )
    verdict: Literal["supported", "contradicted", "undecided", "not run"]
    effect: float | None = None
    low: float | None = Field(None, description="95 % interval; of a curve for all its points.")
    high: float | None = None
    p: float | None = Field(
        None,
        description="Two-sided, of the nearest end of the margin, times the planned looks.",
    )
    p_holm: float | None = Field(None, description="The same, corrected within the family.")
    detectable: float | None = Field(
        None, description="Distance from the margin that 80 % of such studies would see, corrected."
    )
    decided_at: int | None = Field(
        None, description="Blocks at the look that decided it; null without a plan for looks."
    )
    n_seeds: int | None = None
    n_prompts: int | None = None
    note: str = ""


class ClaimVerdicts(BaseModel):
    """All claims of a study, claims.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: str
    level: float
    resamples: int
    seed: int
    versions: dict[str, str]
    code_hash: str
    looks: list[int] = Field([], description="Planned looks, in blocks; none: one at all seeds.")
    blocks: int = Field(0, description="Blocks (seeds) that were run.")
    claims: list[ClaimVerdict]


def read_claims(path: Path) -> ClaimVerdicts:
    """Read a study's claims.json. Raises `InputError` when it is none."""
    try:
        return ClaimVerdicts.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: not the claims of a study ({reason}); delete it and start again: Snakemake "
            "makes it anew"
        ) from None
