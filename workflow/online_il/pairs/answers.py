"""What evaluation has sampled of a policy, read again to be put before other policies."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from online_il.errors import InputError
from online_il.experts.policy import Ids
from online_il.layout import evaluation, responses_of
from online_il.records import Samples, read_table

Array = NDArray[np.float64]


class Answers(NamedTuple):
    """Responses of one policy to a benchmark, N rows by prompt and then by sample."""

    prompt_N: NDArray[np.object_]
    """Name of each row's prompt."""
    responses: list[Ids]
    """Token ids of each row, its end among them."""
    reward_N: Array
    share_learnable_N: Array | None
    """Posterior share of a mixture's learnable part; None of what knows no mixture."""
    truncated: int
    """How many responses are cut off."""


def answers(evaluations: Path, step: int, benchmark: str, count: int) -> Answers:
    """Read `count` responses a prompt of a checkpoint to a benchmark, drawn from the policy itself.

    Raises `InputError` where there are none, or none with their tokens.
    """
    path = responses_of(evaluation(evaluations, step, benchmark, "policy"))
    again = f"delete {evaluations} and start again: Snakemake evaluates the run anew"
    if not path.is_file():
        raise InputError(f"{path}: no such file; {again}")
    rows = read_table(path, Samples).sort_values(["prompt_id", "sample_index"])
    # The last checkpoint may have more than the others, which it is put before.
    rows = rows[rows["sample_index"] < count]
    if "token_ids" not in rows or rows["token_ids"].isna().any():
        raise InputError(f"{path}: responses without the tokens that were sampled; {again}")
    if empty := int((rows["token_ids"].map(len) == 0).sum()):
        raise InputError(f"{path}: {empty} responses without any token; {again}")
    shares = "share_learnable" in rows
    return Answers(
        rows["prompt_id"].to_numpy(),
        [[int(token) for token in ids] for ids in rows["token_ids"]],
        rows["reward"].to_numpy(float),
        rows["share_learnable"].to_numpy(float) if shares else None,
        int((rows["finish_reason"] == "length").sum()),
    )


def correct_by_prompt(evaluations: Path, step: int, benchmark: str) -> "pd.Series[float]":
    """Read how often each prompt of a benchmark is answered right, by the prompt's name."""
    path = responses_of(evaluation(evaluations, step, benchmark, "policy"))
    return read_table(path, Samples).groupby("prompt_id")["correct"].mean()


def by_prompt(value_N: Array, prompt_N: NDArray[np.object_]) -> Array:
    """Put values in rows of a prompt each, (X, S). Raises `InputError` for uneven counts."""
    names, count_X = np.unique(prompt_N, return_counts=True)
    if len(set(count_X.tolist())) != 1:
        raise InputError(
            f"prompt {names[count_X.argmin()]} has {count_X.min()} responses and prompt "
            f"{names[count_X.argmax()]} {count_X.max()}; evaluate all with one count"
        )
    return value_N.reshape(len(names), -1)


def check_same_prompts(named: Sequence[tuple[str, Answers]]) -> None:
    """Check that policies answered the same prompts as often. Raises `InputError` if not."""
    (first, own), *others = named
    for name, found in others:
        if own.prompt_N.tolist() != found.prompt_N.tolist():
            raise InputError(
                f"{first} and {name} answered other prompts, or not as often ({len(own.prompt_N)} "
                f"and {len(found.prompt_N)} responses); delete the evaluations of both and start "
                "again: Snakemake makes them anew"
            )
