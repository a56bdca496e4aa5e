"""The base of all settings classes."""

from collections.abc import Iterator
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationInfo,
    model_validator,
)

from online_il.config.problem import ABSENT, Problem


class Settings(BaseModel):
    """Unknown keys, NaN and infinity are refused; values do not change once they are read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def problems(self) -> Iterator[Problem]:
        """Tell what is wrong between the keys of this part; a class overrides this with its checks.

        Not a validator of pydantic: it runs none of a class in which one key is refused, and
        mistakes would come to light one after the other.
        """
        yield from ()

    def given(self, key: str) -> Any:
        """Give the value of a key as the config has it: `ABSENT` where the default stands in."""
        return getattr(self, key) if key in self.model_fields_set else ABSENT

    @model_validator(mode="wrap")
    @classmethod
    def _note(
        cls, raw: Any, validate: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        """Keep each part that is right, by the identity of what it was read from (`checking`)."""
        part = validate(raw)
        if isinstance(info.context, dict):
            info.context[id(raw)] = part
        return part
