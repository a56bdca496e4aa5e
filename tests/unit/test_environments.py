"""The requirement files pin everything, agree with each other, and name what programs import."""

import ast
import re
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
ENVS = ROOT / "envs"
FILES = {"cpu": "constraints.txt", "gpu": "gpu-constraints.txt"}
PIN = re.compile(r"[a-z0-9][a-z0-9.-]*(\[[a-z0-9_,]+\])?==[0-9][0-9a-z.]*")

# vLLM wants a numpy below 2.4 and the Slurm plugin one from 2.4.5 on; vLLM's server wants an older
# FastAPI than the one that serves the tests.
DIFFERENT = {"numpy", "fastapi"}
# What one environment has alone: submitting, checks and tests there, CUDA here.
CPU_ALONE = {
    "axe-playwright-python",
    "fastapi",
    "hypothesis",
    "mypy",
    "pandas-stubs",
    "playwright",
    "pytest-xdist",
    "ruff",
    "snakefmt",
    "snakemake-executor-plugin-slurm",
    "statsmodels",
    "types-pyyaml",
    "uvicorn",
}
GPU_ALONE = {"torchvision", "triton", "vllm"}


def lines(file: str) -> list[str]:
    text = (ENVS / file).read_text()
    return [line for raw in text.splitlines() if (line := raw.partition("#")[0].strip())]


def pins(file: str) -> dict[str, str]:
    requirements = [Requirement(line) for line in lines(file) if not line.startswith("-c ")]
    return {canonicalize_name(r.name): next(iter(r.specifier)).version for r in requirements}


def closure(file: str) -> dict[str, str]:
    """What is installed of a file's requirements and of theirs, with the versions."""
    waiting = [Requirement(line) for line in lines(file) if not line.startswith("-c ")]
    seen: set[tuple[str, str]] = set()
    found: dict[str, str] = {}
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        for extra in {"", *wanted.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                continue
            for text in requires(name) or []:
                below = Requirement(text)
                if below.marker is None or below.marker.evaluate({"extra": extra}):
                    waiting.append(below)
    return found


def imported() -> set[str]:
    """Libraries that the workflow's programs import, by the names under which they install.

    What made the tables of facts is no program of the workflow and names its own.
    """
    modules: set[str] = set()
    programs = {*(ROOT / "workflow").rglob("*.py")} - {*(ROOT / "workflow" / "facts").rglob("*.py")}
    for path in programs:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                modules.add(node.module.partition(".")[0])
    installed = packages_distributions()
    theirs = modules - sys.stdlib_module_names - {"online_il"}
    return {canonicalize_name(installed.get(module, [module])[0]) for module in theirs}


@pytest.mark.parametrize("name", FILES)
def test_every_requirement_is_pinned_to_one_version_under_its_constraints(name):
    first, *requirements = lines(f"{name}.txt")
    assert first == f"-c {FILES[name]}"
    loose = [line for line in requirements + lines(FILES[name]) if not PIN.fullmatch(line)]
    assert not loose
    names = [canonicalize_name(Requirement(line).name) for line in lines(FILES[name])]
    assert names == sorted(set(names))


@pytest.mark.parametrize("name", FILES)
def test_the_constraints_repeat_every_requirement_at_its_version(name):
    constraints = pins(FILES[name])
    required = pins(f"{name}.txt")
    assert {package: constraints.get(package) for package in required} == required


def test_every_installed_package_beneath_the_requirements_is_the_pinned_one():
    constraints = pins("constraints.txt")
    installed = closure("cpu.txt")
    assert len(installed) > 100
    wrong = {
        package: (found, constraints.get(package))
        for package, found in installed.items()
        if found.partition("+")[0] != constraints.get(package)
    }
    assert not wrong, f"installed and pinned versions differ ({wrong}): run `make setup`"


def test_both_environments_have_the_same_versions_of_what_they_share():
    cpu, gpu = pins("constraints.txt"), pins("gpu-constraints.txt")
    assert {package for package in cpu.keys() & gpu.keys() if cpu[package] != gpu[package]} == (
        DIFFERENT
    )


def test_the_environment_of_a_gpu_has_all_of_the_other_but_checks_and_submission():
    cpu, gpu = pins("cpu.txt").keys(), pins("gpu.txt").keys()
    assert cpu - gpu == CPU_ALONE
    assert gpu - cpu == GPU_ALONE


@pytest.mark.slow
def test_both_environments_name_every_library_that_the_programs_import():
    libraries = imported()
    assert {"torch", "pyyaml", "scikit-learn"} <= libraries
    assert libraries - pins("gpu.txt").keys() == set()
    assert libraries - pins("cpu.txt").keys() - GPU_ALONE == set()


@pytest.mark.parametrize("name", FILES)
def test_the_conda_file_installs_exactly_the_requirement_file(name):
    conda = yaml.safe_load((ENVS / f"{name}.yaml").read_text())
    assert conda["dependencies"] == ["python=3.11", "pip", {"pip": [f"-r {name}.txt"]}]
