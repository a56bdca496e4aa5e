"""Settings of the methods, a key for each row of the table of methods."""

from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model

from online_il.config.settings import Settings
from online_il.methods import METHODS

_KEYS = {
    name: (
        method.settings | None,
        Field(None, description=f"Settings of the {method.label} runs."),
    )
    for name, method in METHODS.items()
}
if TYPE_CHECKING:
    Methods = Any
else:
    Methods = create_model(
        "Methods",
        __base__=Settings,
        __doc__="What all runs of a method share; a method that no run uses needs none.",
        **_KEYS,
    )
