"""Finding keywords in text of any script."""

import unicodedata
from collections.abc import Callable, Sequence

import regex

UNSPACED = r"\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Bopo}\p{Line_Break=SA}"
"""Scripts without spaces between words; SA: Thai, Lao, Khmer, Burmese and their neighbours."""
LETTER = r"[\p{Alphabetic}\p{M}\p{Nd}\p{Join_Control}]"
SPACED = rf"[{LETTER}--[{UNSPACED}\p{{Hangul}}]]"
# An underscore joins two words (`wait_for`), but is emphasis at the end of one (`_wait_`).
BEFORE, AFTER = rf"(?<!{SPACED}_*)", rf"(?!_*{SPACED})"
# Curly apostrophes become straight; soft hyphens and what chooses an emoji's look go.
_ALIKE = {0x2019: "'", 0x02BC: "'", 0xAD: None, 0xFE0E: None, 0xFE0F: None}
_WORD = regex.compile(rf"[{UNSPACED}]\p{{M}}*|[^\s{UNSPACED}]+", regex.V1)


def counter(keywords: Sequence[str]) -> Callable[[str], list[int]]:
    """Makes a function that counts how often each keyword stands in a text, overlaps once.

    What a reader would count, whatever the case (ß is ss, İ is i), the kind of apostrophe, the way
    accents are encoded, and the white space between the words of a keyword:

    - A keyword that begins or ends in a letter or digit begins or ends there with the word: `wait`
      is not in `awaits`, `waiting`, `wait_for` and `wait5`, nor `cafe` in `café`. It is in
      `wait-and-see` and `_wait_`, and `it` is in `it's`; but `can` is not in `can't`, nor `don` in
      `don't`, where n't is a word of its own.
    - Chinese, Japanese, Thai, Lao, Khmer and Burmese put no spaces between words: no letter of
      theirs hides a keyword beside it (`我们wait一下`), and a keyword of theirs is found inside any
      text (`等等`). Korean writes particles and endings onto a word: a Korean keyword begins with
      a word and may go on (`답` is in `답은` and not in `정답`), and `wait` is in `wait라고`.
    - A keyword that begins or ends in a punctuation mark or a symbol may stand beside anything
      there: `?`, `...`, `=` in `x=5`, `*` in `3*4`.
    """
    patterns = [_pattern(_folded(word)) for word in keywords]

    def counts(text: str) -> list[int]:
        folded = _folded(text)
        return [len(pattern.findall(folded)) for pattern in patterns]

    return counts


def words(text: str) -> list[str]:
    """Split a text into words at white space; in scripts without spaces, into letters."""
    return _WORD.findall(text)


def _pattern(keyword: str) -> "regex.Pattern[str]":
    parts = keyword.split()
    if not parts:  # Nothing but soft hyphens.
        return regex.compile(r"(?!)")
    first, last = parts[0][0], parts[-1][-1]
    before = after = ""
    if regex.match(SPACED, first, regex.V1):
        before = BEFORE
    elif regex.match(r"\p{Hangul}", first):
        before = r"(?<!\p{Hangul})"
    if regex.match(SPACED, last, regex.V1):
        after = AFTER + (rf"(?!'t(?!{LETTER}))" if last == "n" else "")
    elif regex.match(LETTER, last, regex.V1):
        after = r"(?!\p{M})"
    return regex.compile(before + r"\s+".join(map(regex.escape, parts)) + after, regex.V1)


def _folded(text: str) -> str:
    """Replace letters that a reader takes for the same by one of them."""
    folded = unicodedata.normalize("NFC", text).casefold().replace("i\u0307", "i")
    return unicodedata.normalize("NFC", folded.translate(_ALIKE))
