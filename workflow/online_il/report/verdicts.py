"""The verdict board: the claims of `claims.json`, grouped, counted and drawn as intervals."""

import math
from pathlib import Path
from typing import NamedTuple

from online_il.claims.board import (
    FACTOR,
    LOOKS,
    decided_in_words,
    effect,
    margin,
    seen,
    verdict_counts,
)
from online_il.claims.records import ClaimVerdict, ClaimVerdicts, read_claims

FAMILIES = {
    "figure1": "Accuracy in distribution (Figure 1)",
    "section2": "Speed of learning (Section 2)",
    "figure2": "Out of distribution and forgetting (Figure 2)",
    "control": "Why: the data or the algorithm (Section 2.2)",
    "mixture": "The same unrealizable expert, offline and online (beyond the paper)",
    "title": "Online against offline, from either expert (title; the runs are ours)",
    "coverage": "What the coverage C costs (Theorem 1; beyond the paper)",
    "direction": "Whose prefixes, and which direction of the KL (beyond the paper)",
    "habits": "From a base that has both habits (Theorem 5; beyond the paper)",
    "noise": "Noise instead of misspecification (beyond the paper)",
    "table1": "Discrepancy against performance (Table 1, Figure 3)",
    "table1-online": "The same of an online student and its expert (beyond the paper)",
    "figure4": "Gaussian experts and students (Figure 4)",
    "theorem1": "What offline imitation cannot learn (Theorem 1)",
    "theorem2": "Alignment (Theorem 2)",
    "theorem5": "Pessimism (Theorem 5)",
    "remark3": "Misspecification without a horizon (Remark 3)",
}
"""The families in the order of the board."""
ANSWER = "abstract"
"""The family whose claims answer the paper's question; they stand before the board."""
WIDTH = 220  # Of the drawing of an interval, pixels.


class VerdictLine(NamedTuple):
    """One claim; `effect` and `seen` are in words, `places` is where the drawing's parts lie."""

    claim: ClaimVerdict
    sign: str
    effect: str
    margin: str
    seen: str
    places: dict[str, float]


class Board(NamedTuple):
    """All claims: how many have which verdict, those that answer, the others, the look in words."""

    counts: dict[str, int]
    answer: list[VerdictLine]
    families: dict[str, list[VerdictLine]]
    facts: ClaimVerdicts
    looks: str


def board(path: Path) -> Board | None:
    """Group the claims of a `claims.json`, or None without one. Raises `InputError` if damaged."""
    if not path.is_file():
        return None
    facts = read_claims(path)
    names = dict.fromkeys([*FAMILIES, *(claim.family for claim in facts.claims)])
    grouped = {
        FAMILIES.get(name, name): [
            VerdictLine(
                one, LOOKS[one.verdict][0], effect(one), margin(one), seen(one), _places(one)
            )
            for one in facts.claims
            if one.family == name
        ]
        for name in names
    }
    answer = grouped.pop(ANSWER, [])
    families = {name: rows for name, rows in grouped.items() if rows}
    return Board(verdict_counts(facts), answer, families, facts, decided_in_words(facts))


def _places(claim: ClaimVerdict) -> dict[str, float]:
    """Place the parts of the drawing, in pixels from the left; empty without an interval.

    From `left` to `right` is where the claim holds; `zero` is where there is no effect. Factors are
    drawn on a logarithmic scale.
    """
    middle, low, high = claim.effect, claim.low, claim.high
    if middle is None or low is None or high is None or low == high:
        return {}
    scale = math.log if claim.unit == FACTOR else float
    margin_ = scale(claim.margin)
    values = {"effect": scale(middle), "low": scale(low), "high": scale(high), "zero": 0.0}
    reach = 1.15 * max(abs(margin_), *map(abs, values.values()))
    values["left"] = {"within": -abs(margin_), "above": margin_}.get(claim.holds, -reach)
    values["right"] = {"within": abs(margin_), "below": margin_}.get(claim.holds, reach)
    return {key: round(WIDTH * (0.5 + value / reach / 2), 1) for key, value in values.items()}
