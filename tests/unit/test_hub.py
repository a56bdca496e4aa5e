"""The hub's files are read from this machine only, and what is missing or odd is said in a line."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from online_il import hub
from online_il.config.data import Aime
from online_il.config.hub import DataSet, Model
from online_il.errors import InputError

NO_TENSORS = (2).to_bytes(8, "little") + b"{}"  # A whole safetensors file.
REPO, REVISION = "owner/name", "0123456789abcdef" * 2 + "01234567"


class Row(hub.HubRow):
    question: str
    answer: int


ROWS = [{"question": "1 + 1?", "answer": 2}, {"question": "1 + 2?", "answer": 3}]


def source(folder: Path | None, files: str) -> DataSet:
    place = None if folder is None else str(folder)
    return DataSet(repo=REPO, revision=REVISION, files=files, folder=place)


def model(folder: Path | None) -> Model:
    return Model(repo=REPO, revision=REVISION, folder=None if folder is None else str(folder))


def written(folder: Path, kind: str, rows: list[dict]) -> Path:
    path = folder / f"rows.{kind}"
    if kind == "parquet":
        parquet.write_table(arrow.Table.from_pylist(rows), path)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path.write_text(json.dumps(rows))
    return path


def refusal(of: DataSet) -> str:
    with pytest.raises(InputError) as caught:
        list(hub.rows(of, Row))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def no_network(monkeypatch):
    def refused(*_, **__):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


@pytest.fixture
def cache(tmp_path, monkeypatch, no_network):
    """The hub's cache, empty."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def snapshot(cache: Path, kind: str) -> Path:
    """An empty snapshot of the repository in the hub's cache."""
    folder = cache / f"{kind}--owner--name" / "snapshots" / REVISION
    folder.mkdir(parents=True)
    return folder


# ---- rows ----


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "json"])
def test_rows_are_read_in_order_and_other_columns_passed_over(kind, tmp_path):
    written(tmp_path, kind, [row | {"more": [1]} for row in ROWS])
    found = list(hub.rows(source(tmp_path, "*"), Row))
    assert [row.model_dump() for row in found] == ROWS


@pytest.mark.parametrize("kind", ["jsonl", "json"])
def test_a_byte_order_mark_is_passed_over(kind, tmp_path):
    path = written(tmp_path, kind, ROWS)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(list(hub.rows(source(tmp_path, "*"), Row))) == 2


def test_several_files_are_read_by_name(tmp_path):
    for part in (1, 0):
        rows = [{"question": f"{part}?", "answer": part}]
        path = tmp_path / "main" / f"train-{part:05d}-of-00002.parquet"
        path.parent.mkdir(exist_ok=True)
        parquet.write_table(arrow.Table.from_pylist(rows), path)
    found = hub.rows(source(tmp_path, "main/train-*.parquet"), Row)
    assert [row.answer for row in found] == [0, 1]


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "json"])
def test_a_missing_column_is_named_with_its_file(kind, tmp_path):
    path = written(tmp_path, kind, [{"question": "1 + 1?", "solution": "2"}])
    said = refusal(source(tmp_path, "*"))
    assert f"{path}: row 1: no column 'answer' (there are: question, solution)" in said


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "json"])
def test_a_wrong_type_is_named_with_file_row_and_column(kind, tmp_path):
    path = written(tmp_path, kind, [{"question": "1 + 1?", "answer": "2"}])
    said = refusal(source(tmp_path, "*"))
    assert f"{path}: row 1: column 'answer'" in said
    assert "integer" in said


def test_the_row_at_fault_is_named(tmp_path):
    path = written(tmp_path, "jsonl", [ROWS[0], ROWS[1], {"question": None, "answer": 1}])
    assert f"{path}: row 3: column 'question'" in refusal(source(tmp_path, "*"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", "", "no row in it"),
        ("a.json", "[]", "no row in it"),
        ("a.json", '{"question": "?"}', "not a JSON array"),
        ("a.jsonl", '["no", "object"]\n', "not a row of columns"),
        ("a.jsonl", '{"question": \n', "damaged"),
        ("a.json", "[" * 100_000, "damaged"),
        ("a.jsonl", b"\xff\xfe", "damaged"),
        ("a.parquet", b"PAR1 no", "damaged"),
        ("a.csv", "question,answer", "neither .parquet nor .jsonl nor .json"),
    ],
)
def test_files_that_hold_no_rows_are_named(name, content, said, tmp_path):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = refusal(source(tmp_path, "*"))
    assert found.startswith(f"{path}: ")
    assert said in found


def test_a_parquet_file_without_any_of_the_columns_is_refused(tmp_path):
    path = written(tmp_path, "parquet", [{"other": 1}])
    assert f"{path}: row 1: no column 'question'" in refusal(source(tmp_path, "*"))


# ---- places ----


def test_what_the_cache_lacks_is_named_with_the_remedy(cache):
    for name, missing in (
        ("data set", lambda: list(hub.rows(source(None, "*.parquet"), Row))),
        ("model", lambda: hub.model_folder(model(None))),
    ):
        with pytest.raises(InputError) as caught:
            missing()
        said = str(caught.value)
        assert said.startswith(f"{name} {REPO}@{REVISION}: ")
        assert "`make download-paper` on a machine with a network" in said
        assert "`folder`" in said


def test_rows_are_read_from_the_cache_at_the_revision(cache):
    written(snapshot(cache, "datasets"), "jsonl", ROWS)
    assert len(list(hub.rows(source(None, "*.jsonl"), Row))) == 2
    other = source(None, "*.jsonl").model_copy(update={"revision": "f" * 40})
    assert "not on this machine" in refusal(other)


def test_a_snapshot_without_the_files_is_refused(cache):
    snapshot(cache, "datasets")
    assert "no file *.parquet" in refusal(source(None, "*.parquet"))


def test_a_missing_part_is_named(tmp_path):
    for part in (0, 2):
        parquet.write_table(
            arrow.Table.from_pylist(ROWS), tmp_path / f"train-{part:05d}-of-00003.parquet"
        )
    assert "train-00001-of-00003, a part of it" in refusal(source(tmp_path, "*.parquet"))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ("/etc/*", "is no pattern inside it"),
        ("", "is no pattern inside it"),
        ("a**/*", "is no pattern inside it"),
        ("*.nothing", "no file *.nothing"),
    ],
)
def test_a_pattern_that_names_no_files_is_refused(files, said, tmp_path):
    found = refusal(source(tmp_path, files))
    assert said in found
    assert "files" in found


def test_a_folder_that_is_none_is_refused(tmp_path):
    assert "is no folder" in refusal(source(tmp_path / "none", "*"))


def test_a_model_is_whole_or_refused(tmp_path):
    def said() -> str:
        with pytest.raises(InputError) as caught:
            hub.model_folder(model(tmp_path))
        return str(caught.value)

    assert "no config.json" in said()
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"never read")
    assert "no *.safetensors" in said()
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = {"weight_map": {"a": names[0], "b": names[1]}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / names[0]).write_bytes(NO_TENSORS)
    assert f"no {names[1]}" in said()
    (tmp_path / names[1]).touch()
    assert f"{names[1]} is no whole safetensors file (0 bytes)" in said()
    (tmp_path / names[1]).write_bytes(NO_TENSORS)
    assert "no tokenizer.json" in said()
    (tmp_path / "tokenizer.json").write_text("{}")
    assert hub.model_folder(model(tmp_path)) == tmp_path


def test_a_single_file_of_weights_is_a_whole_model(cache):
    folder = snapshot(cache, "models")
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(NO_TENSORS)
    (folder / "tokenizer.json").write_text("{}")
    assert hub.model_folder(model(None)) == folder


# ---- download ----


def test_a_config_names_its_sources_once():
    one, two = source(None, "a"), source(None, "b")
    assert hub.named_in(Aime(kind="aime", aime2024=one, aime2025=two)) == [one, two]
    assert hub.named_in(Aime(kind="aime", aime2024=one, aime2025=one)) == [one]


def test_models_are_fetched_without_pickled_weights_and_local_copies_not(monkeypatch, tmp_path):
    asked = []

    def fetched(repo, **options):
        asked.append((repo, options))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetched)
    sources = [model(None), source(None, "main/*.parquet"), source(tmp_path, "x"), model(tmp_path)]
    assert [folder for _, folder in hub.download(sources)] == [tmp_path, tmp_path]
    (_, first), (_, second) = asked
    assert (first["repo_type"], second["repo_type"]) == ("model", "dataset")
    assert first["revision"] == second["revision"] == REVISION
    assert second["allow_patterns"] == ["main/*.parquet"]
    assert {"*.json", "*.safetensors"} <= set(first["allow_patterns"])
    assert not any(pattern in ("*", "*.bin") for pattern in first["allow_patterns"])


def test_what_cannot_be_fetched_is_said_without_a_traceback(cache, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=f"model {REPO}@{REVISION}: cannot be downloaded"):
        list(hub.download([model(None)]))


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("[Errno -2] Name or service not known"),
        httpx.ReadTimeout("timed out"),
        httpx.InvalidURL("no scheme"),
        ConnectionResetError("reset"),
        RuntimeError("Data processing error: network"),
    ],
)
def test_a_missing_network_is_one_line_with_the_name_of_what_was_wanted(monkeypatch, error):
    def fetched(repo, **options):
        raise error

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetched)
    with pytest.raises(InputError, match=f"model {REPO}@{REVISION}: cannot be downloaded") as told:
        list(hub.download([model(None)]))
    assert str(error).split("] ")[-1] in str(told.value) and "look at the network" in str(
        told.value
    )


def test_the_download_script_says_so_when_there_is_nothing_to_fetch():
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, root / "workflow" / "scripts" / "download.py", "--config"]
        + [root / "config" / "smoke.yaml"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root / "workflow")},
    )
    assert done.returncode == 0
    assert "nothing to fetch" in done.stderr


def test_models_for_gpus_do_not_go_to_a_home_that_nobody_chose(monkeypatch):
    model = Model(repo="a/b", revision="0" * 40)
    for name in ("HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=r"HF_HOME is not set, and \S*b.* would go to ~/.cache"):
        hub.ask_for_place([model])
    hub.ask_for_place([model.model_copy(update={"folder": "/models/b"})])
    for name in ("HF_HOME", "HF_HUB_CACHE"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "/scratch/hub")
            hub.ask_for_place([model])
