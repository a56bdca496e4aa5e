r"""Compares an answer with the reference: by math-verify, and where it cannot see, by rules.

math-verify 0.9.0 strips what it takes for a unit or an ornament: `101_2` and `101_3` are both 101
to it, 3 p.m. is 3 a.m., 2 billion is 2 million, `2ab` is 2, and `(C) 36` is 36 times C. So what two
answers say beside the number is compared before it is asked, and a choice's letter is told from its
value.
"""

import re
from typing import NamedTuple

from online_il.tasks import beside, verifier
from online_il.tasks.latex import TEXT, flat, grouped, key, plain

_WORD = r"(?:(?:option|choice|answer)\s+)?"
_CHOICE = re.compile(
    rf"{_WORD}(?:\(\s*([A-J])\s*\)|([A-J])\s*[.):])(?:(?:\s+|(?=\d))(?![+*/^_=,)])(.+))?"
    rf"|{_WORD}([A-J])",
    re.IGNORECASE,
)
_CHOICE_LAST = re.compile(r"(.*[^\s,+*/^_=(-])[\s,]\s*\(\s*([A-J])\s*\)")
_BOLD_LETTER = re.compile(r"(?<!\()\\text(?:bf)?\s*\{\s*([A-J])\s*\}(?=.)")
_CURRENCY = re.compile(r"[€£¥₹]|\\(?:pounds|euro)(?![a-zA-Z])")
_PERCENT = re.compile(r"(.*[^\s\\])\s*\\?%")
_NUMBERS = re.compile(r"\d+(?: \d+)+")

# Endings that math-verify takes for units: never so, and not in a formula of letters.
_VARIABLE = re.compile(r"(?<=[\d}\s])(?:ab|bc|[cdto])$")
_UNIT_OR_VARIABLE = re.compile(r"(?<=[\d}\s])[ghlms]$")
_NO_VARIABLE = re.compile(
    r"\\(?:text|mbox|mathrm)\s*\{[^{}]*\}|\\(?:[dt]?frac|sqrt|times|cdot|left|right|circ)"
)


class _Choice(NamedTuple):
    letter: str
    value: str


def equal(answer: str, reference: str) -> bool:
    """Compare the content of an answer's box with the reference; False in doubt. Never raises."""
    if max(len(answer), len(reference)) > verifier.MAX_CHARS:
        return False
    ours, known = plain(answer), plain(reference)
    if not key(ours) or not key(known):
        return False
    if key(ours) == key(known):
        return True
    mine, right = _choice(ours), _choice(known)
    if mine and right:
        both = bool(mine.value and right.value)
        return mine.letter == right.letter and (not both or _same(mine.value, right.value))
    if right and right.value and _same(ours, right.value):
        return True
    if mine and mine.value and _same(mine.value, known):
        return True
    return _same(ours, known)


def _choice(text: str) -> _Choice | None:
    r"""Split `(C)\ 36`, `C. 36`, `36 (C)` or `C` into letter and value; None for anything else.

    In bare LaTeX a small letter in parentheses is a factor, in `\text{(c)}` it is a choice.
    """
    shown = flat(_BOLD_LETTER.sub(r"\\text{(\1)} ", text))
    if found := _CHOICE.fullmatch(shown):
        letter = found[1] or found[2] or found[4]
        if letter.isupper() or shown != text:
            return _Choice(letter.upper(), found[3] or "")
    elif found := _CHOICE_LAST.fullmatch(shown):
        return _Choice(found[2], found[1])
    return None


def _same(answer: str, reference: str) -> bool:
    """Compare two plain answers in figures or, if one has none, as they stand."""
    figures, known = beside.in_figures(answer), beside.in_figures(reference)
    written_out = (figures != answer) + (known != reference)
    return (written_out > 0 and _alike(figures, known)) or (
        written_out < 2 and _alike(answer, reference)
    )


def _alike(answer: str, reference: str) -> bool:
    """Compare two plain answers as they stand."""
    if beside.contradict(answer, reference):
        return False
    answer, reference = beside.ordered(answer, reference), beside.ordered(reference, answer)
    ours, known = for_verifier(answer), for_verifier(reference)
    return key(ours) == key(known) or verifier.equal(ours, known)


def for_verifier(text: str) -> str:
    """Rewrite a plain answer so that math-verify reads it rightly."""
    text = grouped(beside.bare(text))
    text = _CURRENCY.sub("", text)
    # Of several words it strips all from the first to the last, with the numbers between.
    groups = list(TEXT.finditer(text))
    if len(groups) > 1 and text[groups[-1].end() :].strip() in ("", "^2", "^{2}", "^3", "^{3}"):
        text = text[: groups[-1].start()].rstrip()
    # math-verify adds numbers that stand side by side (`12 34` is 46); they are a list.
    if _NUMBERS.fullmatch(text):
        text = text.replace(" ", "; ")
    if (found := _PERCENT.fullmatch(text)) and not found[1].replace(".", "", 1).isdecimal():
        text = f"\\frac{{{found[1]}}}{{100}}"  # It knows percents of plain numbers.
    end = _VARIABLE.search(text) or _UNIT_OR_VARIABLE.search(text)
    if end:
        rest = _NO_VARIABLE.sub("", text[: end.start()])
        if len(end[0]) == 2 or end[0] in "cdto" or re.search("[A-Za-z]", rest):
            text = f"{text[: end.start()]}{{{end[0]}}}"
    return text
