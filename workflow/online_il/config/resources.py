"""Settings of what the jobs ask of the machine or the cluster."""

from pydantic import Field

from online_il.config.settings import Settings


class Resources(Settings):
    """What the jobs of one rule ask for; memory and time grow with each further attempt."""

    threads: int = Field(1, gt=0, description="CPU threads.")
    mem_mb: int = Field(gt=0, description="Memory, MiB.")
    runtime: int = Field(gt=0, description="Time limit, minutes.")
    gpu: int = Field(0, ge=0, description="GPUs.")


class RuleResources(Settings):
    """Resources of the heavy rules."""

    pretrain: Resources | None = Field(None, description="Training of a base from scratch.")
    finetune: Resources | None = Field(None, description="Fine-tuning of a pretrained base.")
    grpo: Resources = Field(description="Training of an expert.")
    sft: Resources = Field(description="Training of a student offline.")
    distill: Resources = Field(description="Training of a student on-policy.")
    sample: Resources = Field(description="Sampling of demonstrations and responses.")
    evaluate: Resources = Field(description="Evaluation of the checkpoints of one run.")


class TaskResources(Settings):
    """Resources of single rules in one task; those of the study where left out."""

    finetune: Resources | None = Field(None, description="Fine-tuning of a pretrained base.")
    grpo: Resources | None = Field(None, description="Training of an expert.")
    sft: Resources | None = Field(None, description="Training of a student offline.")
    distill: Resources | None = Field(None, description="Training of a student on-policy.")
    sample: Resources | None = Field(None, description="Sampling of demonstrations and responses.")
    evaluate: Resources | None = Field(None, description="Evaluation of the checkpoints of a run.")
