"""How often does a study that grows by a plan err, and what does it see? Accuracies alone, fast.

    PYTHONPATH=workflow python benchmarks/looks.py --studies 1000 --components results/mini

As `benchmarks/claims.py`, with the same noise and through the same intervals, but each claim by
itself: no Holm, no p values, no times, so that a thousand studies take half a minute. A claim is
decided at the first look whose interval lies wholly in its region, or wholly outside. Where there
is a plan each look's interval leaves its share of the error; "peeking" gives each look all of it.

The cases: all is as claimed; one effect of each claim lies at its margin, the rest as claimed; all
lie at their margins. A star marks what is wrong there. A difference of several runs is not said to
be contradicted here, which takes a bootstrap.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from components import MINI, Components, components, draw
from numpy.typing import NDArray

from online_il.claims.drafts import CONTRADICTED, SUPPORTED, UNDECIDED, region
from online_il.statistics.effects import Effect, mean_effect, over_blocks
from online_il.statistics.intervals import TAIL

Array = NDArray[np.floating]

HIGH = 0.6
RUNS = ("expert", "sft", "distill", "solver", "mixture", "sft-mixture", "c4", "c64", "c256")
EQUAL, NO_BETTER, AHEAD, SHORT = "equivalence", "non-inferiority", "superiority", "shortfall"
BLOCKS, DRAWN = "interaction, t over blocks", "interaction, prompts drawn"
RANGE, TITLE = "range of four", "title's conjunction"


class Case(NamedTuple):
    """What a study's accuracies are, as differences, and what is true of the claims, in margins."""

    words: str
    level: dict[str, float]
    """Of runs that are not where the expert is."""
    truth: dict[str, float]


def case(words: str, sft: float, distill: float, short: float, ahead: float, apart: float) -> Case:
    """A case from its differences: SFT less expert, distillation less SFT, and so on."""
    level = {"sft": sft, "distill": sft + distill, "solver": -short, "sft-mixture": -ahead}
    level |= {"c4": -apart, "c256": -apart}
    inside = max(abs(sft), abs(distill)) < 0.05 and min(short, ahead) > 0.05
    truth = {
        EQUAL: sft / 0.05,
        NO_BETTER: distill / 0.05,
        AHEAD: ahead / 0.05,
        BLOCKS: (ahead - distill) / 0.1,
        DRAWN: (ahead - distill) / 0.1,
        RANGE: apart / 0.05,
        TITLE: 2.0 if inside else 1.0,
    }
    return Case(words, level, {name: round(number, 6) for name, number in truth.items()})


CASES = (
    case("all as claimed", 0.0, 0.0, 0.1, 0.2, 0.0),
    case("one at its margin", 0.0, 0.05, 0.1, 0.15, 0.05),
    case("all at their margins", 0.05, 0.05, 0.05, 0.05, 0.05),
)
HOLDS = {
    EQUAL: region("within", 0.05),
    "level": region("within", 0.05),
    NO_BETTER: region("below", 0.05),
    AHEAD: region("above", 0.05),
    SHORT: region("above", 0.05),
    BLOCKS: region("above", 0.1),
    DRAWN: region("above", 0.1),
}
PARTS = (EQUAL, "level", AHEAD, SHORT)


def answers(
    rng: np.random.Generator, one: Case, own: Components, options: argparse.Namespace
) -> dict[str, Array]:
    """Answers (B, P) of each run at its end."""
    level_R = np.array([HIGH + one.level.get(run, 0.0) for run in RUNS])
    shift_R_B = rng.normal(0, own.block / np.sqrt(2), (len(RUNS), max(options.looks)))
    level_R_B_K = np.clip(level_R[:, None] + shift_R_B, 0.001, 0.999)[:, :, None]
    found = draw(rng, level_R_B_K, own, options.prompts, options.responses, options.whole)
    return dict(zip(RUNS, found[:, :, 0], strict=True))


def effects(ends: dict[str, Array], responses: int, whole: bool) -> dict[str, Effect]:
    """The effect of each claim about a number."""
    one = over_blocks if whole else mean_effect
    distilled = ends["distill"] - ends["sft"]
    mixed = ends["mixture"] - ends["sft-mixture"]
    level = one(distilled, responses)
    return {
        EQUAL: one(ends["sft"] - ends["expert"], responses),
        "level": level,
        NO_BETTER: level,
        AHEAD: one(mixed, responses),
        SHORT: one(ends["expert"] - ends["solver"], responses),
        BLOCKS: over_blocks(mixed - distilled, responses, 2.0),
        DRAWN: mean_effect(mixed - distilled, responses, 2.0),
    }


def said_of(effect: Effect, holds: tuple[float, float], tail: float) -> str:
    """What an interval says of a region."""
    low, high = effect.interval(tail)
    if holds[0] < low and high < holds[1]:
        return SUPPORTED
    return CONTRADICTED if high < holds[0] or low > holds[1] else UNDECIDED


def all_close(ends: dict[str, Array], responses: int, tail: float, whole: bool) -> bool:
    """Whether every two of the four mixtures' distillations are equivalent."""
    one = over_blocks if whole else mean_effect
    pairs = [ends[a] - ends[b] for a, b in combinations(("mixture", "c4", "c64", "c256"), 2)]
    if max(abs(float(pair.mean())) for pair in pairs) >= 0.05:
        return False
    near = region("within", 0.05)
    return all(said_of(one(pair, responses), near, tail) == SUPPORTED for pair in pairs)


def verdicts(
    whole: dict[str, Array], tails: dict[str, float], options: argparse.Namespace
) -> Iterator[tuple[str, str, str, int]]:
    """Claim, way, verdict and the blocks at which it was decided, 0 if never."""
    decided: dict[tuple[str, str], tuple[str, int]] = {}
    failed: set[str] = set()
    for look in options.looks:
        ends = {run: table[:look] for run, table in whole.items()}
        found = effects(ends, options.responses, options.whole)
        for way, tail in tails.items():
            says = {name: said_of(one, HOLDS[name], tail) for name, one in found.items()}
            says[RANGE] = UNDECIDED
            if (way, RANGE) not in decided and all_close(
                ends, options.responses, tail, options.whole
            ):
                says[RANGE] = SUPPORTED
            for name, verdict in says.items():
                if verdict != UNDECIDED:
                    decided.setdefault((way, name), (verdict, look))
            # Any part may contradict, corrected for their number; all support at their own level.
            if any(said_of(found[p], HOLDS[p], tail / len(PARTS)) == CONTRADICTED for p in PARTS):
                failed.add(way)
                decided.setdefault((way, TITLE), (CONTRADICTED, look))
            if way not in failed and {decided.get((way, p), ("", 0))[0] for p in PARTS} == {
                SUPPORTED
            }:
                decided.setdefault((way, TITLE), (SUPPORTED, look))
    for way in tails:
        for name in (*HOLDS, RANGE, TITLE):
            yield name, way, *decided.get((way, name), (UNDECIDED, 0))


def main(options: argparse.Namespace) -> None:
    own = (components(options.components) if options.components else MINI)["in-distribution"]
    if options.between is not None:
        own = own._replace(block=options.between)
    rng, of = np.random.default_rng(options.seed), options.studies
    tails = {"plan": TAIL / len(options.looks), "peeking": TAIL}
    print(f"{of} studies a case; {own}; {vars(options)}")
    print(f"{'claim':30}{'truth':>6}{'plan':>22}{'blocks':>9}{'peeking':>22}")
    for one in CASES:
        counts, blocks = Counter(), Counter()
        for _ in range(of):
            whole = answers(rng, one, own, options)
            for name, way, verdict, look in verdicts(whole, tails, options):
                counts[name, way, verdict] += 1
                blocks[name, way] += look or max(options.looks)
        print(f"{one.words}:")
        for name, truth in one.truth.items():
            low, high = HOLDS.get(name, (1.0, np.inf))
            low, high = (
                round(end / (0.1 if name in (BLOCKS, DRAWN) else 0.05), 6) for end in (low, high)
            )
            if name in (TITLE, RANGE):
                low, high = (1.0, np.inf) if name == TITLE else (-np.inf, 1.0)
            wrong = {SUPPORTED: not low < truth < high, CONTRADICTED: low <= truth <= high}
            cells = {
                way: "".join(
                    f"{100 * counts[name, way, verdict] / of:9.1f}{'*' if wrong[verdict] else ' '}"
                    for verdict in wrong
                )
                for way in tails
            }
            mean = blocks[name, "plan"] / of
            print(
                f"{name:30}{truth:6.1f}{cells['plan']:>22}{mean:9.1f}{cells['peeking']:>22}",
                flush=True,
            )


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--studies", type=int, default=1000, help="simulated studies a case")
    arguments.add_argument("--looks", type=int, nargs="+", default=[3, 6, 10], help="blocks")
    arguments.add_argument("--prompts", type=int, default=256)
    arguments.add_argument("--responses", type=int, default=8, help="to a prompt")
    arguments.add_argument("--whole", action="store_true", help="no other prompts exist")
    arguments.add_argument("--components", type=Path, help="a study's results to take noise from")
    arguments.add_argument("--between", type=float, help="another standard deviation of blocks")
    arguments.add_argument("--seed", type=int, default=1, help="seed of the simulation")
    main(arguments.parse_args())
