"""Turns an effect into a verdict.

A claim holds in a region: within the margin (equivalence), beyond it (superiority) or not beyond it
(non-inferiority). It is supported where the region's complement is refused and contradicted where
the region is: the 95 % interval lies wholly inside, or wholly outside. Both are one test of the
distance from the region's nearest end, two-sided at 5 %; for equivalence it is two one-sided tests,
each at 2.5 %. Within a family of a task Holm corrects the p values; what is neither is undecided.
A number that several claims are about, or the same number under another name, counts once.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np

from online_il.claims.records import ClaimVerdict
from online_il.config.claims import (
    DegradationClaim,
    DiscrepancyClaim,
    InteractionClaim,
    RunClaim,
    TheoryClaim,
)
from online_il.statistics.effects import Effect, holm, mean_effect
from online_il.statistics.intervals import LEVEL, TAIL, Array

SUPPORTED, CONTRADICTED, UNDECIDED, NOT_RUN = "supported", "contradicted", "undecided", "not run"

COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
LARGEST = 50.0
"""Logarithm of the largest factor that is written."""


@dataclass
class Draft:
    """A claim of a task before it is corrected for the number of claims."""

    claim: str
    fields: dict[str, Any]
    side: str = NOT_RUN
    """The verdict that the estimate itself points to."""
    barred: set[str] = field(default_factory=set)
    """Verdicts that these data cannot give, whatever p is."""
    notes: list[str] = field(default_factory=list)
    detectable: Callable[[float], float] | None = None
    """The distance that such studies would see, of the tail that an interval leaves."""
    number: Hashable = None
    """What number it is about, in its task: claims about the same one count once; None: its own."""
    looks: int = 1
    """Looks at the data that are planned, which share the error equally."""
    last: bool = False
    """Whether this is the last of the planned looks."""
    adapters: dict[str, int] = field(default_factory=dict)
    """The runs that it rests on and that trained an adapter, with its rank."""
    best_p: float | None = None
    """Of an equivalence: p if nothing differed at all, with intervals as wide as these."""

    @property
    def alone(self) -> str:
        """The verdict of the claim by itself, without the others of its family."""
        p = self.fields.get("p")
        if self.side == NOT_RUN:
            return NOT_RUN
        decided = self.side not in self.barred and (p is None or p < 1 - LEVEL)
        return self.side if decided else UNDECIDED

    def corrected_for_looks(self, p: float) -> float:
        """Multiply p by the planned looks (Bonferroni), at any of which it may be decided."""
        return min(1.0, p * self.looks)


def draft_of(claim: RunClaim | DiscrepancyClaim | TheoryClaim, task: str | None) -> Draft:
    """Begin a claim's draft in a task, with all that is known before anything is measured."""
    return Draft(
        claim.id,
        {
            "id": claim.id if task is None else f"{task}-{claim.id}",
            "title": claim.title,
            "family": claim.family,
            "task": task,
            "source": claim.source,
            "kind": claim.kind,
            "runs": [],
            "unit": "accuracy",
            "margin": claim.margin,
            "holds": side_of(claim),
            "statistic": "",
        },
        notes=[claim.note],
    )


def side_of(claim: RunClaim | DiscrepancyClaim | TheoryClaim) -> str:
    """Name the side of its margin on which a claim holds."""
    if isinstance(claim, DegradationClaim):
        return "below" if claim.statistic == "worst-drop" else "above"
    key = claim.expect if isinstance(claim, TheoryClaim | InteractionClaim) else claim.kind
    return {
        "equivalence": "within",
        "superiority": "above",
        "non-inferiority": "below",
        "range": "below",
        "discrepancy": "above",
        "within": "within",
        "at-least": "above",
        "at-most": "below",
    }[key]


def region(side: str, margin: float) -> tuple[float, float]:
    """Return the interval of effects in which a claim on this side of its margin holds."""
    return {
        "within": (-margin, margin),
        "above": (margin, math.inf),
        "below": (-math.inf, margin),
    }[side]


def measure(
    draft: Draft,
    effect: Effect,
    holds: tuple[float, float],
    *,
    ratio: bool,
    largest: float = 1.0,
) -> None:
    """Fill in a single effect; `ratio`: it is the logarithm of a factor.

    A difference that is none is shown within ± `largest`.
    """
    low, high = effect.interval(TAIL / draft.looks)
    inside = min(effect.value - holds[0], holds[1] - effect.value)
    draft.side = SUPPORTED if inside > 0 else CONTRADICTED
    draft.detectable = lambda tail: in_unit(effect.detectable(tail), ratio=ratio)
    for name, number in (("effect", effect.value), ("low", low), ("high", high)):
        shown = in_unit(number, ratio=ratio) if ratio else in_range(number, largest)
        draft.fields[name] = shown
    draft.fields["p"] = draft.corrected_for_looks(effect.p_value(inside))
    if math.isfinite(holds[0]) and math.isfinite(holds[1]):
        draft.best_p = draft.corrected_for_looks(effect.p_value(holds[1]))
    _few_seeds(draft, effect.seeds)
    _unvaried(draft, [effect])


def measure_curve(
    draft: Draft,
    difference_S_K_P: Array,
    margin: float,
    estimate: Callable[[Array], Effect] = mean_effect,
) -> list[Effect]:
    """Fill in the largest mean difference over a curve's points, claimed to be below the margin.

    It is below where every point is, each by itself; that one is surely above needs an interval
    that holds for all points at once. So the interval's upper end is the largest of the points'
    own, and its lower end the largest of those corrected for the number of points (Bonferroni:
    three seeds do not tell how the points move together). `estimate` makes a point's effect.
    Returns the effects of all points.
    """
    effects_K = [estimate(point_S_P) for point_S_P in difference_S_K_P.transpose(1, 0, 2)]
    tail = TAIL / draft.looks
    effect = max(effects_K, key=lambda one: one.value)
    above = [one.p_value(one.value - margin) for one in effects_K if one.value >= margin]
    if above:
        draft.side, p = CONTRADICTED, min(1.0, len(effects_K) * min(above))
    else:
        draft.side, p = SUPPORTED, max(one.p_value(margin - one.value) for one in effects_K)
    draft.fields |= {
        "effect": effect.value,
        "low": in_range(max(one.interval(tail / len(effects_K))[0] for one in effects_K)),
        "high": in_range(max(one.interval(tail)[1] for one in effects_K)),
        "p": draft.corrected_for_looks(p),
    }
    draft.detectable = lambda tail: max(one.detectable(tail) for one in effects_K)
    _few_seeds(draft, effect.seeds)
    _unvaried(draft, effects_K)
    return effects_K


def measure_range(
    draft: Draft,
    ends_S_K_P: Array,
    margin: float,
    estimate: Callable[[Array], Effect] = mean_effect,
) -> None:
    """Fill in the largest difference between any two of K runs' ends, claimed below the margin.

    It is below where that of every two is, in both directions: equivalence of each pair by itself,
    for which nothing needs to be corrected (Berger, Technometrics 24, 1982). That some two surely
    are further apart needs an interval for all pairs at once. Both are those of a curve's points.
    """
    two = permutations(range(ends_S_K_P.shape[1]), 2)
    difference_S_K_P = np.stack([ends_S_K_P[:, a] - ends_S_K_P[:, b] for a, b in two], axis=1)
    pairs = measure_curve(draft, difference_S_K_P, margin, estimate)
    draft.fields["low"] = max(0.0, draft.fields["low"])
    draft.best_p = draft.corrected_for_looks(max(one.p_value(margin) for one in pairs))


def in_range(difference: float, largest: float = 1.0) -> float:
    """Clip a difference of shares as it is shown: none is beyond `largest`."""
    return min(max(difference, -largest), largest)


def in_unit(number: float, *, ratio: bool) -> float:
    """Turn a number into what is shown; `ratio`: it is the logarithm of a factor."""
    # No factor is beyond this; an interval may be, in a study of a few answers.
    return math.exp(min(number, LARGEST)) if ratio else number


def _few_seeds(draft: Draft, seeds: int) -> None:
    if seeds == 1:
        draft.barred |= {SUPPORTED, CONTRADICTED}
        draft.notes.append("One seed: how much seeds differ is not known, so nothing is decided.")


def _unvaried(draft: Draft, effects: Sequence[Effect]) -> None:
    """Decide nothing where no block differs from another, until the last planned look.

    Student's t has then seen no variance, and its interval is as wide as one response: how likely
    a base is that does otherwise, only the number of blocks tells.
    """
    if not all(one.alike for one in effects):
        return
    blocks = effects[0].seeds
    if draft.last:
        unseen = 1 - (1 - LEVEL) ** (1 / blocks)
        draft.notes.append(
            f"No block differs from another: up to {unseen:.0%} of bases could do otherwise, and "
            f"all {blocks} of these not be among them."
        )
    else:
        draft.barred |= {SUPPORTED, CONTRADICTED}
        words = COUNTS[blocks] if blocks < len(COUNTS) else blocks
        draft.notes.append(
            f"No block differs from another: {words} bases cannot say what the next one would do."
        )


def finish(drafts: Sequence[Draft]) -> list[ClaimVerdict]:
    """Give the verdicts, p values corrected within each family of a task by Holm's method."""
    families: dict[Hashable, list[Draft]] = {}
    notes = dict.fromkeys(map(id, drafts), "")
    firsts: dict[Hashable, Draft] = {}
    for draft in drafts:
        if draft.fields.get("p") is None:
            continue
        first = firsts.setdefault(number_of(draft), draft)
        if first.fields["family"] != draft.fields["family"]:
            notes[id(draft)] = f"The same number as “{first.fields['title']}”, and counted there."
        families.setdefault((draft.fields["task"], first.fields["family"]), []).append(draft)
    for members in families.values():
        p = np.array([draft.fields["p"] for draft in members])
        numbers = [number_of(draft) for draft in members]
        corrected, count = holm(p, numbers), len(set(numbers))
        for index, draft in enumerate(members):
            draft.fields["p_holm"] = float(corrected[index])
            if draft.detectable:
                # At Holm's first and hardest step: seen whatever the family's other claims are.
                draft.fields["detectable"] = draft.detectable(TAIL / count / draft.looks)
            refused = draft.alone == draft.side and corrected[index] >= 1 - LEVEL
            # What an earlier look saw is no worse than the best of this one.
            best = None if draft.best_p is None else min(draft.best_p, p[index])
            hopeless = best is not None and _hopeless(best, p, numbers, index)
            if refused:
                family = f"as one of {count} claims of its family"
                notes[id(draft)] += (
                    f" By itself supported; {family}, as the others are, no result could have been."
                    if hopeless and draft.side == SUPPORTED
                    else f" By itself {draft.side}; not so {family}."
                )
            elif hopeless:
                notes[id(draft)] += (
                    " No result could have supported this margin, with as many seeds and prompts "
                    f"as these and {count - 1} other claims in its family as they are."
                )
    return [_verdict(draft, notes[id(draft)]) for draft in drafts]


def number_of(draft: Draft) -> Hashable:
    """Name the number of its task that a draft is about."""
    name = draft.fields["id"] if draft.number is None else draft.number
    return draft.fields["task"], name


def _hopeless(best: float, p: Array, numbers: Sequence[Hashable], index: int) -> bool:
    """Say whether Holm would refuse even the best p that a claim could have had in its family."""
    other = p.copy()
    other[index] = best
    return bool(holm(other, numbers)[index] >= 1 - LEVEL)


def _verdict(draft: Draft, note: str) -> ClaimVerdict:
    verdict = draft.alone
    if verdict != NOT_RUN and (draft.fields.get("p_holm") or 0.0) >= 1 - LEVEL:
        verdict = UNDECIDED
    words = " ".join(filter(None, [*draft.notes, note.strip()]))
    return ClaimVerdict(**draft.fields, verdict=verdict, note=words)
