"""The response of a policy, as every generation engine returns it."""

from collections.abc import Sequence
from typing import NamedTuple


class Response(NamedTuple):
    """One response of a policy."""

    text: str
    n_tokens: int
    """Tokens generated, the one that ends the response included."""
    finish_reason: str
    """`stop`: it ended by itself; `length`: it was cut at the longest length allowed."""
    token_ids: list[int] | None = None
    """The tokens themselves, the end among them; None for a response that came as text."""


def finish_reason(ids: Sequence[int], ends: Sequence[int]) -> str:
    """Return `stop` for token ids that end with one of `ends`, else `length`."""
    return "stop" if ids and ids[-1] in ends else "length"
