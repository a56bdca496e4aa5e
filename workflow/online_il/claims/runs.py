"""Claims about runs: their numbers, from the accuracies and costs of a study."""

import math
from collections.abc import Hashable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from online_il import benchmarks
from online_il.claims.drafts import (
    CONTRADICTED,
    SUPPORTED,
    UNDECIDED,
    Draft,
    draft_of,
    in_range,
    measure,
    measure_curve,
    measure_range,
    region,
    side_of,
)
from online_il.claims.measured import Measured, Measurements, own_base
from online_il.config.claims import (
    RATIOS,
    DegradationClaim,
    DifferenceClaim,
    InteractionClaim,
    RangeClaim,
    RunClaim,
)
from online_il.statistics.effects import Part, best_of_others, mean_effect, over_blocks
from online_il.statistics.intervals import LEVEL, TAIL, Array
from online_il.statistics.speed import Curve, Speed, speed
from online_il.store import BASE

EXPERT = "expert"
"""The run whose gain over the base is the yardstick of speed."""


class Look(NamedTuple):
    """How much of a study is looked at, and how often that is planned."""

    blocks: int | None = None
    """The first so many seeds; None: all."""
    planned: int = 1
    last: bool = False
    """Whether it is the last of those."""


ALL = Look()


def run_drafts(
    claim: RunClaim,
    measurements: Measurements,
    task: str,
    resamples: int,
    rng: np.random.Generator,
    look: Look = ALL,
) -> Iterator[Draft]:
    """Measure a claim about runs: a row a benchmark, or one that says why there is none."""
    found = measurements.benchmarks(task, claim.benchmarks)
    for name in found or [""]:
        draft = draft_of(claim, task)
        draft.looks, draft.last = look.planned, look.last
        draft.fields["runs"] = list(claim.runs)
        draft.fields["statistic"] = statistic_in_words(claim, name or claim.benchmarks)
        draft.fields["unit"] = "factor" if claim.statistic in RATIOS else "accuracy"
        if len(found) > 1:
            draft.fields["id"] = f"{task}-{name}-{claim.id}"
            draft.fields["title"] += f" ({benchmarks.TITLES[name]})"
        if not found:
            draft.notes = [f"{task} has no benchmark {_group_in_words(claim.benchmarks)}."]
            yield draft
            continue
        measured = measurements.runs(task, name)
        base = own_base(claim.runs[0], measured)
        draft.fields["statistic"] = statistic_in_words(claim, name, base)
        draft.number = _number(claim, name, base)
        if missing := [run for run in _needed(claim, measured) if run not in measured]:
            draft.notes = [f"{task} has no run {' and no run '.join(missing)}."]
        else:
            _measure_runs(draft, claim, measurements, task, name, resamples, rng, look.blocks)
        yield draft


def _number(claim: RunClaim, benchmark: str, base: str) -> Hashable:
    """Name the number that a claim is about: which runs' ends are taken off which others."""
    if isinstance(claim, RangeClaim):
        return "range", benchmark, frozenset(claim.runs)
    if claim.statistic == "accuracy":
        first, second, *others = claim.runs
        sides = {first, *others[1:]}, {second, *others[:1]}
    elif claim.statistic == "final-drop":
        sides = {base}, set(claim.runs)
    else:
        return claim.statistic, benchmark, tuple(claim.runs)
    # The same number with the other sign has the same interval.
    return "ends", benchmark, frozenset(map(frozenset, sides))


def statistic_in_words(claim: RunClaim, benchmark: str, base: str = BASE) -> str:
    """Describe the statistic of a claim on a benchmark; `base` is that of its first run."""
    where = f"on {benchmark}"
    if isinstance(claim, InteractionClaim):
        first, second, third, fourth = claim.runs
        return f"final accuracy {where}, ({first} less {second}) less ({third} less {fourth})"
    if isinstance(claim, RangeClaim):
        runs = ", ".join(claim.runs)
        return f"largest difference of final accuracies {where} between any two of {runs}"
    if claim.statistic == "accuracy":
        return f"final accuracy {where}, {claim.runs[0]} less {claim.runs[1]}"
    if claim.statistic == "worst-drop":
        return f"accuracy {where}, {base} less {claim.runs[0]}'s worst checkpoint"
    if claim.statistic == "final-drop":
        return f"accuracy {where}, {base} less {claim.runs[0]} at its end"
    if claim.statistic == "drop-from-best":
        return f"accuracy {where}, {claim.runs[0]}'s best checkpoint less its last"
    return (
        f"{claim.statistic} to reach 90 % of the expert's gain {where}, {claim.runs[1]}'s over "
        f"{claim.runs[0]}'s"
    )


def _group_in_words(group: str) -> str:
    return {"forgetting": "of forgetting"}.get(group, group.replace("-", " "))


def _needed(claim: RunClaim, measured: Mapping[str, Measured]) -> list[str]:
    extra = []
    if isinstance(claim, DegradationClaim):
        extra = [own_base(claim.runs[0], measured)]
    elif isinstance(claim, DifferenceClaim) and claim.statistic in RATIOS:
        begun = [measured[run].start.partition("@")[0] for run in claim.runs if run in measured]
        extra = [EXPERT, own_base(EXPERT, measured), *begun]
    return list(dict.fromkeys([*claim.runs, *extra]))


def _measure_runs(
    draft: Draft,
    claim: RunClaim,
    measurements: Measurements,
    task: str,
    benchmark: str,
    resamples: int,
    rng: np.random.Generator,
    blocks: int | None,
) -> None:
    measured = measurements.runs(task, benchmark)
    names = _needed(claim, measured)
    # A student of seed k imitates the expert of seed k: pairs by seed. A base may serve all.
    design = measurements.design(task)
    shared = {name for name in measured if measurements.serves_all(task, name, measured)}
    own = [set(measured[name].seeds) for name in names if name not in shared]
    seeds = sorted(set.intersection(*own)) if own else measured[BASE].seeds[:1]
    if blocks is not None and design.seeds is not None:
        seeds = [seed for seed in seeds if seed in design.seeds[:blocks]]
    prompts = measured[names[0]].accuracy_S_K_P.shape[2]
    if not seeds or prompts < 2:
        what = "no seed that all of them have" if not seeds else "fewer than two prompts"
        draft.notes = [f"{' and '.join(names)}: {what}."]
        return
    draft.fields |= {"n_seeds": len(seeds), "n_prompts": prompts}
    if blocks is not None and len(seeds) < blocks:
        draft.notes.append(f"{len(seeds)} of the look's {blocks} blocks have all of these runs.")

    def table(name: str) -> Array:
        run = measured[name]
        if name in shared:
            return np.repeat(run.accuracy_S_K_P[:1, -1:], len(seeds), axis=0)
        return run.accuracy_S_K_P[[run.seeds.index(seed) for seed in seeds]]

    if isinstance(claim, DifferenceClaim) and claim.statistic in RATIOS:
        costs = {
            name: measurements.cost(task, name, claim.statistic, measured[name].steps, seeds)
            for name in claim.runs
        }
        # A curve begins with what its run starts from.
        begun = {}
        for name in claim.runs:
            before, _, step = measured[name].start.partition("@")
            column = measured[before].steps.index(int(step)) if step else 0
            begun[name] = table(before)[:, [column]]
        base = table(own_base(EXPERT, measured))[:, 0]
        curves = {
            name: Curve(
                np.concatenate([begun[name], table(name)], axis=1), np.append(0.0, costs[name])
            )
            for name in claim.runs
        }
        # One clock is another where it is so many times as fast in both runs.
        unit = costs[min(claim.runs)][-1]
        clocks = [(name, *(costs[name] / unit).round(9)) for name in sorted(claim.runs)]
        draft.number = "speed", benchmark, tuple(clocks)
        timed = claim.statistic == "device-seconds"
        noise = measurements.machine_noise(task, seeds) if timed else None
        whole = benchmark in design.whole
        fast, slow = (curves[name] for name in claim.runs)
        found = speed(fast, slow, table(EXPERT)[:, -1], base, resamples, rng, whole=whole)
        _measure_speed(draft, claim, found, noise)
        return

    ends = claim.statistic not in ("worst-drop", "drop-from-best")
    responses = min(measured[name].responses(last=ends) for name in names)
    whole = benchmark in design.whole
    estimate = partial(over_blocks if whole else mean_effect, responses=responses)
    if whole:
        draft.notes.append(
            f"The {prompts} prompts are all that there are and carry no error: the interval is of "
            "seeds alone."
        )
    if isinstance(claim, DegradationClaim):
        run, base = table(claim.runs[0]), table(own_base(claim.runs[0], measured))
        if claim.statistic == "worst-drop":
            drop_S_K_P = base - run
            measure_curve(draft, drop_S_K_P, claim.margin, estimate)
        else:
            best = best_of_others(np.concatenate([base, run[:, :-1]], axis=1))
            start = base[:, 0] if claim.statistic == "final-drop" else best
            drop = estimate(start - run[:, -1])
            measure(draft, drop, region("above", claim.margin), ratio=False)
    elif isinstance(claim, RangeClaim):
        ends_S_K_P = np.stack([table(name)[:, -1] for name in claim.runs], axis=1)
        measure_range(draft, ends_S_K_P, claim.margin, estimate)
    else:
        holds = region(side_of(claim), claim.margin)
        first, second, *others = (table(name)[:, -1] for name in claim.runs)
        if others:
            twice_S_P = first - second - (others[0] - others[1])
            effect = estimate(twice_S_P, largest=2.0)
            measure(draft, effect, holds, ratio=False, largest=2.0)
            other = (mean_effect if whole else over_blocks)(twice_S_P, responses, largest=2.0)
            low, high = (in_range(end, 2.0) for end in other.interval(TAIL / draft.looks))
            way = (
                "With the prompts as a sample, too," if whole else "By Student's t over seeds alone"
            )
            draft.notes.append(f"{way} the interval is [{low:+.3f}, {high:+.3f}].")
        else:
            measure(draft, estimate(first - second), holds, ratio=False)


def _measure_speed(
    draft: Draft,
    claim: DifferenceClaim,
    found: Speed,
    noise: Part | None,
) -> None:
    if math.isnan(found.effect.value):
        draft.side = UNDECIDED
        draft.notes.append("The expert gained nothing over the base.")
        return
    margin = math.log(claim.margin)
    effect = found.effect
    if noise:
        # Of both runs' times, and not less with more seeds: their trainings may share a load.
        part = noise._replace(variance=2 * noise.variance)
        effect = effect._replace(parts=(*effect.parts, part))
        draft.notes.append(
            f"The same training took {math.exp(math.sqrt(noise.variance)) - 1:.0%} more or less "
            "time on this machine (standard deviation), which is in the interval."
        )
    measure(draft, effect, region(side_of(claim), margin), ratio=True)
    # A run that never gets there took at least all its time: a bound on the factor from one side.
    # So does one that gets there in this study and in too many of the resampled ones not.
    above = effect.value > margin
    shares = (found.first_never, found.second_never)
    first_never, second_never = (share > TAIL for share in shares)
    if (first_never and (above or second_never)) or (second_never and not above):
        draft.barred |= {SUPPORTED, CONTRADICTED}
    for name, share in zip(claim.runs, shares, strict=True):
        if share > TAIL:
            often = "never" if share == 1.0 else f"in {share:.0%} of the resampled studies never"
            draft.notes.append(
                f"{name} {often} gets there; its whole training stands for the time."
            )
    if found.lost > 1 - LEVEL:
        draft.barred |= {SUPPORTED, CONTRADICTED}
        draft.notes.append("The expert's gain cannot be told from none.")
