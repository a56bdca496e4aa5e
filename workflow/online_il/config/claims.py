"""Settings of the paper's claims: config/claims.yaml, one file for every study.

A claim holds of each task that has its benchmarks and runs; nothing in it names a scale.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from online_il.config.checking import problems_of, schema_of
from online_il.config.experts import NAME
from online_il.config.partial import if_known, readable, spared
from online_il.config.problem import Problem
from online_il.config.reading import read_yaml, refuse
from online_il.config.settings import Settings

RunName = Annotated[str, Field(pattern=NAME)]
ClaimName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
Benchmarks = Literal["in-distribution", "out-of-distribution", "forgetting"]
RATIOS = ("updates", "samples", "device-seconds")


class Claim(Settings):
    """What every claim has."""

    id: ClaimName = Field(description="Name of the claim, unique in the file.")
    title: str = Field(min_length=1, description="The claim as a sentence of ours.")
    family: ClaimName = Field(
        description="Claims that are corrected for their number together, in each task."
    )
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

    def problems(self) -> Iterator[Problem]:
        yield from _repeated(self, "runs")
        yield from self._margin_problems()

    @spared
    def _margin_problems(self) -> Iterator[Problem]:
        if (self.statistic in RATIOS) != (self.margin > 1):
            message = "a margin is below 1 for accuracy, and a factor above 1 for times"
            yield Problem(("margin",), self.margin, message, f"choose one for {self.statistic}")


class InteractionClaim(Claim):
    """By how much the first run is ahead of the second more than the third is of the fourth.

    A difference of differences in each block (a seed).
    """

    kind: Literal["interaction"]
    benchmarks: Benchmarks = Field(description="Which of a task's benchmarks it is about.")
    statistic: Literal["accuracy"] = Field(
        description="Final accuracies: (first less second) less (third less fourth)."
    )
    runs: list[RunName] = Field(min_length=4, max_length=4, description="The four runs.")
    expect: Literal["at-least", "at-most"] = Field(description="Side of the margin.")
    margin: float = Field(gt=0, lt=1, description="Set in advance, accuracy.")

    def problems(self) -> Iterator[Problem]:
        yield from _repeated(self, "runs")


class RangeClaim(Claim):
    """How far apart several runs end: the largest difference between any two of them."""

    kind: Literal["range"]
    benchmarks: Benchmarks = Field(description="Which of a task's benchmarks it is about.")
    statistic: Literal["accuracy"] = Field(
        description="The largest difference of two final accuracies, claimed to be below the "
        "margin."
    )
    runs: list[RunName] = Field(min_length=3, description="The runs, three or more.")
    margin: float = Field(gt=0, lt=1, description="Set in advance, accuracy.")

    def problems(self) -> Iterator[Problem]:
        yield from _repeated(self, "runs")


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
    pair: list[RunName] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="Expert and student. Left out: each pair whose expert is neither a run nor a "
        "mixture.",
    )
    margin: float = Field(ge=0, lt=1, description="Set in advance: excess over the gap.")

    def problems(self) -> Iterator[Problem]:
        yield from _repeated(self, "pair")


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
    claims: list[ClaimName] = Field(
        min_length=1, description="The others' ids; one alone to show it apart."
    )


RunClaim = DifferenceClaim | DegradationClaim | InteractionClaim | RangeClaim
"""What is judged by the accuracies of runs."""
AnyClaim = Annotated[
    RunClaim | DiscrepancyClaim | TheoryClaim | ConjunctionClaim, Field(discriminator="kind")
]


class Claims(Settings):
    """All claims, and what their intervals share."""

    resamples: int = Field(ge=1000, description="Bootstrap samples of a factor of speed.")
    seed: int = Field(ge=0, description="Seed of the resamples.")
    claims: list[AnyClaim] = Field(min_length=1, description="The claims, in the paper's order.")

    def problems(self) -> Iterator[Problem]:
        ids = [if_known(claim, "id") for claim in self.claims]
        for index, name in enumerate(ids):
            if name is not None and name in ids[:index]:
                message = "this id stands here again"
                yield Problem(("claims", index, "id"), name, message, "rename one")
        for index, claim in enumerate(self.claims):
            if isinstance(claim, ConjunctionClaim):
                for problem in self._conjunction_problems(claim):
                    yield problem.below("claims", index)

    @spared
    def _conjunction_problems(self, claim: ConjunctionClaim) -> Iterator[Problem]:
        single = {one.id for one in self.claims if not isinstance(one, ConjunctionClaim)}
        for place, name in readable(claim.claims):
            if name not in single:
                message = "no claim has this id"
                yield Problem(("claims", place), name, message, "name one of the others")


def _repeated(claim: Claim, key: str) -> Iterator[Problem]:
    """Tell of a run that would be compared with itself."""
    rows = readable(if_known(claim, key) or [])
    for row, (index, run) in enumerate(rows):
        if run in [before for _, before in rows[:row]]:
            message = "this run would be compared with itself"
            yield Problem((key, index), run, message, "name another one")


def load_claims(path: Path) -> Claims:
    """Load the claims of a YAML file. Raises `ConfigError` naming everything that is wrong."""
    raw, lines, problems = read_yaml(path, "a list of claims", "config/claims.yaml")
    problems += problems_of(Claims, raw)
    refuse(problems, path, lines)
    return Claims.model_validate(raw)


def schema() -> str:
    """Write the JSON schema of a file of claims, as committed in config/claims-schema.json."""
    return schema_of(Claims)
