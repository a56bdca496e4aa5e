"""The DAG as a picture: rules in layers, from what is made first to what is read last.

The edges lie in `workflow/report/rules.txt`, an edge a line, as `snakemake --rulegraph` gives them
for the smoke and the paper's study together; a test fails when the file falls behind the rules.
Parts of the DAG that share nothing become pictures of their own, side by side where there is room.
"""

from typing import NamedTuple

BOX = (134, 34)  # Width and height, pixels.
ACROSS, DOWN = 12, 32  # Between boxes.
BENCHMARKS = {"aggregate_figure2": "aggregate"}
"""Rules whose benchmark files lie under another name than their own."""

Edges = set[tuple[str, str]]


class Box(NamedTuple):
    """A rule and where it stands, pixels."""

    name: str
    x: float
    y: float


class Picture(NamedTuple):
    """Boxes, and the edges between them as SVG paths."""

    width: float
    height: float
    box: tuple[int, int]
    boxes: list[Box]
    paths: list[str]


def edges(text: str) -> Edges:
    """The edges in a text of lines such as `pretrain -> grpo`; rules by their benchmarks' names."""
    pairs = [line.split(" -> ") for line in text.splitlines() if " -> " in line]
    named = [[BENCHMARKS.get(rule.strip(), rule.strip()) for rule in pair] for pair in pairs]
    return {(before, after) for before, after in named if before != after}


def pictures(all_edges: Edges, ran: set[str]) -> list[Picture]:
    """Pictures of the rules that ran, the largest first.

    An edge that another path implies is left out; rules that no edge names are, too.
    """
    rules = ran & {rule for edge in all_edges for rule in edge}
    kept = {(a, b) for a, b in all_edges if {a, b} <= rules}
    parts = sorted(_parts(rules, kept), key=lambda part: (-len(part), sorted(part)))
    return [_picture(part, _reduced({(a, b) for a, b in kept if a in part})) for part in parts]


def _parts(rules: set[str], kept: Edges) -> list[set[str]]:
    """The sets of rules that are connected, whatever the direction of the edges."""
    parts: list[set[str]] = []
    for rule in sorted(rules):
        near = {rule} | {a if b == rule else b for a, b in kept if rule in (a, b)}
        joined = near.union(*(part for part in parts if part & near))
        parts = [*(part for part in parts if not part & near), joined]
    return parts


def _reduced(pairs: Edges) -> Edges:
    after: dict[str, set[str]] = {}
    for a, b in pairs:
        after.setdefault(a, set()).add(b)

    def reach(rule: str) -> set[str]:
        found = set(after.get(rule, ()))
        return found.union(*(reach(further) for further in found)) if found else found

    return {(a, b) for a, b in pairs if not any(b in reach(c) for c in after[a] - {b})}


def _picture(rules: set[str], kept: Edges) -> Picture:
    layer: dict[str, int] = {}
    for rule in sorted(rules):
        _depth(rule, kept, layer)
    rows = [
        sorted(rule for rule in rules if layer[rule] == depth)
        for depth in range(max(layer.values()) + 1)
    ]
    centre = _placed(rows, kept)
    width, height = BOX
    place = {
        rule: Box(rule, centre[rule] - width / 2, 1 + layer[rule] * (height + DOWN))
        for row in rows
        for rule in row
    }
    paths = [_path(place[a], place[b]) for a, b in sorted(kept)]
    widest = max(len(row) for row in rows)
    return Picture(
        2 + widest * (width + ACROSS) - ACROSS,
        2 + len(rows) * (height + DOWN) - DOWN,
        BOX,
        list(place.values()),
        paths,
    )


def _depth(rule: str, kept: Edges, layer: dict[str, int]) -> int:
    """The length of the longest path that ends at a rule."""
    if rule not in layer:
        before = [a for a, b in kept if b == rule]
        layer[rule] = max((_depth(a, kept, layer) + 1 for a in before), default=0)
    return layer[rule]


def _placed(rows: list[list[str]], kept: Edges) -> dict[str, float]:
    """The centre of each box: rows ordered by the mean place of their neighbours, and centred."""
    widest = max(len(row) for row in rows)
    step = BOX[0] + ACROSS
    centre: dict[str, float] = {}

    def spread(row: list[str]) -> None:
        start = 1 + (widest - len(row)) * step / 2 + BOX[0] / 2
        centre.update({rule: start + index * step for index, rule in enumerate(row)})

    def pull(rule: str) -> tuple[float, str]:
        near = [centre[a if b == rule else b] for a, b in kept if rule in (a, b)]
        return sum(near) / len(near) if near else centre[rule], rule

    for row in rows:
        spread(row)
    for _ in range(8):
        for row in rows:
            row.sort(key=pull)
            spread(row)
    return centre


def _path(a: Box, b: Box) -> str:
    width, height = BOX
    x1, y1, x2, y2 = a.x + width / 2, a.y + height, b.x + width / 2, b.y
    bend = (y1 + y2) / 2
    return f"M{x1:.0f} {y1:.0f}C{x1:.0f} {bend:.0f} {x2:.0f} {bend:.0f} {x2:.0f} {y2:.0f}"
