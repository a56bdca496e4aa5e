"""Settings of the paper's claims: config/claims.yaml, one file for every study.

A claim holds of each task that has its benchmarks and runs; nothing in it names a scale.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from online_il.config.reading import (
    ABSENT,
    ConfigError,
    Keys,
    Problem,
    read_yaml,
    refuse,
    rows_of,
    value_at,
)
from online_il.config.settings import Settings
from online_il.config.tasks import NAME

RunName = Annotated[str, Field(pattern=NAME)]
ClaimName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
Benchmarks = Literal["in-distribution", "out-of-distribution", "forgetting"]
RATIOS = ("updates", "samples", "device-seconds")


class Claim(Settings):
    """What every claim has."""

    id: ClaimName = Field(description="Name of the claim, unique in the file.")
    title: str = Field(min_length=1, description="The claim as a sentence of ours.")
    family: ClaimName = Field(description="Claims that are corrected for their number together.")
    source: str = Field(min_length=1, description="Where the paper says so.")
    note: str = Field("", description="What a reader must know of this claim in any study.")


class DifferenceClaim(Claim):
    """Two runs compared at their ends, or by how soon they come near the expert."""

    kind: Literal["equivalence", "superiority", "non-inferiority"] = Field(
        description="Within the margin on both sides; beyond it; or not beyond it."
    )
    benchmarks: Benchmarks = Field(description="Which of a task's benchmarks it is about.")
    statistic: Literal["accuracy", "updates", "samples", "device-seconds"] = Field(
        description="accuracy: final accuracy of the first run less the second one's; the others: "
        "by which factor the first run takes less until 90 % of the expert's gain."
    )
    runs: list[RunName] = Field(min_length=2, max_length=2, description="The two runs.")
    margin: float = Field(
        gt=0, description="Set in advance: accuracy below 1, or a factor above 1 for times."
    )

    @model_validator(mode="after")
    def _margin_fits(self) -> "DifferenceClaim":
        if (self.statistic in RATIOS) != (self.margin > 1):
            raise ValueError("a margin is below 1 for accuracy, and a factor above 1 for times")
        return self


class DegradationClaim(Claim):
    """How far a run's accuracy falls during its training."""

    kind: Literal["degradation"]
    benchmarks: Benchmarks = Field(description="Which of a task's benchmarks it is about.")
    statistic: Literal["worst-drop", "final-drop", "drop-from-best"] = Field(
        description="worst-drop: the base's accuracy less the worst checkpoint's, claimed to stay "
        "below the margin; final-drop: the base's less the last checkpoint's, claimed to be above; "
        "drop-from-best: the best checkpoint's less the last one's, the same."
    )
    runs: list[RunName] = Field(min_length=1, max_length=1, description="The run.")
    margin: float = Field(gt=0, lt=1, description="Set in advance, accuracy.")


class DiscrepancyClaim(Claim):
    """How far two models' responses differ, less the gap of their accuracies."""

    kind: Literal["discrepancy"]
    measure: str = Field(
        min_length=1, description="Beginning of the measure's name in Table 1, as of every keyword."
    )
    margin: float = Field(ge=0, lt=1, description="Set in advance: excess over the gap.")


class TheoryClaim(Claim):
    """A number of the theory's experiments."""

    kind: Literal["theory"]
    statistic: Literal[
        "gaussian-value",
        "gaussian-excess",
        "rate-slope",
        "rate-ratio",
        "online-over-offline",
        "alignment-violation",
        "pessimism-violation",
        "pessimism-gain",
        "horizon-one-gain",
    ] = Field(description="Which number (online_il/claims/theory.py).")
    panel: str = Field("", description="The panel of Figure 4.")
    target: float = Field(0.0, description="What is taken off the number.")
    expect: Literal["within", "at-least", "at-most"] = Field(description="Side of the margin.")
    margin: float = Field(ge=0, description="Set in advance.")


class ConjunctionClaim(Claim):
    """A claim that holds where all of some others hold."""

    kind: Literal["conjunction"]
    claims: list[ClaimName] = Field(min_length=2, description="The others' ids.")


AnyClaim = Annotated[
    DifferenceClaim | DegradationClaim | DiscrepancyClaim | TheoryClaim | ConjunctionClaim,
    Field(discriminator="kind"),
]
CLASSES: dict[str, type[Claim]] = {
    **dict.fromkeys(("equivalence", "superiority", "non-inferiority"), DifferenceClaim),
    "degradation": DegradationClaim,
    "discrepancy": DiscrepancyClaim,
    "theory": TheoryClaim,
    "conjunction": ConjunctionClaim,
}


class Claims(Settings):
    """All claims, and what their intervals share."""

    resamples: int = Field(ge=1000, description="Bootstrap samples of a curve.")
    seed: int = Field(ge=0, description="Seed of the resamples.")
    claims: list[AnyClaim] = Field(min_length=1, description="The claims, in the paper's order.")


def load_claims(path: Path) -> Claims:
    """The claims in a YAML file. Raises `ConfigError` naming everything that is wrong."""
    raw, lines, problems = read_yaml(path, "a list of claims", "config/claims.yaml")
    problems += [*_shape_problems(raw), *_name_problems(raw)]
    refuse(problems, path, lines)
    return Claims.model_validate(raw)


def schema() -> str:
    """The JSON schema of a file of claims, as committed in config/claims-schema.json."""
    return json.dumps(Claims.model_json_schema(), indent=2, sort_keys=True) + "\n"


def _shape_problems(raw: dict[str, Any]) -> list[Problem]:
    try:
        Claims.model_validate(raw)
    except ValidationError as error:
        return [_problem(raw, detail) for detail in error.errors(include_url=False)]
    return []


def _problem(raw: dict[str, Any], detail: Any) -> Problem:
    """What pydantic refuses, in our words; its places name the kind on the way."""
    place = detail["loc"]
    keys: Keys = (*place[:2], *place[3:]) if place[:1] == ("claims",) else place
    one: Any = Claims
    if place[:1] == ("claims",) and len(place) > 2:
        one = CLASSES[str(place[2])]
    elif place[:1] == ("claims",) and len(place) == 2:
        one = Claim
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
        found = value_at(detail["input"], "kind")
        kinds = ", ".join(CLASSES)
        message = "a required key is missing" if found is ABSENT else "there is no such kind"
        return Problem((*keys, "kind"), found, message, f"there are: {kinds}")
    name = str(next((key for key in reversed(keys) if isinstance(key, str)), ""))
    if detail["type"] == "extra_forbidden":
        known = ", ".join(one.model_fields)
        return Problem(keys, detail["input"], "unknown key", f"known: {known}")
    field = one.model_fields.get(name)
    meaning = (field.description if field else "") or "see config/claims.yaml"
    if detail["type"] == "missing":
        return Problem(keys, ABSENT, "a required key is missing", f"add: {meaning}")
    return Problem(keys, detail["input"], detail["msg"], f"expected: {meaning}")


def _name_problems(raw: dict[str, Any]) -> list[Problem]:
    """Ids that stand twice, and claims that a conjunction names and that are not there."""
    rows = rows_of(raw, "claims")
    ids = [row.get("id") for _, row in rows]
    found = [
        Problem(("claims", index, "id"), row["id"], "this id stands here again", "rename one")
        for place, (index, row) in enumerate(rows)
        if "id" in row and row["id"] in ids[:place]
    ]
    single = {row.get("id") for _, row in rows if row.get("kind") != "conjunction"}
    for index, row in rows:
        listed = row.get("claims") if row.get("kind") == "conjunction" else None
        for place, name in enumerate(listed if isinstance(listed, list) else []):
            if name not in single:
                keys = ("claims", index, "claims", place)
                found.append(Problem(keys, name, "no claim has this id", "name one of the others"))
    return found


__all__ = ["Claims", "ConfigError", "load_claims"]
