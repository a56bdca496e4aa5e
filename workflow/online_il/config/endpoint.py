"""Settings of an endpoint."""

from pydantic import Field

from online_il.config.settings import Settings


class Endpoint(Settings):
    """A model behind an OpenAI-compatible endpoint."""

    url: str = Field(pattern=r"^https?://\S+$", description="Address of the endpoint.")
    model: str = Field(description="Name of the model at the endpoint.")
