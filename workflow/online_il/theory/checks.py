"""Ranges of the theory's parameters."""

from collections.abc import Iterable

from online_il.errors import ParameterError


def at_least(name: str, values: Iterable[float], least: float) -> None:
    """Raises `ParameterError` for a value below `least`, or one that is no number."""
    for value in values:
        if not least <= value < float("inf"):
            raise ParameterError(f"`{name}` {value:g}: must be a number of at least {least:g}")


def within(name: str, values: Iterable[float], low: float, high: float) -> None:
    """Raises `ParameterError` for a value outside the open interval (low, high)."""
    for value in values:
        if not low < value < high:
            raise ParameterError(f"`{name}` {value:g}: must lie between {low:g} and {high:g}")
