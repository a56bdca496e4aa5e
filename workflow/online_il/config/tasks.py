"""Settings of the tasks: their data, their base, their experts and their matrix of runs."""

from typing import Literal

from pydantic import Field

from online_il.config.settings import Settings
from online_il.config.training import Pretraining, Run

Benchmark = Literal["id", "ood", "forgetting", "validation"]
Bounds = tuple[int, int]


class Instances(Settings):
    """A distribution of Countdown instances (paper, Table 3); bounds are inclusive."""

    operands: list[int] = Field(min_length=1, description="Operand counts, drawn uniformly.")
    numbers: Bounds = Field(description="Smallest and largest operand.")
    answers: Bounds = Field(description="Smallest and largest target.")


class Facts(Settings):
    """The second skill: a table of facts, asked with choices (stands in for MMLU)."""

    count: int = Field(gt=0, description="Number of facts, all of them asked.")
    choices: int = Field(gt=1, description="Choices a fact, one of them right.")


class Expert(Settings):
    """An expert that is no run of this study."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Name that runs refer to.")
    kind: Literal["solver"] = Field(
        description="solver: the exact Countdown solver, which answers at once."
    )


class Countdown(Settings):
    """The Countdown task (paper, Section 2.1 and Appendix D.1)."""

    name: Literal["countdown"] = Field(description="Which task this is.")
    operators: str = Field(pattern=r"^[-+*/]+$", description="Operators of the expressions.")
    value_range: Bounds | None = Field(
        None, description="Bounds of every intermediate value; none when left out."
    )
    data_seed: int = Field(ge=0, description="Seed of the instances and of the facts.")
    in_distribution: Instances = Field(description="Instances of train, validation and id.")
    out_of_distribution: Instances = Field(
        description="Instances of ood; each leaves the in-distribution ranges somewhere."
    )
    train: int = Field(gt=0, description="Training prompts.")
    validation: int = Field(gt=0, description="Prompts on which learning rates are chosen.")
    id: int = Field(gt=0, description="In-distribution test prompts (Figure 1).")
    ood: int = Field(gt=0, description="Out-of-distribution test prompts (Figure 2).")
    facts: Facts = Field(description="The forgetting benchmark.")
    benchmarks: list[Benchmark] = Field(
        min_length=1, description="What every checkpoint is evaluated on."
    )
    seeds: list[int] = Field(min_length=1, description="Seeds of every run; all start from one base.")
    base: Pretraining = Field(description="How the base model is made.")
    experts: list[Expert] = Field(description="Experts that are not runs.")
    runs: list[Run] = Field(min_length=1, description="The matrix of runs.")
