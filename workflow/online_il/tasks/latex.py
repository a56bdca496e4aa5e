r"""One plain way of writing for the many in which the same answer is written.

LaTeX and Unicode have several spaces, commas, minus signs and brackets for one meaning. math-verify
0.9.0 knows some; with the others it multiplies or adds (`12\,345` is 357 to it), takes half of the
answer (`(−∞, 3]` is 3) or reads nothing (`42.`). All of this is text in, text out.
"""

import re

_RAISED, _LOWERED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "₀₁₂₃₄₅₆₇₈₉₊₋"
_ASCII_DIGITS = "0123456789+-"
_SCRIPTS = re.compile(rf"([{_RAISED}]+)|([{_LOWERED}]+)")
_ROOT = re.compile(r"√\s*(?:(\d+)|\(([^()]*)\))")
_UNICODE = str.maketrans(
    {"−": "-", "–": "-", "’": "'", "′": "'", "。": ".", "，": ",", "⟨": "(", "⟩": ")"}
    | {"×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": r"\div ", "±": r"\pm "}
    | {"≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∞": r"\infty "}
    | {"∈": r"\in ", "∪": r"\cup ", "∩": r"\cap ", "∅": r"\emptyset ", "√": r"\sqrt "}
    | {"π": r"\pi ", "°": r"^{\circ}", "½": r"\frac{1}{2}", "¼": r"\frac{1}{4}"}
    | {"¾": r"\frac{3}{4}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "⅛": r"\frac{1}{8}"}
    | dict.fromkeys(map(ord, "\u200b\u2060\ufeff"), "")
)

TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|normal|sf|tt|up)?|mbox|math(?:rm|bf|it|sf|tt)|operatorname|boldsymbol|bm"
    r"|emph|underline)\s*\{([^{}]*)\}"
)
# A comma that LaTeX sets without a space after it: it is inside a number.
_TIGHT = (
    r"(?:(?:\\!\s*)*\{(?:\\!|\s)*,(?:\\!|\s)*\}(?:\\!\s*)*|(?:\\!\s*)+,(?:\\!\s*)*|,(?:\\!\s*)+)"
)
_TIGHT_CHAIN = re.compile(rf"(?<![\d.,])\d+(?:{_TIGHT}\d+)+")
_SPACE = re.compile(
    r"(?:(?<!\\)\\(?:[,;:> ]|(?:q?quad|(?:thin|med|thick|en)?space)(?![a-zA-Z]))|~|[^\S\n])+"
)
_NO_SPACE = re.compile(
    r"\\!|\\(?:negthinspace|(?:display|text)style|checkmark|bf|rm|it|small|[lL]arge"
    r"|[hH]uge)(?![a-zA-Z])|\\(?:text)?color\s*\{[^{}]*\}"
)
_SPACE_CHAIN = re.compile(r"(?<![\w.,^])\d+(?: \d+)*(?:\.\d+(?: \d+)*)?")
# As programs write floats; `1e3_{16}` and `2e^3` are none.
_FLOAT = re.compile(r"(?<![\w.^])(\d+(?:\.\d+)?)[eE]\+?(-?\d{1,3})(?![\w.^])")
_SIZE = re.compile(r"\\[bB]igg?[lrm]?(?![a-zA-Z])\s*")
_BRACKET = re.compile(r"\\([lr])(brace|brack|angle)(?![a-zA-Z])")
_BRACKETS = {"lbrace": r"\{", "rbrace": r"\}", "lbrack": "[", "rbrack": "]"} | {
    "langle": "(",  # math-verify reads the pair as the decimal 1.2.
    "rangle": ")",
}
_MIXED = re.compile(r"(?<![\w.,/^])(\d+) (\d+)/(\d+)(?![\w/])")
_PRIME = re.compile(r"(?<=[A-Za-z])(?:('+)|\^\s*\{?((?:\s*\\prime)+)\s*\}?)(?![A-Za-z])")
_TRAILING = re.compile(r"(?:(?<!\.)\.|[,;:]|\s|\\\\|\\text\s*\{[.,;]\}|(?<!\\)\$)$")
_COMMA_TOKEN = re.compile(r"\\.|[\[\](){}]|\d+(?:,\d+)+", re.DOTALL)


def plain(text: str) -> str:
    """Simplify an answer: no math signs around it, no full stop after it, one space.

    Thousands that are set apart by a space of any kind, `{,}` or `\!` are joined.
    """
    text = numbers(text)
    if text.strip().startswith("\\[") and "\\]" in text:
        text = text.replace("\\[", " ").replace("\\]", " ")
    text = re.sub(r"(?<!\\)\$|(?<!\\)\\[()]", " ", text)
    text = " ".join(text.split())
    text = re.sub(r"^(\*\*|`+)(.*)\1(?=[.,;:]?$)", r"\2", text)
    while (shorter := _TRAILING.sub("", text)) != text:
        text = shorter
    text = re.sub(r"[.,;:]\s*\}$", "}", text)
    text = re.sub(r"^(?:=|:|\\approx(?![a-zA-Z]))\s*", "", text)
    text = _BRACKET.sub(lambda one: _BRACKETS[one[1] + one[2]], _SIZE.sub("", text))
    text = _FLOAT.sub(r"\1\\cdot 10^{\2}", text)
    # math-verify takes three halves for `3 1/2`'s neighbours and drops the prime of `f'`.
    text = _MIXED.sub(r"\1\\frac{\2}{\3}", text)
    text = _PRIME.sub(lambda one: "_{" + "prime" * _primes(one) + "}", text)
    text = re.sub(r"\\(?:boldsymbol|bm)\s*(?=\{)", r"\\mathbf", text)
    text = re.sub(r"(\\math(?:bb|bf|rm)) ?([A-Za-z\d])(?![A-Za-z])", r"\1{\2}", text)
    text = re.sub(r"\\degrees?(?![a-zA-Z])", r"^{\\circ}", text)
    return text.replace("\\varnothing", "\\emptyset").strip()


def numbers(text: str) -> str:
    """Put each number in one piece, and write mathematical characters as LaTeX does."""
    if not text.isascii():
        text = _ROOT.sub(lambda one: f"\\sqrt{{{one[1] or one[2]}}}", text)
        text = _SCRIPTS.sub(_script, text).translate(_UNICODE)
    text = _NO_SPACE.sub("", _TIGHT_CHAIN.sub(_tight, text))
    return _SPACE_CHAIN.sub(_spaced, _SPACE.sub(" ", text))


def flat(text: str) -> str:
    r"""Put what stands in `\text{...}` and its like in the open."""
    for _ in range(3):  # `\textbf{\text{C}}` is seen, deeper nests are not.
        text = TEXT.sub(r" \1 ", text)
    return " ".join(text.split())


def key(text: str) -> str:
    """Strip everything that is not seen on paper, so that equal keys look the same."""
    text = re.sub(r"\\(?:left|right)(?![a-zA-Z])", "", flat(text)).replace("\\dfrac", "\\frac")
    text = re.sub(r"(?<!\d) | (?!\d)", "", text)
    return text.casefold() if text.isalpha() else text


def grouped(text: str) -> str:
    """Write `1,234` as 1234, in formulas too; in brackets the comma is one of a list."""
    opened: list[str] = []

    def one(match: re.Match[str]) -> str:
        token = match[0]
        if token in ("(", "[", "\\{"):
            opened.append("list")
        elif token == "{":
            # The braces of `{1,234}` are a set to math-verify, those of `\frac{1,234}{5}` are not.
            before = text[: match.start()].rstrip()[-1:]
            opened.append("argument" if before.isalpha() or before in ("}", "^", "_") else "list")
        elif token in (")", "]", "}", "\\}") and opened:
            opened.pop()
        elif token[0].isdigit() and _thousands(parts := token.split(",")):
            listed = opened and opened[-1] == "list"
            # In `(1,234, 5)` the list's commas have spaces.
            spaced = text[match.end() :][:2] == ", " or text[: match.start()][-2:] == ", "
            return "".join(parts) if spaced or not listed else token
        return token

    return _COMMA_TOKEN.sub(one, text)


def _thousands(parts: list[str]) -> bool:
    first, *rest = parts
    return len(first) <= 3 and first[0] != "0" and all(len(part) == 3 for part in rest)


def _tight(match: re.Match[str]) -> str:
    parts = re.split(_TIGHT, match[0])
    if _thousands(parts):
        return "".join(parts)
    # `0{,}5` is how LaTeX writes a decimal comma.
    return ".".join(parts) if len(parts) == 2 else ",".join(parts)


def _spaced(match: re.Match[str]) -> str:
    integer, dot, decimals = match[0].partition(".")
    parts, places = integer.split(" "), decimals.split(" ")
    digits = all(len(place) == 3 for place in places[:-1]) and len(places[-1]) <= 3
    if (len(parts) > 1 and not _thousands(parts)) or (len(places) > 1 and not digits):
        return match[0]
    return "".join(parts) + dot + "".join(places)


def _script(match: re.Match[str]) -> str:
    sign, characters = ("^", _RAISED) if match[1] else ("_", _LOWERED)
    return f"{sign}{{{match[0].translate(str.maketrans(characters, _ASCII_DIGITS))}}}"


def _primes(match: re.Match[str]) -> int:
    return len(match[1] or "") + (match[2] or "").count("prime")
