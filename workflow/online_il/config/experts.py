"""Settings of the experts that are no runs, a class each kind (docs/adding.md adds one)."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from online_il.config.endpoint import Endpoint
from online_il.config.hub import Model, Package
from online_il.config.mixture import MixtureExpert
from online_il.config.random import RandomModel
from online_il.config.settings import Settings

NAME = r"^[a-z0-9][a-z0-9.-]*$"


class Solver(Settings):
    """The exact Countdown solver, which answers at once."""

    has_weights: ClassVar[bool] = False
    name: str = Field(pattern=NAME, description="Name that runs refer to.")
    kind: Literal["solver"] = Field(description="The exact Countdown solver.")


class FileExpert(Settings):
    """Responses that somebody else gave, in a file: they can be learned from, and no more."""

    has_weights: ClassVar[bool] = False
    name: str = Field(pattern=NAME, description="Name that runs refer to.")
    kind: Literal["file"] = Field(description="A file of responses.")
    path: str = Field(
        description="JSON Lines, a JSON array or Parquet; a row has prompt_id or prompt, response "
        "(or text), and finish_reason `length` where it was cut off."
    )


class EndpointExpert(Endpoint):
    """A model behind an OpenAI-compatible endpoint: its samples can be had, its weights cannot."""

    has_weights: ClassVar[bool] = False
    name: str = Field(pattern=NAME, description="Name that runs refer to.")
    kind: Literal["endpoint"] = Field(description="A model behind an endpoint.")


class ModelExpert(Model):
    """A model of the hub, or of a folder, that is no run of this study."""

    has_weights: ClassVar[bool] = True
    name: str = Field(pattern=NAME, description="Name that runs refer to.")
    kind: Literal["model"] = Field(description="A model of the hub, or of a folder.")
    chat_template: str | None = Field(
        None, description="File with a chat template (Jinja), where the model has none."
    )


class PackageExpert(Package):
    """A model of a Python package that is no run of this study."""

    has_weights: ClassVar[bool] = True
    name: str = Field(pattern=NAME, description="Name that runs refer to.")
    kind: Literal["package"] = Field(description="A model of a Python package.")
    chat_template: str | None = Field(
        None, description="File with a chat template (Jinja), where the model has none."
    )


class RandomExpert(RandomModel):
    """An expert with random weights."""

    has_weights: ClassVar[bool] = True
    name: str = Field(pattern=NAME, description="Name that runs refer to.")


Expert = Annotated[
    Solver
    | FileExpert
    | EndpointExpert
    | ModelExpert
    | PackageExpert
    | RandomExpert
    | MixtureExpert,
    Field(discriminator="kind"),
]
"""The class of an expert says by `has_weights` whether its next-token probabilities can be read."""
