r"""The boxed answer of a response, and whether it is right by math-verify.

The last `\boxed{...}` is the answer, as in lm-evaluation-harness; what stands before it, in
`<think>` too, does not count. Unlike there, an escaped brace is no brace, so that
`\boxed{\left\{1\right.}` can be read.
"""

import re

from online_il.tasks import verifier

_BOX = re.compile(r"\\boxed\s{0,9}\{")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


def last_box(text: str) -> str | None:
    r"""What stands in the last `\boxed{...}`; None without one, and where it is not closed.

    Looks at no more than `verifier.MAX_CHARS` characters of it; a longer one is None.
    """
    start, opened = len(text), None
    while opened is None:
        start = text.rfind("\\boxed", 0, start)
        if start < 0:
            return None
        opened = _BOX.match(text, start)
    content = text[opened.end() : opened.end() + verifier.MAX_CHARS + 1]
    depth = 1
    for brace in _BRACE.finditer(content):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return content[: brace.start()]
    return None


def grade(response: str, reference: str) -> tuple[bool, bool]:
    """(whether the boxed answer equals the reference by math-verify, whether there is a box)."""
    box = last_box(response)
    return box is not None and verifier.equal(box, reference), box is not None
