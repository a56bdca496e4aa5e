"""Files of responses of lm-evaluation-harness and of OpenAI's and vLLM's batch interfaces."""

import json
from pathlib import Path

import pytest
import warm
from hypothesis import given, settings
from hypothesis import strategies as st

from online_il.discrepancy.measures import common_filter
from online_il.discrepancy.reading import Responses, read
from online_il.discrepancy.tables import DiscrepancyTable
from online_il.errors import ParameterError
from online_il.records import provenance, read_table

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "discrepancy.py"
GOLD = "He has 3 * 4 = 12 eggs.\n#### 12"


def document(number: int, text: str, right: bool, filter: str | None = "strict-match", **more):
    """A row as lm-evaluation-harness 0.4.13 writes it with --log_samples (some keys left out)."""
    row = {
        "doc_id": number,
        "doc": {"question": f"Question {number}?", "answer": GOLD},
        "target": GOLD,
        "arguments": {"gen_args_0": {"arg_0": f"Question {number}?"}},
        "resps": [[text]],
        "filtered_resps": [text.split()[-1]],
        "filter": filter,
        "metrics": ["exact_match"],
        "doc_hash": f"hash {number}",
        "prompt_hash": "p",
        "target_hash": "t",
        "exact_match": float(right),
    } | more
    return {key: value for key, value in row.items() if value is not None}


def request(name: str, *texts: str | None, **more):
    """A line of a batch's output, with a grade that its owner has put in."""
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "stop" if text else "content_filter",
        }
        for index, text in enumerate(texts)
    ]
    body = {"id": "c", "object": "chat.completion", "choices": choices, "usage": {}}
    response = {"status_code": 200, "request_id": "r", "body": body}
    return {"id": "b", "custom_id": name, "response": response, "error": None} | more


def written(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def taken(folder: Path, *files: list[dict], **options) -> Responses:
    paths = [written(folder / f"{index}.jsonl", rows) for index, rows in enumerate(files)]
    return read(paths, keywords=["wait"], tokenizer=None, **options)


def refused(folder: Path, *files: list[dict], **options) -> str:
    with pytest.raises(ParameterError) as caught:
        taken(folder, *files, **options)
    message = str(caught.value)
    assert str(folder) in message and "\n" not in message
    return message


# ---- lm-evaluation-harness ----

SAMPLES = [
    document(0, "Wait. It is 12", True),
    document(1, "so it is 13", False),
    document(0, "Wait. It is 12", True, "flexible-extract"),
    document(1, "so it is 13", True, "flexible-extract"),
]


def test_samples_of_the_harness_are_read_under_one_filter(tmp_path):
    found = taken(tmp_path, SAMPLES)
    assert found.prompts == ["0", "1"] and found.correct_N.tolist() == [1, 0]
    assert found.counts_N_W.tolist() == [[1], [0]] and found.filter == "strict-match"
    other = taken(tmp_path, SAMPLES, mapping={"filter": "flexible-extract"})
    assert other.correct_N.tolist() == [1, 1] and other.filter == "flexible-extract"
    message = refused(tmp_path, SAMPLES, mapping={"filter": "strict"})
    assert "filter strict; there are: flexible-extract, strict-match" in message


def test_keys_name_the_rest(tmp_path):
    by_hash = taken(tmp_path, SAMPLES, mapping={"prompt_id": "doc_hash"})
    assert by_hash.prompts == ["hash 0", "hash 1"]
    spelled = {"prompt_id": "doc_id", "text": "resps", "correct": "exact_match"}
    assert taken(tmp_path, SAMPLES, mapping=spelled).correct_N.tolist() == [1, 0]
    graded = [document(0, "so 12", False, target="12"), document(1, "so 13", True, target="12")]
    for mapping in (
        {"reference": "target"},
        {"answer": "filtered_resps", "reference": "target"},
        {"answer": "text", "reference": "target"},
    ):
        assert taken(tmp_path, graded, mapping=mapping).correct_N.tolist() == [1, 0]


def test_a_metric_that_is_a_grade_is_found(tmp_path):
    for more in (
        {"metrics": None},
        {"metrics": ["bleu", "exact_match"], "bleu": 23.4},
        {"metrics": ["inst", "exact_match"], "inst": [True, False]},
    ):
        assert taken(tmp_path, [document(0, "x", True, **more)]).correct_N.tolist() == [1]
    two = document(0, "x", False, metrics=["exact_match", "math_verify"], math_verify=1)
    message = refused(tmp_path, [two])
    assert "several grades: exact_match, math_verify" in message and "`key` correct=NAME" in message
    assert taken(tmp_path, [two], mapping={"correct": "math_verify"}).correct_N.tolist() == [1]
    none = document(0, "x", False, metrics=["bleu"], bleu=23.4, exact_match=None)
    assert "no metric that is a grade" in refused(tmp_path, [none])


def test_files_of_several_runs_are_joined_by_document(tmp_path):
    again = [document(1, "wait 12", True), document(0, "12", True)]
    found = taken(tmp_path, SAMPLES, again)
    assert found.prompts == ["0", "1", "1", "0"]
    # The same number in another task's file is another document.
    other = [document(0, "12", True, doc_hash="other")]
    message = refused(tmp_path, SAMPLES, other)
    assert "doc_id 0 is another document" in message and "`key` prompt_id=doc_hash" in message
    assert len(taken(tmp_path, SAMPLES, other, mapping={"prompt_id": "doc_hash"}).prompts) == 3
    # Older versions do not say which filter a row is of.
    old = [document(0, "12", right, None) for right in (True, False)]
    assert "document 0 stands here again" in refused(tmp_path, old)


def test_several_responses_of_a_document_are_graded_one_by_one(tmp_path):
    many = document(0, "x", True, resps=[["it is 12", "it is 13", "12"]], target="12")
    assert "3 responses without a grade each" in refused(tmp_path, [many])
    found = taken(tmp_path, [many], mapping={"reference": "target"})
    assert found.prompts == ["0"] * 3 and found.correct_N.tolist() == [1, 0, 1]


def test_log_likelihoods_are_no_responses(tmp_path):
    scored = document(0, "x", True, resps=[[["-1.2", "False"]], [["-0.3", "True"]]])
    assert "holds no text, as of a task that is scored" in refused(tmp_path, [scored])


# ---- batches ----


def test_a_batchs_output_is_read(tmp_path):
    found = taken(
        tmp_path,
        [
            request("q1", "Wait. \\boxed{12}", reference="12"),
            request("q2", "\\boxed{13}", correct=False),
            request("q3", "13", answer="12", reference="12"),
        ],
    )
    assert found.prompts == ["q1", "q2", "q3"] and found.correct_N.tolist() == [1, 0, 1]
    assert found.counts_N_W.tolist() == [[1], [0], [0]]


def test_a_batch_of_the_responses_api_is_read(tmp_path):
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "wait"}]},
        {"type": "message", "content": [{"type": "output_text", "text": "\\boxed{12}"}]},
    ]
    row = request("q", "", reference="12")
    row["response"]["body"] = {"object": "response", "status": "completed", "output": output}
    cut = request("r", "", reference="12")
    details = {"reason": "max_output_tokens"}
    cut["response"]["body"] = {"status": "incomplete", "incomplete_details": details} | {
        "output": output[:1]
    }
    found = taken(tmp_path, [row, cut])
    assert found.correct_N.tolist() == [1, 0] and found.truncated == 1
    assert found.counts_N_W.tolist() == [[1], [1]]


def test_several_choices_are_several_responses(tmp_path):
    row = request("q", "\\boxed{12}", "\\boxed{13}", "\\boxed{12}", gold="12")
    row["response"]["body"]["choices"][1]["finish_reason"] = "length"
    found = taken(tmp_path, [row], mapping={"reference": "gold"})
    assert found.prompts == ["q"] * 3 and found.correct_N.tolist() == [1, 0, 1]
    assert found.truncated == 1
    message = refused(tmp_path, [row | {"correct": True}])
    assert "3 responses and one 'correct'" in message
    # A row's `answer` may be the right one: it is not graded by itself.
    gold = request("q", "\\boxed{12}", "\\boxed{13}", answer="12")
    message = "`key` reference=answer: this is read as the model's answer, too"
    with pytest.raises(ParameterError, match=message):
        taken(tmp_path, [gold], mapping={"reference": "answer"})
    named = {"reference": "answer", "answer": "text"}
    assert taken(tmp_path, [gold], mapping=named).correct_N.tolist() == [1, 0]


def test_odd_answers_of_a_batch_are_read(tmp_path):
    rows = [request(f"q{n}", "x", correct=1) for n in range(4)]
    choices = [row["response"]["body"]["choices"][0] for row in rows]
    choices[0]["message"] = {"content": "12", "reasoning_content": "wait\nwait"}
    choices[1]["message"] = {
        "content": [{"type": "thinking", "thinking": "wait"}, {"type": "text", "text": "12"}]
    }
    choices[2]["message"] = None
    choices[2]["text"] = "wait wait wait"
    choices[3] |= {"message": {"content": None}, "finish_reason": "content_filter"}
    rows.append(request("q4", "wait", correct=1))
    rows[4]["response"] = rows[4]["response"]["body"]
    found = taken(tmp_path, rows, keep_empty=True)
    assert found.counts_N_W[:, 0].tolist() == [2, 1, 3, 0, 1]
    assert found.length_N.tolist() == [5, 4, 3, 0, 1]  # With the two think tags.
    assert "an empty response" in refused(tmp_path, rows)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"response": None, "error": {"code": "batch_expired", "message": "too late"}}, "too late"),
        ({"response": None, "error": {"code": "batch_expired"}}, "batch_expired"),
        ({"response": None}, "it holds no choice"),
        ({"response": {"status_code": 200, "body": {"choices": []}}}, "it holds no choice"),
        (
            {"response": {"status_code": 429, "body": {"error": {"message": "Slow\ndown"}}}},
            "HTTP 429, Slow down",
        ),
        ({"response": {"status_code": 400, "body": {"message": "too long"}}}, "HTTP 400, too long"),
        ({"response": {"status_code": 500, "body": "oops"}}, "HTTP 500, oops"),
    ],
)
def test_a_failed_request_is_named_with_the_servers_words(tmp_path, more, words):
    message = refused(tmp_path, [request("q1", "12", correct=1), request("q2", "12") | more])
    assert ":2: the request q2 has no answer" in message and words in message
    assert "ask it again, or take this line out" in message


def test_a_choice_that_is_none_is_refused(tmp_path):
    row = request("q", "x", correct=1)
    row["response"]["body"]["choices"] = ["x"]
    assert "a choice is no object" in refused(tmp_path, [row])


def test_models_are_compared_under_one_filter(tmp_path):
    strict, flexible = (taken(tmp_path, rows) for rows in (SAMPLES[:2], SAMPLES[2:]))
    plain = taken(tmp_path, [request("0", "12", correct=1)])
    assert common_filter(strict, plain) == common_filter(plain, strict) == "strict-match"
    assert common_filter(plain, plain) is None
    with pytest.raises(ParameterError, match="filters, flexible-extract and strict-match"):
        common_filter(strict, flexible)


# ---- the program ----


def test_the_program_says_which_filter_it_reads(tmp_path):
    expert = written(tmp_path / "samples_e.jsonl", SAMPLES)
    student = written(
        tmp_path / "s.jsonl", [request("0", "[b] 12", correct=1), request("1", "9", correct=0)]
    )
    out = tmp_path / "t.parquet"
    common = ["--keyword", "[b]", "--keyword", "?", "--resamples", "100", "--out", out]
    done = warm.run(SCRIPT, "--expert", expert, "--student", student, *common)
    assert done.returncode == 0, done.stderr
    assert "Graded under the filter strict-match." in " ".join(done.stdout.split())
    assert "presence of [b]" in done.stdout and "presence of ?" in done.stdout
    assert provenance(out)["filter"] == "strict-match"
    assert set(read_table(out, DiscrepancyTable)["measure"]) > {"keyword, presence of [b]"}


# ---- whatever stands in a row ----

NOTHING = [None, True, 0, 1.5, float("nan"), float("inf"), "", "x", [], ["x"], [["x"]], {}]
KEYS = ["doc_id", "resps", "filter", "metrics", "exact_match", "custom_id", "response", "error"]
KEYS += ["body", "choices", "message", "content", "finish_reason", "status_code", "text"]
KEYS += ["prompt_id", "correct", "doc_hash", "filtered_resps"]
ANYTHING = st.recursive(
    st.sampled_from(NOTHING),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=8,
)
STARTS = [document(0, "x", True), request("q", "x", correct=1)]
STARTS += [{"prompt_id": "a", "text": "x", "correct": 1}]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.sampled_from(STARTS), st.dictionaries(st.sampled_from(KEYS), ANYTHING), st.data())
def test_any_row_is_read_or_refused_in_one_line(tmp_path_factory, start, more, data):
    row = json.loads(json.dumps(start))
    place = row
    for key in data.draw(st.sampled_from([[], ["response"], ["response", "body"]])):
        place = place.get(key, place)
    place |= more
    gone = data.draw(st.sampled_from(KEYS))
    row.pop(gone, None)
    try:
        found = taken(tmp_path_factory.getbasetemp(), [row])
    except ParameterError as error:
        assert "\n" not in str(error)
    else:
        assert len(found.prompts) == len(found.correct_N) >= 1
