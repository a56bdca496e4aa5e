"""Settings of the trainers. Scripts that train read these classes and no other settings."""

from typing import Literal

from pydantic import Field, model_validator

from online_il.config.hub import DataSet
from online_il.config.imitation import Divergence, Level, Prefixes, misfit
from online_il.config.settings import Settings

Method = Literal["grpo", "sft", "distill"]


class Architecture(Settings):
    """The shape of a Qwen2 model that is trained from scratch."""

    hidden_size: int = Field(gt=0, description="Width of the residual stream.")
    intermediate_size: int = Field(gt=0, description="Width of the feed-forward layers.")
    layers: int = Field(gt=0, description="Number of transformer blocks.")
    heads: int = Field(gt=0, description="Number of attention heads.")
    head_dim: int = Field(gt=0, description="Width of an attention head; even.")


class Pretraining(Settings):
    """The base model of the miniature: a transformer trained on traces of an imperfect searcher."""

    seed: int = Field(ge=0, description="Seed; one base serves the runs of all seeds.")
    architecture: Architecture = Field(description="Shape of the model.")
    updates: int = Field(gt=0, description="Optimizer updates.")
    batch_size: int = Field(gt=0, description="Sequences an update.")
    micro_batch_size: int = Field(gt=0, description="Sequences a forward pass.")
    learning_rate: float = Field(gt=0, description="Peak learning rate (cosine to a tenth).")
    warmup_updates: int = Field(ge=0, description="Updates of linear warm-up.")
    max_length: int = Field(gt=0, description="Longest sequence the model has positions for.")
    solve_probability: float = Field(
        ge=0, le=1, description="Probability that an attempt of the searcher is a solving one."
    )
    continue_probability: float = Field(
        ge=0, le=1, description="Probability that the searcher goes on after a failed attempt."
    )
    max_attempts: int = Field(gt=0, description="Attempts after which the searcher answers anyway.")
    fact_fraction: float = Field(
        ge=0, le=1, description="Share of the sequences that teach the table of facts."
    )
    practice_fraction: float = Field(
        ge=0, le=1, description="Share of the sequences that teach arithmetic and checks alone."
    )
    practice_attempts: int = Field(gt=0, description="Attempts of such a sequence.")


class Finetuning(Settings):
    """Supervised fine-tuning of a pretrained base on solved problems (paper, D.2: OpenR1)."""

    dataset: DataSet = Field(description="Rows with `messages`: a question and a solution.")
    updates: int = Field(gt=0, description="Optimizer updates.")
    batch_size: int = Field(gt=0, description="Sequences an update.")
    micro_batch_size: int = Field(gt=0, description="Sequences a forward pass, on each device.")
    learning_rate: float = Field(gt=0, description="Constant learning rate of AdamW.")
    max_length: int = Field(gt=0, description="Longest sequence, tokens; longer rows are left out.")
    max_grad_norm: float = Field(gt=0, description="Gradient norm above which gradients shrink.")


class Grpo(Settings):
    """GRPO (paper, Table 2). A step is one batch of rollouts, as in the paper's figures."""

    prompts_per_step: int = Field(gt=0, description="Prompts a step (Table 2: batch size).")
    rollouts_per_prompt: int = Field(gt=1, description="Responses a prompt (Table 2: generations).")
    updates_per_step: int = Field(gt=0, description="Optimizer updates a step.")
    micro_batch_size: int = Field(gt=0, description="Rollouts a forward pass, on each device.")
    kl_coefficient: float = Field(ge=0, description="Weight of the KL penalty to the base (D.1).")
    clip_ratio: float = Field(gt=0, description="PPO clipping range (Table 2).")
    entropy_coefficient: float = Field(ge=0, description="Weight of the entropy bonus (Table 2).")
    temperature: float = Field(gt=0, description="Temperature of the rollouts (Table 2).")
    max_new_tokens: int = Field(gt=0, description="Longest rollout, tokens; longer ones are cut.")
    max_prompt_tokens: int | None = Field(
        None, gt=0, description="Longest training prompt, tokens; longer ones are left out."
    )
    max_grad_norm: float = Field(gt=0, description="Gradient norm above which gradients shrink.")
    checkpoints: list[int] = Field(
        min_length=1,
        description="Steps that are kept and evaluated where a run reaches them; its last always.",
    )


class Sft(Settings):
    """Supervised fine-tuning on an expert's samples (paper, Equation 3). A step is one update."""

    batch_size: int = Field(gt=0, description="Demonstrations an update.")
    micro_batch_size: int = Field(
        gt=0, description="Demonstrations a forward pass, on each device."
    )
    demonstrations: int = Field(gt=0, description="Expert samples, one a training prompt.")
    max_grad_norm: float = Field(gt=0, description="Gradient norm above which gradients shrink.")
    checkpoints: list[int] = Field(
        min_length=1,
        description="Steps that are kept and evaluated where a run reaches them; its last always.",
    )


class Distill(Settings):
    """Distillation: the expert's next-token distributions as targets. A step is one update.

    By default reverse KL on the student's samples, token by token (Equation 5 as everyone runs it).
    """

    divergence: Divergence = Field(
        "reverse",
        description="reverse: KL from student to expert; forward: KL from expert to student; "
        "log-density: the expert's log-density alone (Definition 3); constant: an advantage of -1 "
        "on each sample, a control without an expert.",
    )
    prefixes: Prefixes = Field(
        "own", description="Whose responses: own (sampled at each update) or the expert's."
    )
    level: Level = Field(
        "token",
        description="token: each position by itself; response: also the price of what comes after "
        "(all of Equation 5's gradient).",
    )
    responses_per_prompt: int = Field(
        1, gt=0, description="Student responses a prompt; level response needs at least 2."
    )
    batch_size: int = Field(gt=0, description="Responses an update.")
    micro_batch_size: int = Field(gt=0, description="Responses a forward pass, on each device.")
    temperature: float = Field(
        gt=0, description="Temperature of the student's samples and of both distributions."
    )
    max_new_tokens: int = Field(gt=0, description="Longest response, tokens; longer ones are cut.")
    max_prompt_tokens: int | None = Field(
        None, gt=0, description="Longest training prompt, tokens; longer ones are left out."
    )
    max_grad_norm: float = Field(gt=0, description="Gradient norm above which gradients shrink.")
    checkpoints: list[int] = Field(
        min_length=1,
        description="Steps that are kept and evaluated where a run reaches them; its last always.",
    )

    @model_validator(mode="after")
    def _fits(self) -> "Distill":
        found = misfit(
            divergence=self.divergence,
            prefixes=self.prefixes,
            level=self.level,
            responses_per_prompt=self.responses_per_prompt,
            batch_size=self.batch_size,
        )
        if found:
            raise ValueError(f"{found.key}: {found.what}; {found.remedy}")
        return self


class Methods(Settings):
    """What all runs of a method share."""

    grpo: Grpo = Field(description="Settings of every GRPO run.")
    sft: Sft = Field(description="Settings of every SFT run.")
    distill: Distill = Field(description="Settings of every distillation run.")


class TaskMethods(Settings):
    """Settings of single methods in one task; those of the study where left out."""

    grpo: Grpo | None = Field(None, description="Settings of the task's GRPO runs.")
    sft: Sft | None = Field(None, description="Settings of the task's SFT runs.")
    distill: Distill | None = Field(None, description="Settings of the task's distillation runs.")


class Run(Settings):
    """One row of the matrix of runs: a policy trained from the base, once a seed."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$", description="Name of the run; it names folders and lines."
    )
    method: Method = Field(description="grpo, sft or distill.")
    expert: str | None = Field(
        None, description="The run or expert that sft and distill imitate; grpo has none."
    )
    steps: int = Field(gt=0, description="Steps of the method: rollout batches or updates.")
    learning_rate: float = Field(gt=0, description="Constant learning rate of AdamW.")
    seeds: list[int] | None = Field(
        None, min_length=1, description="Seeds of this run; those of the task when left out."
    )
    checkpoints: list[int] | None = Field(
        None, description="Steps that are kept and evaluated; the study's when left out."
    )
