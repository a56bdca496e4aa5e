"""Settings of the bases: the models that the runs of a task start from."""

from typing import Annotated, Literal

from pydantic import Field

from online_il.config.finetuning import Finetuning
from online_il.config.hub import Model, Package
from online_il.config.pretraining import Pretraining
from online_il.config.random import RandomModel


class Scratch(Pretraining):
    """A base that is trained from scratch on the miniature's language."""

    kind: Literal["scratch"] = Field(description="Trained from scratch.")


class FurtherBase(Scratch):
    """A base beside the task's, of a class and with a training of its own."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$", description="Name that runs refer to by `start`."
    )


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
