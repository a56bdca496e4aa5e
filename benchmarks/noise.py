"""Does the noise floor of the comparison hold what it says? Simulated pairs of models.

    PYTHONPATH=workflow python benchmarks/noise.py --pairs 1000

Three simulations of the length's pooled TV, each with 60 prompts x 14 responses a model:

- independent: both models draw from one log-normal distribution. How often is TV "above the noise"?
- clustered: the same, with responses correlated within a prompt (--correlation). A prompt is as
  hard for the one model as for the other.
- coverage: two log-normal distributions whose binned TV is 0.30. How often does the 95 % interval
  hold it? Bins are `--bins` wide ones over the distribution's bulk; the last one is open, as in
  the product, where it ends at the longest response.

Prints a line a simulation, and the null's mean and 95 % point.
"""

import argparse
import math
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse, stats

from online_il.discrepancy import measures
from online_il.discrepancy.reading import Responses

PROMPTS, RESPONSES = 60, 14
MU, SIGMA = 9.6, 0.6  # Log of the length, tokens: a median of 15,000.
BIN_WIDTH = 5000
TRUE_TV = 0.30
MEASURE = "length, TV"


def responses(length_P_M: Any) -> Responses:
    """A model of which nothing but lengths is known."""
    n_prompts, n = length_P_M.shape
    return Responses(
        [f"{p:03d}" for p in range(n_prompts) for _ in range(n)],
        np.maximum(1, length_P_M.ravel().astype(np.int64)),
        np.zeros((n_prompts * n, 0), dtype=np.int64),
        np.zeros(n_prompts * n),
        0,
        sparse.csr_matrix((n_prompts * n, 1)),
    )


def pair(rng: np.random.Generator, correlation: float, shift: float) -> list[Responses]:
    """Two models on the same prompts; `shift` of the second one's log length, in deviations."""
    between = rng.normal(size=(PROMPTS, 1)) * math.sqrt(correlation)
    drawn = []
    for moved in (0.0, shift):
        within = rng.normal(size=(PROMPTS, RESPONSES)) * math.sqrt(1 - correlation)
        drawn.append(responses(np.exp(MU + SIGMA * (between + within + moved))))
    return drawn


def binned_tv(shift: float) -> float:
    """TV of the two distributions in bins of `BIN_WIDTH`, exactly."""
    edges = np.log(np.arange(BIN_WIDTH, 100 * BIN_WIDTH, BIN_WIDTH))
    at = [stats.norm.cdf(edges, MU + SIGMA * moved, SIGMA) for moved in (0.0, shift)]
    shares = [np.diff(np.concatenate([[0.0], cdf, [1.0]])) for cdf in at]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def one(seed: int, *, correlation: float, shift: float, resamples: int) -> tuple[float, ...]:
    """(above the noise, interval's low, its high, null mean, null 95 %, bins) of one pair."""
    found = measures.compare(
        *pair(np.random.default_rng([17, seed]), correlation, shift),
        keywords=(),
        bin_width=BIN_WIDTH,
        resamples=resamples,
        seed=seed,
    )
    tv = next(m for m in found.measures if m.name == MEASURE)
    bins = len(found.bins.expert_B)
    return float(tv.above_noise), tv.ci_low, tv.ci_high, tv.null_mean, tv.null_p95, bins


def simulate(
    name: str, options: argparse.Namespace, *, correlation: float = 0.0, shift: float = 0.0
) -> None:
    """Run one simulation and print its line."""
    work = partial(one, correlation=correlation, shift=shift, resamples=options.resamples)
    with ProcessPoolExecutor(options.processes) as pool:
        rows = np.array(list(pool.map(work, range(options.pairs), chunksize=5)))
    alarms, held = rows[:, 0].mean(), None
    truth = binned_tv(shift)
    if shift:
        held = ((rows[:, 1] <= truth) & (truth <= rows[:, 2])).mean()
    rate = alarms if held is None else held
    error = math.sqrt(rate * (1 - rate) / len(rows))
    said = "false alarms" if held is None else f"coverage of true TV {truth:.3f}"
    print(
        f"{name}: {said} {rate:.1%} ± {error:.1%}; null mean {rows[:, 3].mean():.3f}, "
        f"95 % {rows[:, 4].mean():.3f}; {rows[:, 5].mean():.0f} bins; {len(rows)} pairs, "
        f"{options.resamples} resamples each",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=1000, help="simulated pairs")
    parser.add_argument("--resamples", type=int, default=399, help="resamples a pair")
    parser.add_argument("--processes", type=int, default=2, help="side by side")
    parser.add_argument(
        "--correlation", type=float, nargs="+", default=[0.7, 0.84], help="within a prompt"
    )
    options = parser.parse_args()
    simulate("independent", options)
    for correlation in options.correlation:
        simulate(f"clustered, {correlation:g}", options, correlation=correlation)
    # The shift whose binned TV is the wanted one, by bisection.
    low, high = 0.0, 3.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if binned_tv(middle) < TRUE_TV else (low, middle)
    simulate("coverage", options, shift=low)
    for correlation in options.correlation:
        simulate(
            f"coverage, clustered {correlation:g}", options, correlation=correlation, shift=low
        )


if __name__ == "__main__":
    main()
