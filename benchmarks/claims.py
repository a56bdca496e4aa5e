"""How often are the verdicts wrong? Simulated studies whose truth is known, through the real code.

    PYTHONPATH=workflow python benchmarks/claims.py --studies 1000

Each study has 3 seeds, 400 prompts and 2 samples a prompt. Prompts differ in how hard they are, and
differently so for each run; seeds of a run differ by `--between`, the standard deviation of a
difference of accuracies (the miniature shows 0 to 0.045). All true effects of a study are the same
multiple of their claims' margins, from twice the margin in the other direction to twice the margin;
for times the factor is the margin to that power. Curves of accuracies stay level at all
checkpoints, where luck has most to choose from.

Prints for each claim and truth how often it was supported and contradicted: alone, and after Holm
within its family of config/claims.yaml, as verdicts are issued. A star marks what is wrong there;
at the margin itself both are. The last columns are the plain percentile bootstrap of seeds and
prompts, without Holm, for claims of two runs' accuracies. The families are whole. Times come from
answers of their own, for a student that is truly worse than its expert never gets there, and
updates and seconds, which are proportional to samples here, have the p value of samples.

A second table is of runs that truly stop just short of 90 % of the expert's gain and get there by
luck in part of the studies. Their true time is without end, and what is measured a lower bound.

The discrepancy claims of Table 1 are not simulated: a pair takes as long as two of these studies.
benchmarks/noise.py measures the intervals and the noise floor that they rest on.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_il.claims.drafts import (
    CONTRADICTED,
    SUPPORTED,
    UNDECIDED,
    Draft,
    finish,
    region,
    side_of,
)
from online_il.claims.judge import run_drafts
from online_il.claims.measured import Measured
from online_il.config.claims import load_claims
from online_il.statistics.resampling import resampled
from online_il.statistics.speed import SHARE

Array = NDArray[np.floating]
Tables = dict[str, dict[str, Measured]]

FILE = Path(__file__).parents[1] / "config" / "claims.yaml"
CLAIMS = {claim.id: claim for claim in load_claims(FILE).claims}
# Two runs' accuracies: first less second.
ACCURACIES = (
    "sft-realizable-matches",
    "distill-no-more-accurate",
    "sft-unrealizable-falls-short",
    "ood-realizable-matches",
)
DROPS = (
    "ood-unrealizable-deteriorates",
    "forgetting-realizable-stable",
    "forgetting-unrealizable-drops",
)
CLOCK, SOONER = "distill-no-faster-samples", "sft-faster-than-rl"
SAME_CLOCK = ("distill-no-faster-updates", "distill-no-faster-seconds")
SFT, DISTILL = "sft-realizable", "distill-realizable"

TRUTHS = (-2.0, -1.0, 0.0, 0.5, 1.0, 1.5, 2.0)
SEEDS, PROMPTS, SAMPLES = 3, 400, 2
COSTS = np.array([2.0, 5, 10, 20, 40, 80, 160])
START, END = 0.1, 0.3
# The 10,000 of a real study would take hours. A standard error from 500 is off by 3 %.
RESAMPLES = 500


class Case(NamedTuple):
    """A study with a run that truly stops just short of the expert's threshold."""

    words: str
    claim: str
    short: str
    truth: float
    curves: dict[str, tuple[list[float], list[float]]]
    """Costs of each run's checkpoints, and accuracies as shares of the expert's gain."""


# Beyond any margin: the ratio of two times, one of them without end.
ENDLESS = 1e9
CASE_GAIN = 0.4
# The expert is there at 12, a clear run at 1.7, and a short one ends at 2, 1.7 % of the gain below.
EXPERT = [5.0, 10, 15, 20], [1 / 2, 5 / 6, 1, 1]
SHORT = [1.0, 1.5, 2], [1 / 2, 3 / 4, 53 / 60]
CLEAR = [1.0, 1.5, 2], [1 / 2, 4 / 5, 1.1]
EARLY, LATE = ([0.25, 0.375, 0.5], CLEAR[1]), ([4.0, 6, 8], CLEAR[1])
CASES = (
    Case("SFT short, ends far before the expert's time", SOONER, SFT, -ENDLESS, {SFT: SHORT}),
    Case("SFT short, distilled as late", CLOCK, SFT, ENDLESS, {SFT: SHORT, DISTILL: CLEAR}),
    Case("SFT short, distilled far sooner", CLOCK, SFT, ENDLESS, {SFT: SHORT, DISTILL: EARLY}),
    Case("distilled short, SFT as late", CLOCK, DISTILL, -ENDLESS, {SFT: CLEAR, DISTILL: SHORT}),
    Case("distilled short, SFT far later", CLOCK, DISTILL, -ENDLESS, {SFT: LATE, DISTILL: SHORT}),
)


class Simulated:
    """A study without a database: one task, its runs' tables by benchmark and their costs."""

    def __init__(self, tables: Tables, costs: dict[str, Array]) -> None:
        self._tables, self._costs = tables, costs

    def benchmarks(self, task: str, group: str) -> list[str]:
        return [group]

    def runs(self, task: str, benchmark: str) -> dict[str, Measured]:
        return self._tables[benchmark]

    def cost(self, task: str, run: str, unit: str, steps: list[int]) -> Array:
        return self._costs[run]


def tables(rng: np.random.Generator, levels: dict[str, dict[str, Array]], between: float) -> Tables:
    """Answers of all runs; `levels` are their accuracies at each checkpoint, above the prompts'."""
    found: Tables = {}
    for benchmark, runs in levels.items():
        shared_P = 0.05 + 0.3 * rng.beta(0.4, 0.4, PROMPTS)
        found[benchmark] = {}
        for run, level_K in runs.items():
            seeds = 1 if run == "base" else SEEDS
            seed_S = rng.normal(0, between / np.sqrt(2), seeds) * (run != "base")
            prompt_P = shared_P + rng.uniform(-0.05, 0.05, PROMPTS)
            # Levels are 0.1 to 0.5 (a case's 0.54) and prompts 0 to 0.4, which leaves the seeds
            # 0.1 on each side: nearly five standard deviations, unless `--between` is larger.
            chance_S_K_P = np.clip(level_K[:, None] + seed_S[:, None, None] + prompt_P, 0, 1)
            answers = rng.binomial(SAMPLES, chance_S_K_P) / SAMPLES
            found[benchmark][run] = Measured([*range(seeds)], [*range(len(level_K))], answers)
    return found


def accuracies(rng: np.random.Generator, truth: float, between: float) -> Simulated:
    """A study whose accuracies are `truth` margins apart."""
    level = np.full(len(COSTS), END)
    apart = {name: truth * CLAIMS[name].margin for name in (*ACCURACIES, *DROPS)}
    last = COSTS[-1] == COSTS
    sft = level + apart["sft-realizable-matches"]
    levels = {
        "in-distribution": {
            "expert": level,
            "sft-realizable": sft,
            "distill-realizable": sft + apart["distill-no-more-accurate"],
            "sft-unrealizable": level - apart["sft-unrealizable-falls-short"],
        },
        "out-of-distribution": {
            "base": np.full(1, END),
            "expert": level,
            "sft-realizable": level + apart["ood-realizable-matches"],
            "sft-unrealizable": level - apart["ood-unrealizable-deteriorates"] * last,
        },
        "forgetting": {
            "base": np.full(1, END),
            "sft-realizable": level - apart["forgetting-realizable-stable"],
            "sft-unrealizable": level - apart["forgetting-unrealizable-drops"],
        },
    }
    return Simulated(tables(rng, levels, between), {})


def times(
    rng: np.random.Generator, levels: dict[str, Array], costs: dict[str, Array], between: float
) -> Simulated:
    """A study of the runs that have costs, and of the base."""
    levels = {"base": np.full(1, START)} | levels
    return Simulated(tables(rng, {"in-distribution": levels}, between), costs)


def measured(names: Sequence[str], whole: Simulated, rng: np.random.Generator) -> list[Draft]:
    """The claims' effects in a study, not yet judged."""
    return [
        draft
        for name in names
        for draft in run_drafts(CLAIMS[name], whole, "simulated", RESAMPLES, rng)
    ]


def judged(drafts: list[Draft]) -> Iterator[tuple[str, str, str]]:
    """Claim, way and verdict: within the families, and each claim alone."""
    for way in ("family", "alone"):
        for draft in drafts:
            # It decides nothing and would take half of the time.
            draft.detectable = None
            if way == "alone":
                draft.fields["family"] = draft.claim
        for draft, row in zip(drafts, finish(drafts), strict=True):
            yield draft.claim, way, row.verdict


def plain_bootstrap(drawn: tuple[Array, Array], whole: Simulated, name: str) -> str:
    """What the percentile interval of resampled seeds and prompts would say."""
    claim = CLAIMS[name]
    runs = whole.runs("", claim.benchmarks)
    first, second = (runs[run].accuracy_S_K_P[:, -1] for run in claim.runs)
    means_R = np.einsum("rs,rs->r", drawn[0], drawn[1] @ (first - second).T)
    low, high = np.percentile(means_R, [2.5, 97.5])
    holds = region(side_of(claim), claim.margin)
    if holds[0] < low and high < holds[1]:
        return SUPPORTED
    return CONTRADICTED if high < holds[0] or low > holds[1] else UNDECIDED


def study(rng: np.random.Generator, truth: float, between: float) -> Iterator[tuple[str, str, str]]:
    """Claim, way and verdict of one study whose effects are `truth` margins."""
    sooner, clock = (CLAIMS[name].margin ** truth for name in (SOONER, CLOCK))
    costs = {"expert": COSTS, SFT: COSTS / sooner, DISTILL: COSTS / sooner / clock}
    curve = START + END * (1 - np.exp(-COSTS / 12))
    timed = measured((CLOCK, SOONER), times(rng, dict.fromkeys(costs, curve), costs, between), rng)
    for name in SAME_CLOCK:
        fields = timed[0].fields | {"family": CLAIMS[name].family}
        timed.append(replace(timed[0], claim=name, fields=fields))
    whole = accuracies(rng, truth, between)
    yield from judged([*measured((*ACCURACIES, *DROPS), whole, rng), *timed])
    drawn = next(resampled(SEEDS, PROMPTS, RESAMPLES, rng))
    for name in ACCURACIES:
        yield name, "plain", plain_bootstrap(drawn, whole, name)


def by_luck(rng: np.random.Generator, case: Case, between: float) -> Iterator[tuple[str, ...]]:
    """The same of one study of a case, and "reached" where the short run gets there."""
    curves = {"expert": EXPERT} | case.curves
    levels = {run: START + CASE_GAIN * np.array(shares) for run, (_, shares) in curves.items()}
    costs = {run: np.array(cost) for run, (cost, _) in curves.items()}
    whole = times(rng, levels, costs, between)
    runs = whole.runs("", "in-distribution")
    mean_K = {name: run.accuracy_S_K_P.mean((0, 2)) for name, run in runs.items()}
    gain = mean_K["expert"][-1] - mean_K["base"][-1]
    if mean_K[case.short].max() >= mean_K["base"][-1] + SHARE * gain:
        yield ("reached",)
    yield from judged(measured([case.claim], whole, rng))


def cells(counts: Counter[tuple[str, ...]], name: str, way: str, truth: float, of: int) -> str:
    """How often a claim is supported and contradicted, with a star where that is wrong."""
    low, high = region(side_of(CLAIMS[name]), 1.0)
    # At the margin itself both are: the claim is about less, or about more.
    wrong = {SUPPORTED: not low < truth < high, CONTRADICTED: low <= truth <= high}
    return "".join(
        f"{100 * counts[name, way, verdict] / of:8.1f} %{'*' if wrong[verdict] else ' '}"
        for verdict in wrong
    )


def main(options: argparse.Namespace) -> None:
    rng, of, between = np.random.default_rng(options.seed), options.studies, options.between
    print(f"{of} studies a line, seeds differ by {between}; supported and contradicted")
    print(f"{'claim':30}{'truth':>6}{'alone':>15}{'Holm':>22}{'plain bootstrap':>31}")
    counts = {
        truth: Counter(said for _ in range(of) for said in study(rng, truth, between))
        for truth in TRUTHS
    }
    for name in (*ACCURACIES, *DROPS, CLOCK, SOONER):
        ways = ("alone", "family", "plain") if name in ACCURACIES else ("alone", "family")
        for truth in TRUTHS:
            shares = "".join(cells(counts[truth], name, way, truth, of) for way in ways)
            print(f"{name:30}{truth:6.1f}{shares}".rstrip())
    print(f"\n{'a run is truly short':46}{'there by luck':>13}{'alone':>15}")
    for case in CASES:
        said = Counter(one for _ in range(of) for one in by_luck(rng, case, between))
        shares = cells(said, case.claim, "alone", case.truth, of)
        print(f"{case.words:46}{100 * said['reached',] / of:11.1f} %{shares}".rstrip())


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--studies", type=int, default=1000, help="simulated studies a truth")
    arguments.add_argument("--between", type=float, default=0.03, help="standard deviation")
    arguments.add_argument("--seed", type=int, default=1, help="seed of the simulation")
    main(arguments.parse_args())
