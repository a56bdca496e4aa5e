"""The tokens that a training learns from are written once, and read by all its processes."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from training_runs import saving

from online_il.errors import InputError
from online_il.training import token_file
from online_il.training.common import Demonstration

ROOT = Path(__file__).parents[2]
ROWS = [
    Demonstration([1, 3], [4, 2]),
    Demonstration([1], [6, 7, 8, 2], [False, True, True, False]),
    Demonstration([], [70_000]),
]


def made(left_out):
    left_out["long"] = 5
    yield from ROWS


def test_what_is_read_is_what_was_written(tmp_path):
    tokens = token_file.on_disk(saving(tmp_path), made)
    assert len(tokens) == 3 and tokens.left_out == {"long": 5}
    assert tokens.lengths == [4, 5, 1] and tokens.trained == [2, 2, 1]
    assert tokens.rows[1] == {
        "input_ids": [1, 6, 7, 8, 2],
        "labels": [-100, -100, 7, 8, -100],
        "trained": 2,
    }
    assert [dict(row) for row in token_file.in_memory(ROWS).rows] == list(tokens.rows)


def test_it_is_written_once_a_run_and_anew_for_another(tmp_path):
    calls = []

    def counted(left_out):
        calls.append(1)
        return made(left_out)

    one = saving(tmp_path)
    first, again = (token_file.on_disk(one, counted) for _ in range(2))
    assert list(first.rows) == list(again.rows) and again.left_out == {"long": 5}
    assert len(calls) == 1
    token_file.on_disk(one._replace(identity="another run"), counted)
    assert len(calls) == 2
    assert sorted(path.name for path in one.folder.iterdir()) == ["tokens"]


def test_half_of_a_file_is_not_taken(tmp_path):
    def failing(left_out):
        yield ROWS[0]
        raise InputError("row 1 is broken")

    one = saving(tmp_path)
    with pytest.raises(InputError, match="row 1 is broken"):
        token_file.on_disk(one, failing)
    assert not list(one.folder.rglob("*"))
    assert len(token_file.on_disk(one, made)) == 3


def test_other_processes_wait_for_the_first_and_read_nothing_themselves(tmp_path, monkeypatch):
    monkeypatch.setattr(token_file, "main_process", lambda: False)
    found, one = [], saving(tmp_path)

    def second():
        found.append(token_file.on_disk(one, lambda _: pytest.fail("it tokenises, too")))

    waiting = threading.Thread(target=second)
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive() and not found
    monkeypatch.setattr(token_file, "main_process", lambda: True)
    token_file.on_disk(one, made)
    waiting.join(10)
    assert found[0].lengths == [4, 5, 1]


HELD = """
import json, resource, sys
from pathlib import Path
from online_il.training import token_file
from online_il.training.common import Demonstration
from online_il.training.resume import Saving

def rows(_):
    for row in range(3_000):
        yield Demonstration([row + 300] * 100, list(range(1_000, 3_000)))

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
tokens = token_file.on_disk(Saving(Path(sys.argv[1]), "a run", 60), rows)
assert sum(tokens.lengths) == 3_000 * 2_100
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps(1024 * (after - before) / sum(tokens.lengths)))
"""


def test_a_token_takes_a_few_bytes_of_memory_in_the_process_that_writes(tmp_path):
    """As lists, which it was, a token takes 40 bytes and more, in each process."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    done = subprocess.run(
        [sys.executable, "-c", HELD, str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert json.loads(done.stdout) < 16
