"""Settings of the fine-tuning of a pretrained base."""

from pydantic import Field

from online_il.config.hub import DataSet
from online_il.config.settings import Settings


class Finetuning(Settings):
    """Supervised fine-tuning of a pretrained base on solved problems (paper, D.2: OpenR1)."""

    dataset: DataSet = Field(description="Rows with `messages`: a question and a solution.")
    updates: int = Field(gt=0, description="Optimizer updates.")
    batch_size: int = Field(gt=0, description="Sequences an update.")
    micro_batch_size: int = Field(gt=0, description="Sequences a forward pass, on each device.")
    learning_rate: float = Field(gt=0, description="Constant learning rate of AdamW.")
    max_length: int = Field(gt=0, description="Longest sequence, tokens; longer rows are left out.")
    max_grad_norm: float = Field(gt=0, description="Gradient norm above which gradients shrink.")
