"""`ask.py` as a program: its table, kills, signals, the key, and what it says of bad input."""

import json
import os
import random
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import warm
from endpoint_server import (
    SAMPLING,
    TOKENS,
    Upstream,
    answer_to,
    completion,
    endpoint_at,
    lines,
)

from online_il.files import write_table
from online_il.generation import endpoint as engine
from online_il.records import Prompts, Samples, provenance, read_table

ROOT = Path(__file__).parents[2]
KEY = "sk-Tr0ub4dor-and-3"
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


@pytest.fixture
def upstream():
    with Upstream() as server:
        yield server


def command(folder, prompts, endpoint, *more, number=("--count", str(COUNT))):
    return [
        *(warm.python(), ROOT / "workflow/scripts/ask.py", "--task", "t", "--run", "far"),
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


def test_why_answers_ended_and_what_is_estimated_stands_in_the_provenance(tmp_path, prompts):
    def respond(handler, body, _):
        """`add 0 4` is cut, 1 filtered, 2 odd, 3 without a count, 4 without a word."""
        number = int(body["messages"][0]["content"].split()[1])
        whole = completion(body)
        choice = whole["choices"][0]
        choice["finish_reason"] = ["max_tokens", "content_filter", "odd", "eos", None][number % 5]
        if number % 5 == 1:
            choice["message"]["content"] = None
        if number % 5 == 3:
            del whole["usage"]
        return handler.reply(200, whole) or True

    with Upstream(respond=respond) as server:
        done = run(tmp_path, prompts, endpoint_at(server, retries=8), number=("--count", "10"))
        assert done.returncode == 0, done.stderr
        assert len(server.bodies) == 10
    table = read_table(tmp_path / "samples.parquet", Samples)
    assert list(table["finish_reason"]) == ["length", "stop", "stop", "stop", "stop"] * 2
    assert [text == "" for text in table["text"]] == [False, True, False, False, False] * 2
    origin = provenance(tmp_path / "samples.parquet")
    expected = {"max_tokens": 2, "content_filter": 2, "odd": 2, "eos": 2, "none": 2}
    assert origin["ends"] == expected
    assert (origin["filtered"], origin["estimated"]) == (2, 2)
    assert done.stderr.count("'odd' is unknown") == 1
    assert done.stderr.count("does not say why answers end") == 1


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
            process.communicate()
        assert not (tmp_path / "samples.parquet").exists()
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
    assert 3 <= len(lines(tmp_path)) <= 40
    assert all(line["text"] for line in lines(tmp_path))


def test_the_key_is_sent_and_written_nowhere(tmp_path, prompts):
    def respond(handler, body, number):
        """Says the key wherever it can."""
        said = {"error": {"message": f"what is Bearer {KEY}?", "code": KEY}}
        if body["messages"][0]["content"] == "add 3 4":
            return handler.reply(400, said) or True
        if number == 2:
            choice = {"finish_reason": KEY, "message": {"content": [{"type": KEY}, "7"]}}
            return handler.reply(200, completion(body, model=KEY, choices=[choice])) or True
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
        ('{"url"', (), "--endpoint: Invalid JSON"),
        ('{"url": "https://far/v1", "model": "m"}', ("--splits", "ood"), "no prompt of split ood"),
        (
            '{"url": "https://far/v1", "model": "m"}',
            ("--count", "0"),
            "--count 0: Input should be greater than or equal to 1",
        ),
    ],
)
def test_bad_arguments_are_named_in_one_line_without_their_secrets(
    tmp_path, prompts, monkeypatch, capsys, endpoint, more, words
):
    status, line = error_of(monkeypatch, capsys, tmp_path, prompts, endpoint, *more)
    assert status in {1, 2} and "\n" not in line
    assert line.startswith("error: ") and words in line and "secret" not in line
