"""Settings of the data of each task: which prompts there are, and how they are split."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from online_il.config.hub import DataSet
from online_il.config.knowledge import Benchmarked
from online_il.config.miniature import EnglishData, Instances, MiniatureData
from online_il.config.partial import spared
from online_il.config.problem import ABSENT, Problem


class AskedMmlu(Benchmarked):
    """Base of the data from the hub that may ask MMLU for forgetting: the benchmark mmlu."""

    mmlu: DataSet | None = Field(
        None, description="MMLU's test rows of all subjects; there is no such benchmark without."
    )
    mmlu_dev: DataSet | None = Field(None, description="MMLU's development rows: the examples.")
    shots: int = Field(5, ge=0, description="Examples before each question of MMLU.")

    def problems(self) -> Iterator[Problem]:
        yield from self._example_problems()

    @spared
    def _example_problems(self) -> Iterator[Problem]:
        if self.mmlu and self.shots and self.mmlu_dev is None:
            message = f"{self.shots} examples stand before each question of MMLU"
            yield Problem(("mmlu_dev",), ABSENT, message, "add their rows, or write shots: 0")


class CountdownHub(AskedMmlu):
    """The data of the paper's Countdown task (Appendix D.1): rows of the hub's data set."""

    kind: Literal["countdown"] = Field(description="Which data this is.")
    dataset: DataSet = Field(description="Instances of train and id, in this order.")
    in_distribution: Instances = Field(description="What the data set's instances lie in.")
    train: int = Field(gt=0, description="Training prompts: the first rows.")
    id: int = Field(gt=1, description="In-distribution test prompts: the next rows.")
    out_of_distribution: Instances = Field(description="Instances of ood, which we generate.")
    ood: int = Field(gt=1, description="Out-of-distribution test prompts (Figure 2).")
    data_seed: int = Field(ge=0, description="Seed of the instances that we generate.")


class Gsm8k(AskedMmlu):
    """The data of the GSM8K task (Appendix D.2)."""

    kind: Literal["gsm8k"] = Field(description="Which data this is.")
    train: DataSet = Field(description="GSM8K's training rows.")
    test: DataSet = Field(description="GSM8K's test rows: the benchmark gsm8k.")


class DeepScaler(Benchmarked):
    """The data of the DeepScaleR task (Appendix D.2), with its two benchmarks."""

    kind: Literal["deepscaler"] = Field(description="Which data this is.")
    train: DataSet = Field(description="DeepScaleR's training rows.")
    aime2024: DataSet = Field(description="AIME 2024: the benchmark aime2024.")
    math500: DataSet = Field(description="MATH-500: the benchmark math500.")


class Aime(Benchmarked):
    """The problems that two experts answer in the paper's Section 3.1.1; nothing is trained."""

    kind: Literal["aime"] = Field(description="Which data this is.")
    aime2024: DataSet = Field(description="AIME 2024: the benchmark aime2024.")
    aime2025: DataSet = Field(description="AIME 2025: the benchmark aime2025.")


Data = Annotated[
    MiniatureData | EnglishData | CountdownHub | Gsm8k | DeepScaler | Aime,
    Field(discriminator="kind"),
]
