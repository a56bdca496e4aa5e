"""How often are the verdicts wrong? Simulated studies whose truth is known, through the real code.

    PYTHONPATH=workflow python benchmarks/claims.py --studies 1000

Each study has 3 seeds, 400 prompts and 2 samples a prompt. Prompts differ in how hard they are, and
differently so for each run; seeds of a run differ by `--between`, the standard deviation of a
difference of accuracies (the miniature shows 0 to 0.045). The true effect is a multiple of each
claim's margin: none, half of it, the margin itself, one and a half, twice. For times the factor is
the margin to that power. Curves stay level at all checkpoints, where luck has most to choose from.

Prints for each claim and truth how often it was supported and contradicted; a star marks what is
wrong there. At the margin itself either must be rare. The last two columns: the plain percentile
bootstrap of seeds and prompts, for claims of two runs' accuracies. No correction for the number of
claims: each is a family of its own.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from online_il.claims.drafts import CONTRADICTED, SUPPORTED, region
from online_il.claims.judge import Evidence, judge, side_of
from online_il.claims.measured import Measured
from online_il.config.claims import Claims, load_claims
from online_il.statistics import weights

CLAIMS = Path(__file__).parents[1] / "config" / "claims.yaml"
CLOCK = "distill-no-faster-samples"
# The first three compare two runs' accuracies: first less second.
NAMES = (
    "sft-realizable-matches",
    "distill-no-more-accurate",
    "sft-unrealizable-falls-short",
    CLOCK,
    "forgetting-realizable-stable",
    "forgetting-unrealizable-drops",
    "ood-unrealizable-deteriorates",
)
TRUTHS = (0.0, 0.5, 1.0, 1.5, 2.0)
SEEDS, PROMPTS, SAMPLES = 3, 400, 2
COSTS = np.array([2.0, 5, 10, 20, 40, 80, 160])
END = 0.3
RESAMPLES = 1000

Tables = dict[str, dict[str, Measured]]


class Simulated:
    """A study without a database: one task, its runs' tables by benchmark."""

    tasks = ("simulated",)

    def __init__(self, tables: Tables, factor: float = 1.0) -> None:
        self._tables, self._factor = tables, factor

    def benchmarks(self, task: str, group: str) -> list[str]:
        return [group]

    def runs(self, task: str, benchmark: str) -> dict[str, Measured]:
        return self._tables[benchmark]

    def cost(self, task: str, run: str, unit: str, steps: list[int]) -> NDArray[np.floating]:
        return COSTS / self._factor if run == "distill-realizable" else COSTS


def tables(
    rng: np.random.Generator, levels: dict[str, dict[str, NDArray[np.floating]]], between: float
) -> Tables:
    """Answers of all runs; `levels` are their accuracies at each checkpoint, above the prompts'."""
    found: Tables = {}
    for benchmark, runs in levels.items():
        shared_P = 0.1 + 0.3 * rng.beta(0.4, 0.4, PROMPTS)
        found[benchmark] = {}
        for run, level_K in runs.items():
            seeds = 1 if run == "base" else SEEDS
            seed_S = rng.normal(0, between / np.sqrt(2), seeds) * (run != "base")
            prompt_P = shared_P + rng.uniform(-0.05, 0.05, PROMPTS)
            chance_S_K_P = np.clip(level_K[:, None] + seed_S[:, None, None] + prompt_P, 0, 1)
            answers = rng.binomial(SAMPLES, chance_S_K_P) / SAMPLES
            found[benchmark][run] = Measured([*range(seeds)], [*range(len(level_K))], answers)
    return found


def study(
    rng: np.random.Generator, truth: float, between: float, margins: dict[str, float]
) -> list[Simulated]:
    """A study whose effects are `truth` margins, and the same for the clock."""
    level = np.full(len(COSTS), END)
    apart = {name: truth * margin for name, margin in margins.items()}
    last = COSTS[-1] == COSTS
    sft = level + apart["sft-realizable-matches"]
    levels = {
        "in-distribution": {
            "base": np.zeros(1),
            "expert": level,
            "sft-realizable": sft,
            "distill-realizable": sft + apart["distill-no-more-accurate"],
            "sft-unrealizable": level - apart["sft-unrealizable-falls-short"],
        },
        "out-of-distribution": {
            "base": np.full(1, END),
            "sft-unrealizable": level - apart["ood-unrealizable-deteriorates"] * last,
        },
        "forgetting": {
            "base": np.full(1, END),
            "sft-realizable": level - apart["forgetting-realizable-stable"],
            "sft-unrealizable": level - apart["forgetting-unrealizable-drops"],
        },
    }
    curve = END * (1 - np.exp(-COSTS / 12))
    names = ("expert", "sft-realizable", "distill-realizable")
    clock = {"in-distribution": {"base": np.zeros(1), **dict.fromkeys(names, curve)}}
    return [
        Simulated(tables(rng, levels, between)),
        Simulated(tables(rng, clock, between), margins[CLOCK] ** truth),
    ]


def plain_bootstrap(
    drawn: tuple[NDArray[np.floating], NDArray[np.floating]],
    whole: Simulated,
    runs: list[str],
    side: str,
    margin: float,
) -> str:
    """What the percentile interval of resampled seeds and prompts would say."""
    first, second = (whole.runs("", "in-distribution")[run].accuracy_S_K_P[:, -1] for run in runs)
    means = np.einsum("rs,rs->r", drawn[0], drawn[1] @ (first - second).T)
    low, high = np.percentile(means, [2.5, 97.5])
    holds = region(side, margin)
    if holds[0] < low and high < holds[1]:
        return SUPPORTED
    return CONTRADICTED if high < holds[0] or low > holds[1] else ""


def alone(claims: Claims, names: tuple[str, ...]) -> Claims:
    """Some of the claims, each a family of its own."""
    kept = [claim.model_copy(update={"family": claim.id}) for claim in claims.claims]
    kept = [claim for claim in kept if claim.id in names]
    return claims.model_copy(update={"claims": kept, "resamples": RESAMPLES})


def main(options: argparse.Namespace) -> None:
    claims = load_claims(CLAIMS)
    parts = [alone(claims, tuple(n for n in NAMES if n != CLOCK)), alone(claims, (CLOCK,))]
    rows = {claim.id: claim for part in parts for claim in part.claims}
    margins = {name: rows[name].margin for name in NAMES}
    rng = np.random.default_rng(options.seed)
    print(f"{options.studies} studies a line, seeds differ by {options.between}")
    print(f"{'claim':34}{'truth':>6}  supported  contradicted    plain bootstrap")
    lines = {name: [] for name in NAMES}
    for truth in TRUTHS:
        counts = dict.fromkeys([(n, v) for n in NAMES for v in (SUPPORTED, CONTRADICTED)], 0)
        plain = dict(counts)
        for number in range(options.studies):
            both = study(rng, truth, options.between, margins)
            for part, whole in zip(parts, both, strict=True):
                seeded = part.model_copy(update={"seed": number})
                for verdict in judge(seeded, Evidence(whole, None, [])):
                    name = verdict.id.removeprefix("simulated-")
                    if (name, verdict.verdict) in counts:
                        counts[name, verdict.verdict] += 1
            drawn = next(weights(SEEDS, PROMPTS, RESAMPLES, rng))
            for name in NAMES[:3]:
                side = side_of(rows[name])
                said = plain_bootstrap(drawn, both[0], rows[name].runs, side, margins[name])
                if said:
                    plain[name, said] += 1
        for name in NAMES:
            above = side_of(rows[name]) == "above"
            # At the margin itself both are: the claim is about less, or about more.
            wrong = {SUPPORTED: (truth <= 1) if above else (truth >= 1)}
            wrong[CONTRADICTED] = truth >= 1 if above else truth <= 1
            cells = [
                f"{100 * table[name, verdict] / options.studies:8.1f} %{'*' * wrong[verdict]:1}"
                for table in (counts, plain)
                for verdict in (SUPPORTED, CONTRADICTED)
            ]
            kept = cells if name in NAMES[:3] else cells[:2]
            lines[name].append(f"{name:34}{truth:6.1f}" + "  ".join(kept))
    print("\n".join(line for name in NAMES for line in lines[name]))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--studies", type=int, default=1000, help="simulated studies a truth")
    arguments.add_argument("--between", type=float, default=0.03, help="standard deviation")
    arguments.add_argument("--seed", type=int, default=1, help="seed of the simulation")
    main(arguments.parse_args())
