"""The responses as rows of indicators, which `measures` averages.

Most indicators are 0, so they are kept sparse, and a bin of length without a response has none: one
long response may not cost the square of its length.

Letters in the names: N responses of both models, P prompts, F indicators, B bins of length that
hold a response, V hashed words.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler

from online_il.discrepancy.reading import Responses

Array = NDArray[np.float64]


class Pool(NamedTuple):
    """Both models' responses, sorted by prompt and, within a prompt, the expert's first."""

    prompt_N: NDArray[np.int64]
    is_expert_N: NDArray[np.bool_]
    expert_P: NDArray[np.int64]
    """Responses of the expert to each prompt."""
    student_P: NDArray[np.int64]
    length_N: NDArray[np.int64]
    z_N_F: sparse.csr_array
    columns: dict[str, slice]
    bins_B: NDArray[np.int64]
    """The bins of length that hold a response, sorted; the columns "bins" are theirs."""
    bin_N: NDArray[np.int64]
    """The index in `bins_B` of each response."""
    keywords: tuple[str, ...]
    seed_N: NDArray[np.int64]
    """The policy's seed of each response; 0 of a model whose seeds are not known."""


def pooled(
    expert: Responses,
    student: Responses,
    prompts: list[str],
    keywords: Sequence[str],
    bin_width: int,
) -> Pool:
    """Pool both models' responses, all of which are to `prompts`, with their indicators."""
    both = (expert, student)
    number = {prompt: i for i, prompt in enumerate(prompts)}
    prompt_N = np.array([number[one] for model in both for one in model.prompts], dtype=np.int64)
    is_expert_N = np.repeat([True, False], [len(model.prompts) for model in both])
    order = np.lexsort((~is_expert_N, prompt_N))

    def joined(of: str) -> NDArray[np.int64]:
        return np.asarray(np.concatenate([getattr(model, of) for model in both])[order])

    seed_N = np.concatenate(
        [np.array(model.seeds or np.zeros(len(model.prompts)), dtype=np.int64) for model in both]
    )
    prompt_N, is_expert_N = prompt_N[order], is_expert_N[order]
    length_N, counts_N_W = joined("length_N"), joined("counts_N_W")
    words = sparse.vstack([model.words_N_V for model in both])
    bins_B, bin_N = np.unique(length_N // bin_width, return_inverse=True)
    presence_N_W = (counts_N_W > 0).astype(float)
    _, joint_N = np.unique(presence_N_W, axis=0, return_inverse=True)
    _, cell_N = np.unique(np.column_stack([bin_N, joint_N]), axis=0, return_inverse=True)
    parts = {
        "bins": one_hot(bin_N),
        "presence": presence_N_W,
        "counts": counts_N_W.astype(float),
        "joint": one_hot(joint_N),
        "cells": one_hot(cell_N),
        "length": length_N[:, None].astype(float),
        "correct": joined("correct_N")[:, None],
        "classified": classified(words.tocsr()[order], is_expert_N, prompt_N)[:, None],
    }
    ends = np.cumsum([part.shape[1] for part in parts.values()])
    starts = np.concatenate([[0], ends[:-1]])
    columns = {name: slice(a, b) for name, a, b in zip(parts, starts, ends, strict=True)}
    n_prompts = len(prompts)
    return Pool(
        prompt_N,
        is_expert_N,
        np.bincount(prompt_N[is_expert_N], minlength=n_prompts),
        np.bincount(prompt_N[~is_expert_N], minlength=n_prompts),
        length_N,
        sparse.hstack([sparse.csr_array(part) for part in parts.values()], format="csr"),
        columns,
        bins_B,
        bin_N,
        tuple(keywords),
        seed_N[order],
    )


def one_hot(index_N: NDArray[np.int64], weight_N: Array | None = None) -> sparse.csr_array:
    """Make a sparse matrix with 1, or the row's weight, in the column of each row's index."""
    n = len(index_N)
    values = np.ones(n) if weight_N is None else weight_N
    return sparse.csr_array((values, (np.arange(n), index_N)), shape=(n, int(index_N.max()) + 1))


def classified(
    words_N_V: sparse.csr_matrix, is_expert_N: NDArray[np.bool_], prompt_N: NDArray[np.int64]
) -> Array:
    """Mark with 1 the responses that a held-out classifier takes for the expert's.

    With balanced accuracy a, 2a - 1 is a lower bound on TV: the difference of the two models' means
    of this indicator. Prompts are held out as a whole.
    """
    model = make_pipeline(
        FunctionTransformer(np.log1p),
        MaxAbsScaler(),
        LogisticRegression(max_iter=300, class_weight="balanced"),
    )
    folds = GroupKFold(min(5, len(np.unique(prompt_N))))
    return np.asarray(
        cross_val_predict(model, words_N_V, is_expert_N, groups=prompt_N, cv=folds), dtype=float
    )
