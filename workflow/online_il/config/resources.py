"""Settings of what the jobs ask of the machine or the cluster."""

from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model

from online_il.config.settings import Settings
from online_il.methods import METHODS


class Resources(Settings):
    """What the jobs of one rule ask for; memory and time grow with each further attempt."""

    threads: int = Field(1, gt=0, description="CPU threads.")
    mem_mb: int = Field(gt=0, description="Memory, MiB.")
    runtime: int = Field(gt=0, description="Time limit, minutes.")
    gpu: int = Field(0, ge=0, description="GPUs.")


_RULES = {
    "pretrain": "Training of a base from scratch.",
    "finetune": "Fine-tuning of a pretrained base.",
    **{name: f"Training by {method.label}." for name, method in METHODS.items()},
    "sample": "Sampling of demonstrations and responses.",
    "evaluate": "Evaluation of the checkpoints of one run.",
}
_KEYS = {rule: (Resources | None, Field(None, description=text)) for rule, text in _RULES.items()}
if TYPE_CHECKING:
    RuleResources = Any
else:
    RuleResources = create_model(
        "RuleResources",
        __base__=Settings,
        __doc__="Resources of the rules that take long; a rule that no task runs needs none.",
        **_KEYS,
    )
