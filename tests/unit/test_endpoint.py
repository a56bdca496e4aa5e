"""Experts behind an OpenAI-compatible API: every sample once, whatever the network does."""

import json
import time
from collections import Counter
from email.utils import formatdate
from pathlib import Path

import pytest
from endpoint_server import (
    BILLED,
    FAULTS,
    SAMPLING,
    Proxy,
    Upstream,
    answer_to,
    ask,
    completion,
    endpoint_at,
    lines,
    wanted,
)
from pydantic import ValidationError

from online_il.chat import as_text
from online_il.config.endpoint import Endpoint
from online_il.errors import InputError
from online_il.generation import endpoint as engine
from online_il.generation.completion import _retry_after
from online_il.generation.journal import Journal, Usage
from online_il.generation.reply import answer_text

ROOT = Path(__file__).parents[2]
KEY = "sk-Tr0ub4dor-and-3"


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch):
    monkeypatch.setattr(engine, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(engine, "LONGEST_WAIT", 0.05)


@pytest.fixture
def upstream():
    with Upstream() as server:
        yield server


# ---- what is sent, and what is made of the answer ----


def test_a_request_says_how_to_sample_and_nothing_else(tmp_path, upstream):
    endpoint = endpoint_at(upstream)
    texts = ["plain", "plain"]
    topped = SAMPLING.model_copy(update={"top_k": 20})
    requests = wanted(endpoint, 1, texts=texts) + wanted(endpoint, 1, topped, texts=texts)
    ask(tmp_path, requests, endpoint_at(upstream, concurrency=1))
    plain = {
        "model": "m",
        "messages": [{"role": "user", "content": "plain"}],
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 64,
        "seed": engine.sample_seed(1, 0, 0),
    }
    assert upstream.bodies == [plain, {**plain, "top_k": 20}]


def test_a_conversation_is_sent_without_the_primer_of_its_answer(tmp_path, upstream):
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "add 3 4"}]
    primed = [*said, {"role": "assistant", "content": "Let me see.\n<think>"}]
    endpoint = endpoint_at(upstream, concurrency=1)
    ask(tmp_path, wanted(endpoint, 2, texts=[as_text(said), as_text(primed)]), endpoint)
    assert [body["messages"] for body in upstream.bodies] == [said, said]


PRIMER = "Let me see.\n<think>"


@pytest.mark.parametrize(
    "content, reasoning, cut, primer, text",
    [
        ("7", None, False, "", "7"),
        ("7", "3 + 4\nis 7", False, "", "<think>\n3 + 4\nis 7\n</think>\n\n7"),
        ("\n\n7", "\n3 + 4\n", False, "", "<think>\n3 + 4\n</think>\n\n7"),
        (None, "3 + 4 is", True, "", "<think>\n3 + 4 is"),
        ("", "3 + 4 is", True, "", "<think>\n3 + 4 is"),
        ("7, as", "3 + 4", True, "", "<think>\n3 + 4\n</think>\n\n7, as"),
        ("", "3 + 4", False, "", "<think>\n3 + 4\n</think>\n\n"),
        ("Let me see.\n<think> 7 </think>", None, False, PRIMER, " 7 </think>"),
        ("<think> 7 </think>", None, False, PRIMER, " 7 </think>"),
        ("7", "3 + 4", False, PRIMER, "\n3 + 4\n</think>\n\n7"),
        ("7", None, False, PRIMER, "7"),
        ("<think> 7 </think>", None, False, "Let me see.", "<think> 7 </think>"),
    ],
)
def test_primer_and_text_read_as_one_answer(content, reasoning, cut, primer, text):
    assert answer_text(content, reasoning, cut=cut, primer=primer) == text


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_that_comes_apart_is_kept(tmp_path, name):
    def respond(handler, body, _):
        message = {"role": "assistant", "content": "7", name: "3 + 4"}
        choices = [{"index": 0, "finish_reason": "length", "message": message}]
        return handler.reply(200, completion(body, choices=choices)) or True

    with Upstream(respond=respond) as server:
        endpoint = endpoint_at(server)
        (entry,) = ask(tmp_path, wanted(endpoint, 1), endpoint)
    assert entry.text == "<think>\n3 + 4\n</think>\n\n7"
    assert (entry.finish_reason, entry.output_tokens) == ("length", 5)


def test_seeds_of_samples_are_31_bits_and_all_different():
    grid = [(s, p, i) for s in range(3) for p in range(30) for i in range(30)]
    seeds = [engine.sample_seed(*place) for place in grid]
    assert len(set(seeds)) == len(grid)
    assert min(seeds) >= 0 and 2**30 < max(seeds) < 2**31
    # The first 31 bits of `printf 1,2,3 | sha256sum`.
    assert engine.sample_seed(1, 2, 3) == 1161130152


# ---- faults ----


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.slow
def test_every_sample_arrives_once_and_unharmed_through_a_faulty_network(tmp_path, seed):
    with Upstream() as upstream, Proxy(upstream, seed) as proxy:
        endpoint = endpoint_at(proxy, concurrency=12, retries=60, timeout_seconds=0.7)
        requests = wanted(endpoint, 60)
        entries = ask(tmp_path, requests, endpoint)
    assert set(proxy.dealt) == {None, *FAULTS}
    for request, entry in zip(requests, entries, strict=True):
        assert (entry.prompt_id, entry.text) == (request.prompt_id, answer_to(request.body))
    answers = Counter(line["request"] for line in lines(tmp_path) if line["text"] is not None)
    assert answers == {request.name: 1 for request in requests}


@pytest.mark.slow
def test_the_time_out_is_for_the_whole_answer_not_for_a_pause_in_it(tmp_path):
    def respond(handler, body, number):
        """The first time, whole, but a byte every 0.05 s."""
        whole = json.dumps(completion(body)).encode()
        if number == 0:
            handler.reply(200, whole[:1], announced=len(whole))
            for byte in whole[1:30]:
                time.sleep(0.05)
                handler.wfile.write(bytes([byte]))
            handler.wfile.write(whole[30:])
        return number == 0

    with Upstream(respond=respond) as server:
        endpoint = endpoint_at(server, retries=9, timeout_seconds=0.7)
        requests = wanted(endpoint, 1)
        (entry,) = ask(tmp_path, requests, endpoint)
        assert len(server.bodies) >= 2 and entry.text == answer_to(requests[0].body)


@pytest.mark.slow
def test_a_wait_that_the_server_orders_is_kept(tmp_path):
    def respond(handler, body, number):
        return number == 0 and (handler.reply(429, b"", [("Retry-After", "1")]) or True)

    with Upstream(respond=respond) as server:
        endpoint = endpoint_at(server, retries=1)
        ask(tmp_path, wanted(endpoint, 1), endpoint)
        assert server.times[1] - server.times[0] >= 1


def test_waits_grow_to_a_limit_and_are_the_same_each_time(monkeypatch):
    monkeypatch.setattr(engine, "FIRST_WAIT", 1.0)
    monkeypatch.setattr(engine, "LONGEST_WAIT", 60.0)
    waits = [engine._wait("name", attempt, None) for attempt in range(12)]
    assert waits == [engine._wait("name", attempt, None) for attempt in range(12)]
    for attempt, wait in enumerate(waits):
        assert 0.5 * min(2**attempt, 60) <= wait <= min(2**attempt, 60)
    assert engine._wait("name", 0, None) != engine._wait("other", 0, None)
    assert 7 <= engine._wait("name", 0, 7.0) <= 7.5
    assert engine._wait("name", 0, 1e9) <= 601


def test_retry_after_is_a_number_or_a_date_or_nothing():
    assert _retry_after({"retry-after": "12"}) == 12
    assert 25 < _retry_after({"retry-after": formatdate(time.time() + 30, usegmt=True)}) <= 30
    assert _retry_after({"retry-after": "soon"}) is None
    assert _retry_after({}) is None


@pytest.mark.slow
def test_concurrency_is_bounded_and_requests_are_made_only_as_answers_arrive(tmp_path):
    with Upstream(delay=0.1) as server:
        endpoint = endpoint_at(server, concurrency=3)
        ahead = []

        def requests():
            for number, request in enumerate(wanted(endpoint, 24)):
                ahead.append(number - server.answered)
                yield request

        with Journal(tmp_path / "journal.jsonl") as journal:
            engine.ask(requests(), 24, endpoint, journal, tmp_path / "progress.json")
        assert server.most_in_flight == 3
        assert len(ahead) == 24 and max(ahead) <= 3
    progress = json.loads((tmp_path / "progress.json").read_text())
    assert (progress["done"], progress["total"], progress["unit"]) == (24, 24, "response")


REFUSALS = {
    400: "refused with HTTP 400, 'no such thing'",
    401: "put a valid one in the environment variable SOME_KEY",
    402: "no credit is left",
    403: "the key in SOME_KEY needs access to the model m",
    404: "'no such thing'; check the endpoint's url and its model, m",
    422: "refused with HTTP 422, 'no such thing'",
}


@pytest.mark.parametrize("status", REFUSALS)
def test_what_will_not_pass_is_not_asked_again_and_says_what_to_do(tmp_path, monkeypatch, status):
    def respond(handler, body, _):
        return handler.reply(status, {"error": {"message": "no such thing"}}) or True

    monkeypatch.setenv("SOME_KEY", KEY)
    with Upstream(respond=respond) as server:
        endpoint = endpoint_at(server, retries=5, concurrency=2, key_variable="SOME_KEY")
        with pytest.raises(InputError) as error:
            ask(tmp_path, wanted(endpoint, 10), endpoint)
        # The refusals that concern one request end that one, the others end all.
        assert len(server.bodies) == 10 if status in {400, 422} else len(server.bodies) <= 2
    assert REFUSALS[status] in str(error.value) and "start again" in str(error.value)


def test_a_server_that_wants_a_key_where_none_is_named_says_so(tmp_path):
    with Upstream(respond=lambda handler, *_: handler.reply(401, b"") or True) as server:
        endpoint = endpoint_at(server)
        with pytest.raises(InputError, match="name its environment variable in key_variable"):
            ask(tmp_path, wanted(endpoint, 1), endpoint)


def test_requests_that_fail_are_told_and_only_they_are_asked_again(tmp_path):
    sick = True

    def respond(handler, body, _):
        broken = sick and body["messages"][0]["content"] in {"add 1 4", "add 5 4"}
        return broken and (handler.reply(500, b"") or True)

    with Upstream(respond=respond) as server:
        endpoint = endpoint_at(server, retries=2, concurrency=1)
        requests = wanted(endpoint, 8)
        with pytest.raises(InputError) as error:
            ask(tmp_path, requests, endpoint)
        assert str(error.value).startswith(
            "2 requests failed for good: p1, response 0: HTTP 500 (3 attempts); p5, response 0: "
        )
        asked, sick = len(server.bodies), False
        entries = ask(tmp_path, requests, endpoint)
        assert [body["messages"][0]["content"] for body in server.bodies[asked:]] == [
            "add 1 4",
            "add 5 4",
        ]
    assert [entry.text for entry in entries] == [answer_to(request.body) for request in requests]


def test_a_server_that_answers_nothing_is_given_up(tmp_path):
    with Upstream(respond=lambda handler, *_: handler.reply(500, b"") or True) as server:
        endpoint = endpoint_at(server)
        with pytest.raises(InputError, match="20 requests in a row failed for good: p"):
            ask(tmp_path, wanted(endpoint, 300), endpoint)
        assert 20 <= len(server.bodies) < 20 + 4
    with pytest.raises(InputError, match=r"no connection to .*ConnectError"):
        ask(tmp_path, wanted(endpoint, 1), endpoint)


def test_an_answer_that_a_filter_cut_is_kept_and_told(tmp_path):
    def respond(handler, body, _):
        cut = [{"finish_reason": "content_filter", "message": {"content": "3 +"}}]
        return handler.reply(200, completion(body, choices=cut)) or True

    with Upstream(respond=respond) as server:
        endpoint = endpoint_at(server)
        requests = wanted(endpoint, 2)
        assert [entry.text for entry in ask(tmp_path, requests, endpoint)] == ["3 +"] * 2
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert engine.tally(requests, journal) == (
            *(Usage(22, 10), 2, ["m"], {"content_filter": 2}, 0),
        )


# ---- cost ----


def test_cost_counts_every_billed_token_at_its_price():
    # 3 requests of 1,000 prompt tokens at $0.5 and 200 response tokens at $2, a million each.
    usage = Usage().plus(Usage(2000, 400)).plus(Usage(1000, 200))
    assert usage == (3000, 600)
    assert usage.dollars(price_input=0.5, price_output=2.0) == pytest.approx(0.0015 + 0.0012)


@pytest.mark.slow
def test_attempts_that_were_billed_in_vain_are_counted_too(tmp_path):
    with Upstream() as upstream, Proxy(upstream, seed=5) as proxy:
        endpoint = endpoint_at(
            proxy, concurrency=6, retries=60, timeout_seconds=1.5, price_input=1e6, price_output=1e5
        )
        requests = wanted(endpoint, 30)
        ask(tmp_path, requests, endpoint)
    in_vain = sum(proxy.dealt[fault] for fault in BILLED)
    assert in_vain > 0
    expected = Usage(11 * (30 + in_vain), 5 * (30 + in_vain))
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert engine.tally(requests, journal).usage == expected
    progress = json.loads((tmp_path / "progress.json").read_text())
    assert progress["dollars"] == pytest.approx((11 * 1.0 + 5 * 0.1) * (30 + in_vain))


@pytest.mark.parametrize("change", ["temperature", "model", "prompt", "seed"])
def test_a_changed_request_is_asked_again_and_an_unchanged_one_is_not(tmp_path, upstream, change):
    endpoint = endpoint_at(upstream)
    ask(tmp_path, wanted(endpoint, 3), endpoint)
    ask(tmp_path, wanted(endpoint, 3), endpoint.model_copy(update={"concurrency": 1}))
    assert len(upstream.bodies) == 3
    warmer = SAMPLING.model_copy(update={"temperature": 0.8})
    other = endpoint.model_copy(update={"model": "n"})
    requests = {
        "temperature": wanted(endpoint, 3, warmer),
        "model": wanted(other, 3),
        "prompt": wanted(endpoint, 3, texts=["a", "b", "c"]),
        "seed": wanted(endpoint, 3, seed=2),
    }[change]
    entries = ask(tmp_path, requests, endpoint)
    assert len(upstream.bodies) == 6
    assert [e.text for e in entries] == [answer_to(request.body) for request in requests]


@pytest.mark.parametrize("url", ["https://api.deepseek.com/v1", "http://[::1]:8000/v1", "http://a"])
def test_an_address_is_taken(url):
    assert Endpoint(url=url, model="m").url == url


@pytest.mark.parametrize("url", ["api.deepseek.com", "https://k@a/v1", "https://a/v1?key=k", "x"])
def test_an_address_that_can_hold_a_secret_or_is_none_is_refused(url):
    with pytest.raises(ValidationError):
        Endpoint(url=url, model="m")
