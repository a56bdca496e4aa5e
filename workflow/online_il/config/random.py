"""Settings of a model with random weights."""

from typing import Literal

from pydantic import Field

from online_il.config.architecture import Architecture
from online_il.config.settings import Settings


class RandomModel(Settings):
    """A model with random weights and a tokenizer of bytes: it tests the DAG, and knows nothing."""

    kind: Literal["random"] = Field(description="Random weights.")
    seed: int = Field(ge=0, description="Seed of the weights.")
    architecture: Architecture = Field(description="Shape of the model.")
    max_length: int = Field(gt=0, description="Longest sequence the model has positions for.")
    chat_template: str | None = Field(None, description="File with a chat template (Jinja).")
