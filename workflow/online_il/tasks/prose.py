"""Passages of a text, each after the words before it: how well a policy still reads English."""

import re
from pathlib import Path

from online_il.chat import messages_of
from online_il.config.knowledge import Prose
from online_il.errors import InputError
from online_il.provenance import file_hash
from online_il.tasks.prompt import Prompt

FILE = Path(__file__).parents[2] / "facts" / "prose.txt"
"""The first chapters of a novel of 1906 in the English of 1918, in the public domain."""


def file_of(settings: Prose) -> Path:
    """Give the file of the text."""
    return FILE if settings.file is None else Path(settings.file)


def passages(settings: Prose) -> list[Prompt]:
    """Cut the text into passages, one after the other; what is left at its end is not read.

    Raises `InputError` for a file that is not there, no text, or too short for two passages.
    """
    path = file_of(settings)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(f"{path}: no text in it ({reason}); correct `prose.file`") from None
    words = list(re.finditer(r"\S+", text))
    starts = range(settings.context, len(words) - settings.words + 1, settings.words)
    if len(starts) < 2:
        raise InputError(
            f"{path}: {len(words)} words, too few for two passages of {settings.words} after "
            f"{settings.context}; take a longer text, or lower `prose.words`"
        )
    found = []
    for start in starts:
        cut = words[start - 1].end()
        before = text[words[start - settings.context].start() : cut]
        passage = text[cut : words[start + settings.words - 1].end()]
        if messages_of(before) is not None:
            raise InputError(f"{path}: it holds prompts, and no text; correct `prose.file`")
        answer = {"grader": "text", "text": passage}
        revision = f"{path.name} {file_hash(path)[:16]}"
        found.append(Prompt("prose", before, answer, "online_il.tasks.prose", revision))
    return found
