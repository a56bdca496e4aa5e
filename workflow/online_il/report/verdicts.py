"""The verdict board: the claims of `claims.json`, grouped, counted and drawn as intervals."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from online_il.records import InputError

VERDICTS = {
    "supported": "✓",
    "contradicted": "✗",
    "undecided": "~",
    "not run": "–",
}
"""The words of the board and the sign beside each, so that no verdict is a colour alone."""
FAMILIES = {
    "figure1": "In distribution (Figure 1)",
    "figure2": "Out of distribution and forgetting (Figure 2)",
    "figure3": "Discrepancy against performance (Figure 3, Table 1)",
    "table1": "Discrepancy against performance (Figure 3, Table 1)",
    "discrepancy": "Discrepancy against performance (Figure 3, Table 1)",
    "theory": "Theory",
}
WIDTH = 220  # Of the drawing of an interval, pixels.


class Row(NamedTuple):
    """One claim; `interval` is its effect in words, `places` where the drawing's parts lie."""

    claim: dict[str, Any]
    sign: str
    interval: str
    places: dict[str, float]


class Board(NamedTuple):
    """All claims: how many have which verdict, and the rows of each family."""

    counts: dict[str, int]
    families: dict[str, list[Row]]
    facts: dict[str, Any]


def board(path: Path) -> Board | None:
    """The board of a `claims.json`, or None where there is none. Raises `InputError` if damaged."""
    if not path.is_file():
        return None
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        claims = facts.pop("claims")
        rows = [_row(claim) for claim in claims]
        families: dict[str, list[Row]] = {}
        for row in rows:
            name = row.claim["family"]
            families.setdefault(FAMILIES.get(name, name), []).append(row)
        counts = {word: sum(c["verdict"] == word for c in claims) for word in VERDICTS}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: not a list of claims ({type(error).__name__}: {error}); delete it and start "
            "again: Snakemake makes it anew"
        ) from None
    return Board(counts, families, facts)


def _row(claim: dict[str, Any]) -> Row:
    effect, low, high = (claim.get(key) for key in ("effect", "low", "high"))
    words = "" if effect is None else f"{_signed(effect)}"
    if low is not None and high is not None:
        words += f" [{_signed(low)}, {_signed(high)}]"
    if words and claim.get("unit"):
        words += f" {claim['unit']}"
    return Row(claim, VERDICTS[claim["verdict"]], words.strip(), _places(claim))


def _signed(number: float) -> str:
    """Three digits and a true minus sign."""
    return f"{number:+.3g}".replace("-", "−")


def _places(claim: dict[str, Any]) -> dict[str, float]:
    """Pixels from the left of zero, effect, interval and margins; nothing without an interval."""
    numbers = {key: claim.get(key) for key in ("effect", "low", "high")}
    if any(number is None for number in numbers.values()):
        return {}
    margin = abs(claim.get("margin") or 0.0)
    reach = 1.15 * max(margin, *(abs(number) for number in numbers.values() if number), 1e-12)
    marks = {**numbers, "zero": 0.0, "left": -margin, "right": margin}
    return {key: round(WIDTH * (0.5 + value / reach / 2), 1) for key, value in marks.items()}
