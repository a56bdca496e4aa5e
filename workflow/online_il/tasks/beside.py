r"""Reads what stands beside an answer's number: base, modulus, unit, braces or parentheses.

math-verify 0.9.0 strips the first three, takes `(1,2)` for `\{1,2\}`, and `\{1,2\}` for `1<x<2`.
Only what both answers say can tell them apart: an answer without the unit, the base or the
"million" is judged by its number, as before.
"""

import re

from online_il.tasks.latex import TEXT, flat

_BASE = re.compile(
    r"(?<![\w\\^.])(\(?)((?=[A-Z]*\d)[0-9A-Z]+)(\)?)\s*"
    r"(?:_\s*(\{(?:[^{}]|\{[^{}]*\})*\}|\\(?:text|mathrm|mbox)\s*\{[^{}]*\}|\w)"
    r"|(\\(?:text|mathrm|mbox)\s*\{[\s(]*base[^{}]*\}(?:\s*\{?\w+\}?)?|\(?base\s+\w+\)?))"
)
_NUMBER_WORDS = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
)
_BASES = {name: str(base) for base, name in enumerate(_NUMBER_WORDS.split(), 2)}
_MODULUS = re.compile(
    r"\s*(?:\\p?mod(?![a-z])\s*\{?\s*(\w+)\s*\}?"
    r"|\(\s*(?:\\text\s*\{)?\s*mod(?:ulo)?\s*\}?\s*(\w+)\s*\)"
    r"|\\text\s*\{[\s(]*mod(?:ulo)?\s*(\w+)[\s)]*\}|\\text\s*\{\s*mod(?:ulo)?\s*\}\s*(\w+))"
)
_UNITS = {
    name: names[0]
    for names in map(
        str.split,
        """am
        pm
        mm millimeter millimetre
        cm centimeter centimetre
        m meter metre
        km kilometer kilometre
        in inch inche
        ft foot feet
        yd yard
        mi mile
        mg milligram
        g gram
        kg kilogram
        lb pound
        oz ounce
        ms millisecond
        s sec second
        min minute
        h hr hour
        day
        week
        month
        yr year
        ml milliliter millilitre
        l liter litre
        cent ¢
        dollar
        euro
        degree deg
        radian rad
        celsius
        fahrenheit
        north
        south
        east
        west
        left
        right
        clockwise
        counterclockwise
        odd
        even
        bc bce
        ad ce
        ^2 square sq
        ^3 cubic cu""".splitlines(),
    )
    for name in names
}
"""Words that exclude one another beside a number; of others (12 apples) none is known to."""
_SIGNS = (
    (re.compile(r"\\circ\s*\}?\s*C(?![a-z])"), "celsius"),
    (re.compile(r"\\circ\s*\}?\s*F(?![a-z])"), "fahrenheit"),
    (re.compile(r"\\circ"), "degree"),
    (re.compile(r"\\\$"), "dollar"),
    (re.compile("€"), "euro"),
)
_HALF_DAY = re.compile(r"(?<![A-Za-z\\])([ap])(?:\.\s?m\b\.?|m\b)", re.IGNORECASE)
_COMMAND = re.compile(r"\\[A-Za-z]+")
_UNIT_WORD = re.compile(r"(?<![A-Za-z])[A-Za-z]{2,}|¢|(?<=[\d/] )[a-z]$|(?<=/)[a-z]$")
_LETTER_AS_TEXT = re.compile(r"\\(?:text|mbox|mathrm)\s*\{\s*([a-z])\s*\}")
_POWER = re.compile(r"[A-Za-z]\s*\}?\s*\^\s*\{?([23])\}?")
_DOTS = re.compile(r"\\[lc]?dots|\.\.\.|…")
_BRACKETS = re.compile(r"\\[a-zA-Z]+|\\.|[()\[\]{},]", re.DOTALL)
_RANGE = re.compile(r"[<>]|\\[lg](?:t|eq?|eqslant)(?![a-zA-Z])")
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SCALE = re.compile(
    rf"(?<=[\d}}])\s*(\\(?:text|mbox|mathrm)\s*\{{)?\s*({'|'.join(_SCALES)})s?(?![a-zA-Z])"
)


def contradict(one: str, other: str) -> bool:
    """True for two plain answers that differ in what both say beside the number."""
    units, others = _units(one), _units(other)
    return (
        _differ(_bases(one), _bases(other))
        or _differ(_moduli(one), _moduli(other))
        or not (units <= others or others <= units)
        or _differ(_numbers_in_text(one), _numbers_in_text(other))
        or bool(_DOTS.search(one)) != bool(_DOTS.search(other))
        or {_kind(one), _kind(other)} == {"set", "tuple"}
        or _is_range(one, other)
        or _is_range(other, one)
    )


def is_unit(word: str) -> bool:
    """True for a known unit, in the singular or the plural."""
    return any(name in _UNITS for name in _forms(word))


def in_figures(text: str) -> str:
    r"""Write `5\text{ million}` as `5\cdot 10^{6}`."""
    scaled = _SCALE.sub(lambda one: f"\\cdot 10^{{{_SCALES[one[2]]}}}{one[1] or ' '}", text)
    return re.sub(r"\\(?:text|mbox|mathrm)\s*\{\s*\}", "", scaled).strip()


def bare(text: str) -> str:
    """Take bases and moduli out of an answer, and give each unit one name."""
    text = TEXT.sub(_known, _HALF_DAY.sub(_half_day, text))
    text = _BASE.sub(lambda one: one[2] if one[2].isdecimal() else one[0], text)
    without = _MODULUS.sub("", text)
    return without.replace("\\equiv", "=") if without != text else text


def _known(match: re.Match[str]) -> str:
    word = match[1].strip().lower()
    return next((f"\\text{{{_UNITS[name]}}}" for name in _forms(word) if name in _UNITS), match[0])


def _half_day(match: re.Match[str]) -> str:
    return f"{match[1].lower()}m"


def _forms(word: str) -> tuple[str, str]:
    return word, word.removesuffix("s")


def _differ(one: list[str], other: list[str]) -> bool:
    return bool(one and other) and one != other


def _bases(text: str) -> list[str]:
    """List each numeral with its base."""
    found = []
    for _, numeral, _, lowered, words in _BASE.findall(text):
        base = re.sub(r"base|[^a-z0-9]", "", flat(lowered or words).casefold())
        found.append(f"{numeral.lstrip('0')} in {_BASES.get(base, base)}")
    return sorted(found)


def _moduli(text: str) -> list[str]:
    return sorted("".join(groups) for groups in _MODULUS.findall(text))


def _numbers_in_text(text: str) -> list[str]:
    r"""List the numbers in text: of `3\text{ R 2}` the 2; of `\textbf{3}` none."""
    words = [group for group in TEXT.findall(text) if re.search("[A-Za-z]", group)]
    return re.findall(r"\d+", " ".join(words))


def _units(text: str) -> set[str]:
    found = set(_LETTER_AS_TEXT.findall(text)) & set(_UNITS)
    shown = flat(text)
    for sign, name in _SIGNS:
        if sign.search(shown):
            found.add(name)
            shown = sign.sub(" ", shown)
    shown = _HALF_DAY.sub(_half_day, _COMMAND.sub(" ", shown))
    for word in map(str.lower, _UNIT_WORD.findall(shown)):
        found |= {_UNITS[name] for name in _forms(word) if name in _UNITS}
    return found | {f"^{power}" for power in _POWER.findall(text) if found}


def ordered(one: str, other: str) -> str:
    """Write a list as a tuple where the other answer is one, for math-verify to see the order."""
    return f"({one})" if (_kind(one), _kind(other)) == ("list", "tuple") else one


def _is_range(one: str, other: str) -> bool:
    """True where one is an inequality, and the other the bare numbers."""
    return bool(_RANGE.search(one)) and not _RANGE.search(other) and _kind(other) in ("set", "list")


def _kind(text: str) -> str:
    r"""Name what the commas make: "set" for `\{1, 2\}`, "tuple" for `(1, 2)`, "list" for `1, 2`.

    Brackets must enclose all of it and hold a comma; anything else is "".
    """
    depth, commas, opened = 0, 0, ""
    for place in _BRACKETS.finditer(re.sub(r"\\(?:left|right)(?![a-zA-Z])", "", text)):
        token = place[0]
        if token == "," and depth == 0 and not opened:
            return "list"
        if depth == 0 and (opened or token not in ("(", "\\{") or place.start() > 0):
            return ""
        if token in ("(", "[", "{", "\\{"):
            opened, depth = opened or token, depth + 1
        elif token in (")", "]", "}", "\\}"):
            depth -= 1
        elif token == "," and depth == 1:
            commas += 1
    return {"(": "tuple", "\\{": "set"}[opened] if depth == 0 and commas else ""
