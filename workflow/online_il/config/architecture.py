"""Shape of a model that is made here, with random weights."""

from pydantic import Field

from online_il.config.settings import Settings


class Architecture(Settings):
    """The shape of a Qwen2 model that is trained from scratch."""

    hidden_size: int = Field(gt=0, description="Width of the residual stream.")
    intermediate_size: int = Field(gt=0, description="Width of the feed-forward layers.")
    layers: int = Field(gt=0, description="Number of transformer blocks.")
    heads: int = Field(gt=0, description="Number of attention heads.")
    head_dim: int = Field(gt=0, description="Width of an attention head; even.")
