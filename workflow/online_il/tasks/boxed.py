r"""The boxed answer of a response, and whether it is right by math-verify.

The last `\boxed{...}` is the answer, as in lm-evaluation-harness; what stands before it, in
`<think>` too, does not count, but for boxes that it is joined to by "or", "and" or a comma. Unlike
there, an escaped brace is no brace, so that `\boxed{\left\{1\right.}` can be read, and `\fbox{7}`
and `\boxed 7` are boxes.
"""

import re
from collections import deque

from online_il.tasks import answers, verifier
from online_il.tasks.latex import flat

_BOX = re.compile(r"\\(?:boxed|f(?:rame)?box)(?![a-zA-Z])\s{0,9}(\{)?")
_MENTIONS = 100
r"""The most boxes, and words like `\boxed`, that are looked at, from the end."""
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_LINE_END = re.compile(r"(?<!\\)\$|\\[)\]]|\n|\\(?:boxed|f(?:rame)?box)")
_NUMBER = re.compile(r"[-+−]?\d+(?:[.,]\d+)*")

MAX_BETWEEN = 80
"""Longest text between two boxes that count together, characters."""
_MATH_SIGNS = re.compile(r"\$|\\[()\[\],;:! ]|\\q?quad(?![a-z])|\*\*|[()]")
_JOINT = re.compile(
    r"\s*(?:[,;]\s*(?:and|or)?|and|or|&)\s*(?:[A-Za-z]\w{0,5}(?:_\{\w\})?\s*(?:=|\\in))?\s*"
)


def last_box(text: str) -> str | None:
    r"""Return the content of the last box; None without one, and where it is not closed.

    Looks at no more than `verifier.MAX_CHARS` characters of it; a longer one is None.
    """
    run = last_boxes(text)
    return run[-1] if run else None


def last_boxes(text: str) -> list[str]:
    """Return the last box, after those that it is joined to; empty without one."""
    opened = deque(_BOX.finditer(text), maxlen=_MENTIONS)
    found: list[str] = []
    after = 0
    for start in reversed(opened):
        content, end = _content(text, start)
        if content is None:
            if start[1]:  # Not closed.
                break
            continue  # A mention of the word.
        if found:
            between = text[end:after] if end <= after <= end + MAX_BETWEEN else "-"
            if not _JOINT.fullmatch(flat(_MATH_SIGNS.sub(" ", between))):
                break
        found.insert(0, content)
        after = start.start()
    return found


def opens(text: str) -> bool:
    """True where a box is opened anywhere, closed or not."""
    return any(found[1] for found in _BOX.finditer(text))


def grade(response: str, reference: str) -> tuple[bool, bool]:
    """Return (True where the boxed answer equals the reference, True where there is a box)."""
    run = last_boxes(response)
    if not run:
        return False, False
    return answers.equal(run[-1], reference) or (
        # A list equals a reference of several values only.
        len(run) > 1 and answers.equal("; ".join(run), reference)
    ), True


def _content(text: str, start: re.Match[str]) -> tuple[str | None, int]:
    """Return (what is in the box, where it ends)."""
    content = text[start.end() : start.end() + verifier.MAX_CHARS + 1]
    if not start[1]:
        return _unbraced(text, start, content)
    depth = 1
    for brace in _BRACE.finditer(content):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return content[: brace.start()], start.end() + brace.end()
    return None, start.end()


def _unbraced(text: str, start: re.Match[str], content: str) -> tuple[str | None, int]:
    r"""Return the content of a box without braces: the rest of its formula, or else a number.

    `\boxed asks` is no box: there, no formula is open.
    """
    end = _LINE_END.search(content)
    line = content[: end.start()] if end else content
    before = text[max(0, start.start() - verifier.MAX_CHARS) : start.start()].rpartition("\n")[2]
    closed = bool(end) and end[0] in ("$", "\\)", "\\]")  # type: ignore[index]
    if closed and _in_formula(before) and line.strip():
        return line, start.end() + len(line)
    if found := _NUMBER.match(content):
        return found[0], start.end() + found.end()
    if line.startswith("\\") and not before.strip() and not closed:
        return line, start.end() + len(line)
    return None, start.end()


def _in_formula(before: str) -> bool:
    """True where a formula is open at the end of a line's beginning."""
    dollars = len(re.findall(r"(?<!\\)\$", before))
    return dollars % 2 == 1 or any(
        before.rfind(opening) > before.rfind(closing)
        for opening, closing in (("\\(", "\\)"), ("\\[", "\\]"))
    )
