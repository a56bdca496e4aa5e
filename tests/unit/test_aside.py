"""State of other code, settings or inputs is set aside, and taken back when it is wanted again."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online_il.program import aside
from online_il.program.aside import settle, settle_file
from online_il.provenance import ACCEPTED, identities, same_code

OLD, NEW = "0123456789abcdef", "fedcba9876543210"


def begin(folder: Path, identity: str, *names: str) -> dict[str, str]:
    """The state of a run: sealed checkpoints, and the policies that belong to them."""
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "seal.json").write_text(json.dumps({"identity": identity}))
        (folder / name / "weights").write_text(f"{identity} {name}")
    (folder / "published" / "step1").mkdir(parents=True)
    (folder / "published" / "step1" / "weights").write_text(identity)
    return content(folder)


def content(folder: Path) -> dict[str, str]:
    """The files of a run's state, without what is set aside."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    found = {str(path.relative_to(folder)): path.read_text() for path in files}
    return {name: text for name, text in found.items() if not name.startswith(aside.ASIDE)}


@pytest.mark.parametrize("names", [("finished",), ("update-04", "update-08"), ("update-02",)])
def test_state_of_another_run_is_set_aside_and_taken_back(tmp_path, names):
    made = begin(tmp_path, OLD, *names)
    settle(tmp_path, [NEW])
    assert content(tmp_path) == {}
    other = begin(tmp_path, NEW, "update-03")
    settle(tmp_path, [NEW])
    assert content(tmp_path) == other
    settle(tmp_path, [OLD])
    assert content(tmp_path) == made
    settle(tmp_path, [NEW])
    assert content(tmp_path) == other


def test_what_else_lies_in_the_folder_stays(tmp_path):
    begin(tmp_path, OLD, "update-04")
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "step1.id.jsonl").write_text("{}")
    (tmp_path / "demonstrations.jsonl").write_text("{}")
    settle(tmp_path, [NEW])
    assert set(content(tmp_path)) == {"evaluation/step1.id.jsonl", "demonstrations.jsonl"}


def test_state_that_is_accepted_stays(tmp_path):
    made = begin(tmp_path, OLD, "update-04")
    settle(tmp_path, [NEW, OLD])
    assert content(tmp_path) == made


def test_a_start_says_where_and_how_much(tmp_path, caplog):
    caplog.set_level("INFO")
    begin(tmp_path, OLD, "update-04")
    settle(tmp_path, [NEW])
    assert f"set aside in {tmp_path / 'set-aside-01234567'} (" in caplog.text
    assert "bytes)" in caplog.text and "delete that" in caplog.text
    settle(tmp_path, [OLD])
    assert "is taken back" in caplog.text


class Killed(BaseException):
    """Ends a start between two renamings."""


@settings(max_examples=60, deadline=None)
@given(starts=st.lists(st.tuples(st.sampled_from([OLD, NEW]), st.integers(0, 6)), max_size=6))
@pytest.mark.slow
def test_a_kill_between_two_steps_loses_nothing(tmp_path_factory, starts):
    folder = tmp_path_factory.mktemp("state")
    made = begin(folder, OLD, "update-04", "update-08")
    rename = Path.rename
    for identity, steps in starts:
        left = [steps]

        def until_killed(path, target, left=left):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return rename(path, target)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "rename", until_killed)
            try:
                settle(folder, [identity])
            except Killed:
                continue
    settle(folder, [OLD])
    assert content(folder) == made
    settle(folder, [NEW])
    assert content(folder) == {}


def test_a_file_of_another_job_is_set_aside_and_taken_back(tmp_path):
    path = tmp_path / "step1.id.jsonl"
    path.write_text(json.dumps({"identity": OLD}) + "\nold\n")
    settle_file(path, [NEW])
    assert not path.exists()
    path.write_text(json.dumps({"identity": NEW}) + "\nnew\n")
    settle_file(path, [NEW])
    assert path.read_text().endswith("new\n")
    settle_file(path, [OLD])
    assert path.read_text().endswith("old\n")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_whose_first_line_is_damaged_is_nobodys(tmp_path):
    path = tmp_path / "samples.jsonl"
    path.write_text("{half a li")
    settle_file(path, [NEW])
    assert path.exists()


def test_code_that_is_taken_for_other_code_has_its_identities_too(monkeypatch):
    def accept(*pairs: tuple[str, str]) -> None:
        entries = [{"rule": "grpo", "before": b, "now": n, "modules": None} for b, n in pairs]
        monkeypatch.setenv(ACCEPTED, json.dumps(entries))

    monkeypatch.delenv(ACCEPTED, raising=False)
    (old,) = identities("old", steps=3)
    (new,) = identities("new", steps=3)
    assert old != new
    accept(("old", "new"))
    assert identities("new", steps=3) == (new, old)
    assert identities("old", steps=3) == (old, new)
    assert old not in identities("new", steps=4) and identities("third", steps=3)[1:] == ()
    accept(("old", "new"), ("new", "third"))
    assert same_code("third") == {"old", "new", "third"}
