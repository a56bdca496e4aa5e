"""Every claim of config/claims.yaml in every task of a study: measured, judged or not run."""

import math
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from online_il.claims.board import effect
from online_il.claims.drafts import (
    CONTRADICTED,
    NOT_RUN,
    SUPPORTED,
    UNDECIDED,
    Draft,
    draft_of,
    finish,
    number_of,
    region,
    side_of,
)
from online_il.claims.looks import carry_over, kept
from online_il.claims.measured import Adapters, Measurements, adapters_in_words
from online_il.claims.pairs import pair_drafts
from online_il.claims.records import ClaimVerdict
from online_il.claims.runs import ALL, EXPERT, Look, run_drafts
from online_il.claims.theory import theory_number
from online_il.config.claims import (
    Claims,
    ConjunctionClaim,
    DiscrepancyClaim,
    RunClaim,
    TheoryClaim,
)
from online_il.layout import theory_panel
from online_il.statistics.effects import holm
from online_il.statistics.intervals import LEVEL, normal_interval
from online_il.statistics.looks import Plan


class Evidence(NamedTuple):
    """The results of a study that claims are judged by."""

    measurements: Measurements
    theory: Path | None
    """Folder of the theory's tables."""
    discrepancy: list[Path]
    """Tables of pairs, discrepancy/<task>/<expert>/<student>.parquet."""
    adapters: Adapters = MappingProxyType({})
    """The runs that trained an adapter in the place of all weights."""


def judge(
    claims: Claims, evidence: Evidence, plan: Plan | None = None, blocks: int | None = None
) -> list[ClaimVerdict]:
    """Judge all claims, in the order of the file, one after another in each task.

    With a plan: at each look that a study of `blocks` blocks has come to, each by its first blocks
    alone. What a look decides is kept; before the first look nothing of runs is decided.
    """
    if plan is None:
        return _rows(claims, _drafts(claims, evidence, ALL))
    if not (reached := plan.reached(blocks or 0)):
        drafts = _drafts(claims, evidence, Look(None, len(plan.looks)))
        _leave_open(drafts, f"Nothing is decided before the look at {plan.looks[0]} blocks.")
        return _rows(claims, drafts)
    rows, before = {}, list[Draft]()
    for look in reached:
        # Comparisons of responses are of all blocks at once.
        pairs = evidence.discrepancy if look == reached[-1] else []
        here = Look(look, len(plan.looks), look == plan.looks[-1])
        drafts = _drafts(claims, evidence._replace(discrepancy=pairs), here)
        of_pairs = {one.id for one in claims.claims if isinstance(one, DiscrepancyClaim)}
        compared = [draft for draft in drafts if draft.claim in of_pairs]
        if blocks != reached[-1]:
            _leave_open(compared, f"Compared are {blocks} blocks, for which no look is planned.")
        for draft in compared:
            if look != reached[0] and draft.side != NOT_RUN:
                draft.notes.append(
                    f"Judged anew at {look} blocks: nothing is kept of earlier looks."
                )
        carry_over(before, drafts)
        rows[look], before = _rows(claims, drafts), drafts
    return kept(rows)


def _leave_open(drafts: Iterable[Draft], reason: str) -> None:
    """Decide nothing that was measured, where no look is planned; the theory's are no looks."""
    for draft in drafts:
        if draft.fields["task"] and draft.side != NOT_RUN:
            draft.barred |= {SUPPORTED, CONTRADICTED}
            draft.notes.append(reason)


def _drafts(claims: Claims, evidence: Evidence, look: Look) -> list[Draft]:
    drafts: list[Draft] = []
    for claim in claims.claims:
        # All take the same resamples: a claim's numbers do not depend on which others there are,
        # and those of one number are one.
        rng = np.random.default_rng(claims.seed)
        if isinstance(claim, RunClaim):
            for task in evidence.measurements.tasks:
                resamples = claims.resamples
                drafts += run_drafts(claim, evidence.measurements, task, resamples, rng, look)
        elif isinstance(claim, DiscrepancyClaim):
            tables = evidence.discrepancy
            drafts += pair_drafts(claim, evidence.measurements, tables, look.planned)
        elif isinstance(claim, TheoryClaim):
            drafts.append(_theory_draft(claim, evidence.theory))
    for draft in drafts:
        _say_adapters(draft, evidence.adapters)
    return drafts


def _say_adapters(draft: Draft, adapters: Adapters) -> None:
    """Say which of the runs that a claim rests on are students of another class, being adapters."""
    if draft.side == NOT_RUN:
        return
    names = [*draft.fields["runs"], *([EXPERT] if draft.fields["unit"] == "factor" else [])]
    task = draft.fields["task"]
    draft.adapters = {name: adapters[task, name] for name in names if (task, name) in adapters}
    draft.notes.append(adapters_in_words(draft.adapters))


def _rows(claims: Claims, drafts: list[Draft]) -> list[ClaimVerdict]:
    by_claim: dict[str, list[Draft]] = {}
    for draft in drafts:
        by_claim.setdefault(draft.claim, []).append(draft)
    conjunctions = [
        conjunction(claim, by_claim)
        for claim in claims.claims
        if isinstance(claim, ConjunctionClaim)
    ]
    return [*finish(drafts), *conjunctions]


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


def conjunction(claim: ConjunctionClaim, by_claim: dict[str, list[Draft]]) -> ClaimVerdict:
    """Support a claim where all of its parts are, in every task; any one may contradict it.

    All must hold, so that each is supported at its own level, without Holm: an intersection-union
    test (Berger, Technometrics 24, 1982). That any one fails is corrected for the number of parts.
    """
    parts = {name: [d for d in by_claim[name] if d.side != NOT_RUN] for name in claim.claims}
    drafts = [draft for rows in parts.values() for draft in rows]
    absent = [by_claim[name][0].fields["title"] for name, rows in parts.items() if not rows]
    verdicts = [draft.alone for draft in drafts]
    against = _contradicting(drafts)
    if not drafts:
        verdict = NOT_RUN
    elif against:
        verdict = CONTRADICTED
    else:
        verdict = SUPPORTED if set(verdicts) == {SUPPORTED} and not absent else UNDECIDED
    counts = ", ".join(
        f"{verdicts.count(one)} {one}"
        for one in (SUPPORTED, CONTRADICTED, UNDECIDED)
        if one in verdicts
    )
    notes = [
        claim.note,
        f"Each part by itself, uncorrected: {counts}." if counts else "",
        *(f"Contradicted by “{draft.fields['title']}”." for draft in against),
        *filter(None, map(_small_but_there, drafts)),
        *(f"“{one}” was not run." for one in absent),
        adapters_in_words({run: rank for one in drafts for run, rank in one.adapters.items()}),
    ]
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


def _small_but_there(draft: Draft) -> str:
    """Say how large a part is that is supported within its margin and is surely not zero."""
    fields = draft.fields
    low, high = fields.get("low"), fields.get("high")
    if draft.alone != SUPPORTED or fields["unit"] == "factor" or fields["holds"] == "above":
        return ""
    # What is below a margin may be below zero: then it is no effect of the kind that is denied.
    if not fields["task"] or low is None or high is None:
        return ""
    if not (low > 0 or (high < 0 and fields["holds"] == "within")):
        return ""
    words = effect(ClaimVerdict(**fields, verdict=SUPPORTED))
    return f"“{fields['title']}”: {words}, {fields['holds']} {fields['margin']:g} and not zero."


def _contradicting(drafts: list[Draft]) -> list[Draft]:
    """List the parts that fail at a level corrected for all parts, by Holm's method."""
    if not drafts:
        return []
    fails = [draft.alone == CONTRADICTED for draft in drafts]
    # A number of the theory has no p: it is certain, or has its own interval.
    p = [
        (draft.fields.get("p") or 0.0) if one else 1.0
        for draft, one in zip(drafts, fails, strict=True)
    ]
    corrected = holm(np.array(p), [number_of(draft) for draft in drafts])
    return [draft for draft, one in zip(drafts, corrected, strict=True) if one < 1 - LEVEL]
