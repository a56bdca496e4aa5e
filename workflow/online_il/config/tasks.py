"""Settings of the tasks: their data, their base, their experts and their matrix of runs."""

from typing import Literal

from pydantic import Field

from online_il.config.data import CountdownData
from online_il.config.settings import Settings
from online_il.config.training import Pretraining, Run

Benchmark = Literal["id", "ood", "forgetting", "validation"]


class Expert(Settings):
    """An expert that is no run of this study."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Name that runs refer to.")
    kind: Literal["solver"] = Field(
        description="solver: the exact Countdown solver, which answers at once."
    )


class Countdown(CountdownData):
    """The Countdown task: its data and everything that is trained and measured on it."""

    benchmarks: list[Benchmark] = Field(
        min_length=1, description="What every checkpoint is evaluated on."
    )
    seeds: list[int] = Field(
        min_length=1, description="Seeds of every run; all start from one base."
    )
    base: Pretraining = Field(description="How the base model is made.")
    experts: list[Expert] = Field(description="Experts that are not runs.")
    runs: list[Run] = Field(min_length=1, description="The matrix of runs.")
