"""The base of all settings classes."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Unknown keys, NaN and infinity are refused; values do not change once they are read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
