"""What a generation engine returns."""

from typing import NamedTuple


class Response(NamedTuple):
    """One response of a policy."""

    text: str
    n_tokens: int
    finish_reason: str
    """`stop`: it ended by itself; `length`: it was cut at the longest length allowed."""
