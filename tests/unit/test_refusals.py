"""What an endpoint's errors mean, in every shape in which servers write them, and their words."""

import json
from urllib.parse import quote

import pytest
from endpoint_server import Upstream, ask, body_of, completion, endpoint_at, lines, wanted
from hypothesis import given
from hypothesis import strategies as st

from online_il.errors import InputError
from online_il.generation import endpoint as engine
from online_il.generation.journal import Journal, Usage
from online_il.generation.refusal import fault_in, fault_of

KEY = "sk-Tr0ub4dor-and-3"


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch):
    monkeypatch.setattr(engine, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(engine, "LONGEST_WAIT", 0.002)


def refused(folder, monkeypatch, status, content, *, headers=(), requests=30, retries=8):
    """(what is said, number of requests) where the server answers so to everything."""
    monkeypatch.setenv("SOME_KEY", KEY)

    def respond(handler, *_):
        return handler.reply(status, content, headers) or True

    with Upstream(respond=respond) as server:
        endpoint = endpoint_at(server, retries=retries, concurrency=2, key_variable="SOME_KEY")
        with pytest.raises(InputError) as error:
            ask(folder, wanted(endpoint, requests), endpoint)
        return str(error.value), len(server.bodies)


# ---- an error in the body of a 200 ----


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"message": "slow down", "code": 429}}, 429),
        ({"error": {"message": "slow down", "code": "429"}}, 429),
        ({"error": {"message": "slow down", "code": 429.0}, "choices": []}, 429),
        ({"error": {"message": "slow down", "status": 429}, "choices": None}, 429),
        ({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, 429),
        ({"error": {"message": "slow down", "type": "RateLimitError"}}, 429),
        ({"error": {"message": "no", "code": 401}}, 401),
        ({"error": {"message": "no", "code": "invalid_api_key"}}, 401),
        ({"error": {"message": "no", "type": "authentication_error"}}, 401),
        ({"error": "Incorrect API key provided"}, 401),
        ({"error": {"message": "no", "code": 402}}, 402),
        ({"error": {"message": "no", "status_code": 403}}, 403),
        ({"error": {"message": "no", "code": "model_not_found"}}, 404),
        ({"error": {"message": "no", "type": "invalid_request_error"}}, 400),
        ({"error": {"message": "no", "type": "overloaded_error"}}, 503),
        ({"error": {"message": "no"}}, 500),
        ({"error": "text"}, 500),
        ({"error": "Rate limit reached for requests"}, 429),
        ({"object": "error", "message": "no", "type": "NotFoundError", "code": 404}, 404),
        ({"code": 503, "message": "no", "data": None}, 503),
        ({"status": 422, "detail": "no"}, 422),
        ([{"error": {"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED"}}], 429),
        ({"choices": [{"error": {"code": 502, "message": "no"}, "finish_reason": "error"}]}, 502),
        ({"error": {"message": "no", "metadata": {"raw": "later"}, "code": 429}}, 429),
    ],
)
def test_an_error_in_a_200_stands_for_a_status(body, status):
    assert fault_in(body).status == status


@pytest.mark.parametrize(
    "body",
    [
        body_of("7"),
        body_of("7", error=None),
        body_of("7", error={}, detail="fine", code=0),
        body_of("7", status="completed", type="chat.completion"),
        {"choices": [], "usage": {}, "object": "chat.completion", "status": "done"},
        [],
        7,
        None,
    ],
)
def test_what_is_no_error_is_not_taken_for_one(body):
    assert fault_in(body) is None


@pytest.mark.parametrize(
    ("code", "said", "asked"),
    [
        (401, "the key is refused; put a valid one in the environment variable SOME_KEY", 2),
        (402, "no credit is left; top it up, 'slow down'", 2),
        ("403", "needs access to the model m, 'slow down'", 2),
        (404, "'slow down'; check the endpoint's url and its model, m", 2),
        (400, "refused with HTTP 400, 'slow down'", 5),
        (429, "HTTP 429, 'slow down' (3 attempts)", 15),
        (500, "HTTP 500, 'slow down' (3 attempts)", 15),
    ],
)
@pytest.mark.slow
def test_an_error_in_a_200_is_handled_as_its_status(tmp_path, monkeypatch, code, said, asked):
    body = {"error": {"message": "slow down", "code": code}}
    text, number = refused(tmp_path, monkeypatch, 200, body, requests=5, retries=2)
    assert said in text and (number == asked if asked > 2 else number <= asked)


@pytest.mark.slow
def test_an_error_in_a_200_passes_and_its_bill_is_kept(tmp_path):
    def respond(handler, body, number):
        said = {"error": {"message": "slow down", "code": 429}, "usage": body_of("")["usage"]}
        return number == 0 and (handler.reply(200, said, [("Retry-After", "1")]) or True)

    with Upstream(respond=respond) as server:
        endpoint = endpoint_at(server, retries=1)
        requests = wanted(endpoint, 1)
        ask(tmp_path, requests, endpoint)
        assert server.times[1] - server.times[0] >= 1
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert engine.tally(requests, journal).usage == Usage(22, 10)


def test_a_whole_answer_counts_before_an_error_beside_it(tmp_path):
    def respond(handler, body, _):
        return handler.reply(200, completion(body, error={"message": "a warning"})) or True

    with Upstream(respond=respond) as server:
        endpoint = endpoint_at(server)
        (entry,) = ask(tmp_path, wanted(endpoint, 1), endpoint)
    assert entry.text


# ---- no credit ----

SPENT = [
    (429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}),
    (429, {"error": {"message": "no", "type": "insufficient_quota", "code": None}}),
    (429, {"error": {"message": "no", "code": "billing_hard_limit_reached"}}),
    (429, {"error": {"message": "no", "type": "exceeded_current_quota_error"}}),
    (429, {"error": "You exceeded your current quota, please check your plan and billing"}),
    (429, {"detail": "Insufficient balance"}),
    (400, {"error": {"message": "Your credit balance is too low to access the API"}}),
    (403, {"message": "You have run out of credits"}),
    (429, {"error": {"message": "Monthly spend limit reached"}}),
    (429, {"error": {"code": "1113", "message": "您的账户已欠费，请充值后重试"}}),
    (403, {"code": 30001, "message": "Sorry, 账户余额不足"}),
    (402, {"error": {"message": "Insufficient Balance", "code": "invalid_request_error"}}),
    (200, {"error": {"message": "no", "code": "insufficient_quota"}}),
    (200, {"error": {"message": "no", "code": 429, "type": "insufficient_quota"}}),
]


@pytest.mark.parametrize(("status", "body"), SPENT)
def test_no_credit_ends_everything_at_once(tmp_path, monkeypatch, status, body):
    text, number = refused(tmp_path, monkeypatch, status, body)
    assert number <= 2 and "no credit is left; top it up, '" in text


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        ({"error": {"message": "Rate limit reached. Add a payment method at /billing"}}, ()),
        ({"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}, ()),
        # Google says the same of a minute and of a month.
        ({"error": {"message": "You exceeded your current quota. Please retry in 34s."}}, ()),
        ({"error": {"message": "You exceeded your current quota"}}, [("Retry-After", "0")]),
        ({"error": {"message": "Quota exceeded for requests per minute"}}, ()),
    ],
)
def test_a_limit_that_passes_is_asked_again(tmp_path, monkeypatch, content, headers):
    text, number = refused(
        tmp_path, monkeypatch, 429, content, headers=headers, requests=2, retries=1
    )
    assert number == 4 and "2 requests failed for good" in text and "HTTP 429, '" in text


# ---- a prompt that the filter refuses ----


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "no", "code": "content_filter", "status": 400}}),
        (400, {"error": {"message": "no", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
        (400, {"error": {"message": "Content Exists Risk", "code": "invalid_request_error"}}),
        (200, {"error": {"message": "no", "code": "content_policy_violation"}}),
    ],
)
def test_a_prompt_that_the_filter_refuses_has_an_empty_answer(tmp_path, status, body):
    with Upstream(respond=lambda handler, *_: handler.reply(status, body) or True) as server:
        endpoint = endpoint_at(server, retries=8)
        requests = wanted(endpoint, 3)
        assert [entry.text for entry in ask(tmp_path, requests, endpoint)] == [""] * 3
        assert len(server.bodies) == 3
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert engine.tally(requests, journal)[:2] == (Usage(0, 0), 3)
    assert {line["end"] for line in lines(tmp_path)} == {"filtered"}


# ---- the server's own words ----

PYDANTIC = {"type": "missing", "loc": ["body", "messages"], "msg": "Field required", "input": {}}
HTML = b"""<!DOCTYPE html><html><head><style>h1 {color: red}</style></head>
<body><h1>502 Bad&nbsp;Gateway</h1><hr>nginx</body></html>"""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"error": "Input validation error: `inputs` too long"}, "Input validation error: `inp"),
        ({"error": {"message": "no such thing"}}, "no such thing"),
        ({"error": ["one", "two"]}, "one; two"),
        ({"error": {"error": {"message": "deep"}}}, "deep"),
        ({"detail": [PYDANTIC, PYDANTIC]}, "body.messages: Field required; body.messages: Fie"),
        ({"detail": "Unexpected fields"}, "Unexpected fields"),
        ({"message": "plain"}, "plain"),
        ({"error": True, "message": "plain"}, "plain"),
        ({"errors": [{"code": 7003, "message": "no route"}], "success": False}, "no route"),
        ({"base_resp": {"status_code": 1004, "status_msg": "no login"}}, "no login"),
        ({"error": {"message": "outer", "metadata": {"raw": "inner"}}}, "inner"),
        ([{"error": {"message": "Google's"}}], "Google's"),
        ({"odd": 1}, '{"odd": 1}'),
        ("text in JSON", "text in JSON"),
        (b"plain\n  text", "plain text"),
        (b"\xff\xfe bytes", "\ufffd\ufffd bytes"),
        (HTML, "502 Bad Gateway nginx"),
        (b"", ""),
    ],
)
def test_the_words_of_every_shape_of_error_are_shown(content, words):
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    said = fault_of(raw, 422).quote(None)
    assert said.startswith((f", '{words}", f', "{words}')) if words else said == ""
    assert "\n" not in said and len(fault_of(raw * 99, 422).quote(None)) < 210


@pytest.mark.parametrize("status", [400, 402, 403, 404, 409, 422, 429, 500, 503])
def test_the_cause_is_told_with_every_status(tmp_path, monkeypatch, status):
    body = {"error": "Input validation error: too long"}
    text, _ = refused(tmp_path, monkeypatch, status, body, requests=1, retries=0)
    assert f"HTTP {status}" in text and "'Input validation error: too long'" in text


def test_a_page_in_an_answers_place_is_told(tmp_path, monkeypatch):
    text, _ = refused(tmp_path, monkeypatch, 200, HTML, requests=1, retries=0)
    assert "not JSON of the OpenAI format, '502 Bad Gateway nginx'" in text


SHAPES = [
    lambda text: {"error": text},
    lambda text: {"error": {"message": text, "code": text}},
    lambda text: {"detail": [{"loc": [text], "msg": text}]},
    lambda text: {text: text},
    lambda text: [text],
]


LONG_KEY = "sk-Tr0ub4dor/and+\\"
FORMS = [LONG_KEY, quote(LONG_KEY, safe=""), LONG_KEY * 2, f"x={LONG_KEY}", "sk-Tr0********nd+\\"]


@given(
    st.sampled_from(SHAPES),
    st.text(max_size=40) | st.just("a" * 195),
    st.sampled_from(FORMS),
    st.text(max_size=40),
    st.sampled_from([400, 422, 429, 500]),
)
def test_the_key_is_never_shown(shape, before, form, after, status):
    raw = json.dumps(shape(f"{before} {form} {after}")).replace("/", "\\/").encode()
    said = fault_of(raw, status).quote(LONG_KEY)
    assert "sk-T" not in said and "Tr0ub" not in said and "nd+" not in said


def test_a_short_key_hides_itself_only():
    assert fault_of(b"an x and a y", 400).quote("x") == ", 'an *** and a y'"
    assert fault_of(b"none of it", 400).quote(None) == ", 'none of it'"
