"""One request to an OpenAI-compatible API: its answer, or why there is none.

Nothing that the server or the SDK says is shown as it is: an error may quote the key.
"""

import asyncio
import email.utils
import time
from typing import Any

import openai
from pydantic import BaseModel, Field, ValidationError

from online_il.config.endpoint import Endpoint

REPEATED = {408, 409, 425, 429}
"""HTTP statuses below 500 that may pass."""
WHOLE = {"stop", "length", "content_filter"}
"""Reasons to end that leave an answer; any other is the server's trouble, and asked again."""


class Message(BaseModel):
    """What the model said."""

    content: str | None = None
    reasoning_content: str | None = None
    """Reasoning, as DeepSeek names it."""
    reasoning: str | None = None
    """Reasoning, as vLLM names it."""


class Choice(BaseModel):
    """One answer."""

    message: Message
    finish_reason: str | None = None


class Tokens(BaseModel):
    """What is billed."""

    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)


class Completion(BaseModel):
    """What of a response's body is read."""

    choices: list[Choice] | None = None
    usage: Tokens | None = None
    model: str | None = None
    system_fingerprint: str | None = None

    @property
    def finish_reason(self) -> str:
        """Why the answer ended, as the server says."""
        return (self.choices[0].finish_reason if self.choices else None) or "none"

    def text(self, primer: str) -> str:
        """The answer, its reasoning between think tags, without the primer of its prompt."""
        if not self.choices:
            raise ValueError("this completion holds no choice")
        message = self.choices[0].message
        return answer_text(
            message.content,
            message.reasoning_content or message.reasoning,
            cut=self.finish_reason == "length",
            primer=primer,
        )


class Failed(Exception):
    """A request without an answer; the text is fit to be shown."""

    def __init__(
        self,
        reason: str,
        *,
        passes: bool = True,
        stops: bool = False,
        wait: float | None = None,
        billed: Completion | None = None,
    ) -> None:
        super().__init__(reason)
        self.passes = passes
        """Whether it may go well the next time."""
        self.stops = stops
        """Whether no other request would fare better."""
        self.wait = wait
        """Seconds that the server asks to wait."""
        self.billed = billed
        """A body that bills tokens, though it holds no whole answer."""


def answer_text(content: str | None, reasoning: str | None, *, cut: bool, primer: str) -> str:
    """A response's text from what a server returns: reasoning between think tags, then the rest.

    `cut`: the response is as long as allowed, so reasoning that nothing follows is not closed.
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


async def complete(
    client: openai.AsyncOpenAI, body: dict[str, Any], endpoint: Endpoint, key: str
) -> Completion:
    """One request. Raises `Failed` unless there is a whole answer that says what it took."""
    try:
        # The SDK's own time-out starts anew with every byte; this one is for the whole.
        async with asyncio.timeout(endpoint.timeout_seconds):
            raw = await client.chat.completions.with_raw_response.create(**body)
        completion = Completion.model_validate_json(raw.content)
    except (TimeoutError, openai.APITimeoutError):
        raise Failed(f"no whole answer within {endpoint.timeout_seconds:g} s") from None
    except openai.APIStatusError as error:
        raise _refusal(error, endpoint, key) from None
    except openai.APIConnectionError as error:
        # The class only: its text may quote what was sent.
        cause = type(error.__cause__ or error).__name__
        raise Failed(f"no connection to {endpoint.url}, or it was cut ({cause})") from None
    except ValidationError:
        raise Failed("the answer is not JSON of the OpenAI format") from None
    if completion.usage is None:
        raise Failed("the answer does not say how many tokens it took (usage)")
    if not completion.choices:
        raise Failed("the answer holds no choice", billed=completion)
    if completion.finish_reason not in WHOLE:
        reason = f"the server broke the answer off ({completion.finish_reason[:40]})"
        raise Failed(reason, billed=completion)
    message = completion.choices[0].message
    if message.content is None and not (message.reasoning_content or message.reasoning):
        raise Failed("the answer holds no text", billed=completion)
    return completion


def _refusal(error: openai.APIStatusError, endpoint: Endpoint, key: str) -> Failed:
    """What an HTTP status means and what to do about it."""
    status, variable = error.status_code, endpoint.key_variable
    if status in REPEATED or status >= 500:
        return Failed(f"HTTP {status}", wait=_retry_after(error.response.headers))
    said = _said(error, key if variable else None)
    lead = f"{endpoint.url}: HTTP {status}"
    if status in {401, 403} and variable is None:
        text = f"{lead}, a key is asked for; name its environment variable in key_variable"
    elif status == 401:
        text = f"{lead}, the key is refused; put a valid one in the environment variable {variable}"
    elif status == 402:
        text = f"{lead}, no credit is left; top it up"
    elif status == 403:
        text = f"{lead}, refused; the key in {variable} needs access to the model {endpoint.model}"
    elif status in {404, 405}:
        text = f"{lead}{said}; check the endpoint's url and its model, {endpoint.model}"
    else:
        return Failed(f"refused with HTTP {status}{said}", passes=False)
    return Failed(text, passes=False, stops=True)


def _said(error: openai.APIStatusError, key: str | None) -> str:
    """The server's own words, short, and without the key."""
    body = error.body
    words = (body.get("message") or body.get("detail") or "") if isinstance(body, dict) else ""
    text = " ".join(str(words).split())
    if key:
        text = text.replace(key, "***")
    return f", {text[:200]!r}" if text else ""


def _retry_after(headers: Any) -> float | None:
    """Seconds that a server asks to wait: a number, or a date (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after", "")
    if value.isdecimal():
        return float(value)
    try:
        return email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except ValueError:
        return None
