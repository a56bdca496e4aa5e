"""What of an endpoint's answers is read: any end, any shape of text, whatever the bill says."""

import asyncio
import json
import random
from contextlib import suppress
from types import SimpleNamespace

import pytest
from endpoint_server import Upstream, ask, body_of, completion, endpoint_at, lines, wanted
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from online_il.generation import endpoint as engine
from online_il.generation.completion import Failed, complete
from online_il.generation.journal import Journal, Usage
from online_il.generation.reply import ending

REQUEST = {"messages": [{"role": "user", "content": "add 3 4!"}], "max_tokens": 64}
BROKEN = (
    "error abort cancel disconnect except fail insuff inter kill load preempt quota rate shut out"
)


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch):
    monkeypatch.setattr(engine, "FIRST_WAIT", 0.001)


def reply_to(body, request=REQUEST):
    """What one request makes of a body, without a network."""

    async def create(**_):
        return SimpleNamespace(content=json.dumps(body).encode(), headers={})

    raw = SimpleNamespace(create=create)
    client = SimpleNamespace(
        chat=SimpleNamespace(completions=SimpleNamespace(with_raw_response=raw))
    )
    return asyncio.run(complete(client, request, endpoint_at(SimpleNamespace(url="http://a")), ""))


# ---- why it ended ----


@pytest.mark.parametrize(
    ("words", "end"),
    [
        ("stop STOP eos EOS eos_token end end_turn stop_sequence completed COMPLETE done", "stop"),
        ("FINISH_REASON_STOP <|eot_id|> <｜end▁of▁sentence｜> eosFound tool_calls", "stop"),
        ("function_call tool_use MALFORMED_FUNCTION_CALL endTurn", "stop"),
        ("length LENGTH max_tokens MAX_TOKENS max_output_tokens model_length maxTokens", "length"),
        ("max_completion_tokens model_context_window_exceeded token_limit truncated", "length"),
        ("content_filter CONTENT_FILTER safety SAFETY refusal sensitive RECITATION", "filtered"),
        ("PROHIBITED_CONTENT guardrail_intervened content_filtered SPII ERROR_TOXIC", "filtered"),
        ("error abort aborted cancelled canceled insufficient_system_resource", "broken"),
        ("network_error server_error timeout client_disconnected rate_limit", "broken"),
        ("weird OTHER FINISH_REASON_UNSPECIFIED 1 unload none", None),
    ],
)
def test_a_word_for_the_end_is_known_by_what_is_in_it(words, end):
    assert {word: ending(word) for word in words.split()} == dict.fromkeys(words.split(), end)


@pytest.mark.parametrize(
    ("reason", "tokens", "end"),
    [
        ("eos", 64, "stop"),  # It says so, though it is as long as allowed.
        ("max_tokens", 5, "length"),
        ("weird", 5, "stop"),
        ("weird", 64, "length"),
        (None, 5, "stop"),
        (None, 64, "length"),
        ("", 64.0, "length"),
        (2, "64", "length"),
        ({"type": "length", "length": 64}, 64, "length"),
    ],
)
def test_an_end_that_is_not_known_is_a_cut_where_it_is_as_long_as_allowed(reason, tokens, end):
    usage = {"prompt_tokens": 11, "completion_tokens": tokens}
    assert reply_to(body_of(reason=reason, usage=usage)).end == end


@given(st.none() | st.text() | st.integers() | st.floats() | st.booleans() | st.just({"a": 1}))
def test_an_answer_with_any_end_is_taken(reason):
    assume(not any(stem in str(reason).lower() for stem in BROKEN.split()))
    reply = reply_to(body_of(reason=reason))
    assert (reply.text, reply.usage) == ("7", Usage(11, 5)) and reply.end != "broken"
    assert 0 < len(reply.word) <= 40


@pytest.mark.parametrize("reason", ["eos", "end_turn", "eos_token", "STOP", "max_tokens", "odd"])
@pytest.mark.slow
def test_an_answer_is_asked_for_once_and_billed_once_whatever_its_end(tmp_path, reason, caplog):
    def respond(handler, body, _):
        return handler.reply(200, body_of("whole", reason)) or True

    with Upstream(respond=respond) as server:
        endpoint = endpoint_at(server, retries=8)
        requests = wanted(endpoint, 30)
        entries = ask(tmp_path, requests, endpoint)
        assert len(server.bodies) == 30
    assert {(entry.text, entry.finish_reason) for entry in entries} == {("whole", reason)}
    assert {entry.meaning for entry in entries} == {"length" if reason == "max_tokens" else "stop"}
    with Journal(tmp_path / "journal.jsonl") as journal:
        taken = engine.tally(requests, journal)
    assert (taken.usage, taken.ends) == (Usage(11 * 30, 5 * 30), {reason: 30})
    named = [record.message for record in caplog.records if "is unknown" in record.message]
    assert len(named) == (reason == "odd") and all("'odd'" in line for line in named)


@pytest.mark.parametrize("reason", ["error", "abort", "cancelled", "insufficient_system_resource"])
def test_an_answer_that_the_server_broke_off_is_asked_for_again(tmp_path, reason):
    def respond(handler, body, number):
        return number == 0 and (handler.reply(200, body_of("half", reason)) or True)

    with Upstream(respond=respond) as server:
        endpoint = endpoint_at(server, retries=1)
        (entry,) = ask(tmp_path, wanted(endpoint, 1), endpoint)
        assert len(server.bodies) == 2 and entry.text != "half"
    assert [line["text"] for line in lines(tmp_path)] == [None, entry.text]


# ---- no text ----


@pytest.mark.parametrize("content", [None, "", []])
@pytest.mark.parametrize(
    ("reason", "end", "filtered"),
    [("content_filter", "filtered", 2), ("length", "length", 0), ("SAFETY", "filtered", 2)],
)
def test_no_text_is_an_answer_where_the_end_explains_it(tmp_path, content, reason, end, filtered):
    def respond(handler, body, _):
        return handler.reply(200, body_of({"content": content}, reason)) or True

    with Upstream(respond=respond) as server:
        endpoint = endpoint_at(server, retries=8)
        requests = wanted(endpoint, 2)
        for _ in range(2):  # The second start pays for nothing.
            entries = ask(tmp_path, requests, endpoint)
        assert len(server.bodies) == 2
    assert [(entry.text, entry.meaning) for entry in entries] == [("", end)] * 2
    with Journal(tmp_path / "journal.jsonl") as journal:
        taken = engine.tally(requests, journal)
    assert (taken.usage, taken.filtered) == (Usage(22, 10), filtered)


def test_a_choice_without_any_message_is_filtered_where_it_says_so():
    body = body_of(choices=[{"index": 0, "finish_reason": "content_filter"}])
    assert (reply_to(body).text, reply_to(body).end) == ("", "filtered")


def test_no_text_and_no_end_is_no_answer():
    with pytest.raises(Failed, match="holds no text") as failure:
        reply_to(body_of({"content": None}, None))
    assert failure.value.is_transient and failure.value.billed.usage == Usage(11, 5)


# ---- the shape of the text ----

THOUGHT = {"type": "thinking", "thinking": "3 + 4"}


@pytest.mark.parametrize(
    ("message", "text", "reasoning"),
    [
        ({"content": [THOUGHT, {"type": "text", "text": "7"}]}, "7", "3 + 4"),
        (
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "3 + 4"}]}]},
            *("", "3 + 4"),
        ),
        ({"content": [{"type": "text", "text": "7"}, {"type": "text", "text": "!"}]}, "7!", ""),
        ({"content": [{"type": "output_text", "text": "7", "annotations": []}]}, "7", ""),
        ({"content": [{"type": "reasoning", "text": "3 + 4"}, {"text": "7"}]}, "7", "3 + 4"),
        ({"content": [{"text": "3 + 4", "thought": True}, {"text": "7"}]}, "7", "3 + 4"),
        ({"content": ["7", None, {"type": "image_url", "image_url": {"url": "x"}}]}, "7", ""),
        ({"content": {"type": "text", "text": {"value": "7", "annotations": []}}}, "7", ""),
        ({"content": 7}, "7", ""),
        ({"content": "7", "reasoning_content": ["3 ", "+ 4"]}, "7", "3 + 4"),
        ({"content": "7", "reasoning": {"content": "3 + 4"}}, "7", "3 + 4"),
        (
            {"content": "7", "reasoning_details": [{"type": "reasoning.text", "text": "3 + 4"}]},
            *("7", "3 + 4"),
        ),
        ({"content": None, "refusal": "I will not."}, "I will not.", ""),
        ({"content": "7", "refusal": None, "tool_calls": None, "audio": None}, "7", ""),
        ({"content": "half \ud800"}, "half \ufffd", ""),
    ],
)
def test_text_and_reasoning_are_read_from_any_shape(message, text, reasoning):
    reply = reply_to(body_of(message))
    assert (reply.text, reply.reasoning, reply.end) == (text, reasoning, "stop")


def test_parts_that_are_no_text_are_named_once(tmp_path, caplog):
    def respond(handler, body, _):
        parts = [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "7"}]
        return handler.reply(200, body_of({"content": parts})) or True

    with Upstream(respond=respond) as server:
        endpoint = endpoint_at(server)
        entries = ask(tmp_path, wanted(endpoint, 5), endpoint)
    assert {entry.text for entry in entries} == {"7"}
    assert [r.message.partition(": ")[2] for r in caplog.records if "left out" in r.message] == [
        "parts of type 'image_url' hold no text: left out"
    ]


@pytest.mark.parametrize("model", [7, None, ["m"], {"name": "m"}])
def test_odd_fields_beside_the_answer_are_left_alone(model):
    body = body_of(model=model, system_fingerprint=1.5, created="now", usage=[])
    body["choices"][0].update(index=None, logprobs="none")
    assert (reply_to(body).text, reply_to(body).served_by) == ("7", None)


def disturbed(value, rng):
    """The same JSON with its fields in another order and fields more."""
    if isinstance(value, list):
        return [disturbed(part, rng) for part in value]
    if not isinstance(value, dict):
        return value
    odd = [None, 1, -0.5, "text", [], {}, [{"text": "no"}], {"content": "no"}]
    more = {f"x_{rng.randrange(99)}": rng.choice(odd) for _ in range(rng.randrange(3))}
    fields = [*more.items(), *((name, disturbed(part, rng)) for name, part in value.items())]
    return dict(rng.sample(fields, len(fields)))


@given(st.integers(0, 10**9), st.sampled_from(["7", [THOUGHT, {"type": "text", "text": "7"}]]))
def test_fields_more_and_in_any_order_change_nothing(seed, content):
    usage = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 66}
    usage["completion_tokens_details"] = {"reasoning_tokens": 50}
    body = disturbed(body_of({"content": content}, usage=usage), random.Random(seed))
    reply = reply_to(body)
    assert (reply.text, reply.end, reply.usage) == ("7", "stop", Usage(11, 55))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
NAMES = ("choices", "message", "content", "finish_reason", "usage", "error", "completion_tokens")


@settings(max_examples=300)
@given(st.data())
@pytest.mark.slow
def test_no_json_ends_in_a_traceback(data):
    body = body_of([{"type": "text", "text": "7"}], usage={"prompt_tokens": 1, "error": None})
    for _ in range(2):
        name = data.draw(st.sampled_from(NAMES))
        places = [body, body["choices"][0] if isinstance(body.get("choices"), list) else body]
        data.draw(st.sampled_from(places))[name] = data.draw(JSON)
        if not (isinstance(body.get("choices"), list) and body["choices"]):
            break
        if not isinstance(body["choices"][0], dict):
            break
    with suppress(Failed):
        reply_to(body)


# ---- what is billed ----


@pytest.mark.parametrize(
    ("usage", "billed"),
    [
        ({"prompt_tokens": 11, "completion_tokens": 5}, (11, 5)),
        ({"prompt_tokens": 11.0, "completion_tokens": "5"}, (11, 5)),
        ({"input_tokens": 11, "output_tokens": 5}, (11, 5)),
        ({"prompt_tokens": 11, "total_tokens": 16}, (11, 5)),
        ({"prompt_tokens": 11, "completion_tokens": None, "total_tokens": 16}, (11, 5)),
        ({"prompt_tokens": 11, "completion_tokens": 0, "total_tokens": 16}, (11, 5)),
        ({"completion_tokens": 5, "total_tokens": 16}, (11, 5)),
        # Reasoning beside the completion, and in it.
        ((11, 5, 66, 50), (11, 55)),
        ((11, 55, 66, 50), (11, 55)),
        ((11, 5, 16, 50), (11, 5)),
        ((11, 5, None, 50), (11, 55)),
        ((11, 55, None, 50), (11, 55)),
        ((11, 0, 61, 50), (11, 50)),
        # Google's total is all that says what was thought.
        ((11, 5, 66, None), (11, 55)),
        # A total that says nothing.
        ((11, 5, 3, None), (11, 5)),
        ((11, 5, "many", -1), (11, 5)),
    ],
)
def test_the_bill_is_counted_from_what_there_is(usage, billed):
    if isinstance(usage, tuple):
        asked, output, total, reasoning = usage
        details = {"completion_tokens_details": {"reasoning_tokens": reasoning}}
        usage = {"prompt_tokens": asked, "completion_tokens": output, "total_tokens": total}
        usage |= details
    reply = reply_to(body_of(usage=usage))
    assert (reply.usage, reply.estimated) == (billed, False)


@pytest.mark.parametrize("name", ["reasoning_tokens", "output_tokens_details"])
def test_reasoning_is_counted_under_each_of_its_names(name):
    thought = 50 if name == "reasoning_tokens" else {"reasoning_tokens": 50}
    usage = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 66, name: thought}
    assert reply_to(body_of(usage=usage)).usage == (11, 55)


@pytest.mark.parametrize(
    ("usage", "billed"),
    [
        # 8 bytes asked, 10 answered, four to a token.
        (None, (2, 3)),
        ({}, (2, 3)),
        ({"prompt_tokens": 11}, (11, 3)),
        ({"prompt_tokens": 11, "completion_tokens": "?"}, (11, 3)),
        ({"total_tokens": 16}, (13, 3)),
        ({"prompt_tokens": float("nan"), "completion_tokens": True}, (2, 3)),
    ],
)
def test_what_is_not_counted_is_estimated_and_told(tmp_path, usage, billed):
    reply = reply_to(body_of("0123456789", usage=usage))
    assert (reply.usage, reply.estimated) == (billed, True)


def test_answers_without_usage_are_taken_and_their_number_is_told(tmp_path, caplog):
    def respond(handler, body, number):
        parts = {"usage": None} if number % 2 else {}
        return handler.reply(200, completion(body, **parts)) or True

    with Upstream(respond=respond) as server:
        endpoint = endpoint_at(server, concurrency=1, retries=8)
        requests = wanted(endpoint, 4)
        ask(tmp_path, requests, endpoint)
        assert len(server.bodies) == 4
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert engine.tally(requests, journal).estimated == 2
    assert sum("no count of the tokens" in r.message for r in caplog.records) == 1
