"""Settings of the runs."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from online_il.config.settings import Settings
from online_il.methods import METHODS

if TYPE_CHECKING:
    MethodName = str
else:
    MethodName = Literal[tuple(METHODS)]


class Run(Settings):
    """One row of the matrix of runs: a policy trained from the base, once a seed."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$", description="Name of the run; it names folders and lines."
    )
    method: MethodName = Field(description=f"{', '.join(METHODS)}.")
    expert: str | None = Field(
        None,
        description="The run or expert that is imitated; none where the method learns from the "
        "reward.",
    )
    steps: int = Field(gt=0, description="Steps of the method: rollout batches or updates.")
    learning_rate: float = Field(gt=0, description="Constant learning rate of AdamW.")
    seeds: list[int] | None = Field(
        None, min_length=1, description="Seeds of this run; those of the task when left out."
    )
    checkpoints: list[int] | None = Field(
        None, description="Steps that are kept and evaluated; the study's when left out."
    )
