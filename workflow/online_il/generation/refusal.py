"""Reading refusals: servers that do not answer say so by HTTP status or in the body of a 200.

A server may quote the key that it was sent, so its words are shown without it, on one line.
"""

import html
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from online_il.text import encodable

LONGEST = 200
"""Characters of a server's own words that are shown."""
NESTED = ("error", "errors", "detail", "details", "metadata", "innererror", "base_resp")
"""Names under which an error holds more of itself."""
STATUSES = ("status_code", "status", "http_status", "http_code", "code", "error_code", "error")
CODES = (*STATUSES, "type", "error_type", "reason")
"""Names under which it says its kind, as a number or a word."""
WORDS = (
    *("message", "msg", "error_message", "error_msg", "status_msg", "raw", "error", "detail"),
    *("details", "title", "description"),
)
"""Names under which it says in words what is wrong."""

SPENT = re.compile(
    r"insufficient_\w*(quota|balance|credit|fund)|billing|exceeded_current_quota|payment_required"
    r"|arrear|credit|spend\w*_limit|quota_exhausted"
)
SPENT_WORDS = re.compile(
    r"exceeded (your|the) (current|monthly)( \w+)? (quota|credit|spend)"
    r"|(insufficient|not enough|out of|no more|no)( account)? (quota|balance|credits?|funds)\b"
    r"|(balance|credits?|funds)( \w+)? (too low|insufficient|exhausted|depleted|used up)"
    r"|billing (hard )?limit|in arrears|(spend|spending|budget) limit"
    r"|余额不足|欠费|额度不足"
)
"""Words for an empty account, whatever the status."""
SOON = re.compile(r"(again|retry\w*|resets?) (in|after|at) ~?\d|retry_?(delay|after)")
"""Said of what will pass, with Google's words for an empty account."""
FILTER = re.compile(r"content_(filter|policy)|responsible_ai|data_inspection|moderation")
FILTER_WORDS = re.compile(r"content exists risk|input was flagged")
"""Words for a prompt that the provider's filter refused; DeepSeek gives no code."""
KEY = re.compile(
    r"api_?key|unauthori[sz]ed|unauthenticated|authentication|account_(deactivated|disabled)"
)
KEY_WORDS = re.compile(
    r"(invalid|incorrect|missing|no|wrong|expired) (\w+ )?api[ -]?key|api[ -]?key[\w ]* not valid"
)
PASSING = re.compile(r"rate_?limit|too_many|throttl|resource_exhausted|quota")
PASSING_WORDS = re.compile(r"rate.?limit|too many requests|throttl")
KINDS = (
    (503, re.compile(r"server_error|internal|overload|unavailable|time_?out|api_error|upstream")),
    (403, re.compile(r"permission|forbidden|access_denied")),
    (404, re.compile(r"not_?found|no_such|not_exist")),
    (400, re.compile(r"invalid|bad_request|validation|unprocessable|unsupported|length|too_long")),
)
"""The HTTP statuses that other words for a kind of error stand for."""


class Fault(NamedTuple):
    """A fault that a server reports."""

    status: int
    """HTTP status; of an error in the body of a 200, the one that it stands for."""
    words: str
    """The server's own; not fit to be shown as they are."""
    spent: bool
    """True where no credit is left."""
    filtered: bool
    """True where the provider's filter refused the prompt."""

    def quote(self, key: str | None) -> str:
        """Quote the server's own words, short and without the key; empty where it has none."""
        text = hidden(self.words, key)[:LONGEST]
        return f", {text!r}" if text else ""


def hidden(text: str, key: str | None) -> str:
    """Take the key out of a text, and what of it a server that masks it leaves."""
    if not key:
        return text
    for form in (key, quote(key, safe=""), json.dumps(key)[1:-1]):
        text = text.replace(form, "***")
    if len(key) < 12:
        return text
    start, end = re.escape(key[:6]), re.escape(key[-4:])
    return re.sub(rf"{start}[^\s'\"]*|[^\s'\"]*\*[^\s'\"]*{end}", "***", text)


def fault_of(content: bytes, status: int, *, soon: bool = False) -> Fault:
    """Read the fault from a response with an HTTP status of its own.

    `soon`: it says in its headers when to ask again.
    """
    text = content.decode(errors="replace").removeprefix("\ufeff")
    try:
        body = json.loads(text)
        words, codes = words_of(body) or (json.dumps(body) if body else ""), _codes(body)
    except (ValueError, RecursionError):
        words, codes = "", ""
    return _fault(status, words or _plain(text), codes, soon=soon or _soon(text))


def fault_in(body: Any) -> Fault | None:
    """Find the error in the body of a 200; None where there is none."""
    # Google returns a list of one error.
    whole_body = body[0] if isinstance(body, list) and body else body
    if not isinstance(whole_body, dict):
        return None
    choices = whole_body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    error = first.get("error") if isinstance(first, dict) else None
    if not error and (whole_body.get("error") or not choices):
        error = {name: whole_body[name] for name in whole_body if name not in {"choices", "usage"}}
    words, codes, status = words_of(error), _codes(error), _status(error)
    if not (words or status or whole_body.get("error")):
        return None
    text = json.dumps(error)
    status = status or _meant(codes, words.lower())
    return _fault(status, words or _plain(text), codes, soon=_soon(text))


def _fault(status: int, words: str, codes: str, *, soon: bool) -> Fault:
    lower = words.lower()
    spent = bool(SPENT.search(codes))
    if status in {400, 402, 403, 429} and not soon:
        spent = spent or bool(SPENT_WORDS.search(lower))
    if status == 400 and (KEY.search(codes) or KEY_WORDS.search(lower)):
        status = 401
    filtered = bool(FILTER.search(codes) or FILTER_WORDS.search(lower))
    return Fault(status, words, spent, filtered and 400 <= status < 500)


def _soon(text: str) -> bool:
    return SOON.search(text.lower()) is not None


def _meant(codes: str, words: str) -> int:
    """Guess the HTTP status of an error without one; 500 where that is not clear."""
    if SPENT.search(codes) or SPENT_WORDS.search(words):
        return 429
    if KEY.search(codes) or KEY_WORDS.search(words):
        return 401
    if PASSING.search(codes) or PASSING_WORDS.search(words):
        return 429
    if FILTER.search(codes) or FILTER_WORDS.search(words):
        return 400
    return next((status for status, kind in KINDS if kind.search(codes)), 500)


def _levels(value: Any) -> Iterator[dict[str, Any]]:
    """List an error's objects, from the outermost."""
    if isinstance(value, list):
        for part in value[:5]:
            yield from _levels(part)
    elif isinstance(value, dict):
        yield value
        for name in NESTED:
            yield from _levels(value.get(name))


def _status(error: Any) -> int | None:
    """Read the HTTP status that an error names, as a number or its digits."""
    found = (level.get(name) for level in _levels(error) for name in STATUSES)
    numbers = (str(value).strip() for value in found if isinstance(value, str | int | float))
    whole_numbers = (number.removesuffix(".0") for number in numbers)
    return next((int(n) for n in whole_numbers if re.fullmatch("[45][0-9]{2}", n)), None)


def _codes(error: Any) -> str:
    """Read the words for an error's kind: `RateLimitError` as rate_limit_error."""
    found = (level.get(name) for level in _levels(error) for name in CODES)
    kinds = (kind for kind in found if isinstance(kind, str) and len(kind.split()) == 1)
    spaced = (re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower() for kind in kinds)
    return " ".join(re.sub(r"[^a-z0-9]+", "_", kind) for kind in spaced)


def words_of(value: Any) -> str:
    """Give what an error says in words, whatever its shape; the innermost says it best."""
    if isinstance(value, str):
        return _plain(value)
    if isinstance(value, list):
        return "; ".join(filter(None, map(words_of, value[:3])))
    if not isinstance(value, dict):
        return ""
    inner = (value.get(name) for name in NESTED if isinstance(value.get(name), dict | list))
    outer = (value.get(name) for name in WORDS)
    words = next((text for part in (*inner, *outer) if (text := words_of(part))), "")
    # As pydantic says it: where, and what.
    place = value.get("loc")
    where = ".".join(map(str, place)) + ": " if words and isinstance(place, list) else ""
    return where + words


def _plain(text: str) -> str:
    """Put a text on one line; of a page of HTML, the text in it."""
    text = encodable(text).strip()
    if text.startswith("<"):
        text = re.sub(r"(?is)<(script|style)\b.*?</\1>", " ", text)
        text = html.unescape(re.sub(r"<[^>]*>", " ", text))
    return " ".join(text.split())
