"""Settings of the data of each task: which prompts there are, and how they are split."""

from typing import Literal

from pydantic import Field

from online_il.config.hub import DataSet
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


class MiniatureData(Settings):
    """Countdown in small: generated instances in the miniature's own language of words."""

    kind: Literal["miniature"] = Field(description="Countdown in small, generated.")
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
    facts: Facts = Field(description="The forgetting benchmark.")


class CountdownHub(Settings):
    """Countdown as in the paper (Section 2.1, D.1): rows of the hub; ood from our generator."""

    kind: Literal["countdown"] = Field(description="Countdown, rows of the hub.")
    dataset: DataSet = Field(description="Rows with `target` and `nums`.")
    train: int = Field(gt=0, description="The first rows are training prompts.")
    id: int = Field(gt=1, description="The rows after them are the test prompts (Figure 1).")
    out_of_distribution: Instances = Field(description="Instances of ood (Table 3).")
    ood: int = Field(gt=1, description="Out-of-distribution test prompts (Figure 2).")
    data_seed: int = Field(ge=0, description="Seed of the generated instances.")


class Gsm8k(Settings):
    """GSM8K, and MMLU for what is forgotten on the way (paper, D.2 and Figure 2)."""

    kind: Literal["gsm8k"] = Field(description="GSM8K and MMLU.")
    train: DataSet = Field(description="Training rows with `question` and `answer`.")
    test: DataSet = Field(description="Test rows of the same form.")
    mmlu: DataSet = Field(description="MMLU's test rows.")
    mmlu_dev: DataSet = Field(description="MMLU's dev rows, the examples before each question.")
    shots: int = Field(ge=0, le=5, description="Examples before each question of MMLU.")


class DeepScaler(Settings):
    """DeepScaleR, with AIME 2024 and MATH500 as benchmarks (paper, D.2)."""

    kind: Literal["deepscaler"] = Field(description="DeepScaleR, AIME 2024 and MATH500.")
    train: DataSet = Field(description="Training rows with `problem` and `answer`.")
    aime2024: DataSet = Field(description="AIME 2024.")
    math500: DataSet = Field(description="MATH500.")


class Aime(Settings):
    """AIME 2024 and 2025 (paper, Section 3.1.1); no training prompts."""

    kind: Literal["aime"] = Field(description="AIME 2024 and 2025.")
    aime2024: DataSet = Field(description="AIME 2024.")
    aime2025: DataSet = Field(description="AIME 2025.")
