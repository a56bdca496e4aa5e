"""Responses of a model behind an OpenAI-compatible API, asked for many at once, each exactly once.

What may pass (429, 5xx, time-outs, cut connections, bodies that are no answer) is asked again after
a growing wait; what will not pass ends the request, or all, with a sentence that says what to do.
An answer is paid for, so all that can be read is taken: without text where its end explains that
(a filter, the longest length), with an end that we do not know, without a count of its tokens.

Ours, since the paper does not say how its API experts were sampled: an API answers and does not
continue, so a prompt's primer is not sent, and it is cut from the answer's start where the model
says it too: primer and response read as one answer. Reasoning that the server returns apart stands
in the text between think tags, as in DeepSeek-R1's own template. A response that the provider's
filter cut or refused counts as ended (`stop`), an end in no word that we know as `stop` too, or as
`length` where it is as long as allowed; how many there are of each is told. Not every provider
heeds `seed`.
"""

import asyncio
import hashlib
import logging
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import openai

from online_il.chat import messages_of, primer_of
from online_il.config.endpoint import Endpoint
from online_il.config.sampling import Sampling
from online_il.errors import InputError
from online_il.generation.completion import Failed, complete
from online_il.generation.journal import Entry, Journal, Usage, canonical
from online_il.generation.reply import Reply, ending
from online_il.program.cli import warn_once
from online_il.program.progress import report

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds before the first repetition, doubled with each, and at most."""
LONGEST_ORDERED_WAIT = 600.0
"""Longest wait, seconds, that a server's `Retry-After` is granted."""
GIVE_UP = 20
"""So many requests given up in a row, with no answer between them, end the whole run."""


class Request(NamedTuple):
    """One response that is wanted."""

    prompt_id: str
    sample_index: int
    primer: str
    """The beginning of the answer that the prompt holds."""
    body: dict[str, Any]
    """The body that is sent."""
    name: str
    """Hash of all that decides the answer."""


class Tally(NamedTuple):
    """The tokens, dollars and ends of a table of responses."""

    usage: Usage
    filtered: int
    """Responses that the provider's filter cut or refused."""
    served_by: list[str]
    """Models as the server names them."""
    ends: dict[str, int]
    """Counts of the reasons to end, in the server's words."""
    estimated: int
    """Responses whose tokens the server does not count, so that they are estimated."""


def sample_seed(seed: int, prompt: int, sample: int) -> int:
    """Derive the seed that is sent with a sample of a prompt: 31 bits."""
    digest = hashlib.sha256(f"{seed},{prompt},{sample}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def request(
    endpoint: Endpoint,
    sampling: Sampling,
    *,
    prompt_id: str,
    sample_index: int,
    text: str,
    seed: int,
) -> Request:
    """Make the request for one response to a prompt's text."""
    messages, primer = messages_of(text) or [{"role": "user", "content": text}], primer_of(text)
    body: dict[str, Any] = {
        "model": endpoint.model,
        "messages": messages[:-1] if messages[-1]["role"] == "assistant" else messages,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_new_tokens,
        "seed": seed,
    }
    if sampling.top_k:
        # No part of OpenAI's own API, so it is sent only where it says something.
        body["extra_body"] = {"top_k": sampling.top_k}
    known_by = [prompt_id, sample_index, endpoint.url, primer, body]
    name = hashlib.sha256(canonical(known_by)).hexdigest()[:32]
    return Request(prompt_id, sample_index, primer, body, name)


def key_of(endpoint: Endpoint) -> str:
    """Read the key from the environment. Raises `InputError`, without it, if it cannot be one."""
    if endpoint.key_variable is None:
        return "none"
    key = os.environ.get(endpoint.key_variable, "").strip()
    if not key:
        raise InputError(
            f"the environment variable {endpoint.key_variable} is not set; "
            f"put the key of {endpoint.url} in it"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        # The HTTP library would quote it in its error.
        raise InputError(
            f"the environment variable {endpoint.key_variable} holds no key: there are spaces, "
            f"line breaks or letters beyond ASCII in it; put the key of {endpoint.url} in it"
        )
    return key


def ask(
    requests: Iterable[Request], total: int, endpoint: Endpoint, journal: Journal, progress: Path
) -> None:
    """Ask for all responses that the journal does not hold yet, and write them there.

    `requests` is read as answers arrive, so that memory does not grow with their number. Raises
    `InputError` where responses are missing in the end: starting again asks for just those.
    """
    run = _Run(requests, total, endpoint, journal, progress)
    try:
        asyncio.run(run.all())
    except asyncio.CancelledError:
        reason: Exception | None = InputError("ended by a signal")
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    else:
        reason = run.reason()
    if reason:
        raise InputError(
            f"{reason}; the answers so far are kept in {journal.path}: "
            "start again to ask for the rest"
        )


def tally(requests: Iterable[Request], journal: Journal) -> Tally:
    """Add up the cost of the responses to requests, attempts that were billed in vain included."""
    usage, filtered, served_by, estimated = Usage(), 0, set(), 0
    ends: Counter[str] = Counter()
    for wanted in requests:
        entry = journal.entry(wanted.name)
        usage = usage.plus(journal.billed(wanted.name))
        filtered += entry.meaning == "filtered"
        served_by |= {entry.served_by} - {None}
        ends[entry.finish_reason] += 1
        estimated += entry.estimated
    return Tally(usage, filtered, sorted(map(str, served_by)), dict(ends), estimated)


class _Run:
    """The state of `ask`."""

    def __init__(
        self,
        requests: Iterable[Request],
        total: int,
        endpoint: Endpoint,
        journal: Journal,
        progress: Path,
    ) -> None:
        self.endpoint, self.journal, self.total, self.progress = endpoint, journal, total, progress
        self.key = key_of(endpoint)
        self.done, self.failed, self.failed_in_a_row = 0, 0, 0
        self.reasons: list[str] = []
        self.stopped: Exception | None = None
        self.usage, self.new_tokens = Usage(), 0
        self.started, self.told = time.monotonic(), 0.0
        self.said: set[str] = set()
        self.pending = self._unanswered(requests)

    def _unanswered(self, requests: Iterable[Request]) -> Iterator[Request]:
        for wanted in requests:
            if wanted.name in self.journal:
                self.done += 1
                self.usage = self.usage.plus(self.journal.billed(wanted.name))
            elif self.stopped:
                return
            else:
                yield wanted
        self.tell(always=True)

    def reason(self) -> Exception | None:
        """Say why responses are missing; None where none is."""
        if not self.failed:
            return None
        count = "1 request" if self.failed == 1 else f"{self.failed} requests"
        return self.stopped or InputError(f"{count} failed for good: {'; '.join(self.reasons)}")

    async def all(self) -> None:
        """Answer everything that is pending."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        for name in ("openai", "httpx2", "httpcore2"):
            # One line a request at INFO; at DEBUG, whatever they like.
            logging.getLogger(name).setLevel(logging.WARNING)
        self.waking = asyncio.Event()
        client = openai.AsyncOpenAI(
            api_key=self.key,
            base_url=self.endpoint.url,
            max_retries=0,
            timeout=self.endpoint.timeout_seconds,
        )
        async with client, asyncio.TaskGroup() as group:
            for _ in range(min(self.endpoint.concurrency, self.total)):
                group.create_task(self._work(client))
        self.tell(always=True)

    async def _work(self, client: openai.AsyncOpenAI) -> None:
        for wanted in self.pending:
            try:
                await self._answer(client, wanted)
            except Failed as failure:
                self._give_up(wanted, failure)
            else:
                self.done += 1
                self.failed_in_a_row = 0
                self.tell()

    def _give_up(self, wanted: Request, failure: Failed) -> None:
        self.failed += 1
        self.failed_in_a_row += 1
        if len(self.reasons) < 3:
            self.reasons.append(f"{wanted.prompt_id}, response {wanted.sample_index}: {failure}")
        if failure.stops:
            self.stopped = self.stopped or failure
        elif self.failed_in_a_row >= GIVE_UP:
            self.stopped = self.stopped or InputError(
                f"{self.endpoint.url} does not answer: {GIVE_UP} requests in a row failed for "
                f"good: {'; '.join(self.reasons)}"
            )
        if self.stopped:
            self.waking.set()

    async def _answer(self, client: openai.AsyncOpenAI, wanted: Request) -> None:
        """Ask until there is an answer, and write it down."""
        for attempt in range(self.endpoint.retries + 1):
            try:
                reply = await complete(client, wanted.body, self.endpoint, self.key)
            except Failed as failure:
                if failure.billed:
                    self._record(wanted, failure.billed, text=None)
                if not failure.is_transient:
                    raise
                if attempt < self.endpoint.retries and not self.stopped:
                    logging.info("%s, asked again: %s", wanted.prompt_id, failure)
                    await self._sleep(_wait(wanted.name, attempt, failure.wait))
                if attempt == self.endpoint.retries or self.stopped:
                    raise Failed(f"{failure} ({attempt + 1} attempts)") from None
            else:
                self._record(wanted, reply, reply.answer(wanted.primer))
                self._name(reply)
                return

    async def _sleep(self, seconds: float) -> None:
        """Wait, unless the run stops."""
        try:
            async with asyncio.timeout(seconds):
                await self.waking.wait()
        except TimeoutError:
            pass

    def _record(self, wanted: Request, reply: Reply, text: str | None) -> None:
        entry = Entry(
            prompt_id=wanted.prompt_id,
            sample_index=wanted.sample_index,
            request=wanted.name,
            text=text,
            finish_reason=reply.word,
            end=reply.end,
            input_tokens=reply.usage.input_tokens,
            output_tokens=reply.usage.output_tokens,
            estimated=reply.estimated,
            served_by=reply.served_by,
        )
        self.journal.add(entry)
        self.usage = self.usage.plus(entry.usage)
        self.new_tokens += entry.output_tokens

    def _name(self, reply: Reply) -> None:
        """Say once what is odd about the server's answers, and what is made of it."""
        url, said = self.endpoint.url, self.said
        for kind in reply.left_out:
            warn_once(said, f"{url}: parts of type {kind!r} hold no text: left out")
        if reply.word == "none":
            warn_once(said, f"{url}: the server does not say why answers end: taken as whole")
        elif ending(reply.word) is None:
            warn_once(said, f"{url}: its reason to end {reply.word!r} is unknown: taken as an end")
        if reply.estimated:
            warn_once(said, f"{url}: no count of the tokens: estimated, 4 bytes of UTF-8 each")

    def tell(self, *, always: bool = False) -> None:
        """Report how far it is, once a second at most."""
        now = time.monotonic()
        if always or now - self.told >= 1:
            self.told = now
            report(
                self.progress,
                done=self.done,
                total=self.total,
                unit="response",
                tokens_per_second=self.new_tokens / max(now - self.started, 1e-9),
                dollars=self.usage.dollars(self.endpoint.price_input, self.endpoint.price_output),
            )


def _wait(name: str, attempt: int, ordered: float | None) -> float:
    """Choose the seconds until a request is repeated; its name draws the jitter."""
    jitter = random.Random(f"{name},{attempt}").uniform(0.5, 1)
    if ordered is not None and ordered > 0:
        return min(ordered, LONGEST_ORDERED_WAIT) + FIRST_WAIT * (jitter - 0.5)
    return min(FIRST_WAIT * 2**attempt, LONGEST_WAIT) * jitter
