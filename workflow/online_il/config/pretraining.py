"""Settings of the training of a base from scratch."""

from collections.abc import Iterator

from pydantic import Field

from online_il.config.architecture import Architecture
from online_il.config.problem import Problem, indivisible
from online_il.config.settings import Settings


class Pretraining(Settings):
    """The base model of the miniature: a transformer trained on traces of an imperfect searcher."""

    seed: int | None = Field(
        None,
        ge=0,
        le=2**32 - 1,
        description="Seed; one base serves the runs of all seeds. Left out: each seed trains a "
        "base of its own, and the two are a block.",
    )
    architecture: Architecture = Field(description="Shape of the model.")
    updates: int = Field(gt=0, description="Optimizer updates.")
    batch_size: int = Field(gt=0, description="Sequences an update.")
    micro_batch_size: int = Field(gt=0, description="Sequences a forward pass.")
    learning_rate: float = Field(gt=0, description="Peak learning rate (cosine to a tenth).")
    warmup_updates: int = Field(ge=0, description="Updates of linear warm-up.")
    max_length: int = Field(gt=0, description="Longest sequence the model has positions for.")
    solve_probability: float = Field(
        ge=0, le=1, description="Probability that an attempt of the searcher is a solving one."
    )
    continue_probability: float = Field(
        ge=0, le=1, description="Probability that the searcher goes on after a failed attempt."
    )
    max_attempts: int = Field(gt=0, description="Attempts after which the searcher answers anyway.")
    fact_fraction: float = Field(
        ge=0, le=1, description="Share of the sequences that teach the table of facts."
    )
    practice_fraction: float = Field(
        ge=0, le=1, description="Share of the sequences that teach arithmetic and checks alone."
    )
    practice_attempts: int = Field(gt=0, description="Attempts of such a sequence.")

    def problems(self) -> Iterator[Problem]:
        yield from indivisible(self.batch_size, self.micro_batch_size)
