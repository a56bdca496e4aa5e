"""docs/adding.md followed word by word, in a copy of the project."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from project import ROOT, copy_of_project

GUIDE = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")


def recipe(title: str) -> tuple[list[str], list[str]]:
    """Of a section: the files that its steps name first, and its blocks of code."""
    section = GUIDE.partition(f"\n## {title}")[2].partition("\n## ")[0]
    return re.findall(r"(?m)^\d\. `([^`]+)`", section), re.findall(
        r"(?ms)^```\w+\n(.*?)^```", section
    )


def below(path: Path, anchor: str, lines: str) -> None:
    """Add lines below the last line of a file that starts with `anchor`."""
    text = path.read_text()
    (*_, found) = re.finditer(rf"(?m)^{re.escape(anchor)}.*\n", text)
    path.write_text(text[: found.end()] + lines + text[found.end() :])


def changed(project: Path) -> set[str]:
    """The files of a copy that the project does not have so."""
    return {
        name
        for path in project.rglob("*")
        if path.is_file() and path.suffix in (".py", ".smk", ".yaml")
        for name in [path.relative_to(project).as_posix()]
        if not name.startswith((".snakemake", "results"))
        and not ((ROOT / name).is_file() and (ROOT / name).read_bytes() == path.read_bytes())
    }


def modules(project: Path) -> dict[str, dict[str, str]]:
    """The hashes of what counts of the code of each program."""
    program = (
        "import json, pathlib; from online_il.provenance import code_modules;"
        "print(json.dumps({p.name: code_modules(p)"
        " for p in pathlib.Path('workflow/scripts').resolve().glob('*.py')}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=project,
        env={"PYTHONPATH": str(project / "workflow")},
        check=True,
    )
    return json.loads(done.stdout)


def snakemake(project: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=project, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_of_project(tmp_path)


def test_a_method_is_added_as_the_guide_says(project):
    places, (settings, row, study) = recipe("A method")
    library, scripts = project / "workflow" / "online_il", project / "workflow" / "scripts"
    before = modules(project)
    (library / "config" / "echo.py").write_text(settings)
    below(library / "methods.py", "    Method(", row)
    below(library / "methods.py", "from online_il.config.distill", IMPORT)
    program = re.sub(r"\bSft\b", "Echo", (scripts / "sft.py").read_text())
    program = program.replace("online_il.config.sft", "online_il.config.echo")
    (scripts / "echo.py").write_text(program.replace('method="sft"', 'method="echo"'))
    (project / "config" / "echo.yaml").write_text(study)
    # Five places and a test; the loop is the one that SFT has.
    touched = changed(project)
    assert touched == {*places, "config/echo.yaml"} - {"workflow/online_il/training/echo.py"}
    assert len(touched) + 1 <= 6
    # Nothing that trains or measures has other code.
    after = modules(project)
    assert after.pop("echo.py")
    others = {name for name in before if before[name] != after[name]}
    trains = {f"{name}.py" for name in ("pretrain", "finetune", "grpo", "sft", "distill")}
    assert not others & {*trains, "sample.py", "evaluate.py", "solve.py", "ask.py", "prompts.py"}
    record = "results/smoke/runs/countdown/echo-solver/seed1/run.json"
    output = snakemake(project, record, "--configfile", "config/echo.yaml")
    assert "by echo" in output
    assert json.loads((project / record).read_text())["method"] == "echo"


IMPORT = "from online_il.config.echo import Echo\n"


def test_a_benchmark_is_added_as_the_guide_says(project):
    places, (row, key, prompts, study) = recipe("A benchmark")
    library = project / "workflow" / "online_il"
    below(library / "benchmarks.py", "    Benchmark(", row)
    below(library / "config" / "data.py", "    aime2025: DataSet", key)
    below(library / "tasks" / "problems.py", '    tests.append(("aime2025"', prompts)
    (project / "config" / "again.yaml").write_text(study)
    assert changed(project) == {*places, "config/again.yaml"}
    assert len(places) + 2 <= 5, "with the study and a test"
    table = "results/smoke/data/aime/prompts.parquet"
    snakemake(project, table, "--configfile", "config/again.yaml")
    splits = parquet.read_table(project / table)["split"].to_pylist()
    assert splits.count("again") == splits.count("aime2025") > 0
    output = snakemake(project, "-n", "--configfile", "config/again.yaml")
    assert "evaluate" in output or "respond" in output
