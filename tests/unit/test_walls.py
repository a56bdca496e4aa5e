"""The walls of the library: which part may import which, and that texts of the library fit both.

Parts are the packages and modules at the top of `online_il`. Imports inside functions count.
"""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parents[2] / "workflow" / "online_il"
MODULES = sorted(LIBRARY.rglob("*.py"))

GROUND = {"errors", "text", "files", "layout", "records", "provenance"}
"""What every part but the ground itself may use, and `program`, which starts and ends programs."""
ARROWS = {
    # the ground
    "speech": set(),
    "errors": set(),
    "text": set(),
    "chat": set(),
    "markdown": set(),
    "pages": set(),
    "benchmarks": set(),
    "statistics": set(),
    "records": {"errors"},
    "files": {"errors", "records"},
    "provenance": {"speech"},
    "layout": set(),
    "program": {"errors", "files", "config", "layout", "provenance"},
    "integrity": {"layout", "provenance"},
    # settings and tasks
    "config": {"benchmarks", "errors", "text"},
    "studies": {"config", "tasks", "theory", *GROUND},
    "model_files": {"integrity"},
    "packaged": {"config", *GROUND},
    "hub": {"config", "model_files", "packaged", *GROUND, "program"},
    "tasks": {"chat", "config", "hub", *GROUND, "program"},
    # policies
    "ends": {"chat", *GROUND},
    "vocabulary": {"chat", "ends", *GROUND},
    "models": {"config", "ends", *GROUND},
    "generation": {"chat", "config", "ends", "models", *GROUND, "program"},
    "grading": {"generation", "tasks", *GROUND},
    "training": {
        *("chat", "config", "ends", "generation", "hub", "models", "tasks"),
        *GROUND,
        "program",
    },
    "experts": {
        *("chat", "config", "discrepancy", "ends", "generation", "models", "statistics", "tasks"),
        *GROUND,
    },
    "perplexity": {"generation", *GROUND},
    "evaluation": {
        *("chat", "config", "generation", "grading", "models", "perplexity", "statistics", "tasks"),
        *GROUND,
    },
    "pairs": {
        *("config", "experts", "generation", "markdown", "statistics"),
        *GROUND,
    },
    # what is judged
    "glossary": {"records"},
    "store": {"benchmarks", "glossary", "statistics", *GROUND, "program"},
    "theory": {*GROUND, "program"},
    "discrepancy": {"generation", "markdown", "statistics", "tasks", *GROUND},
    "claims": {
        *("benchmarks", "config", "discrepancy", "markdown", "statistics", "store", "theory"),
        *GROUND,
        "program",
    },
    # what is shown
    "charts": {"benchmarks", "config", "discrepancy", "store", "theory", *GROUND},
    "report": {
        *("benchmarks", "charts", "claims", "config", "discrepancy", "store"),
        *("pages", "pairs", "tasks", *GROUND, "program"),
    },
    "live": {
        *("benchmarks", "charts", "pages", "report", "store"),
        *GROUND,
        "program",
    },
    # what is taken elsewhere
    "harness_files": {"benchmarks", *GROUND},
    "export": {
        *("benchmarks", "chat", "config", "ends", "markdown", "models", "statistics"),
        *GROUND,
    },
    "reuse": {"models", *GROUND},
    # what a study costs, and whether it can run
    "cost": {
        *("benchmarks", "config", "markdown", "packaged", "pages", "tasks"),
        *GROUND,
        "program",
    },
    "preflight": {
        *("chat", "config", "cost", "ends", "experts", "generation", "hub", "models", "packaged"),
        *("tasks", "training", "vocabulary"),
        *GROUND,
        "program",
    },
    "probe": {
        *("chat", "config", "generation", "hub", "models", "preflight"),
        *GROUND,
        "program",
    },
}


def part_of(path: Path) -> str:
    return of_config(path.relative_to(LIBRARY).parts[0].removesuffix(".py"))


def of_config(name: str) -> str:
    """The table of methods lists settings and is read by settings: it is a part of the config."""
    return "config" if name == "methods" else name


def imported(path: Path) -> set[str]:
    """The parts that a module imports, itself among them where it imports its own part."""
    parts = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        parts |= {of_config(name.split(".")[1]) for name in names if name.startswith("online_il.")}
    return parts - {"__version__"}


GRAPH = {}
for module in MODULES:
    if part_of(module) != "__init__":
        GRAPH.setdefault(part_of(module), {})[module] = imported(module)


@pytest.mark.parametrize("part", sorted(GRAPH))
def test_a_part_imports_what_it_may(part):
    assert part in ARROWS, f"{part}: write in ARROWS which parts it may import"
    for module, parts in GRAPH[part].items():
        forbidden = parts - ARROWS[part] - {part}
        assert not forbidden, f"{module.relative_to(LIBRARY)} imports {', '.join(forbidden)}"


def test_the_parts_make_no_circle():
    assert set(TopologicalSorter(ARROWS).static_order()) == ARROWS.keys()


def test_modules_make_no_circle():
    names = {
        ".".join(("online_il", *path.relative_to(LIBRARY).with_suffix("").parts)): path
        for path in MODULES
    }
    graph = {}
    for name, path in names.items():
        graph[name] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                below = {f"{node.module}.{alias.name}" for alias in node.names}
                graph[name] |= (below & names.keys()) or ({node.module} & names.keys())
    assert list(TopologicalSorter(graph).static_order())


def texts_of_errors(path: Path) -> list[str]:
    """The texts of all errors that a module raises."""
    return [
        part.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise) and node.exc
        for part in ast.walk(node.exc)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]


@pytest.mark.parametrize("part", ["theory", "discrepancy", "claims", "training", "tasks", "config"])
def test_errors_of_the_library_name_keys_and_no_flags(part):
    found = [
        text
        for path in GRAPH[part]
        for text in texts_of_errors(path)
        if re.search(r"(?<!\S)--[a-z]", text)
    ]
    assert found == []
