"""SFT learns the tokens that an expert sampled, where its tokens are the student's."""

import json
import math
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as parquet
import pytest
from ending_policies import BYTE_END, TURN_END, changed, make, template
from hypothesis import given, settings
from hypothesis import strategies as st
from in_process import run
from pandera.errors import SchemaErrors
from test_ends import inputs, learned

from online_il.config.sampling import Sampling
from online_il.files import write_table
from online_il.generation import decode
from online_il.generation.response import Response
from online_il.generation.tokens import Tokens, vocabulary_hash
from online_il.grading import graded_sample
from online_il.models import load_model, load_tokenizer, word_tokenizer
from online_il.records import Samples, provenance, read_table
from online_il.tasks import miniature

CHAT = template("<end_of_turn>")
ENDS = [BYTE_END, TURN_END]
SAMPLING = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "max_new_tokens": 60}
COUNT = 64


def sampled(folder: Path, expert: Path) -> None:
    """The expert's demonstrations, by the program that samples them."""
    run(
        *("sample", "--task", "t", "--run", "expert", "--seed", 3, "--code", "x"),
        *("--checkpoints", expert.parent, "--prompts", folder / "prompts.parquet"),
        *("--count", COUNT, "--sampling", json.dumps(SAMPLING)),
        *("--generation", json.dumps({"engine": "loop", "batch_size": 16})),
        *("--state", folder / "s.jsonl", "--output", folder / "samples.parquet"),
        *("--progress", folder / "p.json"),
    )


def drawn(expert: Path, text: str, ends: list[int]) -> list[list[int]]:
    """What the decode loop draws, without any program or table."""
    model = load_model(expert)
    return decode.generate(
        decode.decoder(model.state_dict(), model.config.to_dict()),
        [Tokens(expert).prompt(text)] * COUNT,
        [(0, index) for index in range(COUNT)],
        sampling=Sampling.model_validate(SAMPLING),
        seed=3,
        eos_token_id=ends,
    )


@pytest.fixture
def study(tmp_path) -> Path:
    """A base, an expert with its tokens, and one prompt."""
    make(tmp_path / "base" / "step0", generation=ENDS, chat=CHAT)
    make(tmp_path / "expert" / "step0", generation=ENDS, chat=CHAT, seed=1)
    return inputs(tmp_path)


def text_of(study: Path) -> str:
    return str(pd.read_parquet(study / "prompts.parquet")["text"][0])


@pytest.mark.slow
def test_sampled_ids_are_learned_as_they_were_drawn(study, monkeypatch):
    expert = study / "expert" / "step0"
    sampled(study, expert)
    ids = drawn(expert, text_of(study), ENDS)
    assert [row.response for row in learned(monkeypatch, study)] == ids
    ended = [row for row in ids if row[-1] in ENDS]
    assert 0 < len(ended) < COUNT
    assert not any(token in ENDS for row in ids for token in row[:-1])
    # Encoded again, half of them would be others: single bytes are no characters.
    tokenizer = load_tokenizer(expert)
    again = [
        tokenizer.encode(tokenizer.decode(row, skip_special_tokens=True), add_special_tokens=False)
        for row in ids
    ]
    other = [a for a, b in zip(again, ids, strict=True) if a != b and a != b[:-1]]
    assert len(other) > COUNT / 4


@pytest.mark.slow
def test_an_end_of_the_expert_alone_becomes_the_students(study, monkeypatch):
    changed(study / "base" / "step0" / "generation_config.json", eos_token_id=[BYTE_END])
    (study / "base" / "step0" / "chat_template.jinja").unlink(missing_ok=True)
    changed(study / "base" / "step0" / "tokenizer_config.json", chat_template=template(""))
    expert = study / "expert" / "step0"
    sampled(study, expert)
    ids = drawn(expert, text_of(study), ENDS)
    assert any(row[-1] == TURN_END for row in ids)
    expected = [[*row[:-1], BYTE_END] if row[-1] == TURN_END else row for row in ids]
    assert [row.response for row in learned(monkeypatch, study)] == expected


@pytest.mark.slow
def test_ids_of_another_vocabulary_are_not_learned(study, monkeypatch):
    path = study / "expert" / "step0" / "tokenizer.json"
    content = json.loads(path.read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["A"], vocabulary["B"] = vocabulary["B"], vocabulary["A"]
    path.write_text(json.dumps(content))
    sampled(study, study / "expert" / "step0")
    rows, table = learned(monkeypatch, study), read_table(study / "samples.parquet", Samples)
    check_encoded(study, rows, table)


def check_encoded(study: Path, rows, table) -> None:
    tokenizer = load_tokenizer(study / "base" / "step0")
    for row, text, reason in zip(rows, table["text"], table["finish_reason"], strict=True):
        end = [TURN_END] if reason == "stop" else []
        assert row.response == [*tokenizer.encode(text, add_special_tokens=False), *end]


@pytest.mark.slow
def test_a_table_of_before_is_read_and_its_text_encoded(study, monkeypatch):
    sampled(study, study / "expert" / "step0")
    path = study / "samples.parquet"
    whole = parquet.read_table(path)
    assert provenance(path)["vocabulary_hash"] == vocabulary_hash(study / "base" / "step0")
    parquet.write_table(whole.drop_columns(["token_ids"]), path)
    table = read_table(path, Samples)
    assert "token_ids" not in table
    check_encoded(study, learned(monkeypatch, study), table)


WORDS = [word for word in miniature.VOCABULARY if not word.startswith("<")]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_in_the_miniature_the_sampled_ids_are_those_of_the_text(words):
    """So its students learn what they always learned."""
    tokenizer = word_tokenizer(miniature.VOCABULARY)
    ids = [miniature.VOCABULARY.index(word) for word in words]
    text = tokenizer.decode([*ids, tokenizer.eos_token_id], skip_special_tokens=True)
    assert tokenizer.encode(text, add_special_tokens=False) == ids


# ---- the table ----


def row(token_ids: list[int] | None) -> dict[str, object]:
    answer = {"grader": "math", "reference": "4"}
    response = Response("4", 2, "stop", token_ids)
    return graded_sample(
        prompt_id="p", sample_index=0, policy="x", seed=1, answer=answer, response=response
    )


def test_tables_with_and_without_ids_are_of_one_type_and_read_together(tmp_path):
    files = [tmp_path / f"{name}.parquet" for name in ("full", "empty", "mixed", "before")]
    for path, rows in zip(
        files, ([row([5, 2])], [row(None)], [row([]), row(None)], [row(None)]), strict=True
    ):
        write_table(rows, Samples, path, {})
    parquet.write_table(parquet.read_table(files[-1]).drop_columns(["token_ids"]), files[-1])
    types = {str(parquet.read_schema(path).field("token_ids").type) for path in files[:-1]}
    assert len(types) == 1
    names = [str(path) for path in files]
    found = duckdb.sql(f"SELECT token_ids FROM read_parquet({names}, union_by_name = true)")
    assert [ids for (ids,) in found.fetchall()] == [[5, 2], None, [], None, None]
    kept = [None if i is None else list(i) for i in read_table(files[2], Samples)["token_ids"]]
    assert kept == [[], None]


@pytest.mark.parametrize("wrong", [["a"], [1.5], "12"])
def test_ids_that_are_no_whole_numbers_are_refused(tmp_path, wrong):
    with pytest.raises(SchemaErrors, match="token_ids"):
        write_table([row(wrong)], Samples, tmp_path / "t.parquet", {})
    assert not (tmp_path / "t.parquet").exists()


def test_what_came_as_text_has_no_ids():
    assert row(None)["token_ids"] is None
    assert math.isnan(row(None)["reward_tinyzero"])
