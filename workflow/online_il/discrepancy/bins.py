"""The width of a bin of length: from the data where nobody says one, and one that is too wide."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 20
"""Bins between the usual lengths: the paper's 5,000 tokens are a twentieth of its 100,000."""
CROWDED = 0.95
"""With a larger share of all responses in one bin the histogram says nothing of length."""


def usual_width(length_N: NDArray[np.int64]) -> int:
    """Give the width with which `BINS` bins hold all lengths but the 1 % at either end."""
    low, high = np.quantile(length_N, [0.01, 0.99])
    return max(1, math.ceil((high - low) / BINS))


def largest_share(length_N: NDArray[np.int64], width: int) -> float:
    """Compute the share of responses in the fullest bin; 0 where all have the same length."""
    if length_N.min() == length_N.max():
        return 0.0
    return float(np.unique(length_N // width, return_counts=True)[1].max() / len(length_N))


def crowded(facts: Mapping[str, Any]) -> str:
    """Say that one bin holds nearly all responses, and which width would not; empty otherwise."""
    share, usual = facts.get("largest_bin", 0.0), facts.get("usual_width", 0)
    if share <= CROWDED or usual >= facts["bin_width"]:
        return ""
    unit = str(facts["length_unit"]).partition(" of ")[0]
    return (
        f"WARNING: {100 * share:.3g} % of the responses lie in one bin of {facts['bin_width']} "
        f"{unit}, so the bins do not tell lengths apart; give a narrower one, such as {usual} "
        "(--bin-width, or discrepancy.bin_width of a study)"
    )


def cut_in_words(facts: Mapping[str, Any]) -> str:
    """Say how many of the two models' responses were cut off, where a finish_reason tells."""
    numbers = [facts["truncated_expert"], facts["truncated_student"]]
    if numbers == [None, None]:
        return "whether any was cut off is not known (no finish_reason)"
    one, other = ("an unknown number" if number is None else number for number in numbers)
    return f"{one} and {other} of them cut off"
