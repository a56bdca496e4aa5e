"""The DAG as a picture: rules in layers, from what is made first to what is read last.

The edges lie in `workflow/report/rules.txt`, an edge a line, as `snakemake --rulegraph` gives them
for the smoke and the paper's study together; a test fails when the file falls behind the rules.
"""

from typing import NamedTuple

WIDTH, HEIGHT = 132, 34  # Of a rule's box, pixels.
ACROSS, DOWN = 14, 34  # Between boxes.

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
    boxes: list[Box]
    paths: list[str]


def edges(text: str) -> Edges:
    """The edges in a text of lines such as `pretrain -> grpo`."""
    pairs = [line.split(" -> ") for line in text.splitlines() if " -> " in line]
    return {(before.strip(), after.strip()) for before, after in pairs}


def picture(all_edges: Edges, rules: set[str]) -> Picture:
    """A picture of some of the rules; an edge that another path implies is left out."""
    kept = _reduced({(a, b) for a, b in all_edges if {a, b} <= rules})
    layer: dict[str, int] = {}
    for rule in sorted(rules):
        _depth(rule, kept, layer)
    rows = [
        sorted(rule for rule in layer if layer[rule] == depth)
        for depth in range(max(layer.values(), default=-1) + 1)
    ]
    centre = _placed(rows, kept)
    width = max((len(row) for row in rows), default=0) * (WIDTH + ACROSS) + ACROSS
    boxes = [
        Box(rule, centre[rule] - WIDTH / 2, ACROSS + layer[rule] * (HEIGHT + DOWN))
        for row in rows
        for rule in row
    ]
    place = {box.name: box for box in boxes}
    paths = [_path(place[a], place[b]) for a, b in sorted(kept)]
    return Picture(width, 2 * ACROSS + len(rows) * (HEIGHT + DOWN) - DOWN, boxes, paths)


def _depth(rule: str, kept: Edges, layer: dict[str, int]) -> int:
    """The length of the longest path that ends at a rule."""
    if rule not in layer:
        before = [a for a, b in kept if b == rule]
        layer[rule] = max((_depth(a, kept, layer) + 1 for a in before), default=0)
    return layer[rule]


def _reduced(pairs: Edges) -> Edges:
    after: dict[str, set[str]] = {}
    for a, b in pairs:
        after.setdefault(a, set()).add(b)

    def reach(rule: str) -> set[str]:
        found = set(after.get(rule, ()))
        return found.union(*(reach(next_) for next_ in found)) if found else found

    return {(a, b) for a, b in pairs if not any(b in reach(c) for c in after[a] - {b})}


def _placed(rows: list[list[str]], kept: Edges) -> dict[str, float]:
    """The centre of each box: rows ordered by the mean place of their neighbours, and centred."""
    widest = max((len(row) for row in rows), default=0)
    centre: dict[str, float] = {}

    def spread(row: list[str]) -> None:
        start = ACROSS + (widest - len(row)) * (WIDTH + ACROSS) / 2 + WIDTH / 2
        for index, rule in enumerate(row):
            centre[rule] = start + index * (WIDTH + ACROSS)

    def pull(rule: str) -> tuple[float, str]:
        near = [a if b == rule else b for a, b in kept if rule in (a, b)]
        return sum(centre[name] for name in near) / len(near) if near else centre[rule], rule

    for row in rows:
        spread(row)
    for _ in range(8):
        for row in rows:
            row.sort(key=pull)
            spread(row)
    return centre


def _path(a: Box, b: Box) -> str:
    x1, y1 = a.x + WIDTH / 2, a.y + HEIGHT
    x2, y2 = b.x + WIDTH / 2, b.y
    bend = (y2 - y1) / 2
    return f"M{x1:.0f} {y1:.0f}C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2:.0f}"
