"""What Table 1 needs beside its measures: leaving out seeds, and whether a measure varies at all.

Letters in the names: N responses of both models, S seeds, F indicators.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_il.discrepancy.indicators import Array, Pool
from online_il.statistics.effects import Effect, Part
from online_il.statistics.errors import without_bias

NONE = np.empty(0)
OF_CELLS = {
    "length, TV": "bins",
    "length, Hellinger distance": "bins",
    "keywords, joint TV": "joint",
    "length and keywords, joint TV": "cells",
}


def without_seeds(pool: Pool) -> Iterator[tuple[Array, Array]]:
    """Leave out one seed after another: weights (1, N) of the expert's and student's responses.

    A seed is left out of both models at once, for a student of seed k imitates the expert of seed
    k. A model of one seed alone keeps it. Nothing is left out where no model has two seeds, or a
    prompt would lose all of its responses.
    """
    seeds = np.unique(pool.seed_N)
    models = (pool.is_expert_N, ~pool.is_expert_N)
    alone = [len(np.unique(pool.seed_N[model_N])) == 1 for model_N in models]
    if all(alone):
        return
    kept = [
        [
            model_N & (one | (pool.seed_N != seed))
            for model_N, one in zip(models, alone, strict=True)
        ]
        for seed in seeds
    ]
    n_prompts = len(pool.expert_P)
    counts = [[np.bincount(pool.prompt_N[k], minlength=n_prompts) for k in two] for two in kept]
    if not np.all(counts):
        return
    for two, counted in zip(kept, counts, strict=True):
        expert_N, student_N = (
            kept_N / np.maximum(count_P, 1)[pool.prompt_N] / n_prompts
            for kept_N, count_P in zip(two, counted, strict=True)
        )
        yield expert_N[None], student_N[None]


class Drawing(NamedTuple):
    """All measures on prompts that are drawn, and without each seed, with what they are of."""

    drawn: dict[str, Array]
    left_out: dict[str, Array]
    prompts: int
    seeds: int

    def effect(self, value: float, drawn_R: Array, left_out_S: Array) -> Effect:
        """Take the prompts' bias off a value; its error has a part of prompts and one of seeds."""
        corrected, stderr = without_bias(value, drawn_R, self.prompts)
        parts = [Part(stderr**2, self.prompts - 1)]
        if self.seeds:
            parts.append(Part(float(jackknife(left_out_S)), self.seeds - 1))
        return Effect(corrected, tuple(parts), self.seeds, self.prompts)

    def of(self, name: str, value: float) -> Effect:
        """Estimate a measure of this name."""
        return self.effect(value, self.drawn[name], self.left_out.get(name, NONE))


def jackknife(left_out_S: Array) -> Array:
    """Estimate the variance that the seeds add, from an estimate without each of them in turn."""
    seeds = len(left_out_S)
    return np.asarray((seeds - 1) * left_out_S.var(axis=0))


def off_the_common(pool: Pool, expert_F: Array, student_F: Array) -> dict[str, float]:
    """Compute for each measure of shares how many responses are not what most are.

    Of either model the larger share, outside the commonest bin, set of keywords, or answer to
    whether a keyword is there. Where it is next to nothing, the measure is, whatever the models do.
    """

    def off(expert: NDArray[np.floating], student: NDArray[np.floating]) -> float:
        common = int((expert + student).argmax())
        return max(0.0, 1 - min(float(expert[common]), float(student[common])))

    found = {
        name: off(expert_F[pool.columns[part]], student_F[pool.columns[part]])
        for name, part in OF_CELLS.items()
    }
    ours, theirs = expert_F[pool.columns["presence"]], student_F[pool.columns["presence"]]
    for index, word in enumerate(pool.keywords):
        there = [np.array([share[index], 1 - share[index]]) for share in (ours, theirs)]
        found[f"keyword, presence of {word}"] = off(*there)
    return found
