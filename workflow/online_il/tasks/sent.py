r"""An answer as people's files hold it: extracted already, a response with boxes, or a sentence.

Boxes are graded as in a response. What was extracted is graded as the content of a box: whoever
searches it like prose finds 2 in `2\sqrt{3}` and nothing in `(1,2)`. Only a sentence is searched.
"""

import re

from online_il.tasks import answers, beside, boxed, verifier
from online_il.tasks.latex import flat, key, numbers, plain

_WORDS_OF_SENTENCES = """
the is are was were be it its we they this that there these answer answers so thus hence therefore
then since because get gives have has must equals equal final result results think approximately
about roughly ans let which need needs wait hmm well okay sure maybe here
"""
_SENTENCE_WORDS = frozenset(_WORDS_OF_SENTENCES.split())
"""Words of which no extracted answer is made."""
_MANY_WORDS = 3
_COMMAND = re.compile(r"\\[A-Za-z]+")
_PROSE_WORD = re.compile(r"(?<![A-Za-z])[A-Za-z]{2,}(?![A-Za-z])")
_LABEL = re.compile(r"^\s*\**[A-Za-z]{3,}[^\S\n]*\**:", re.MULTILINE)
_OTHER_SCRIPT = re.compile(r"[\u0400-\u052f\u0590-\u1cff\u3040-\ud7ff]")
_UNSPACED = re.compile(r"(?<=[\u3040-\ud7ff])(?=[-\d$\\])")
_ANSWER_IS = re.compile(
    r"(?:answer|result)s?\b[^:=.]{0,60}?(?:\b(?:is|are|be|equals)\b|:|=)[\s*:]*(.*)",
    re.IGNORECASE | re.DOTALL,
)
_ONLY_FORMULA = re.compile(r"[^$]*\$([^$]+)\$[\s.!*]*")


def right(answer: str, reference: str) -> bool:
    """Compare an answer with the reference, however it was sent; False in doubt. Never raises."""
    reference = boxed.last_box(reference) or reference.rpartition("####")[2]
    if boxed.opens(answer) or boxed.last_box(answer) is not None:
        return boxed.grade(answer, reference)[0]
    if not _is_sentence(answer):
        return answers.equal(answer, reference)
    if len(answer) > verifier.MAX_SENTENCE_CHARS or len(reference) > verifier.MAX_CHARS:
        return False
    known = plain(reference)
    if len(answer) <= verifier.MAX_CHARS and key(plain(answer)) == key(known) != "":
        return True
    stated = _stated_answer(answer)
    if stated is not None:
        return answers.equal(stated, reference)
    # math-verify sees a number after a space only, which Chinese and Japanese do without.
    answer = _UNSPACED.sub(" ", numbers(answer))
    return verifier.equal(answer, answers.for_verifier(known), boxed=False)


def _is_sentence(text: str) -> bool:
    if len(text) > verifier.MAX_CHARS:
        return True
    shown = _COMMAND.sub(" ", flat(text))
    words = [word.lower() for word in _PROSE_WORD.findall(shown)]
    others = [word for word in words if word not in ("and", "or") and not beside.is_unit(word)]
    return (
        not _SENTENCE_WORDS.isdisjoint(words)
        or len(others) >= _MANY_WORDS
        or "####" in text
        or bool(_LABEL.search(shown) or _OTHER_SCRIPT.search(shown))
    )


def _stated_answer(text: str) -> str | None:
    """Find the answer that a text ends with, if it says where it is; None otherwise."""
    if "####" in text:  # As GSM8K's solutions end.
        return text.rpartition("####")[2].strip()[: verifier.MAX_CHARS] or None
    start = max(text.lower().rfind("answer"), text.lower().rfind("result"))
    tail = text[start : start + verifier.MAX_CHARS] if start >= 0 else ""
    found = _ANSWER_IS.match(tail) or _ONLY_FORMULA.fullmatch(text[-verifier.MAX_CHARS :])
    stated = found[1].strip(" *\n\t") if found else ""
    return stated if stated and not _is_sentence(stated) else None
