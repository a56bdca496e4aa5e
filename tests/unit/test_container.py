"""The Apptainer definition: its commands parse, its files exist, its pins are those of gpu.txt."""

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from online_il.errors import InputError
from online_il.program.environment import image

ROOT = Path(__file__).parents[2]
DEFINITION = ROOT / "envs" / "gpu.def"
APPTAINER = SimpleNamespace(deployment_method=[SimpleNamespace(name="APPTAINER")])
CONDA = SimpleNamespace(deployment_method=[SimpleNamespace(name="CONDA")])


def sections() -> dict[str, str]:
    """The parts of the definition by name; what stands before the first is its header."""
    head, *parts = re.split(r"^%(\w+)\n", DEFINITION.read_text(), flags=re.MULTILINE)
    return {"header": head} | dict(zip(parts[::2], parts[1::2], strict=True))


def copied() -> dict[str, str]:
    """The files that are copied into the image, each by its place there."""
    return {
        line.split()[1]: line.split()[0]
        for line in sections()["files"].splitlines()
        if line.strip()
    }


def test_every_file_that_is_copied_is_in_the_repository():
    assert copied()
    for source in copied().values():
        assert (ROOT / source).is_file(), source
        assert subprocess.run(["git", "check-ignore", "-q", source], cwd=ROOT).returncode == 1


@pytest.mark.parametrize("name", ["post", "environment"])
def test_the_commands_are_a_shells(name):
    # Apptainer runs %post with sh -ex, and the environment is read by the image's sh.
    for shell in filter(shutil.which, ("sh", "bash")):
        done = subprocess.run([shell, "-n"], input=sections()[name], text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
    for line in sections()[name].splitlines():
        done = subprocess.run(["bash", "-n"], input=line, text=True, capture_output=True)
        assert done.returncode == 0, (line, done.stderr)


def test_what_is_installed_is_the_pinned_list_and_nothing_beside_it():
    commands = sections()["post"]
    (pip,) = [line.split() for line in commands.splitlines() if "pip install" in line]
    listed = [word for option, word in pairwise(pip) if option == "-r"]
    assert [copied()[place] for place in listed] == ["envs/gpu.txt"]
    assert all(word.startswith("-") for word in pip[2:] if word not in listed)
    assert "==" not in commands, "versions stand in envs/gpu.txt alone"
    # Its constraints lie beside it in the image, under the name that it has in the list.
    (constraints,) = re.findall(
        r"^-c (\S+)$", (ROOT / "envs" / "gpu.txt").read_text(), re.MULTILINE
    )
    there = {place: source for place, source in copied().items() if source.endswith(constraints)}
    assert [Path(place).name for place in there] == [constraints]
    assert {str(Path(place).parent) for place in copied()} == {str(Path(listed[0]).parent)}


def test_the_image_has_what_the_probe_asks_of_a_node():
    header, commands = sections()["header"], sections()["post"]
    (python,) = re.findall(r"^From: python:(3\.11\.\d+)-slim-\w+$", header, re.MULTILINE)
    assert python and re.search(r"^Bootstrap: docker$", header, re.MULTILINE)
    assert re.search(r"apt-get install .*\bgcc\b.*\blibc6-dev\b", commands)
    assert "Python.h" in commands


def test_an_image_that_is_not_built_is_asked_for_before_anything_starts(tmp_path):
    assert image(tmp_path, None) == image(tmp_path, CONDA) == str(tmp_path / "envs" / "gpu.sif")
    with pytest.raises(InputError, match=r"no .*gpu\.sif; run `make container`"):
        image(tmp_path, APPTAINER)
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "gpu.sif").touch()
    assert image(tmp_path, APPTAINER) == str(tmp_path / "envs" / "gpu.sif")
