"""Discrepancy between two models' responses, each measure with its sampling noise.

Every response is a row of indicators Z (its length's bin, its keywords, whether it is right, …),
and every measure a function of the two models' mean indicators. So the null distribution (labels
swapped within each prompt) and the bootstrap (prompts drawn with replacement, for both models) are
matrix products over all resamples at once. All prompts weigh equally in both models, whatever their
number of responses.

Letters in the names: R resamples, N responses of both models, P prompts, F indicators, B bins of
length, W keywords. Empty bins are left out until the end: what is held grows with the responses and
not with the longest one.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_il.discrepancy.indicators import Array, Pool, one_hot, pooled
from online_il.discrepancy.reading import Responses, common_filter, common_prompts
from online_il.discrepancy.spread import NONE, Drawing, off_the_common, without_seeds
from online_il.statistics.effects import Part
from online_il.statistics.intervals import BOUNDS
from online_il.statistics.resampling import shares

GAP = "performance gap"
WITHIN = "length, TV within a prompt"
"""Mean over prompts of the plug-in TV. With few responses a prompt it is mostly noise, which
drawing prompts cannot show: read it against its null, not against the gap."""
SHARE = "share"
CHUNK_NUMBERS = 4_000_000
"""Numbers a matrix of one chunk of resamples holds: some 32 MB."""


class Measure(NamedTuple):
    """One measure with its noise; `values` are the two models' own, where it has such."""

    name: str
    unit: str
    estimate: float
    corrected: float
    """The estimate without its bias: twice the estimate less the bootstrap's mean."""
    null_mean: float
    null_p95: float
    ci_low: float
    ci_high: float
    p_value: float
    above_noise: bool
    excess: float | None
    """The estimate less the absolute gap, without the bias; None where the two do not compare."""
    excess_stderr: float | None
    """Of the prompts that are drawn."""
    excess_stderr_seeds: float | None
    """Of the seeds; 0 where they are not known."""
    above_gap: bool | None
    """Above the noise and larger than the absolute gap; None where the two do not compare."""
    expert: float | None
    student: float | None
    off_common: float | None
    """Share of responses that are not what most are (`off_the_common`); None for no such."""


class Bins(NamedTuple):
    """The models' histograms of length and the null band of their difference."""

    edges: Array
    expert_B: Array
    student_B: Array
    null_low_B: Array
    null_high_B: Array


class Presence(NamedTuple):
    """Presence of one keyword in one model, with its 95 % interval."""

    keyword: str
    model: str
    share: float
    low: float
    high: float


class Comparison(NamedTuple):
    """Everything that is measured of a pair of models."""

    measures: list[Measure]
    bins: Bins
    presence: list[Presence]
    n_prompts: int
    n_expert: int
    n_student: int
    n_seeds: int
    """Seeds that the intervals cover beside the prompts; 0 where they are not known."""
    filter: str | None
    """Of lm-evaluation-harness, by which both models' responses are graded; None for no such."""


def compare(
    expert: Responses,
    student: Responses,
    *,
    keywords: Sequence[str],
    bin_width: int,
    resamples: int,
    seed: int,
) -> Comparison:
    """Measure a pair, with `resamples` permutations and as many bootstrap samples.

    Raises `ParameterError` where they do not answer the same prompts.
    """
    graded_by = common_filter(expert, student)
    pool = pooled(expert, student, common_prompts(expert, student), keywords, bin_width)
    rng = np.random.default_rng(seed)
    actual = _measured(pool, pool.is_expert_N[None])
    null = _stacked(_measured(pool, labels) for labels in _permutations(pool, resamples, rng))
    drawn = _stacked(_bootstrapped(pool, resamples, rng))
    left_out = _stacked(_of_weights(pool, *weights) for weights in without_seeds(pool))
    n_seeds = len(left_out.get(GAP, ()))
    mean_2_F = (np.stack(_weights(pool)) / len(pool.expert_P)) @ pool.z_N_F
    common = off_the_common(pool, *mean_2_F)
    drawing = Drawing(drawn, left_out, len(pool.expert_P), n_seeds)
    names = [name for name in actual if not name.startswith("_")]
    names.sort(key=lambda name: (name == GAP, not name.startswith("length")))
    measures = [_measure(name, actual, null, drawing, common.get(name)) for name in names]
    return Comparison(
        measures,
        _bins(pool, bin_width, null["_bins"]),
        [
            _presence(word, model, index, actual, drawing)
            for model in ("expert", "student")
            for index, word in enumerate(keywords)
        ],
        len(pool.expert_P),
        int(pool.expert_P.sum()),
        int(pool.student_P.sum()),
        n_seeds,
        graded_by,
    )


def _bins(pool: Pool, bin_width: int, null_R_B: Array) -> Bins:
    """Count histograms and null band over all bins up to the longest response."""
    n_bins = int(pool.bins_B[-1]) + 1
    found = np.zeros((4, n_bins))
    for row, weight_N in enumerate(_weights(pool)):
        found[row, pool.bins_B] = np.bincount(pool.bin_N, weight_N) / len(pool.expert_P)
    found[2:, pool.bins_B] = np.quantile(null_R_B, BOUNDS, axis=0)
    return Bins(np.arange(n_bins + 1, dtype=np.float64) * bin_width, *found)


def _presence(
    word: str, model: str, index: int, actual: dict[str, Array], drawing: Drawing
) -> Presence:
    name = f"_{model}_presence"
    share = float(actual[name][0, index])
    left_out_S = drawing.left_out[name][:, index] if drawing.seeds else NONE
    effect = drawing.effect(share, drawing.drawn[name][:, index], left_out_S)
    low, high = np.clip(effect.interval(), 0.0, 1.0)
    return Presence(word, model, share, float(low), float(high))


def _measure(
    name: str,
    actual: dict[str, Array],
    null: dict[str, Array],
    drawing: Drawing,
    off_common: float | None,
) -> Measure:
    """Summarise one measure: noise from `null`, bias and interval from `drawing`."""
    unit = UNITS.get(name.partition(" of ")[0], SHARE)
    value, nulls = float(actual[name][0]), null[name]
    signed = name == GAP
    size, sizes = (abs(value), np.abs(nulls)) if signed else (value, nulls)
    p_value = (1 + int((sizes >= size - 1e-12).sum())) / (1 + len(sizes))
    found = drawing.of(name, value)
    # Shares and their differences end at 1, whatever the approximation says.
    bottom, top = (-1.0 if signed else 0.0), (1.0 if unit == SHARE else np.inf)
    low, high, corrected = (
        float(np.clip(v, bottom, top)) for v in (*found.interval(), found.value)
    )
    above_gap = over = stderr_over = of_seeds = None
    if unit == SHARE and name not in (GAP, WITHIN):
        gaps, drawn, left_out = actual[GAP], drawing.drawn, drawing.left_out
        excess = drawing.effect(
            value - abs(float(gaps[0])),
            drawn[name] - np.abs(drawn[GAP]),
            left_out[name] - np.abs(left_out[GAP]) if drawing.seeds else NONE,
        )
        over = excess.value
        stderr_over, of_seeds = (
            math.sqrt(part.variance) for part in (*excess.parts, Part(0.0, 1))[:2]
        )
        # A measure within the noise is not called larger than anything. Two-sided, as the claims
        # are judged; but here it is one pair's measure by itself.
        above_gap = excess.interval()[0] > 0 and p_value < 0.05
    own = actual.get(f"_values {name}")
    return Measure(
        name,
        unit,
        value,
        corrected,
        float(sizes.mean()),
        float(np.quantile(sizes, 0.95)),
        float(low),
        float(high),
        p_value,
        p_value < 0.05,
        over,
        stderr_over,
        of_seeds,
        above_gap,
        None if own is None else float(own[0, 0]),
        None if own is None else float(own[0, 1]),
        off_common,
    )


UNITS = {
    "length, Wasserstein distance": "length units",
    "keyword, count a response": "count",
    "keyword, count a thousand": "count",
}


# ---- resamples ----


def _permutations(
    pool: Pool, resamples: int, rng: np.random.Generator
) -> Iterator[NDArray[np.bool_]]:
    """Shuffle each prompt's labels among its responses: matrices (R, N)."""
    n = len(pool.prompt_N)
    size = _chunk(pool)
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        # Random keys sort within each prompt, whose responses stand together.
        order = np.argsort(pool.prompt_N + rng.random((rows, n)), axis=1)
        labels = np.empty((rows, n), dtype=bool)
        np.put_along_axis(labels, order, pool.is_expert_N[None], axis=1)
        yield labels


def _chunk(pool: Pool) -> int:
    return max(1, CHUNK_NUMBERS // max(pool.z_N_F.shape))


def _measured(pool: Pool, labels_R_N: NDArray[np.bool_]) -> dict[str, Array]:
    """Compute all measures under each row of labels."""
    n_prompts = len(pool.expert_P)
    expert_R_N = labels_R_N / (pool.expert_P * n_prompts)[pool.prompt_N]
    student_R_N = ~labels_R_N / (pool.student_P * n_prompts)[pool.prompt_N]
    return _of_weights(pool, expert_R_N, student_R_N)


def _of_weights(pool: Pool, expert_R_N: Array, student_R_N: Array) -> dict[str, Array]:
    """Compute all measures with each row of weights of the expert's and student's responses."""
    expert_R_F, student_R_F = expert_R_N @ pool.z_N_F, student_R_N @ pool.z_N_F
    found = _from_means(pool, expert_R_F, student_R_F)
    bins = pool.columns["bins"]
    found["_bins"] = expert_R_F[:, bins] - student_R_F[:, bins]
    difference_R_N = expert_R_N - student_R_N
    found |= _from_lengths(pool, difference_R_N)
    # Of each prompt those bins alone that hold a response to it.
    _, cell_N = np.unique(pool.prompt_N * len(pool.bins_B) + pool.bin_N, return_inverse=True)
    found[WITHIN] = np.abs(difference_R_N @ one_hot(cell_N)).sum(1) / 2
    return found


def _weights(pool: Pool) -> tuple[Array, Array]:
    """Weigh the responses so that sums are each prompt's means, the expert's and the student's."""
    return (
        pool.is_expert_N / pool.expert_P[pool.prompt_N],
        ~pool.is_expert_N / pool.student_P[pool.prompt_N],
    )


def _bootstrapped(
    pool: Pool, resamples: int, rng: np.random.Generator
) -> Iterator[dict[str, Array]]:
    """Compute all measures on prompts drawn with replacement."""
    n_prompts = len(pool.expert_P)
    expert_N, student_N = _weights(pool)
    expert_P_F, student_P_F = (
        one_hot(pool.prompt_N, weight_N).T @ pool.z_N_F for weight_N in (expert_N, student_N)
    )
    bins = pool.columns["bins"]
    tv_P = np.asarray(abs(expert_P_F[:, bins] - student_P_F[:, bins]).sum(1)) / 2
    size = _chunk(pool)
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        share_R_P = shares(n_prompts, rows, rng)
        found = _from_means(pool, share_R_P @ expert_P_F, share_R_P @ student_P_F)
        found |= _from_lengths(pool, share_R_P[:, pool.prompt_N] * (expert_N - student_N))
        found[WITHIN] = share_R_P @ tv_P
        yield found


def _stacked(parts: Iterator[dict[str, Array]]) -> dict[str, Array]:
    stacked: dict[str, list[Array]] = {}
    for part in parts:
        for name, values in part.items():
            stacked.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in stacked.items()}


# ---- measures ----


def _from_means(pool: Pool, expert_R_F: Array, student_R_F: Array) -> dict[str, Array]:
    """Compute the functions of the models' mean indicators; names with _ are not published."""

    def both(name: str) -> tuple[Array, Array]:
        return expert_R_F[:, pool.columns[name]], student_R_F[:, pool.columns[name]]

    def tv(name: str) -> Array:
        one, other = both(name)
        return np.asarray(np.abs(one - other).sum(1) / 2)

    one, other = both("bins")
    found = {
        "length, TV": tv("bins"),
        "length, Hellinger distance": np.sqrt(
            ((np.sqrt(one.clip(0)) - np.sqrt(other.clip(0))) ** 2).sum(1) / 2
        ),
    }
    ours, theirs = both("presence")
    found |= {"_expert_presence": ours, "_student_presence": theirs}
    counts, their_counts = both("counts")
    length, their_length = both("length")
    for index, word in enumerate(pool.keywords):
        for name, one_R, other_R in (
            (f"keyword, presence of {word}", ours[:, index], theirs[:, index]),
            (f"keyword, count a response of {word}", counts[:, index], their_counts[:, index]),
            (
                f"keyword, count a thousand of {word}",
                1000 * counts[:, index] / length[:, 0].clip(1e-9),
                1000 * their_counts[:, index] / their_length[:, 0].clip(1e-9),
            ),
        ):
            found[name] = np.abs(one_R - other_R)
            found[f"_values {name}"] = np.column_stack([one_R, other_R])
    if pool.keywords:
        found["keywords, joint TV"] = tv("joint")
        found["length and keywords, joint TV"] = tv("cells")
    classified, their_classified = both("classified")
    found["all words, classifier's bound on TV"] = (classified - their_classified)[:, 0]
    right, their_right = both("correct")
    found[GAP] = (right - their_right)[:, 0]
    found[f"_values {GAP}"] = np.column_stack([right[:, 0], their_right[:, 0]])
    return found


def _from_lengths(pool: Pool, difference_R_N: Array) -> dict[str, Array]:
    """Compute Kolmogorov-Smirnov and Wasserstein distance from signed weights."""
    order = np.argsort(pool.length_N, kind="stable")
    lengths = pool.length_N[order]
    last = np.flatnonzero(np.append(np.diff(lengths) > 0, True))
    gap_R_T = np.abs(np.cumsum(difference_R_N[:, order], axis=1)[:, last])
    steps_T = np.diff(lengths[last]).astype(float)
    return {
        "length, Kolmogorov-Smirnov distance": gap_R_T.max(1),
        "length, Wasserstein distance": gap_R_T[:, :-1] @ steps_T,
    }
