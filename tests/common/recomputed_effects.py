"""The effects of `recomputed.py`: means of tables of seeds and prompts with their errors."""

import json
import math
from itertools import combinations_with_replacement, permutations, product

import numpy as np
import pandas as pd
from scipy import optimize, stats


class Estimate:
    """A mean with independent parts of its variance, each with degrees of freedom."""

    def __init__(self, mean, parts):
        self.mean, self.parts = mean, [(max(v, 1e-30), df) for v, df in parts]
        self.error = math.sqrt(sum(v for v, _ in self.parts))

    def reach(self, tail):
        weight = sum(v for v, _ in self.parts)
        return self.error * sum(v / weight * stats.t.isf(tail, df) for v, df in self.parts)

    def p(self, distance):
        def off(log):
            return self.reach(math.exp(log)) - abs(distance)

        low, high = math.log(1e-12), math.log(0.5)
        if off(low) <= 0:
            return 2e-12
        return 1.0 if off(high) >= 0 else min(1.0, 2 * math.exp(optimize.brentq(off, low, high)))


def two_way(table, m, most=1.0):
    """Mean squares of seeds and prompts, and half of what is left over taken out of either."""
    s, p = table.shape
    rows, columns = table.mean(1), table.mean(0)
    left = table - rows[:, None] - columns + table.mean()
    rest = (left**2).sum() / ((s - 1) * (p - 1)) if s > 1 else 0.0
    of_p = s * (((columns - columns.mean()) ** 2).sum() + 2 * (most / s / m) ** 2) / (p - 1)
    parts = [(max(of_p - rest / 2, of_p / 2) / s / p, p - 1)]
    if s > 1:
        parts.append(((max(p * rows.var(ddof=1), rest) - rest / 2) / s / p, s - 1))
    return Estimate(table.mean(), parts)


def students(table, m, most=1.0):
    """Student's t of the seeds' means."""
    s, p = table.shape
    if s == 1:
        return two_way(table, m, most)
    more = 2 * (most / p / m) ** 2 / (s - 1)
    return Estimate(table.mean(), [((table.mean(1).var(ddof=1) + more) / s, s - 1)])


def unvaried(*tables):
    """Whether the rows of every table have one and the same mean, to nine digits."""
    return all(len(np.unique(np.nan_to_num(table.mean(1)).round(9))) == 1 for table in tables)


def crossing(curve, cost, level):
    """Where a curve first reaches a level, and whether it does."""
    above = np.flatnonzero(curve >= level)
    if not len(above):
        return cost[-1], True
    k = max(above[0], 1)
    rise = curve[k] - curve[k - 1]
    part = np.clip((level - curve[k - 1]) / (rise if rise > 0 else 1.0), 0, 1)
    return max(cost[k - 1] + part * (cost[k] - cost[k - 1]), 1e-9 * cost[-1]), False


def reached(numbers):
    """The numbers 0 to 99 that +, - and * make of three, each used once, by way of such numbers."""
    signs = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}
    found = set()
    for (a, b, c), one, two in product(permutations(numbers), signs.values(), signs.values()):
        left, right = one(a, b), two(b, c)
        found |= {two(left, c)} if 0 <= left <= 99 else set()
        found |= {one(a, right)} if 0 <= right <= 99 else set()
    return found & set(range(100))


def complete(results):
    """(task, benchmark) whose prompts are all there are: facts, and instances if none is left out.

    Instances of three numbers: in training, in validation or in the test, within what these span.
    """
    found = set()
    for file in results.glob("data/*/prompts.parquet"):
        rows, task = pd.read_parquet(file), file.parent.name
        if (rows["split"] == "forgetting").any():
            found.add((task, "forgetting"))
        own = rows[rows["split"].isin(["train", "validation", "id"])]["answer"].map(json.loads)
        seen = {(*sorted(one["numbers"]), one["target"]) for one in own if "numbers" in one}
        if not seen or {len(one) for one in seen} != {4}:
            continue
        low, high = min(one[0] for one in seen), max(one[2] for one in seen)
        least, most = min(one[3] for one in seen), max(one[3] for one in seen)
        every = {
            (*numbers, target)
            for numbers in combinations_with_replacement(range(low, high + 1), 3)
            for target in reached(numbers)
            if least <= target <= most
        }
        if every == seen:
            found.add((task, "id"))
    return found
