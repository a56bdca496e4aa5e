"""Settings of the runs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from online_il.config.imitation import Divergence, Filter, Level, Prefixes
from online_il.config.lora import Adapter
from online_il.config.partial import if_known, spared, value_of
from online_il.config.problem import Keys, Problem
from online_il.config.settings import Settings
from online_il.methods import METHODS

if TYPE_CHECKING:
    MethodName = str
else:
    MethodName = Literal[tuple(METHODS)]

BASE = "base"
"""The name by which runs refer to the base."""
OF_METHOD = (
    *("divergence", "prefixes", "level", "responses_per_prompt"),
    *("filter", "demonstrations", "kl_coefficient", "lora"),
)
"""Keys that a run may have instead of its method."""


class Run(Settings):
    """One row of the matrix of runs: a policy trained once a seed."""

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
    start: str = Field(
        BASE,
        pattern=r"^[a-z0-9][a-z0-9-]*(@(0|[1-9][0-9]{0,8}))?$",
        description="What it is trained from: base, another base's name, or <run>@<step> of the "
        "same seed.",
    )
    divergence: Divergence | None = Field(
        None, description="What is minimised (distill); the method's when left out."
    )
    prefixes: Prefixes | None = Field(
        None, description="Whose responses (distill); the method's when left out."
    )
    level: Level | None = Field(
        None, description="How far ahead the gradient looks (distill); the method's if left out."
    )
    responses_per_prompt: int | None = Field(
        None, gt=0, description="Responses a prompt (distill); the method's when left out."
    )
    demonstrations: int | None = Field(
        None,
        gt=0,
        description="Expert samples of its own (sft), as many as it learns from for no sample to "
        "be seen twice; when left out, those that all students of the expert share.",
    )
    filter: Filter | None = Field(
        None, description="Which demonstrations count (sft); the method's when left out."
    )
    kl_coefficient: float | None = Field(
        None,
        ge=0,
        description="Weight of the KL penalty to what it starts from (grpo); the method's when "
        "left out.",
    )
    lora: Adapter = None

    @property
    def begins(self) -> tuple[str, int]:
        """The policy that it is trained from: its name and step, 0 of a base."""
        name, _, step = self.start.partition("@")
        return name, int(step or 0)

    @property
    def made_of(self) -> dict[Keys, str]:
        """The policies that it starts from and imitates, by their keys, without the base."""
        method, begins = if_known(self, "method"), if_known(self, "begins")
        imitates = method is not None and METHODS[method].needs_expert
        names = {
            "start": begins and begins[0],
            "expert": if_known(self, "expert") if imitates else None,
        }
        return {(key,): name for key, name in names.items() if name not in (None, BASE)}

    @property
    def of_method(self) -> dict[str, Any]:
        """The settings that it has instead of its method's."""
        known = METHODS[self.method].settings.model_fields
        own = {key: value_of(self, key) for key in OF_METHOD if key in known}
        return {key: value for key, value in own.items() if value is not None}

    def problems(self) -> Iterator[Problem]:
        for key in OF_METHOD:
            yield from self._method_problems(key)

    @spared
    def _method_problems(self, key: str) -> Iterator[Problem]:
        """Tell of a setting that the run's method does not have."""
        known = [n for n, one in METHODS.items() if key in one.settings.model_fields]
        value = getattr(self, key)
        if value is not None and self.method not in known:
            message = f"{self.method} has no such setting"
            yield Problem((key,), value, message, f"remove it; it is for {', '.join(known)}")
