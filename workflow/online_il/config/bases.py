"""Settings of the bases: the models that the runs of a task start from."""

from typing import Annotated, Literal

from pydantic import Field

from online_il.config.finetuning import Finetuning
from online_il.config.hub import Model, Package
from online_il.config.pretraining import Pretraining
from online_il.config.random import RandomModel
from online_il.config.settings import Settings


class Scratch(Pretraining):
    """A base that is trained from scratch on the miniature's language."""

    kind: Literal["scratch"] = Field(description="Trained from scratch.")


class Pretrained(Model):
    """A base that comes from the hub or a folder, as it is or fine-tuned first."""

    kind: Literal["model"] = Field(description="A model of the hub, or of a folder.")
    seed: int | None = Field(
        None,
        ge=0,
        le=2**32 - 1,
        description="Seed of its fine-tuning; one base serves all seeds. Left out: each seed "
        "fine-tunes a base of its own, and the two are a block.",
    )
    chat_template: str | None = Field(
        None, description="File with a chat template (Jinja), where the model has none."
    )
    finetuning: Finetuning | None = Field(
        None, description="Supervised training before everything else; none when left out."
    )


class PackageBase(Package):
    """A base that a Python package carries, as it is or fine-tuned first."""

    kind: Literal["package"] = Field(description="A model of a Python package.")
    seed: int | None = Field(
        None,
        ge=0,
        le=2**32 - 1,
        description="Seed of its fine-tuning; one base serves all seeds. Left out: each seed "
        "fine-tunes a base of its own, and the two are a block.",
    )
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


Base = Annotated[Scratch | Pretrained | PackageBase | RandomBase, Field(discriminator="kind")]


class Further(Settings):
    """What a base beside the task's has more."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$", description="Name that runs refer to by `start`."
    )


class FurtherScratch(Further, Scratch):
    """A further base that is trained from scratch, of a class and with a training of its own."""


class FurtherModel(Further, Model):
    """A further base that comes from the hub or a folder, as it is."""

    kind: Literal["model"] = Field(description="A model of the hub, or of a folder.")
    seed: int = Field(ge=0, le=2**32 - 1, description="Names its folder; it serves all seeds.")
    chat_template: str | None = Field(
        None, description="File with a chat template (Jinja), where the model has none."
    )


class FurtherPackage(Further, Package):
    """A further base that a Python package carries, as it is."""

    kind: Literal["package"] = Field(description="A model of a Python package.")
    seed: int = Field(ge=0, le=2**32 - 1, description="Names its folder; it serves all seeds.")
    chat_template: str | None = Field(
        None, description="File with a chat template (Jinja), where the model has none."
    )


class FurtherRandom(Further, RandomModel):
    """A further base with random weights, as it is."""


FurtherBase = Annotated[
    FurtherScratch | FurtherModel | FurtherPackage | FurtherRandom, Field(discriminator="kind")
]
