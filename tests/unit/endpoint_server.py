"""An OpenAI-compatible server whose answers follow from the request, and a proxy that breaks them.

Both count: the server what it is asked and how much at once, the proxy which faults it dealt.
"""

import hashlib
import http.client
import json
import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from online_il.config.endpoint import Endpoint
from online_il.config.sampling import Sampling
from online_il.generation import endpoint as engine
from online_il.generation.endpoint import request, sample_seed
from online_il.generation.journal import Journal

FAULTS = (
    "429",
    "500",
    "503",
    "cut before",
    "cut amid",
    "stall",
    "drip",
    "not json",
    "empty body",
    "no choices",
    "error in a 200",
    "broken off",
    "twice",
)
BILLED = ("no choices", "broken off")
"""Faults that say what they took."""
TOKENS = {"prompt_tokens": 11, "completion_tokens": 5}


def answer_to(body):
    """The text that answers a request: right for half of the seeds, if asked to "add 3 4"."""
    words = body["messages"][-1]["content"].split()
    name = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:12]
    right = body["seed"] % 2 == 0 and words[0] == "add"
    return f"{name} <answer> {' + '.join(words[1:])} </answer>" if right else f"{name} no idea"


def completion(body, **parts):
    """A whole response."""
    message = {"role": "assistant", "content": answer_to(body)}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    whole = {"id": "x", "object": "chat.completion", "created": 0, "model": body["model"]}
    return {**whole, "choices": [choice], "usage": TOKENS, **parts}


def body_of(message="7", reason="stop", **parts):
    """A whole response with one message, a text or as it stands."""
    message = {"role": "assistant", "content": message} if isinstance(message, str) else message
    choice = {"index": 0, "message": message, "finish_reason": reason}
    usage = {"prompt_tokens": 11, "completion_tokens": 5}
    return {"id": "x", "model": "m", "choices": [choice], "usage": usage, **parts}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            self.server.owner.handle(self, raw)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def reply(self, status, content, headers=(), announced=None):
        """Send a response; `announced` bytes are promised, where more than are sent."""
        content = json.dumps(content).encode() if isinstance(content, dict) else content
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(announced or len(content)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class Server:
    """A server on a free port, in threads of its own."""

    def __enter__(self):
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.owner, self.http.daemon_threads, self.http.block_on_close = self, True, False
        self.http.request_queue_size = 64
        self.lock = threading.Lock()
        self.closing = threading.Event()
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()


class Upstream(Server):
    """Answers everything, unless `respond` (called with handler, body, number) does it instead."""

    def __init__(self, delay=0.0, respond=None):
        self.delay, self.respond = delay, respond
        self.bodies, self.headers, self.times = [], [], []
        self.answered, self.in_flight, self.most_in_flight = 0, 0, 0

    def handle(self, handler, raw):
        body = json.loads(raw)
        with self.lock:
            number = len(self.bodies)
            self.bodies.append(body)
            self.headers.append(handler.headers)
            self.times.append(time.monotonic())
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.closing.wait(self.delay)
        # Counted before the last byte leaves: the client may ask the next at once.
        with self.lock:
            self.in_flight -= 1
        if self.respond and self.respond(handler, body, number):
            return
        with self.lock:
            self.answered += 1
        handler.reply(200, completion(body))


class Proxy(Server):
    """Passes requests on, but breaks some: which, how and how often follows from the seed."""

    def __init__(self, upstream, seed, share=0.6):
        self.upstream, self.seed, self.share = upstream, seed, share
        self.attempts, self.dealt = Counter(), Counter()

    def handle(self, handler, raw):
        with self.lock:
            self.attempts[raw] += 1
            rng = random.Random(f"{self.seed},{raw!r},{self.attempts[raw]}")
            fault = rng.choice(FAULTS) if rng.random() < self.share else None
            self.dealt[fault] += 1
        if fault in {"429", "500", "503"}:
            wait = [("Retry-After", "0")] if fault == "429" else []
            return handler.reply(int(fault), {"error": {"message": "not now"}}, wait)
        if fault == "cut before":
            handler.close_connection = True
            return None
        whole = self.passed_on(raw)
        if fault == "twice":
            assert self.passed_on(raw) == whole
        elif fault == "cut amid":
            handler.close_connection = True
            return handler.reply(200, whole[: len(whole) // 2], announced=len(whole))
        elif fault in {"stall", "drip"}:
            return self.slow(handler, whole, fault)
        else:
            whole = broken(whole, fault)
        return handler.reply(200, whole)

    def passed_on(self, raw):
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream.port)
        connection.request("POST", "/v1/chat/completions", raw)
        content = connection.getresponse().read()
        connection.close()
        return content

    def slow(self, handler, whole, fault):
        """Longer than any time-out of the tests: nothing comes, or a byte now and then."""
        handler.close_connection = True
        handler.reply(200, whole[:20], announced=len(whole))
        for byte in whole[20:60]:
            if fault == "drip":
                handler.wfile.write(bytes([byte]))
            if self.closing.wait(0.1):
                return


def broken(whole, fault):
    """A body that is no answer."""
    body = json.loads(whole)
    if fault == "no choices":
        body["choices"] = []
    elif fault == "error in a 200":
        body = {"error": {"message": "not now", "code": 429}}
    elif fault == "broken off":
        body["choices"][0]["finish_reason"] = "insufficient_system_resource"
    elif fault == "not json":
        return whole[:-5]
    elif fault == "empty body":
        return b""
    return json.dumps(body).encode()


# ---- what the tests ask ----

SAMPLING = Sampling(temperature=0.7, top_p=0.9, max_new_tokens=64)


def endpoint_at(server, **options):
    return Endpoint(url=server.url, model="m", **{"concurrency": 4, "retries": 0} | options)


def wanted(endpoint, n=12, sampling=SAMPLING, seed=1, texts=None):
    return [
        request(
            endpoint,
            sampling,
            prompt_id=f"p{i}",
            sample_index=0,
            text=texts[i] if texts else f"add {i} 4",
            seed=sample_seed(seed, i, 0),
        )
        for i in range(n)
    ]


def ask(folder, requests, endpoint):
    """The answers in the journal, after asking for what is missing there."""
    with Journal(folder / "journal.jsonl") as journal:
        engine.ask(iter(requests), len(requests), endpoint, journal, folder / "progress.json")
        return [journal.entry(request.name) for request in requests]


def lines(folder):
    """What the journal in a folder holds."""
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
