"""The base of all settings classes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationInfo,
    model_validator,
)

from online_il.config.partial import PARTIAL, Refused, partial_part
from online_il.config.problem import ABSENT, Problem


class Settings(BaseModel):
    """Unknown keys, NaN and infinity are refused; values do not change once they are read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def problems(self) -> Iterator[Problem]:
        """Tell what is wrong between the keys of this part; a class overrides this with its checks.

        Not a validator of pydantic: it runs none of a class in which one key is refused, and
        mistakes would come to light one after the other. A check of a partial part ends where it
        reads a key that is left out (`partial.spared`).
        """
        yield from ()

    def given(self, key: str) -> Any:
        """Give the value of a key as the config has it: `ABSENT` where the default stands in."""
        return getattr(self, key) if key in self.model_fields_set else ABSENT

    if not TYPE_CHECKING:

        def __getattr__(self, key: str) -> Any:
            """Raises `Refused` for a key that a partial part leaves out."""
            if key in type(self).model_fields:
                raise Refused
            return super().__getattr__(key)

    @model_validator(mode="wrap")
    @classmethod
    def _leave_out(
        cls, raw: Any, validate: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        """Make a part of what is right in it where `checking` asks for that."""
        partial = info.context == PARTIAL and isinstance(raw, dict)
        return partial_part(cls, raw) if partial else validate(raw)
