"""Settings of the data that are generated: the miniature's, and Countdown in English."""

from typing import Literal

from pydantic import Field

from online_il.config.knowledge import Benchmarked
from online_il.config.settings import Settings

Bounds = tuple[int, int]


class Instances(Settings):
    """A distribution of Countdown instances (paper, Table 3); bounds are inclusive."""

    operands: list[int] = Field(min_length=1, description="Operand counts, drawn uniformly.")
    numbers: Bounds = Field(description="Smallest and largest operand.")
    answers: Bounds = Field(description="Smallest and largest target.")


class Facts(Settings):
    """The second skill: a table of facts, asked with choices (stands in for MMLU)."""

    count: int = Field(gt=1, description="Number of facts, all of them asked.")
    choices: int = Field(gt=1, description="Choices a fact, one of them right.")


class Generated(Settings):
    """Countdown in small: instances that are generated, and how they are split."""

    kind: str
    operators: str = Field(pattern=r"^[-+*/]+$", description="Operators of the expressions.")
    value_range: Bounds | None = Field(
        None, description="Bounds of every intermediate value; none when left out."
    )
    data_seed: int = Field(ge=0, description="Seed of the instances and of the facts.")
    in_distribution: Instances = Field(description="Instances of train, validation and id.")
    out_of_distribution: Instances = Field(
        description="Instances of ood; each leaves the in-distribution ranges somewhere."
    )
    pretraining: int = Field(
        gt=0,
        description="Out-of-distribution instances that the base, and it alone, is trained on.",
    )
    train: int = Field(gt=0, description="Training prompts.")
    validation: int = Field(gt=1, description="Prompts on which learning rates are chosen.")
    id: int = Field(gt=1, description="In-distribution test prompts (Figure 1).")
    ood: int = Field(gt=1, description="Out-of-distribution test prompts (Figure 2).")


class MiniatureData(Generated):
    """Countdown in small: generated instances in the miniature's own language of words."""

    kind: Literal["miniature"] = Field(description="Countdown in small, generated.")
    facts: Facts = Field(description="The forgetting benchmark.")


class EnglishData(Generated, Benchmarked):
    """The same instances asked in English, in the chat template of a pretrained model."""

    kind: Literal["english"] = Field(description="Countdown in small, asked in English.")
