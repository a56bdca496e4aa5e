"""What is measured of every response, as rows of indicators: the input of `measures`.

Letters in the names: N responses of both models, P prompts, F indicators, V hashed words.
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
    z_N_F: Array
    columns: dict[str, slice]
    bin_N: NDArray[np.int64]
    n_bins: int
    keywords: tuple[str, ...]


def pooled(
    expert: Responses,
    student: Responses,
    prompts: list[str],
    keywords: Sequence[str],
    bin_width: int,
) -> Pool:
    """Both models' responses to `prompts`, with their indicators."""
    number = {prompt: i for i, prompt in enumerate(prompts)}
    kept = [
        np.array([i for i, p in enumerate(model.prompts) if p in number], dtype=np.int64)
        for model in (expert, student)
    ]
    prompt_N = np.concatenate(
        [
            [number[model.prompts[i]] for i in rows]
            for model, rows in zip((expert, student), kept, strict=True)
        ]
    ).astype(np.int64)
    is_expert_N = np.repeat([True, False], [len(rows) for rows in kept])
    order = np.lexsort((~is_expert_N, prompt_N))

    def joined(of: str) -> NDArray[np.int64]:
        parts = [getattr(m, of)[rows] for m, rows in zip((expert, student), kept, strict=True)]
        return np.asarray(np.concatenate(parts)[order])

    prompt_N, is_expert_N = prompt_N[order], is_expert_N[order]
    length_N, counts_N_W = joined("length_N"), joined("counts_N_W")
    words = sparse.vstack(
        [m.words_N_V[rows] for m, rows in zip((expert, student), kept, strict=True)]
    )
    bin_N = length_N // bin_width
    presence_N_W = (counts_N_W > 0).astype(float)
    _, joint_N = np.unique(presence_N_W, axis=0, return_inverse=True)
    _, cell_N = np.unique(np.column_stack([bin_N, joint_N.ravel()]), axis=0, return_inverse=True)
    parts = {
        "bins": np.eye(int(bin_N.max()) + 1)[bin_N],
        "presence": presence_N_W,
        "counts": counts_N_W.astype(float),
        "joint": np.eye(int(joint_N.max()) + 1)[joint_N.ravel()],
        "cells": np.eye(int(cell_N.max()) + 1)[cell_N.ravel()],
        "length": length_N[:, None].astype(float),
        "correct": joined("correct_N")[:, None],
        "told": told_apart(words.tocsr()[order], is_expert_N, prompt_N)[:, None],
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
        np.hstack(list(parts.values())),
        columns,
        bin_N,
        int(bin_N.max()) + 1,
        tuple(keywords),
    )


def told_apart(
    words_N_V: sparse.csr_matrix, is_expert_N: NDArray[np.bool_], prompt_N: NDArray[np.int64]
) -> Array:
    """1 where a held-out classifier takes a response for the expert's.

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
