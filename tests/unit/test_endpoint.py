"""Experts behind an OpenAI-compatible API: every sample once, whatever the network does."""

import json
import os
import random
import runpy
import signal
import subprocess
import sys
import time
from collections import Counter
from email.utils import formatdate
from pathlib import Path

import pytest
from endpoint_server import BILLED, FAULTS, TOKENS, Proxy, Upstream, answer_to, completion
from pydantic import ValidationError

from online_il.config.endpoint import Endpoint
from online_il.config.sampling import Sampling
from online_il.generation import endpoint as engine
from online_il.generation.chat import as_text
from online_il.generation.completion import _retry_after, answer_text
from online_il.generation.journal import Entry, Journal, Usage
from online_il.records import InputError, Prompts, Samples, provenance, read_table, write_table

ROOT = Path(__file__).parents[2]
KEY = "sk-Tr0ub4dor-and-3"
SAMPLING = Sampling(temperature=0.7, top_p=0.9, max_new_tokens=64)
ANSWER = completion({"model": "m", "seed": 1, "messages": [{"content": "why"}]})


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch):
    monkeypatch.setattr(engine, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(engine, "LONGEST_WAIT", 0.05)


@pytest.fixture
def upstream():
    with Upstream() as server:
        yield server


def endpoint_at(server, **options):
    return Endpoint(url=server.url, model="m", **{"concurrency": 4, "retries": 0} | options)


def wanted(endpoint, n=12, sampling=SAMPLING, seed=1, texts=None):
    return [
        engine.request(
            endpoint,
            sampling,
            prompt_id=f"p{i}",
            sample_index=0,
            text=texts[i] if texts else f"add {i} 4",
            seed=engine.sample_seed(seed, i, 0),
        )
        for i in range(n)
    ]


def ask(folder, requests, endpoint):
    """The answers in the journal, after asking for what is missing there."""
    with Journal(folder / "journal.jsonl") as journal:
        engine.ask(iter(requests), len(requests), endpoint, journal, folder / "progress.json")
        return [journal.entry(request.name) for request in requests]


def lines(folder):
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


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
        with pytest.raises(InputError, match="20 requests in a row failed for good: p0, "):
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
        assert engine.tally(requests, journal) == (Usage(22, 10), 2, ["m"])


# ---- cost ----


def test_cost_counts_every_billed_token_at_its_price():
    # 3 requests of 1,000 prompt tokens at $0.5 and 200 response tokens at $2, a million each.
    usage = Usage().plus(Usage(2000, 400)).plus(Usage(1000, 200))
    assert usage == (3000, 600)
    assert usage.dollars(price_input=0.5, price_output=2.0) == pytest.approx(0.0015 + 0.0012)


def test_attempts_that_were_billed_in_vain_are_counted_too(tmp_path):
    with Upstream() as upstream, Proxy(upstream, seed=5) as proxy:
        endpoint = endpoint_at(
            proxy, concurrency=6, retries=60, timeout_seconds=0.7, price_input=1e6, price_output=1e5
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


# ---- the journal ----


def entry(number, text="seven"):
    return Entry(
        prompt_id=f"p{number}",
        sample_index=0,
        request=f"r{number}",
        text=text,
        finish_reason="stop",
        input_tokens=2,
        output_tokens=3,
        served_by=None,
    )


def test_a_line_that_a_kill_tore_is_dropped_and_all_before_it_are_kept(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        for number in range(3):
            journal.add(entry(number, "söven\n"))
    whole = path.read_bytes()
    second = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    for end in range(second, len(whole)):
        path.write_bytes(whole[:end])
        with Journal(path) as journal:
            assert ["r0" in journal, "r1" in journal, "r2" in journal] == [True, True, False]
            journal.add(entry(2, "söven\n"))
            assert journal.entry("r2") == entry(2, "söven\n")
        assert path.read_bytes() == whole


def test_a_line_of_another_program_is_named(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.add(entry(0))
    path.write_text(path.read_text() + '{"prompt_id": 3}\n' + path.read_text())
    with pytest.raises(InputError, match=r"journal.jsonl, line 2: not an answer"):
        Journal(path)


def test_a_journal_has_one_writer_and_one_answer_a_request(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.add(entry(0))
        with pytest.raises(InputError, match="another process is writing this journal"):
            Journal(path)
        with pytest.raises(ValueError, match="answered twice"):
            journal.add(entry(0))
    with Journal(path) as journal:
        assert "r0" in journal and len(path.read_text().splitlines()) == 1


def test_an_answer_without_text_is_billed_but_not_taken_for_an_answer(tmp_path):
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.add(entry(0, text=None))
        assert "r0" not in journal
        journal.add(entry(0))
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert journal.entry("r0").text == "seven" and journal.billed("r0") == (4, 6)


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


# ---- the script ----

N, COUNT = 12, 40


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    path = tmp_path_factory.mktemp("prompts") / "prompts.parquet"
    rows = [
        {
            "prompt_id": f"{split}-{i}",
            "task": "t",
            "split": split,
            "text": f"add {i} 4",
            "answer": json.dumps({"numbers": [i, 4], "target": i + 4}),
            "source": "here",
            "revision": "1",
        }
        for split in ("train", "id")
        for i in range(N)
    ]
    write_table(rows, Prompts, path, {})
    return path


def command(folder, prompts, endpoint, *more, number=("--count", str(COUNT))):
    return [
        *(sys.executable, ROOT / "workflow/scripts/ask.py", "--task", "t", "--run", "far"),
        *("--seed", "7", "--code", "c0de", "--prompts", prompts, *number),
        *("--endpoint", endpoint if isinstance(endpoint, str) else endpoint.model_dump_json()),
        *("--sampling", SAMPLING.model_dump_json(), "--journal", folder / "journal.jsonl"),
        *("--output", folder / "samples.parquet", "--progress", folder / "progress.json", *more),
    ]


def environment(**more):
    return {**os.environ, "PYTHONPATH": str(ROOT / "workflow"), **more}


def start(*arguments, **more):
    return subprocess.Popen(
        command(*arguments), env=environment(**more), stderr=subprocess.PIPE, text=True
    )


def run(*arguments, number=("--count", str(COUNT)), **more):
    return subprocess.run(
        command(*arguments, number=number),
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=120,
    )


def error_of(monkeypatch, capsys, *arguments):
    """(status, what is said) of a call that ends before it asks anything; in this process."""
    monkeypatch.setattr(sys, "argv", [str(part) for part in command(*arguments)[1:]])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(sys.argv[0], run_name="__main__")
    said = end.value.code if isinstance(end.value.code, str) else capsys.readouterr().err
    return (end.value.code if isinstance(end.value.code, int) else 1), said.strip()


def expected_rows(endpoint, keys, split="train"):
    """(prompt, sample, text, correct) of what the server answers when it is asked directly."""
    rows = []
    for prompt, index in keys:
        seed = engine.sample_seed(7, prompt, index)
        body = engine.request(
            endpoint,
            SAMPLING,
            prompt_id="",
            sample_index=0,
            text=f"add {prompt} 4",
            seed=seed,
        ).body
        rows.append((f"{split}-{prompt}", index, answer_to(body), seed % 2 == 0))
    return rows


def rows_of(folder):
    table = read_table(folder / "samples.parquet", Samples)
    return list(
        zip(table["prompt_id"], table["sample_index"], table["text"], table["correct"], strict=True)
    )


def test_ask_writes_graded_samples_and_where_they_come_from(tmp_path, prompts, upstream):
    endpoint = endpoint_at(upstream, price_input=1.0, price_output=10.0)
    done = run(tmp_path, prompts, endpoint)
    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path)
    assert rows == expected_rows(endpoint, [(i % N, i // N) for i in range(COUNT)])
    assert {row[3] for row in rows} == {True, False}
    table = read_table(tmp_path / "samples.parquet", Samples)
    assert set(table["policy"]) == {"far"} and set(table["seed"]) == {7}
    assert set(table["n_tokens"]) == {TOKENS["completion_tokens"]}
    origin = provenance(tmp_path / "samples.parquet")
    assert origin["endpoint"]["url"] == upstream.url and origin["endpoint"]["model"] == "m"
    assert origin["served_by"] == ["m"] and origin["weights_hash"] is None
    assert origin["usage"]["input_tokens"] == 440 and origin["usage"]["output_tokens"] == 200
    # 440 tokens at $1 and 200 at $10 a million.
    assert origin["usage"]["dollars"] == pytest.approx(0.00244)
    assert origin["sampling"] == SAMPLING.model_dump() and origin["code_hash"] == "c0de"
    assert len(origin["prompts_hash"]) == 64 and "online_il" in origin["versions"]


def test_ask_answers_a_benchmark_some_times_a_prompt(tmp_path, prompts, upstream):
    endpoint = endpoint_at(upstream)
    number = ("--samples-per-prompt", "2", "--splits", "id")
    done = run(tmp_path, prompts, endpoint, number=number)
    assert done.returncode == 0, done.stderr
    keys = [(prompt, sample) for prompt in range(N) for sample in range(2)]
    assert rows_of(tmp_path) == expected_rows(endpoint, keys, "id")


@pytest.mark.parametrize("seed", range(2))
def test_after_kills_no_sample_is_missing_or_twice_or_asked_again(tmp_path, prompts, seed):
    rng = random.Random(seed)
    with Upstream(delay=0.05) as server:
        endpoint = endpoint_at(server, concurrency=3)
        for _ in range(2):
            process, until = start(tmp_path, prompts, endpoint), server.answered + rng.randint(1, 9)
            while server.answered < until and process.poll() is None:
                time.sleep(rng.uniform(0, 0.02))
            process.kill()
            process.wait()
            process.stderr.close()
        assert not (tmp_path / "samples.parquet").exists()
        kept = len(lines(tmp_path))
        assert kept >= 1
        done = run(tmp_path, prompts, endpoint)
        assert done.returncode == 0, done.stderr
        # Each kill loses the requests in flight, three at most.
        assert COUNT <= len(server.bodies) <= COUNT + 2 * 3
    assert rows_of(tmp_path) == expected_rows(endpoint, [(i % N, i // N) for i in range(COUNT)])
    names = [(line["prompt_id"], line["sample_index"]) for line in lines(tmp_path)]
    assert len(names) == len(set(names)) == COUNT


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_with_one_line_and_a_whole_journal(tmp_path, prompts, number):
    with Upstream(delay=0.1) as server:
        process = start(tmp_path, prompts, endpoint_at(server, concurrency=2))
        while server.answered < 5:
            time.sleep(0.01)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "error: ended by a signal; " in errors and "Traceback" not in errors
    assert 4 <= len(lines(tmp_path)) <= 40
    assert all(line["text"] for line in lines(tmp_path))


def test_the_key_is_sent_and_written_nowhere(tmp_path, prompts):
    def respond(handler, body, number):
        """Says the key wherever it can."""
        said = {"error": {"message": f"what is Bearer {KEY}?", "code": KEY}}
        if body["messages"][0]["content"] == "add 3 4":
            return handler.reply(400, said) or True
        return number == 1 and (handler.reply(500, said, [("X-Key", KEY)]) or True)

    with Upstream(respond=respond) as server:
        endpoint = endpoint_at(server, retries=9, key_variable="FAR_KEY")
        loud = {"OPENAI_LOG": "debug", "FAR_KEY": KEY}
        done = run(tmp_path, prompts, endpoint, **loud)
        assert done.returncode == 1 and "what is Bearer ***?" in done.stderr
        server.respond = lambda handler, *_: (
            handler.reply(401, {"error": {"message": f"wrong key {KEY[:9]}"}}) or True
        )
        refused = run(tmp_path, prompts, endpoint, **loud)
        assert "the key is refused" in refused.stderr and KEY[:9] not in refused.stderr
        server.respond = None
        fine = run(tmp_path, prompts, endpoint, **loud)
        assert fine.returncode == 0, fine.stderr
        assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 3
    streams = [out.encode() for d in (done, refused, fine) for out in (d.stdout, d.stderr)]
    assert not any(KEY.encode() in text for text in written + streams)


@pytest.mark.parametrize(
    "key, words", [(None, "is not set"), ("", "is not set"), (KEY + "\nx", "holds no key")]
)
def test_a_key_that_is_none_ends_in_one_line_before_any_request(
    tmp_path, prompts, upstream, monkeypatch, capsys, key, words
):
    if key is not None:
        monkeypatch.setenv("FAR_KEY", key)
    endpoint = endpoint_at(upstream, key_variable="FAR_KEY")
    status, line = error_of(monkeypatch, capsys, tmp_path, prompts, endpoint)
    assert status == 1 and upstream.bodies == [] and "\n" not in line
    assert line.startswith("error: the environment variable FAR_KEY ") and words in line
    assert KEY not in line and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "endpoint, more, words",
    [
        ('{"url": "https://me:secret@far/v1", "model": "m"}', (), "--endpoint, url: "),
        ('{"url": "ftp://far/v1", "model": "m"}', (), "--endpoint, url: "),
        ('{"url": "https://far/v1"}', (), "--endpoint, model: Field required"),
        ('{"url": "https://far/v1", "model": "m", "key": "x"}', (), "--endpoint, key: Extra"),
        ('{"url"', (), "--endpoint, the whole: Invalid JSON"),
        ('{"url": "https://far/v1", "model": "m"}', ("--splits", "ood"), "no prompt of split ood"),
        ('{"url": "https://far/v1", "model": "m"}', ("--count", "0"), "0 is below 1"),
    ],
)
def test_bad_arguments_are_named_in_one_line_without_their_secrets(
    tmp_path, prompts, monkeypatch, capsys, endpoint, more, words
):
    status, line = error_of(monkeypatch, capsys, tmp_path, prompts, endpoint, *more)
    assert status in {1, 2} and "\n" not in line
    assert line.startswith("error: ") and words in line and "secret" not in line


@pytest.mark.parametrize("url", ["https://api.deepseek.com/v1", "http://[::1]:8000/v1", "http://a"])
def test_an_address_is_taken(url):
    assert Endpoint(url=url, model="m").url == url


@pytest.mark.parametrize("url", ["api.deepseek.com", "https://k@a/v1", "https://a/v1?key=k", "x"])
def test_an_address_that_can_hold_a_secret_or_is_none_is_refused(url):
    with pytest.raises(ValidationError):
        Endpoint(url=url, model="m")
