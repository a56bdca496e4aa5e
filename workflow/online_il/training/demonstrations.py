"""Which of an expert's demonstrations a student is taught: the `filter` of SFT."""

import pandas as pd

from online_il.config.imitation import Filter
from online_il.errors import InputError
from online_il.program.cli import log

SHARE = "learnable_share"
"""Column of samples: the posterior share of the expert's learnable parts, given the response."""

REMEDIES = {
    "learnable": "raise the count of demonstrations or the weight of the learnable part",
    "correct": "raise the count of demonstrations or take an expert that is right more often",
}


def filtered(samples: pd.DataFrame, wanted: Filter, source: str) -> pd.DataFrame:
    """The rows of `samples` that `wanted` keeps, in their order; how many is in the log.

    `learnable` keeps responses that a learnable part of the expert gave with a posterior share
    above a half, `correct` those with full reward (rejection sampling). Raises `InputError`, naming
    `source`, where none is left or the expert has no parts.
    """
    if wanted == "none":
        return samples
    if wanted == "learnable" and (SHARE not in samples or samples[SHARE].isna().any()):
        raise InputError(
            f"{source}: its expert has no parts, so none of them is learnable; set filter to none "
            "or correct, or imitate an expert of kind mixture"
        )
    kept = samples[samples[SHARE] > 0.5 if wanted == "learnable" else samples["correct"]]
    if kept.empty:
        raise InputError(
            f"{source}: filter {wanted} keeps none of its {len(samples)} demonstrations; "
            f"{REMEDIES[wanted]}, or set filter to none"
        )
    log("demonstrations", filter=wanted, kept=len(kept), left_out=len(samples) - len(kept))
    return kept.reset_index(drop=True)
