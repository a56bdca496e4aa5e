"""The factor by which one run comes near its expert sooner than another.

A run's time is where its mean accuracy first reaches the base's plus nine tenths of what the expert
gained, straight between two checkpoints; time is counted in updates, samples or device-seconds of
the run itself, without its expert's. The effect is the logarithm of the two times' ratio. Seeds and
prompts are drawn with replacement, each alone, for the two parts of its variance; as the mean over
S seeds drawn from S varies less than that of S new ones, the seeds' part is times S / (S - 1).
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_il.statistics.effects import Effect, Part
from online_il.statistics.intervals import Array
from online_il.statistics.resampling import resampled

Flags = NDArray[np.bool_]

SHARE = 0.9
"""Of the expert's gain over the base."""


class Curve(NamedTuple):
    """A run's curve, the base first."""

    accuracy_S_K_P: Array
    cost_K: Array


class Speed(NamedTuple):
    """The effect in logarithms, and in which share of the resamples each run never got there."""

    effect: Effect
    first_never: float
    """1 where the run itself never did."""
    second_never: float
    lost: float
    """Share of the resamples in which the expert gained nothing."""


def crossing(accuracy_R_K: Array, cost_K: Array, threshold_R: Array) -> tuple[Array, Flags]:
    """Find where each curve reaches its threshold, else its last cost; flag those that never do."""
    above_R_K = accuracy_R_K >= threshold_R[:, None]
    never_R = np.asarray(~above_R_K.any(1))
    after_R = np.maximum(above_R_K.argmax(1), 1)
    rows = np.arange(len(accuracy_R_K))
    low_R, high_R = accuracy_R_K[rows, after_R - 1], accuracy_R_K[rows, after_R]
    rise_R = np.where(high_R > low_R, high_R - low_R, 1.0)
    part_R = np.clip((threshold_R - low_R) / rise_R, 0.0, 1.0)
    found_R = cost_K[after_R - 1] + part_R * (cost_K[after_R] - cost_K[after_R - 1])
    return np.where(never_R, cost_K[-1], found_R), never_R


def speed(
    first: Curve,
    second: Curve,
    expert_S_P: Array,
    base_S_P: Array,
    resamples: int,
    rng: np.random.Generator,
    *,
    whole: bool = False,
) -> Speed:
    """Estimate the factor (logarithm) by which the first run is faster than the second one.

    All are of S seeds, the same in all; a base that serves all is repeated. Where the prompts are
    the `whole` of what there is, several seeds alone say how sure the factor is.
    """
    seeds, prompts = expert_S_P.shape
    runs = (first, second)

    def logs(seeds_R_S: Array, prompts_R_P: Array) -> tuple[Array, Flags, Flags]:
        def mean(table_S_P: Array) -> Array:
            return np.asarray(np.einsum("rs,rs->r", seeds_R_S, prompts_R_P @ table_S_P.T))

        base_R = mean(base_S_P)
        gain_R = mean(expert_S_P) - base_R
        times, nevers = [], []
        for run in runs:
            points = range(run.accuracy_S_K_P.shape[1])
            curve_R_K = np.column_stack([mean(run.accuracy_S_K_P[:, k]) for k in points])
            time_R, never_R = crossing(curve_R_K, run.cost_K, base_R + SHARE * gain_R)
            # A run that is there from the start has taken next to nothing, on any clock.
            times.append(np.maximum(time_R, 1e-9 * run.cost_K[-1]))
            nevers.append(never_R)
        ratio_R = np.where(gain_R > 0, np.log(times[1] / times[0]), np.nan)
        return ratio_R, nevers[0], nevers[1]

    all_seeds, all_prompts = np.full((1, seeds), 1 / seeds), np.full((1, prompts), 1 / prompts)
    value, *missed = (part[0] for part in logs(all_seeds, all_prompts))
    drawn: dict[str, list[tuple[Array, Flags, Flags]]] = {"seeds": [], "prompts": []}
    for seeds_R_S, prompts_R_P in resampled(seeds, prompts, resamples, rng):
        rows = len(seeds_R_S)
        if seeds > 1:
            drawn["seeds"].append(logs(seeds_R_S, np.repeat(all_prompts, rows, 0)))
        if seeds == 1 or not whole:
            drawn["prompts"].append(logs(np.repeat(all_seeds, rows, 0), prompts_R_P))
    ratios, *nevers = (
        {name: np.concatenate([one[i] for one in found]) for name, found in drawn.items() if found}
        for i in range(3)
    )
    lost = float(np.isnan(np.concatenate([*ratios.values()])).mean())
    if math.isnan(value) or lost == 1.0:
        return Speed(Effect(math.nan, (), seeds, prompts), 1.0, 1.0, 1.0)
    counts = {"prompts": prompts, "seeds": seeds}
    parts = [
        # The mean over S that are drawn of S varies less than that of S new ones.
        Part(float(np.nanvar(ratios[name])) * (n / (n - 1) if name == "seeds" else 1), n - 1)
        for name, n in counts.items()
        if name in ratios
    ]
    alike = whole and seeds > 1 and float(np.nanvar(ratios["seeds"])) < 1e-18
    effect = Effect(float(value), tuple(parts), seeds, prompts, alike)
    # A run that other seeds or other prompts would not have brought there was lucky.
    first_never, second_never = (
        1.0 if one else max(float(never_R.mean()) for never_R in never.values())
        for one, never in zip(missed, nevers, strict=True)
    )
    return Speed(effect, first_never, second_never, lost)
