"""Settings of the tasks: their data, their base, their experts and their matrix of runs."""

from typing import Annotated, Literal

from pydantic import Field

from online_il.config.data import Aime, CountdownHub, DeepScaler, Gsm8k, MiniatureData
from online_il.config.endpoint import Endpoint
from online_il.config.evaluation import Evaluation
from online_il.config.finetuning import Finetuning
from online_il.config.hub import Model
from online_il.config.methods import Methods
from online_il.config.pretraining import Pretraining
from online_il.config.random import RandomModel
from online_il.config.resources import RuleResources
from online_il.config.run import Run
from online_il.config.settings import Settings

NAME = r"^[a-z0-9][a-z0-9.-]*$"


class Scratch(Pretraining):
    """A base that is trained from scratch on the miniature's language."""

    kind: Literal["scratch"] = Field(description="Trained from scratch.")


class Pretrained(Model):
    """A base that comes from the hub, as it is or fine-tuned first."""

    kind: Literal["model"] = Field(description="A model of the hub.")
    seed: int = Field(ge=0, description="Seed of its fine-tuning; one base serves all seeds.")
    chat_template: str | None = Field(
        None, description="File with a chat template (Jinja), where the model has none."
    )
    finetuning: Finetuning | None = Field(
        None, description="Supervised training before everything else; none when left out."
    )


class RandomBase(RandomModel):
    """A base with random weights, as it is or fine-tuned first."""

    finetuning: Finetuning | None = Field(
        None, description="Supervised training before everything else; none when left out."
    )


class Solver(Settings):
    """The exact Countdown solver, which answers at once."""

    name: str = Field(pattern=NAME, description="Name that runs refer to.")
    kind: Literal["solver"] = Field(description="The exact Countdown solver.")


class EndpointExpert(Endpoint):
    """A model behind an OpenAI-compatible endpoint: its samples can be had, its weights cannot."""

    name: str = Field(pattern=NAME, description="Name that runs refer to.")
    kind: Literal["endpoint"] = Field(description="A model behind an endpoint.")


class ModelExpert(Model):
    """A model of the hub that is no run of this study."""

    name: str = Field(pattern=NAME, description="Name that runs refer to.")
    kind: Literal["model"] = Field(description="A model of the hub.")
    chat_template: str | None = Field(
        None, description="File with a chat template (Jinja), where the model has none."
    )


class RandomExpert(RandomModel):
    """An expert with random weights."""

    name: str = Field(pattern=NAME, description="Name that runs refer to.")


Data = Annotated[
    MiniatureData | CountdownHub | Gsm8k | DeepScaler | Aime, Field(discriminator="kind")
]
Base = Annotated[Scratch | Pretrained | RandomBase, Field(discriminator="kind")]
Expert = Annotated[
    Solver | EndpointExpert | ModelExpert | RandomExpert, Field(discriminator="kind")
]


class Task(Settings):
    """One task: its data and everything that is trained and measured on it."""

    name: str = Field(pattern=NAME, description="Name of the task; it names folders and lines.")
    data: Data = Field(description="The prompts.")
    benchmarks: list[str] = Field(
        min_length=1, description="What every checkpoint is evaluated on, by name."
    )
    seeds: list[int] = Field(
        min_length=1, description="Seeds of every run; all start from one base."
    )
    methods: Methods = Field(  # type: ignore[valid-type]
        Methods(), description="Settings of single methods in place of the study's."
    )
    evaluation: Evaluation | None = Field(
        None, description="How its checkpoints are evaluated, in place of the study's."
    )
    resources: RuleResources = Field(  # type: ignore[valid-type]
        RuleResources(), description="What single rules ask for, in place of the study's."
    )
    base: Base | None = Field(None, description="How the base model is made; runs need one.")
    experts: list[Expert] = Field([], description="Experts that are not runs.")
    runs: list[Run] = Field([], description="The matrix of runs.")
