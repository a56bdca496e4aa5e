"""The journal of answers: whole after a kill, one writer, one answer a request."""

import pytest

from online_il.errors import InputError
from online_il.generation.journal import Entry, Journal


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


# As the version before `end` and `estimated` wrote them.
OLD = (
    '{"prompt_id":"p0","sample_index":0,"request":"r0","text":%s,"finish_reason":"%s",'
    '"input_tokens":2,"output_tokens":3,"served_by":null}\n'
)


@pytest.mark.parametrize(
    ("reason", "answered", "meaning"),
    [
        ("content_filter", True, "filtered"),
        ("length", True, "length"),
        ("insufficient_system_resource", False, "broken"),
        # Its text, which was taken for no answer, was not written down.
        ("eos", False, "broken"),
        ("none", False, "broken"),
    ],
)
def test_a_journal_of_an_older_version_is_read(tmp_path, reason, answered, meaning):
    path = tmp_path / "journal.jsonl"
    path.write_text(OLD % ("null", reason) * 9)
    with Journal(path) as journal:
        assert ("r0" in journal) == answered
        # Nine attempts were paid for.
        assert journal.billed("r0") == (18, 27)
        if answered:
            assert (journal.entry("r0").text, journal.entry("r0").meaning) == (None, meaning)


def test_an_answer_that_an_older_version_asked_for_again_counts_before_the_empty_one(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text(OLD % ("null", "length") + OLD % ('"seven"', "stop"))
    with Journal(path) as journal:
        assert (journal.entry("r0").text, journal.entry("r0").meaning) == ("seven", "stop")
        assert journal.billed("r0") == (4, 6)
