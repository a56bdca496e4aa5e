"""Reading the body of a 200: an answer's text, why it ended, and what it is billed.

Servers that call themselves OpenAI-compatible add fields, leave some out and use words of their
own. What can be read is read; an odd field never makes an answer unreadable, for it is paid.
"""

import json
import math
import re
from typing import Any, NamedTuple

from online_il.generation.journal import End, Usage
from online_il.text import encodable

ENDS: dict[End, str] = {
    # First, for a filter's word may stand beside "error" (`ERROR_TOXIC`).
    "filtered": r"block\w*|censor\w*|filter\w*|flagged|guardrail|moderation|policy|prohibited"
    r"|recitation|refus\w*|safety|sensitive|spii|toxic",
    "broken": r"errors?|abort\w*|cancel\w*|disconnect\w*|exception|fail\w*|insufficient|internal"
    r"|interrupt\w*|killed|overload\w*|preempt\w*|quota|rate|shutdown|timeout|unavailable",
    "length": r"context|cut|incomplete|length|limit|max\w*|truncat\w*",
    "stop": r"calls?|complete\w*|done|end\w*|eos\w*|eot|finished|normal|stop\w*|success|tool|turn",
}
"""Words in a server's reason to end: the first kind that one of them belongs to is what it means.

A tool call is an answer that ended by itself: no tools are offered, so it is what the model said.
"""
TEXTS = ("text", "content", "value", "thinking", "reasoning", "summary", "refusal")
"""Names under which a part of an answer may hold its text."""
THOUGHTS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
"""Names of reasoning apart from the answer, as DeepSeek, vLLM, Ollama and OpenRouter have them."""
BYTES_PER_TOKEN = 4
"""Bytes of UTF-8 a token, for estimates where the server does not count tokens."""


class Reply(NamedTuple):
    """One response to a request."""

    text: str
    """The answer, without its reasoning."""
    reasoning: str
    """Reasoning that the server returns apart."""
    word: str
    """Why it ended, as the server says, 40 characters at most; `none` where it does not say."""
    end: End
    """The meaning of that word."""
    usage: Usage
    """The tokens that are billed."""
    estimated: bool
    """True where tokens are estimated from the text, for the server does not count all."""
    served_by: str | None
    """Model and version as the server names them."""
    left_out: tuple[str, ...]
    """Kinds of its parts that hold no text."""

    def answer(self, primer: str) -> str:
        """Join the answer and its reasoning, without the primer of its prompt."""
        return answer_text(self.text, self.reasoning, cut=self.end != "stop", primer=primer)

    @property
    def ended(self) -> bool:
        """True where the server says, in a word that we know, why the answer ended or was cut."""
        return ending(self.word) in {"stop", "length", "filtered"}


def answer_text(content: str | None, reasoning: str | None, *, cut: bool, primer: str) -> str:
    """Join what a server returns: reasoning between think tags, then the rest.

    `cut`: it did not end by itself, so reasoning that nothing follows is not closed.
    """
    text = content or ""
    if reasoning:
        thoughts = "<think>\n" + reasoning.strip("\n")
        closed = thoughts + "\n</think>\n\n" + text.lstrip("\n")
        text = thoughts if cut and not text else closed
    if primer and text.startswith(primer):
        return text.removeprefix(primer)
    if primer.rstrip().endswith("<think>"):
        return text.removeprefix("<think>")
    return text


def ending(word: str) -> End | None:
    """Translate a server's reason to end; None for a word that we do not know."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", word).lower())
    kinds = (end for end, known in ENDS.items() if any(re.fullmatch(known, w) for w in words))
    return next(kinds, None)


class Said(NamedTuple):
    """The text and the end of one choice of a body."""

    text: str
    reasoning: str
    word: str
    """Why it ended, as the server says; `none` where it does not say."""
    left_out: tuple[str, ...]
    """Kinds of its parts that hold no text."""


def said_in(choice: dict[str, Any]) -> Said:
    """Read a choice, whatever the shape of its content: a text, parts, or nothing."""
    message = choice.get("message") or choice
    if not isinstance(message, dict):
        message = {"content": message}
    text, thoughts, left_out = _parts(message.get("content", message.get("text")))
    text = text or _text(message.get("refusal"))
    reasoning = next((t for name in THOUGHTS if (t := _text(message.get(name)))), thoughts)
    return Said(text, reasoning, _word(choice.get("finish_reason")), left_out)


def read(body: dict[str, Any], request: dict[str, Any]) -> Reply:
    """Read the reply in a response's body. `request` is what was sent, for its longest answer."""
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    text, reasoning, word, left_out = said_in(first if isinstance(first, dict) else {})
    billed = body["usage"] if isinstance(body.get("usage"), dict) else {}
    usage, estimated = _usage(billed, text, reasoning, request)
    end = ending(word)
    if end is None:
        # No word for its end, and as long as allowed: cut.
        longest = request["max_tokens"]
        end = "length" if (_first(billed, OUTPUT) or 0) >= longest else "stop"
    names = (body.get("model"), body.get("system_fingerprint"))
    served_by = (
        " ".join(encodable(name) for name in names if name and isinstance(name, str)) or None
    )
    return Reply(text, reasoning, word, end, usage, estimated, served_by, left_out)


def _word(reason: object) -> str:
    """Shorten a reason to end; some servers give a number, or an object with its type."""
    value = reason.get("type") if isinstance(reason, dict) else reason
    text = value if isinstance(value, str) else json.dumps(value)
    word = " ".join(encodable(text).split())[:40]
    return "none" if word.lower() in {"", "null", "none"} else word


def _text(value: object) -> str:
    """Collect the text in a field: a text, a part that has one under some name, or a list."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, list):
        return "".join(map(_text, value))
    if isinstance(value, dict):
        return next((text for name in TEXTS if (text := _text(value.get(name)))), "")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return json.dumps(value) if number else ""


def _parts(content: object) -> tuple[str, str, tuple[str, ...]]:
    """Split an answer into text, reasoning, and the kinds of its parts that hold neither."""
    text, thoughts, left_out = "", "", []
    for part in content if isinstance(content, list) else [content]:
        kind, words = "text", _text(part)
        if isinstance(part, dict):
            kind = str(part.get("type") or " ".join(sorted(name for name in part if part[name])))
        if any(stem in kind.lower() for stem in ("think", "thought", "reason")):
            thoughts += words
        elif words:
            text += words
        elif isinstance(part, dict) and "text" not in kind:
            left_out.append(encodable(kind)[:40])
    return text, thoughts, tuple(left_out)


# ---- what is billed ----

PROMPT = ("prompt_tokens", "input_tokens")
OUTPUT = ("completion_tokens", "output_tokens")
THOUGHT = ("reasoning_tokens",)
DETAILS = ("completion_tokens_details", "output_tokens_details")


def has_usage(body: dict[str, Any]) -> bool:
    """True where a body says how many tokens it took."""
    usage = body.get("usage")
    return isinstance(usage, dict) and any(
        _first(usage, names) is not None for names in (PROMPT, OUTPUT, ("total_tokens",))
    )


def _count(value: object) -> int | None:
    """Read a number of tokens, from a number or its digits; None for anything else."""
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return math.ceil(number) if 0 <= number < 1e9 else None


def _first(usage: dict[str, Any], names: tuple[str, ...]) -> int | None:
    """Find the first count that there is under some names."""
    return next((n for name in names if (n := _count(usage.get(name))) is not None), None)


def _estimate(text: str) -> int:
    """Estimate the number of tokens of a text."""
    return math.ceil(len(text.encode()) / BYTES_PER_TOKEN)


def _usage(
    usage: dict[str, Any], text: str, reasoning: str, request: dict[str, Any]
) -> tuple[Usage, bool]:
    """Read the billed tokens, and whether some of them are estimated.

    Where the total exceeds prompt and completion, the rest is reasoning that is billed beside the
    completion (xAI says how much, Gemini says only the total); where it does not, reasoning is
    part of the completion, as OpenAI counts.
    """
    asked, output = _first(usage, PROMPT), _first(usage, OUTPUT)
    total = _first(usage, ("total_tokens",))
    details = [usage, *(part for name in DETAILS if isinstance(part := usage.get(name), dict))]
    thought = next((n for part in details if (n := _first(part, THOUGHT)) is not None), None)
    if output == 0 and (text or reasoning):
        output = thought or None
    if total is not None and asked is not None and output is not None:
        rest = max(total - asked - output, 0)
        output += rest if thought is None else min(rest, thought)
    elif output is not None and thought and thought > output:
        output += thought
    estimated = False
    if output is None and total is not None and asked is not None and total > asked:
        output = total - asked
    elif output is None:
        output = _estimate(text) + (_estimate(reasoning) if thought is None else thought)
        estimated = True
    if asked is None and total is not None and total > output:
        asked = total - output
    elif asked is None:
        asked = _estimate("".join(_text(m.get("content")) for m in request["messages"]))
        estimated = True
    return Usage(asked, output), estimated
