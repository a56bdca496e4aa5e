"""The effects of `recomputed.py`: means of tables of seeds and prompts with their errors."""

import math

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
