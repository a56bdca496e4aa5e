"""What the accuracies of a study vary by: blocks, prompts and responses, from its own answers.

    PYTHONPATH=workflow python benchmarks/components.py results/mini

`benchmarks/claims.py` simulates studies with these. A block is a seed, and a base where each seed
has its own. Estimated are, for each benchmark, from the Parquet files of every run's last
checkpoint:

- block: the standard deviation over blocks of a difference of two runs' accuracies;
- prompt: that over prompts of how often one run is right, here in logits, for which a study's
  levels need not be those that are simulated;
- shared: the correlation over prompts of two runs.

What is left is the noise of a response, p (1 - p): it needs no number of its own. A base's seed is
left out, for a base may serve all blocks.
"""

import argparse
import itertools
from functools import cache
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

Array = NDArray[np.floating]

GROUPS = {"id": "in-distribution", "ood": "out-of-distribution", "forgetting": "forgetting"}
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(61)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
GRID = np.linspace(-25, 25, 2001)


class Components(NamedTuple):
    """What accuracies on one benchmark vary by; the response's noise follows from them."""

    block: float
    prompt: float
    shared: float


# `make mini` of 2026-11-26, commit 2b5c3aa: 3 seeds of one base, ten policies, 256 prompts, one
# response each. With a base for each seed `block` may be larger: estimate it from such a study. A 0
# is an estimate that came out below it. Its seeds were given the same random numbers, so that part
# of what is called the prompts' is noise of the responses: `prompt` is rather too large and
# `shared` too small, and power too low.
MINI = {
    "in-distribution": Components(block=0.0, prompt=3.82, shared=0.42),
    "out-of-distribution": Components(block=0.0161, prompt=4.43, shared=0.47),
    "forgetting": Components(block=0.0, prompt=3.84, shared=0.10),
}


def chances(centre: Array, prompt: float) -> Array:
    """Mean over prompts of how often a run is right, whose logits are around `centre`."""
    return np.asarray(special.expit(np.asarray(centre)[..., None] + prompt * NODES) @ WEIGHTS)


@cache
def levels_on_grid(prompt: float) -> Array:
    """How often a run is right on average whose logits are around each point of `GRID`."""
    return chances(GRID, prompt)


def variance_of(mean: float, prompt: float) -> float:
    """The variance over prompts of how often a run is right that is so on average."""
    # Where prompts differ so much, a mean near 0 or 1 has its centre that far out.
    far = 40 + 4 * prompt
    centre = optimize.brentq(lambda c: float(chances(c, prompt)) - mean, -far, far)
    return float((special.expit(centre + prompt * NODES) ** 2) @ WEIGHTS) - mean**2


def prompt_logits(mean: float, variance: float) -> float:
    """The standard deviation in logits that gives this variance over prompts."""
    if not 0.02 < mean < 0.98 or variance <= 1e-4:
        return 0.0
    most = 0.98 * variance_of(mean, 30.0)
    return float(optimize.brentq(lambda s: variance_of(mean, s) - min(variance, most), 0, 30))


def tables(results: Path, benchmark: str) -> dict[str, tuple[Array, int]]:
    """Read each run's last checkpoint: accuracies (S, P), and the responses to a prompt."""
    found = {}
    for run in sorted(results.glob("eval/*/*")):
        steps = {int(p.name[4:]) for p in run.glob("seed*/step*") if p.is_dir()}
        files = sorted(run.glob(f"seed*/step{max(steps)}/{benchmark}.parquet"))
        if len(files) < 2:
            continue
        rows = duckdb.execute(
            "SELECT seed, prompt_id, avg(correct::INT) AS accuracy, count(*) AS n "
            "FROM read_parquet($1) GROUP BY ALL ORDER BY ALL",
            [[str(file) for file in files]],
        ).df()
        table = rows.pivot(index="seed", columns="prompt_id", values="accuracy").to_numpy()
        found[run.name] = table, int(rows["n"].min())
    return found


def estimated(runs: dict[str, tuple[Array, int]]) -> Components:
    """Estimate the components of one benchmark by their moments, means over runs and pairs."""
    prompts, variances = [], {}
    for run, (table, _) in runs.items():
        seeds, mean = len(table), float(table.mean())
        # A prompt's mean over seeds holds 1 / S of what the seeds' answers differ by.
        variances[run] = float(table.mean(0).var(ddof=1) - table.var(0, ddof=1).mean() / seeds)
        if 0.02 < mean < 0.98:
            prompts.append(prompt_logits(mean, variances[run]))
    blocks, shares = [], []
    for one, other in itertools.combinations(runs, 2):
        if max(variances[one], variances[other]) < 1e-3:
            continue
        first, second = runs[one][0], runs[other][0]
        difference = first - second
        seeds, count = difference.shape
        left = difference - difference.mean(0) - difference.mean(1, keepdims=True)
        residual = ((left + difference.mean()) ** 2).sum() / (seeds - 1) / (count - 1)
        blocks.append(float(difference.mean(1).var(ddof=1) - residual / count))
        if min(variances[one], variances[other]) >= 1e-3:
            covariance = float(np.cov(first.mean(0), second.mean(0))[0, 1])
            shares.append(covariance / np.sqrt(variances[one] * variances[other]))
    if not blocks:
        return Components(0.0, float(np.mean(prompts or [0.0])), 0.0)
    return Components(
        float(np.sqrt(max(np.mean(blocks), 0.0))),
        float(np.mean(prompts)),
        float(np.clip(np.mean(shares or [0.0]), 0.0, 1.0)),
    )


def components(results: Path) -> dict[str, Components]:
    """The components of each benchmark of a study's results."""
    return {group: estimated(tables(results, name)) for name, group in GROUPS.items()}


def draw(
    rng: np.random.Generator,
    level_R_S_K: Array,
    found: Components,
    prompts: int,
    responses: int,
    whole: bool,
) -> Array:
    """Draw answers (R, S, K, P) of runs with these levels, to prompts that all of them share.

    `whole`: the prompts are all that there are, so that their mean is the level itself.
    """
    own_R_P = rng.normal(size=(len(level_R_S_K), prompts)) * np.sqrt(1 - found.shared)
    logit_R_P = rng.normal(size=prompts) * np.sqrt(found.shared) + own_R_P
    if whole:
        ranks = logit_R_P.argsort(1).argsort(1)
        logit_R_P = special.ndtri((ranks + 0.5) / prompts)
    centre = np.interp(level_R_S_K, levels_on_grid(found.prompt), GRID)
    chance = special.expit(centre[..., None] + found.prompt * logit_R_P[:, None, None])
    return rng.binomial(responses, chance) / responses


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="folder of a study's results")
    for group, found in components(parser.parse_args().results).items():
        print(f'    "{group}": {found},')


if __name__ == "__main__":
    main()
