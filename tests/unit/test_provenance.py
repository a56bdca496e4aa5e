"""Hashes of code: what reruns a rule, and what does not."""

from pathlib import Path

import pytest
import torch

from online_il import provenance

# ---- code hash: a library of our own, in which modules import one another ----

MODULES = {
    "__init__.py": '"""Package."""\n',
    "one.py": "from online_il.two import helper\n\nVALUE = helper(1)\n",
    "two.py": "import online_il.deep.three\n\n\ndef helper(x):\n    return x + 1\n",
    "deep/__init__.py": "NAME = 'deep'\n",
    "deep/three.py": "from online_il import four\n\nTHREE = four.FOUR - 1\n",
    "four.py": "from online_il import one\n\nFOUR = 4\n",  # A circle.
    "lazy.py": "LAZY = 1\n",
    "unrelated.py": "OTHER = 1\n",
    "deep/unrelated.py": "OTHER = 1\n",
}
SCRIPT = '''"""Does something."""

import json

from online_il.one import VALUE


def run():
    """Runs."""
    from online_il.lazy import LAZY  # Imported late.

    return json.dumps([VALUE, LAZY])
'''


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A folder with the modules above and a script; returns the folder."""
    for name, text in MODULES.items():
        path = tmp_path / "online_il" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "script.py").write_text(SCRIPT)
    monkeypatch.setattr(provenance, "LIBRARY", tmp_path / "online_il")
    clear()
    yield tmp_path
    clear()


def clear() -> None:
    """Forget the files that were read: a process reads each once."""
    for function in (provenance._hash, provenance._imported, provenance._remembered):
        function.cache_clear()


def hashed(library: Path) -> str:
    clear()
    return provenance.code_hash(library / "script.py")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    "name, old, new",
    [
        ("script.py", "# Imported late.", "# Another comment."),
        ("script.py", '"""Does something."""', '"""Does it.\n\nAt length."""'),
        ("script.py", '    """Runs."""\n', ""),
        ("script.py", "\n\n\ndef", "\n\n\n\n\n# A comment.\ndef"),
        ("script.py", "[VALUE, LAZY]", "[\n        VALUE,\n        LAZY,\n    ]"),
        ("online_il/one.py", "from online_il.two", '"""Module."""\nfrom online_il.two'),
        ("online_il/two.py", "    return", '    """Adds one."""\n    return'),
        ("online_il/deep/three.py", "- 1\n", '- 1\n"""What THREE is for."""\n'),
        ("online_il/__init__.py", "Package", "The package"),
    ],
)
def test_comments_docstrings_and_layout_leave_the_hash(library, name, old, new):
    before = hashed(library)
    edit(library / name, old, new)
    assert hashed(library) == before


@pytest.mark.parametrize(
    "name, old, new",
    [
        ("script.py", "[VALUE, LAZY]", "[LAZY, VALUE]"),
        ("script.py", "import json\n", "import json as json\n"),
        ("online_il/one.py", "helper(1)", "helper(2)"),
        ("online_il/two.py", "x + 1", "x + 2"),
        ("online_il/deep/three.py", "four.FOUR - 1", "four.FOUR - 2"),
        ("online_il/four.py", "FOUR = 4", "FOUR = 5"),
        ("online_il/lazy.py", "LAZY = 1", "LAZY = 2"),
        ("online_il/deep/__init__.py", "'deep'", "'deeper'"),
    ],
)
def test_every_module_imported_however_indirectly_is_in_the_hash(library, name, old, new):
    before = hashed(library)
    edit(library / name, old, new)
    after = hashed(library)
    assert after != before
    edit(library / name, new, old)
    assert hashed(library) == before


@pytest.mark.parametrize("name", ["online_il/unrelated.py", "online_il/deep/unrelated.py"])
def test_a_module_that_is_not_imported_leaves_the_hash(library, name):
    before = hashed(library)
    edit(library / name, "OTHER = 1", "OTHER = 2")
    (library / "online_il" / "new.py").write_text("NEW = 1\n")
    assert hashed(library) == before


def test_a_string_that_is_no_docstring_is_in_the_hash(library):
    edit(library / "online_il/lazy.py", "LAZY = 1", "LAZY = 'a'")
    before = hashed(library)
    edit(library / "online_il/lazy.py", "'a'", "'b'")
    assert hashed(library) != before


def test_the_same_code_elsewhere_has_the_same_hash(library, tmp_path_factory, monkeypatch):
    before = hashed(library)
    other = tmp_path_factory.mktemp("elsewhere") / "workflow"
    for path in library.rglob("*.py"):
        copy = other / path.relative_to(library)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    monkeypatch.setattr(provenance, "LIBRARY", other / "online_il")
    assert hashed(other) == before


def test_scripts_of_this_project_hash_what_they_import():
    clear()
    scripts = Path(provenance.__file__).parents[1] / "scripts"
    names = {path.name for path in _modules(scripts / "grpo.py")}
    assert {"grpo.py", "rollouts.py", "decode.py", "common.py", "grading.py", "models.py"} <= names
    assert "miniature.py" not in {path.name for path in _modules(scripts / "sft.py")}


def _modules(script: Path) -> set[Path]:
    seen, waiting = set(), [script]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += provenance._imported(path)
    return seen


def test_a_text_that_was_read_once_is_read_by_no_later_start(library, monkeypatch):
    before = hashed(library)
    known = provenance._remembered()
    path = library.parent / ".snakemake" / "modules.json"
    provenance._remember(known, path, 0)
    parse, parsed = provenance._parsed, []
    monkeypatch.setattr(provenance, "_parsed", lambda text: parsed.append(text) or parse(text))
    assert hashed(library) == before and not parsed
    # Another text of one module: that one alone is read.
    edit(library / "script.py", '"""Runs."""', '"""Runs it."""')
    assert hashed(library) == before and parsed == [(library / "script.py").read_bytes()]
    # Read by other rules, or damaged: all of it is read again.
    parsed.clear()
    with monkeypatch.context() as other:
        other.setattr(provenance, "_reader", lambda: b"other")
        assert hashed(library) == before and len(parsed) == len(known)
    for damage in ("", "[]", "{", '{"a": 1}', "null"):
        parsed.clear()
        path.write_text(damage)
        assert hashed(library) == before and len(parsed) == len(known)


def test_a_file_hash_is_its_sha256(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert provenance.file_hash(path) == known


def test_versions_name_the_libraries_that_make_the_numbers():
    found = provenance.versions()
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert {"online_il", "transformers", "trl", "datasets", "snakemake"} <= set(found)
