"""Every claim of config/claims.yaml in every task of a study: measured, judged or not run."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from online_il import benchmarks
from online_il.claims.drafts import (
    CONTRADICTED,
    NOT_RUN,
    SUPPORTED,
    UNDECIDED,
    Draft,
    draft_of,
    finish,
    measure,
    measure_curve,
    measure_range,
    region,
    side_of,
)
from online_il.claims.measured import Measured, Measurements, is_base, own_base
from online_il.claims.pairs import pair_drafts
from online_il.claims.records import ClaimVerdict
from online_il.claims.theory import theory_number
from online_il.config.claims import (
    RATIOS,
    Claims,
    ConjunctionClaim,
    DegradationClaim,
    DifferenceClaim,
    DiscrepancyClaim,
    InteractionClaim,
    RangeClaim,
    RunClaim,
    TheoryClaim,
)
from online_il.layout import theory_panel
from online_il.statistics.effects import best_of_others, mean_effect
from online_il.statistics.intervals import LEVEL, TAIL, Array, normal_interval
from online_il.statistics.speed import Curve, speed
from online_il.store import BASE

EXPERT = "expert"
"""The run whose gain over the base is the yardstick of speed."""


class Evidence(NamedTuple):
    """The results of a study that claims are judged by."""

    measurements: Measurements
    theory: Path | None
    """Folder of the theory's tables."""
    discrepancy: list[Path]
    """Tables of pairs, discrepancy/<task>/<expert>/<student>.parquet."""


def judge(claims: Claims, evidence: Evidence) -> list[ClaimVerdict]:
    """Judge all claims, in the order of the file, one after another in each task."""
    drafts: list[Draft] = []
    for index, claim in enumerate(claims.claims):
        rng = np.random.default_rng([claims.seed, index])
        if isinstance(claim, RunClaim):
            for task in evidence.measurements.tasks:
                drafts += run_drafts(claim, evidence.measurements, task, claims.resamples, rng)
        elif isinstance(claim, DiscrepancyClaim):
            drafts += pair_drafts(claim, evidence.measurements, evidence.discrepancy)
        elif isinstance(claim, TheoryClaim):
            drafts.append(_theory_draft(claim, evidence.theory))
    single = finish(drafts)
    by_claim: dict[str, list[ClaimVerdict]] = {}
    for draft, verdict in zip(drafts, single, strict=True):
        by_claim.setdefault(draft.claim, []).append(verdict)
    conjunctions = [
        conjunction(claim, by_claim)
        for claim in claims.claims
        if isinstance(claim, ConjunctionClaim)
    ]
    return [*single, *conjunctions]


# ---- claims about runs ----


def run_drafts(
    claim: RunClaim,
    measurements: Measurements,
    task: str,
    resamples: int,
    rng: np.random.Generator,
) -> Iterator[Draft]:
    """Measure a claim about runs: a row a benchmark, or one that says why there is none."""
    found = measurements.benchmarks(task, claim.benchmarks)
    for name in found or [""]:
        draft = draft_of(claim, task)
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
        if missing := [run for run in _needed(claim, measured) if run not in measured]:
            draft.notes = [f"{task} has no run {' and no run '.join(missing)}."]
        else:
            _measure_runs(draft, claim, measurements, task, measured, resamples, rng)
        yield draft


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
    measured: dict[str, Measured],
    resamples: int,
    rng: np.random.Generator,
) -> None:
    names = _needed(claim, measured)
    # A student of seed k imitates the expert of seed k: pairs by seed. A base serves all.
    own = [set(measured[name].seeds) for name in names if not is_base(name, measured)]
    seeds = sorted(set.intersection(*own)) if own else measured[BASE].seeds[:1]
    prompts = measured[names[0]].accuracy_S_K_P.shape[2]
    if not seeds or prompts < 2:
        what = "no seed that all of them have" if not seeds else "fewer than two prompts"
        draft.notes = [f"{' and '.join(names)}: {what}."]
        return
    draft.fields |= {"n_seeds": len(seeds), "n_prompts": prompts}

    def table(name: str) -> Array:
        run = measured[name]
        if is_base(name, measured):
            return np.repeat(run.accuracy_S_K_P[:1, -1:], len(seeds), axis=0)
        return run.accuracy_S_K_P[[run.seeds.index(seed) for seed in seeds]]

    if isinstance(claim, DifferenceClaim) and claim.statistic in RATIOS:
        costs = {
            name: measurements.cost(task, name, claim.statistic, measured[name].steps)
            for name in claim.runs
        }
        # A curve begins with what its run starts from.
        begun = {}
        for name in claim.runs:
            before, _, step = measured[name].start.partition("@")
            column = measured[before].steps.index(int(step)) if step else 0
            begun[name] = table(before)[:, [column]]
        base = table(own_base(EXPERT, measured))[0, 0]
        curves = {
            name: Curve(
                np.concatenate([begun[name], table(name)], axis=1), np.append(0.0, costs[name])
            )
            for name in claim.runs
        }
        _measure_speed(draft, claim, curves, table(EXPERT)[:, -1], base, resamples, rng)
    elif isinstance(claim, DegradationClaim):
        run, base = table(claim.runs[0]), table(own_base(claim.runs[0], measured))
        if claim.statistic == "worst-drop":
            measure_curve(draft, base - run, claim.margin, resamples, rng)
        else:
            best = best_of_others(np.concatenate([base, run[:, :-1]], axis=1))
            start = base[:, 0] if claim.statistic == "final-drop" else best
            drop = mean_effect(start - run[:, -1])
            measure(draft, drop, region("above", claim.margin), ratio=False)
    elif isinstance(claim, RangeClaim):
        ends_S_K_P = np.stack([table(name)[:, -1] for name in claim.runs], axis=1)
        measure_range(draft, ends_S_K_P, claim.margin, resamples, rng)
    else:
        holds = region(side_of(claim), claim.margin)
        first, second, *others = (table(name)[:, -1] for name in claim.runs)
        if others:
            twice_S_P = first - second - (others[0] - others[1])
            effect = mean_effect(twice_S_P, largest=2.0)
            measure(draft, effect, holds, ratio=False, largest=2.0)
        else:
            measure(draft, mean_effect(first - second), holds, ratio=False)


def _measure_speed(
    draft: Draft,
    claim: DifferenceClaim,
    curves: Mapping[str, Curve],
    expert: Array,
    base: Array,
    resamples: int,
    rng: np.random.Generator,
) -> None:
    first, second = (curves[name] for name in claim.runs)
    found = speed(first, second, expert, base, resamples, rng)
    if math.isnan(found.effect.value):
        draft.side = UNDECIDED
        draft.notes.append("The expert gained nothing over the base.")
        return
    margin = math.log(claim.margin)
    measure(draft, found.effect, region(side_of(claim), margin), ratio=True)
    # A run that never gets there took at least all its time: a bound on the factor from one side.
    # So does one that gets there in this study and in too many of the resampled ones not.
    above = found.effect.value > margin
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


# ---- claims about the theory, and of several claims ----


def _theory_draft(claim: TheoryClaim, tables: Path | None) -> Draft:
    draft = draft_of(claim, None)
    if tables is None:
        draft.fields["statistic"] = claim.statistic
        draft.notes = ["This study has no theory."]
        return draft
    if claim.panel and not theory_panel(tables, claim.panel).is_file():
        draft.fields["statistic"] = claim.statistic
        draft.notes = [f"This study has no panel {claim.panel}."]
        return draft
    found = theory_number(tables, claim.statistic, claim.panel)
    value = found.value - claim.target
    less = f", less {claim.target:g}" if claim.target else ""
    draft.fields |= {"statistic": found.words + less, "unit": found.unit}
    if math.isnan(value):
        draft.notes = ["This study's theory has no such instance."]
        return draft
    low, high = normal_interval(value, found.stderr)
    holds = region(side_of(claim), claim.margin)
    draft.fields |= {"effect": value, "low": low, "high": high}
    # Nothing is no excess, but a risk at its bound is not above it.
    if holds[0] < low and high <= holds[1]:
        draft.side = SUPPORTED
    else:
        draft.side = CONTRADICTED if high < holds[0] or low > holds[1] else UNDECIDED
    return draft


def conjunction(claim: ConjunctionClaim, by_claim: dict[str, list[ClaimVerdict]]) -> ClaimVerdict:
    """Support a claim where all of its parts are, in every task; any one may contradict it."""
    parts = {name: [v for v in by_claim[name] if v.verdict != NOT_RUN] for name in claim.claims}
    verdicts = [row.verdict for rows in parts.values() for row in rows]
    absent = [name for name, rows in parts.items() if not rows]
    if not verdicts:
        verdict = NOT_RUN
    elif CONTRADICTED in verdicts:
        verdict = CONTRADICTED
    else:
        verdict = SUPPORTED if set(verdicts) == {SUPPORTED} and not absent else UNDECIDED
    counts = ", ".join(
        f"{verdicts.count(one)} {one}"
        for one in (SUPPORTED, CONTRADICTED, UNDECIDED)
        if one in verdicts
    )
    notes = [claim.note, f"{counts}." if counts else "", *(f"{one} was not run." for one in absent)]
    return ClaimVerdict(
        id=claim.id,
        title=claim.title,
        family=claim.family,
        task=None,
        source=claim.source,
        kind=claim.kind,
        runs=[],
        statistic="all of " + ", ".join(claim.claims),
        unit="verdicts",
        margin=0.0,
        holds="all",
        verdict=verdict,
        note=" ".join(filter(None, notes)),
    )
