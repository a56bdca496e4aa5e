"""One request to an OpenAI-compatible API: its reply, or why there is none.

Nothing that the SDK says is shown, and nothing of the server's as it is: it may quote the key.
"""

import asyncio
import email.utils
import json
import time
from typing import Any

import openai

from online_il.config.endpoint import Endpoint
from online_il.generation.journal import Usage
from online_il.generation.refusal import Fault, fault_in, fault_of, hidden
from online_il.generation.reply import Reply, has_usage, read

REPEATED = {408, 409, 425, 429}
"""HTTP statuses below 500 that may pass."""
NOT_JSON = "the answer is not JSON of the OpenAI format"


class Failed(Exception):
    """A request without an answer; the text is fit to be shown."""

    def __init__(
        self,
        reason: str,
        *,
        is_transient: bool = True,
        stops: bool = False,
        wait: float | None = None,
        billed: Reply | None = None,
    ) -> None:
        super().__init__(reason)
        self.is_transient = is_transient
        """True where the next attempt may succeed."""
        self.stops = stops
        """True where every other request would fail, too."""
        self.wait = wait
        """Seconds that the server asks to wait."""
        self.billed = billed
        """A reply that bills tokens, though it is no whole answer."""


async def complete(
    client: openai.AsyncOpenAI, body: dict[str, Any], endpoint: Endpoint, key: str
) -> Reply:
    """Send one request. Raises `Failed` unless the answer is complete."""
    secret = key if endpoint.key_variable else None
    try:
        # The SDK's own time-out starts anew with every byte; this one is for the whole.
        async with asyncio.timeout(endpoint.timeout_seconds):
            raw = await client.chat.completions.with_raw_response.create(**body)
    except (TimeoutError, openai.APITimeoutError):
        raise Failed(f"no whole answer within {endpoint.timeout_seconds:g} s") from None
    except openai.APIStatusError as error:
        response = error.response
        wait = _retry_after(response.headers)
        fault = fault_of(response.content, error.status_code, soon=wait is not None)
        return _refused(fault, endpoint, secret, wait)
    except openai.APIConnectionError as error:
        # The class only: its text may quote what was sent.
        cause = type(error.__cause__ or error).__name__
        raise Failed(f"no connection to {endpoint.url}, or it was cut ({cause})") from None
    try:
        content = json.loads(raw.content)
        fault_in_body = fault_in(content)
        reply = read(content if isinstance(content, dict) else {}, body)
    except (ValueError, RecursionError):
        # Half an answer is no cause; a page in its place is.
        page = fault_of(raw.content, 200) if raw.content.lstrip().startswith(b"<") else None
        raise Failed(NOT_JSON + (page.quote(secret) if page else "")) from None
    is_answer = bool(reply.text) and reply.ended
    reply = _without(reply, secret)
    is_billed = isinstance(content, dict) and has_usage(content)
    billed = reply._replace(end="broken") if is_billed else None
    if fault_in_body and not is_answer:
        return _refused(fault_in_body, endpoint, secret, _retry_after(raw.headers), billed)
    if not isinstance(content, dict):
        raise Failed(NOT_JSON)
    if not content.get("choices"):
        raise Failed("the answer holds no choice", billed=billed)
    if reply.end == "broken":
        raise Failed(f"the server broke the answer off ({reply.word})", billed=billed)
    if reply.word == "none" and reply.end == "stop" and not (reply.text or reply.reasoning):
        raise Failed("the answer holds no text", billed=billed)
    return reply


def _without(reply: Reply, key: str | None) -> Reply:
    """Replace the key in what is shown of a reply."""
    return reply._replace(
        word=hidden(reply.word, key),
        served_by=reply.served_by and hidden(reply.served_by, key),
        left_out=tuple(hidden(kind, key) for kind in reply.left_out),
    )


def _refused(
    fault: Fault,
    endpoint: Endpoint,
    key: str | None,
    wait: float | None,
    billed: Reply | None = None,
) -> Reply:
    """Return the empty reply to a prompt that the filter refused; raises `Failed` for all else."""
    if fault.filtered and not fault.spent:
        usage = billed.usage if billed else Usage()
        return Reply("", "", "content_filter", "filtered", usage, False, None, ())
    failure = _failure(fault, endpoint, key)
    failure.wait, failure.billed = wait, billed
    raise failure from None


def _failure(fault: Fault, endpoint: Endpoint, key: str | None) -> Failed:
    """Name the cause of an HTTP status and its remedy."""
    status, variable, quote = fault.status, endpoint.key_variable, fault.quote(key)
    lead = f"{endpoint.url}: HTTP {status}"
    if fault.spent or status == 402:
        text = f"{lead}, no credit is left; top it up{quote}"
    elif status in REPEATED or status >= 500:
        return Failed(f"HTTP {status}{quote}")
    elif status in {401, 403} and variable is None:
        text = f"{lead}, a key is asked for; name its environment variable in key_variable{quote}"
    elif status == 401:
        # Without its words, which are about the key.
        text = f"{lead}, the key is refused; put a valid one in the environment variable {variable}"
    elif status == 403:
        text = (
            f"{lead}, refused; the key in {variable} needs access to the model {endpoint.model}"
            f"{quote}"
        )
    elif status in {404, 405}:
        text = f"{lead}{quote}; check the endpoint's url and its model, {endpoint.model}"
    else:
        return Failed(f"refused with HTTP {status}{quote}", is_transient=False)
    return Failed(text, is_transient=False, stops=True)


def _retry_after(headers: Any) -> float | None:
    """Read the seconds that a server asks to wait: a number or a date (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after", "")
    if value.isdecimal():
        return float(value)
    try:
        return email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except ValueError:
        return None
