"""What a generation engine returns."""

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
    """Why a response of these token ids ended, where `ends` are the tokens that end one."""
    return "stop" if ids and ids[-1] in ends else "length"
