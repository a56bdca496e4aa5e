"""How often are the verdicts wrong? Simulated studies whose truth is known, through the real code.

    PYTHONPATH=workflow python benchmarks/claims.py --studies 1000

Each study has the miniature's noise: `benchmarks/components.py` estimates from a study's answers
how blocks, prompts and responses differ (`--components results/mini`; without it the values are
those that it recorded of the study that it names). All true effects of a study are the same
multiple of their claims' margins, from twice the margin in the other direction to twice the margin;
for times the factor is the margin to that power. Curves of accuracies stay level at all
checkpoints, where luck has most to choose from. Prompts of forgetting are all that there are.

Prints for each claim and truth how often it was supported and contradicted: alone, and after Holm
within its family of config/claims.yaml, as verdicts are issued. A star marks what is wrong there;
at the margin itself both are. The last columns are the plain percentile bootstrap of seeds and
prompts, without Holm, for claims of two runs' accuracies. The families are whole. Times come from
answers of their own, for a student that is truly worse than its expert never gets there.

With `--looks 3 6 10` a study grows to ten blocks, and is judged at each look by the plan; instead
of the plain bootstrap it says what the same looks would without one, each at its own 5 %, and at
how many blocks the plan decides on average.

A second table is of claims about more than two runs: the title's conjunction, where all of its
parts hold, where one is at its margin and where all are; the interaction; the largest difference.

A third table is of runs that truly stop just short of 90 % of the expert's gain and get there by
luck in part of the studies. Their true time is without end, and what is measured a lower bound.

The discrepancy claims of Table 1 are not simulated: a pair takes as long as two of these studies.
benchmarks/noise.py measures the intervals and the noise floor that they rest on.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import numpy as np
from components import MINI, Components, components, draw
from numpy.typing import NDArray

from online_il.claims import measured as claimed
from online_il.claims.drafts import (
    CONTRADICTED,
    SUPPORTED,
    UNDECIDED,
    Draft,
    draft_of,
    finish,
    measure,
    region,
    side_of,
)
from online_il.claims.judge import conjunction
from online_il.claims.looks import carry_over, kept
from online_il.claims.measured import Measured
from online_il.claims.records import ClaimVerdict
from online_il.claims.runs import ALL, Look, run_drafts
from online_il.config.claims import load_claims
from online_il.statistics.effects import Part, mean_effect
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
TITLE, INTERACTION = "online-helps-when-unrealizable", "mixture-interaction"
BOTH, RANGE = "the same, prompts drawn too", "coverage-online-flat"
SFT, DISTILL = "sft-realizable", "distill-realizable"

TRUTHS = (-2.0, -1.0, 0.0, 0.5, 1.0, 1.5, 2.0)
COSTS = np.array([2.0, 5, 10, 20, 40, 80, 160])
# Where the miniature's base and expert are; facts are forgotten from here.
START, GAIN, FACTS = 0.2, 0.4, 0.6
TASK = "simulated"
# Of the logarithm of a training's time on a loaded machine, in the study that `MINI` is of.
MACHINE = Part(0.122**2, 16)
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


class Several(NamedTuple):
    """A study for claims about more than two runs: how far its runs are apart."""

    words: str
    sft: float
    """SFT above its realizable expert."""
    distill: float
    """Distillation above SFT, where the expert is realizable."""
    short: float
    """SFT from the solver below the realizable expert."""
    ahead: float
    """Distillation above SFT, where the expert is a mixture."""
    apart: float
    """Two of four mixtures' distillations below the other two."""
    truths: dict[str, float]
    """What is true of each claim, in margins; of a conjunction 1: no part is beyond its own."""


SEVERAL = (
    Several(
        "all as claimed",
        0.0,
        0.0,
        0.1,
        0.2,
        0.0,
        {TITLE: 2.0, INTERACTION: 2.0, BOTH: 2.0, RANGE: 0.0},
    ),
    Several(
        "one part at its margin",
        0.0,
        0.05,
        0.1,
        0.15,
        0.05,
        {TITLE: 1.0, INTERACTION: 1.0, BOTH: 1.0, RANGE: 1.0},
    ),
    Several(
        "all parts at their margins",
        0.05,
        0.05,
        0.05,
        0.05,
        0.025,
        {TITLE: 1.0, INTERACTION: 0.0, BOTH: 0.0, RANGE: 0.5},
    ),
)

# Beyond any margin: the ratio of two times, one of them without end.
ENDLESS = 1e9
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


class Design(NamedTuple):
    """How large the simulated studies are, and what they vary by."""

    seeds: int
    prompts: int
    responses: int
    looks: tuple[int, ...]
    components: dict[str, Components]
    whole: bool = False
    """Whether the prompts are all that there are, on every benchmark."""


class Simulated:
    """A study without a database: one task, its runs' tables by benchmark and their costs."""

    def __init__(
        self, tables: Tables, costs: dict[str, Array], pace: dict[str, float], design: Design
    ) -> None:
        self._tables, self._costs, self._pace = tables, costs, pace
        self._known = claimed.Design(seeds=[*range(design.seeds)], whole=whole_of(design))

    def design(self, task: str) -> claimed.Design:
        return self._known

    def serves_all(self, task: str, name: str, measured: Mapping[str, Measured]) -> bool:
        return name == "base" and len(measured[name].seeds) == 1

    def benchmarks(self, task: str, group: str) -> list[str]:
        return [group]

    def runs(self, task: str, benchmark: str) -> dict[str, Measured]:
        return self._tables[benchmark]

    def cost(self, task: str, run: str, unit: str, steps: list[int], seeds: list[int]) -> Array:
        return self._costs[run] * (self._pace[run] if unit == "device-seconds" else 1.0)

    def machine_noise(self, task: str, seeds: list[int]) -> Part:
        return MACHINE


def whole_of(design: Design) -> list[str]:
    """Name the benchmarks whose prompts are all that there are, as the miniature's are."""
    return ["forgetting", *(["in-distribution"] if design.whole else [])]


def tables(rng: np.random.Generator, levels: dict[str, dict[str, Array]], design: Design) -> Tables:
    """Answers of all runs; `levels` are their accuracies at each checkpoint."""
    found: Tables = {}
    for benchmark, runs in levels.items():
        own = design.components[benchmark]
        count = max(len(level_K) for level_K in runs.values())
        level_R_K = np.array([np.resize(level_K, count) for level_K in runs.values()])
        shift_R_S = rng.normal(0, own.block / np.sqrt(2), (len(runs), design.seeds))
        level_R_S_K = np.clip(level_R_K[:, None] + shift_R_S[:, :, None], 0.001, 0.999)
        whole = benchmark in whole_of(design)
        # The likeliest choice is one answer, the same whenever a policy is asked.
        responses = 1 if benchmark == "forgetting" else design.responses
        answers = draw(rng, level_R_S_K, own, design.prompts, responses, whole)
        found[benchmark] = {}
        for (run, level_K), table_S_K_P in zip(runs.items(), answers, strict=True):
            seeds = 1 if run == "base" and benchmark == "forgetting" else design.seeds
            own_S_K_P = table_S_K_P[:seeds, : len(level_K)]
            if benchmark == "forgetting" and run == "base":
                known = round(float(level_K[0]) * design.prompts)
                own_S_K_P = (rng.permutation(design.prompts) < known)[None, None] * 1.0
            counts = (responses,) * len(level_K)
            start = "" if run == "base" else "base"
            found[benchmark][run] = Measured(
                [*range(seeds)], [*range(len(level_K))], own_S_K_P, start, counts
            )
    return found


def accuracies(rng: np.random.Generator, truth: float, design: Design) -> Simulated:
    """A study whose accuracies are `truth` margins apart."""
    level = np.full(len(COSTS), START + GAIN)
    apart = {name: truth * CLAIMS[name].margin for name in (*ACCURACIES, *DROPS)}
    last = COSTS[-1] == COSTS
    sft = level + apart["sft-realizable-matches"]
    facts = np.full(len(COSTS), FACTS)
    levels = {
        "in-distribution": {
            "expert": level,
            "sft-realizable": sft,
            "distill-realizable": sft + apart["distill-no-more-accurate"],
            "sft-unrealizable": level - apart["sft-unrealizable-falls-short"],
        },
        "out-of-distribution": {
            "base": level[:1],
            "expert": level,
            "sft-realizable": level + apart["ood-realizable-matches"],
            "sft-unrealizable": level - apart["ood-unrealizable-deteriorates"] * last,
        },
        "forgetting": {
            "base": facts[:1],
            "sft-realizable": facts - apart["forgetting-realizable-stable"],
            "sft-unrealizable": facts - apart["forgetting-unrealizable-drops"],
        },
    }
    return Simulated(tables(rng, levels, design), {}, {}, design)


def times(
    rng: np.random.Generator, levels: dict[str, Array], costs: dict[str, Array], design: Design
) -> Simulated:
    """A study of the runs that have costs, and of the base."""
    levels = {"base": np.full(1, START)} | levels
    pace = dict(zip(costs, np.exp(rng.normal(0, MACHINE.variance**0.5, len(costs))), strict=True))
    return Simulated(tables(rng, {"in-distribution": levels}, design), costs, pace, design)


class Draws:
    """What resampling asks of a generator, by another way that is ten times as fast."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def multinomial(self, count: int, chances: Array, size: int) -> Array:
        """Draw `count` things, each as likely as any other, and count them."""
        drawn = self._rng.integers(len(chances), size=(size, count))
        drawn += len(chances) * np.arange(size)[:, None]
        return np.bincount(drawn.ravel(), minlength=size * len(chances)).reshape(size, -1)


def measured(
    names: Sequence[str], whole: Simulated, rng: np.random.Generator, look: Look = ALL
) -> list[Draft]:
    """The claims' effects in a study, not yet judged."""
    return [
        draft
        for name in names
        for draft in (
            [with_prompts(whole, look)]
            if name == BOTH
            else run_drafts(CLAIMS[name], whole, TASK, RESAMPLES, Draws(rng), look)
        )
    ]


def with_prompts(whole: Simulated, look: Look) -> Draft:
    """The interaction with an interval of seeds and of prompts, where the claim's is of seeds."""
    claim = CLAIMS[INTERACTION]
    draft = draft_of(claim, TASK)
    draft.claim = draft.fields["family"] = BOTH
    draft.fields["id"] = f"{TASK}-{BOTH}"
    runs = [whole.runs("", claim.benchmarks)[run] for run in claim.runs]
    first, second, third, fourth = (run.accuracy_S_K_P[: look.blocks, -1] for run in runs)
    effect = mean_effect(first - second - (third - fourth), runs[0].responses(last=True), 2.0)
    measure(draft, effect, region("above", claim.margin), ratio=False, largest=2.0)
    return draft


def ways(drafts: list[Draft]) -> Iterator[tuple[str, list[Draft]]]:
    """The drafts within their families, and each claim by itself."""
    for draft in drafts:
        # It decides nothing and would take half of the time.
        draft.detectable = None
    yield "family", drafts
    alone = deepcopy(drafts)
    for draft in alone:
        draft.fields["family"] = draft.number = draft.claim
    yield "alone", alone


def rows_of(drafts: list[Draft]) -> list[ClaimVerdict]:
    """The verdicts, and that of the conjunction where its parts are there."""
    by_claim = {draft.claim: [draft] for draft in drafts}
    parts = CLAIMS[TITLE].claims
    whole = [conjunction(CLAIMS[TITLE], by_claim)] if {*parts} <= by_claim.keys() else []
    return [*finish(drafts), *whole]


def judged(drafts: list[Draft]) -> Iterator[tuple[str, str, str]]:
    """Claim, way and verdict: within the families, and each claim alone."""
    for way, ones in ways(drafts):
        for row in rows_of(ones):
            yield row.id.removeprefix(f"{TASK}-"), way, row.verdict


def judged_at_looks(
    names: Sequence[tuple[str, Simulated]], looks: tuple[int, ...], rng: np.random.Generator
) -> Iterator[tuple[str, str, str]]:
    """The same of a study that is looked at by a plan, and "plain" where there is none."""
    at, before = {}, []
    for blocks in looks:
        drafts = [
            one for name, whole in names for one in measured([name], whole, rng, Look(blocks))
        ]
        found = {"plain": rows_of(dict(ways(deepcopy(drafts)))["alone"])}
        # A plan has the same numbers, and corrects each p for its looks.
        for draft in drafts:
            draft.looks = len(looks)
            if draft.fields.get("p") is not None:
                draft.fields["p"] = draft.corrected_for_looks(draft.fields["p"])
        carry_over(before, drafts)
        at[blocks] = found | {way: rows_of(ones) for way, ones in ways(drafts)}
        before = drafts
    for way in ("plain", "family", "alone"):
        for row in kept({blocks: rows[way] for blocks, rows in at.items()}):
            claim = row.id.removeprefix(f"{TASK}-")
            yield claim, way, row.verdict
            if way == "family" and row.decided_at:
                yield claim, "blocks", str(row.decided_at)


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


def study(rng: np.random.Generator, truth: float, design: Design) -> Iterator[tuple[str, str, str]]:
    """Claim, way and verdict of one study whose effects are `truth` margins."""
    sooner, clock = (CLAIMS[name].margin ** truth for name in (SOONER, CLOCK))
    costs = {"expert": COSTS, SFT: COSTS / sooner, DISTILL: COSTS / sooner / clock}
    curve = START + GAIN * (1 - np.exp(-COSTS / 12))
    timed = times(rng, dict.fromkeys(costs, curve), costs, design)
    whole = accuracies(rng, truth, design)
    names = [
        *((name, whole) for name in (*ACCURACIES, *DROPS)),
        *((name, timed) for name in (CLOCK, *SAME_CLOCK, SOONER)),
    ]
    if design.looks:
        yield from judged_at_looks(names, design.looks, rng)
        return
    yield from judged([draft for name, one in names for draft in measured([name], one, rng)])
    drawn = next(resampled(design.seeds, design.prompts, RESAMPLES, Draws(rng)))
    for name in ACCURACIES:
        yield name, "plain", plain_bootstrap(drawn, whole, name)


def of_several(
    rng: np.random.Generator, case: Several, design: Design
) -> Iterator[tuple[str, str, str]]:
    """The same of one study of claims about more than two runs, and of the parts of one."""
    high = START + GAIN
    levels = {
        "expert": high,
        "sft-realizable": high + case.sft,
        "distill-realizable": high + case.sft + case.distill,
        "sft-unrealizable": high - case.short,
        "distill-mixture": high,
        "sft-mixture": high - case.ahead,
        "distill-mixture4": high - case.apart,
        "distill-mixture64": high,
        "distill-mixture256": high - case.apart,
    }
    curves = {run: np.array([level]) for run, level in levels.items()}
    whole = Simulated(tables(rng, {"in-distribution": curves}, design), {}, {}, design)
    names = (*CLAIMS[TITLE].claims, INTERACTION, BOTH, RANGE)
    if design.looks:
        yield from judged_at_looks([(name, whole) for name in names], design.looks, rng)
    else:
        yield from judged(measured(names, whole, rng))


def by_luck(rng: np.random.Generator, case: Case, design: Design) -> Iterator[tuple[str, ...]]:
    """The same of one study of a case, and "reached" where the short run gets there."""
    curves = {"expert": EXPERT} | case.curves
    levels = {run: START + GAIN * np.array(shares) for run, (_, shares) in curves.items()}
    costs = {run: np.array(cost) for run, (cost, _) in curves.items()}
    whole = times(rng, levels, costs, design)
    runs = whole.runs("", "in-distribution")
    mean_K = {name: run.accuracy_S_K_P.mean((0, 2)) for name, run in runs.items()}
    gain = mean_K["expert"][-1] - mean_K["base"][-1]
    if mean_K[case.short].max() >= mean_K["base"][-1] + SHARE * gain:
        yield ("reached",)
    yield from judged(measured([case.claim], whole, rng))


def cells(counts: Counter[tuple[str, ...]], name: str, way: str, truth: float, of: int) -> str:
    """How often a claim is supported and contradicted, with a star where that is wrong."""
    low, high = region("above" if name in (TITLE, BOTH) else side_of(CLAIMS[name]), 1.0)
    # At the margin itself both are: the claim is about less, or about more.
    wrong = {SUPPORTED: not low < truth < high, CONTRADICTED: low <= truth <= high}
    return "".join(
        f"{100 * counts[name, way, verdict] / of:8.1f} %{'*' if wrong[verdict] else ' '}"
        for verdict in wrong
    )


def blocks_of(counts: Counter[tuple[str, ...]], name: str) -> str:
    """At how many blocks a claim was decided on average, within its family."""
    at = {int(look): n for (one, way, look), n in counts.items() if (one, way) == (name, "blocks")}
    mean = sum(look * n for look, n in at.items()) / max(1, sum(at.values()))
    return f"{mean:8.1f}" if at else ""


def main(options: argparse.Namespace) -> None:
    own = components(options.components) if options.components else MINI
    if options.between is not None:
        own = {name: one._replace(block=options.between) for name, one in own.items()}
    looks = tuple(options.looks)
    seeds = max(looks, default=options.seeds)
    design = Design(seeds, options.prompts, options.responses, looks, own, options.whole)
    rng, of = np.random.default_rng(options.seed), options.studies
    print(f"{of} studies a line, {design}; supported and contradicted")
    last = "looks without a plan, alone; blocks" if looks else "plain bootstrap"
    print(f"{'claim':30}{'truth':>6}{'alone':>15}{'Holm':>22}{last:>31}")
    counts = {
        truth: Counter(said for _ in range(of) for said in study(rng, truth, design))
        for truth in options.truths
    }
    for name in (*ACCURACIES, *DROPS, CLOCK, *SAME_CLOCK, SOONER):
        plain = looks or name in ACCURACIES
        for truth in options.truths:
            shares = "".join(
                cells(counts[truth], name, way, truth, of)
                for way in ("alone", "family", *(["plain"] if plain else []))
            )
            print(f"{name:30}{truth:6.1f}{shares}{blocks_of(counts[truth], name)}".rstrip())
    print(f"\n{'claims of several runs':30}{'truth':>6}{'alone':>15}{'Holm':>22}{last:>31}")
    for several in SEVERAL:
        said = Counter(one for _ in range(of) for one in of_several(rng, several, design))
        print(f"{several.words}:")
        for name, truth in several.truths.items():
            ways_of = ("alone", "family", *(["plain"] if looks else []))
            shares = "".join(cells(said, name, way, truth, of) for way in ways_of)
            print(f"{name:30}{truth:6.1f}{shares}{blocks_of(said, name)}".rstrip())
    if looks:
        return
    print(f"\n{'a run is truly short':46}{'there by luck':>13}{'alone':>15}")
    for case in CASES:
        said = Counter(one for _ in range(of) for one in by_luck(rng, case, design))
        shares = cells(said, case.claim, "alone", case.truth, of)
        print(f"{case.words:46}{100 * said['reached',] / of:11.1f} %{shares}".rstrip())


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--studies", type=int, default=1000, help="simulated studies a truth")
    arguments.add_argument("--seeds", type=int, default=3, help="seeds or blocks")
    arguments.add_argument("--prompts", type=int, default=256)
    arguments.add_argument("--responses", type=int, default=1, help="to a prompt")
    arguments.add_argument("--whole", action="store_true", help="no other prompts exist")
    arguments.add_argument("--looks", type=int, nargs="+", default=[], help="blocks at each look")
    arguments.add_argument("--truths", type=float, nargs="+", default=TRUTHS, help="in margins")
    arguments.add_argument("--components", type=Path, help="a study's results to take noise from")
    arguments.add_argument("--between", type=float, help="another standard deviation of blocks")
    arguments.add_argument("--seed", type=int, default=1, help="seed of the simulation")
    main(arguments.parse_args())
