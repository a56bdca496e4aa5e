"""The DAG as a picture: the rules that ran, in layers from what is made first to what is read last.

Parts of the DAG that share nothing become pictures of their own, side by side where there is room.
"""

from collections.abc import Iterable
from typing import NamedTuple

import networkx as nx

BOX = (134, 34)
"""Width and height of a box, pixels."""
ACROSS, DOWN = 12, 32
"""Space between boxes, pixels."""
SWEEPS = 8
"""Number of times that each layer is ordered anew by its neighbours."""


class Box(NamedTuple):
    """A rule and where its box stands (left and top edge), pixels."""

    name: str
    x: float
    y: float


class Picture(NamedTuple):
    """Boxes, and the edges between them as SVG paths; sizes in pixels."""

    width: float
    height: float
    box: tuple[int, int]
    boxes: list[Box]
    paths: list[str]


def pictures(edges: Iterable[tuple[str, str]], ran: set[str]) -> list[Picture]:
    """Draw the rules that ran, the largest connected part first.

    Leaves out an edge that a longer path implies, and rules that no edge names.
    """
    graph = nx.DiGraph(sorted(edges)).subgraph(ran)
    parts = sorted(nx.weakly_connected_components(graph), key=lambda p: (-len(p), sorted(p)))
    return [_picture(nx.transitive_reduction(graph.subgraph(part))) for part in parts]


def _picture(graph: nx.DiGraph) -> Picture:
    layers = [sorted(layer) for layer in nx.topological_generations(graph)]
    centres = _centres(layers, graph)
    width, height = BOX
    boxes = {
        rule: Box(rule, centres[rule] - width / 2, 1 + depth * (height + DOWN))
        for depth, layer in enumerate(layers)
        for rule in layer
    }
    return Picture(
        2 + max(map(len, layers)) * (width + ACROSS) - ACROSS,
        2 + len(layers) * (height + DOWN) - DOWN,
        BOX,
        list(boxes.values()),
        [_path(boxes[before], boxes[after]) for before, after in sorted(graph.edges)],
    )


def _centres(layers: list[list[str]], graph: nx.DiGraph) -> dict[str, float]:
    """Place the centres of boxes, pixels: a layer is ordered by its neighbours' mean places."""
    widest, step = max(map(len, layers)), BOX[0] + ACROSS
    centres: dict[str, float] = {}

    def place(layer: list[str]) -> None:
        start = 1 + (widest - len(layer)) * step / 2 + BOX[0] / 2
        centres.update({rule: start + index * step for index, rule in enumerate(layer)})

    def mean_of_neighbours(rule: str) -> tuple[float, str]:
        near = [centres[other] for other in nx.all_neighbors(graph, rule)] or [centres[rule]]
        return sum(near) / len(near), rule

    for layer in layers:
        place(layer)
    for _ in range(SWEEPS):
        for layer in layers:
            layer.sort(key=mean_of_neighbours)
            place(layer)
    return centres


def _path(before: Box, after: Box) -> str:
    width, height = BOX
    x1, y1, x2, y2 = before.x + width / 2, before.y + height, after.x + width / 2, after.y
    bend = (y1 + y2) / 2
    return f"M{x1:.0f} {y1:.0f}C{x1:.0f} {bend:.0f} {x2:.0f} {bend:.0f} {x2:.0f} {y2:.0f}"
