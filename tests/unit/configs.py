"""Configs with one thing changed, and the errors that they give."""

import re
from pathlib import Path
from typing import Any

import pytest

from online_il.config.reading import ConfigError
from online_il.studies import load_study as load

ROOT = Path(__file__).parents[2]
VALUE = r"(\[[^\]]*\]|\{[^}]*\}|[^,}\n]+)"


def shipped(name: str) -> str:
    """The text of a shipped study, which may be written elsewhere: what it extends is found."""
    text = (ROOT / "config" / f"{name}.yaml").read_text(encoding="utf-8")
    return re.sub(r"(?m)^extends: (.+)$", rf"extends: {ROOT}/config/\1", text)


def without_mixtures(text: str) -> str:
    """The text of the miniature without its mixture and the runs that imitate it."""
    text = re.sub(r"(?ms)^      - name: mixture\n.*?(?=^    runs:)", "", text)
    return re.sub(r"(?ms)^      - name: \w+-mixture\n.*?(?=^      - name|\Z)", "", text)


def put(text: str, after: str, key: str, value: str) -> tuple[str, int]:
    """`text` with the first value of `key` past `after` replaced, and the line of the key."""
    found = re.compile(rf"\b{key}: {VALUE}").search(text, text.index(after))
    assert found, f"no key {key} after {after!r}"
    changed = text[: found.start()] + f"{key}: {value}" + text[found.end() :]
    return changed, text.count("\n", 0, found.start()) + 1


def error(folder: Path, text: str | bytes, overrides: dict[str, Any] | None = None) -> str:
    """The error that a config gives."""
    path = folder / "study.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load(path, overrides)
    return str(caught.value)


def line_of(text: str, part: str) -> int:
    return text.count("\n", 0, text.index(part)) + 1
