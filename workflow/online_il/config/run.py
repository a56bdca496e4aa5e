"""Settings of the runs.

A run may have any key of its method instead of the method's value.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, create_model

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


class Row(Settings):
    """What a run has besides the settings of its method."""

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
    learning_rate: float = Field(
        gt=0, description="Learning rate of AdamW, at first or throughout."
    )
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
    demonstrations: int | None = Field(
        None,
        gt=0,
        description="Expert samples of its own (sft), as many as it learns from for no sample to "
        "be seen twice; of an expert without weights the first of those that all its students "
        "share. When left out, all of these.",
    )

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
        """The settings that it has instead of its method's; null is one where the method has it."""
        known = METHODS[self.method].settings.model_fields
        own = {key: value_of(self, key) for key in OF_METHOD if key in self.model_fields_set}
        return {
            key: value
            for key, value in own.items()
            if key in known and (value is not None or known[key].default is None)
        }

    @property
    def has_own_samples(self) -> bool:
        """Whether it learns from samples of its expert that no other run does."""
        return bool({"demonstrations", "expert_temperature"} & self.of_method.keys())

    def problems(self) -> Iterator[Problem]:
        for key in OF_METHOD:
            yield from self._method_problems(key)

    @spared
    def _method_problems(self, key: str) -> Iterator[Problem]:
        """Tell of a setting that the run's method does not have."""
        value = getattr(self, key)
        if value is not None and self.method not in OF_METHOD[key]:
            message = f"{self.method} has no such setting"
            remedy = f"remove it; it is for {', '.join(OF_METHOD[key])}"
            yield Problem((key,), value, message, remedy)


def _of_method() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, method in METHODS.items():
        for key in method.settings.model_fields:
            if key != "checkpoints":  # A run's are its own, whatever else it has.
                found.setdefault(key, []).append(name)
    return found


OF_METHOD = _of_method()
"""By key that a run may have instead of its method, the methods that have it."""


def _key(key: str) -> tuple[Any, Any]:
    """Make the key of a run that stands for one of its method."""
    fields = [METHODS[name].settings.model_fields[key] for name in OF_METHOD[key]]
    meanings = dict.fromkeys(field.description for field in fields)
    kind: Any = fields[0].annotation
    for bound in fields[0].metadata:
        kind = Annotated[kind, bound]
    return kind | None, Field(
        None,
        exclude_if=lambda value: value is None,
        description=f"{' '.join(map(str, meanings))} For {', '.join(OF_METHOD[key])}; the method's "
        "when left out.",
    )


if TYPE_CHECKING:

    class Run(Row):
        """One row of the matrix of runs."""

        def __getattr__(self, key: str) -> Any:
            """Give a setting of its method."""

else:
    Run = create_model(
        "Run",
        __base__=Row,
        __doc__="One row of the matrix of runs: a policy trained once a seed.",
        **{key: _key(key) for key in OF_METHOD if key not in Row.model_fields},
    )
