"""Where things lie: the published paths, names that are read back, and no path spelt elsewhere."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from online_il.layout import (
    FIGURE_KINDS,
    Layout,
    Policy,
    evaluation,
    existing_steps,
    existing_updates,
    number_of,
    pair_of,
    responses_of,
    step,
    update,
)

ROOT = Path(__file__).parents[2]
HERE = Path("results/mini")
NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True)
FOLDERS = (
    "data|models|tokenizers|runs|state|samples|responses|eval|discrepancy|theory|figures|tables"
    "|logs|benchmarks|progress|provenance|preflight"
)
SPELT = re.compile(
    rf"(?:^|[\s/=])(?:{FOLDERS})/|\.duckdb\b|(?:^|/)step(?:\d|\*|\{{)|update-"
    r"|(?:^|/)(?:run|seal|recorded|claims|accepted)\.json|training\.parquet|summary\.txt"
    r"|report\.html|preflight\.txt"
)


def test_published_paths_are_where_readers_know_them():
    layout = Layout(HERE)
    folder = layout.evaluations("countdown", "expert", 2)
    assert evaluation(folder, 12, "ood", "policy") == Path(
        "results/mini/eval/countdown/expert/seed2/step12/ood.json"
    )
    paper = evaluation(folder, 12, "ood", "paper")
    assert responses_of(paper) == folder / "step12" / "ood.paper.parquet"
    assert layout.run("countdown", "base", 1) == HERE / "runs/countdown/base/seed1"
    assert layout.database("results") == HERE / "results.duckdb"
    assert [layout.figure("figure1", kind).name for kind in FIGURE_KINDS] == [
        "figure1.svg",
        "figure1.vl.json",
        "figure1.html",
    ]
    assert layout.figure("figure1", "svg").parent == HERE / "figures"
    assert layout.table("table1", "tex") == HERE / "tables/table1.tex"
    assert layout.claims() == HERE / "claims.json"
    assert layout.report == HERE / "report.html"


def test_without_values_a_path_has_the_wildcards_of_the_rules():
    assert str(Layout(HERE).training()) == (
        "results/mini/runs/{task}/{run}/seed{seed}/training.parquet"
    )


@given(NAMES, NAMES, NAMES, st.integers(0, 10**6))
def test_names_are_read_back(task, run, other, seed):
    policy = Policy(task, run, seed)
    assert Policy.named(str(policy)) == policy
    assert pair_of(Layout(HERE).discrepancy(task, run, other)) == (task, run, other)
    assert number_of(update(HERE, seed)) == seed


def test_what_is_on_the_disk_is_found_and_nothing_else(tmp_path):
    layout = Layout(tmp_path)
    for seed in (1, 2, 10):
        layout.record("t", "a", seed).parent.mkdir(parents=True)
    layout.evaluations("t", "b", 3).mkdir(parents=True)
    (tmp_path / "runs" / "t" / "a" / "seed1.bak").mkdir()
    (tmp_path / "runs" / "t" / "a" / "seedling").mkdir()
    assert layout.existing_policies() == [*(Policy("t", "a", k) for k in (1, 2, 10)), ("t", "b", 3)]
    for table in (layout.samples("t", "e", 1), layout.samples("t", "e", 1, "id")):
        table.parent.mkdir(parents=True, exist_ok=True)
        table.touch()
    assert layout.existing_samples("t", "e") == [layout.samples("t", "e", 1)]
    for rule, *job in (("grpo", "t", "a", "seed1"), ("claims",)):
        for path in (layout.progress(rule, *job), layout.benchmark(rule, *job)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    assert [name for name, _ in layout.existing_progress()] == ["claims", "grpo t a seed1"]
    assert [rule for rule, _ in layout.existing_benchmarks()] == ["claims", "grpo"]


def test_steps_and_updates_come_in_the_order_of_their_numbers(tmp_path):
    for number in (100, 20, 3):
        step(tmp_path, number).mkdir()
        update(tmp_path, number).mkdir()
    assert existing_steps(tmp_path) == [step(tmp_path, number) for number in (3, 20, 100)]
    assert existing_updates(tmp_path) == [update(tmp_path, number) for number in (3, 20, 100)]


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a module with their lines, but for those that only document."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    skipped = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    skipped |= {
        id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values
    }
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            yield node.lineno, "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in skipped:
                yield node.lineno, node.value
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            # A folder as an operand: `results / "samples"`.
            named = node.right
            if isinstance(named, ast.Constant) and re.fullmatch(FOLDERS, str(named.value)):
                yield node.lineno, f"{named.value}/"


def texts_of_rules(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a file of rules with their lines."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.STRING and not token.string.startswith('"""'):
            yield token.start[0], re.sub(r'^\w*["\']+|["\']+$', "", token.string)


def spelt(path: Path) -> list[str]:
    texts = texts_of(path) if path.suffix == ".py" else texts_of_rules(path)
    return [
        f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}:{line}: {text}"
        for line, text in texts
        if SPELT.search(text)
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", 'path = results / "samples" / task\n'),
        ("a.py", 'path = f"eval/{task}/{run}"\n'),
        ("a.py", 'place = folder / f"step{number}"\n'),
        ("a.smk", 'rule a:\n    output:\n        f"{R}/logs/a.log",\n'),
    ],
)
def test_a_path_that_is_spelt_elsewhere_would_be_seen(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert len(spelt(tmp_path / name)) == 1


def test_no_path_below_the_results_is_spelt_outside_the_layout():
    files = [ROOT / "Snakefile", *ROOT.glob("rules/*.smk"), *ROOT.glob("workflow/**/*.py")]
    files = [f for f in files if f.name != "layout.py" and "fixtures" not in f.parts]
    assert len(files) > 100
    assert [line for file in files for line in spelt(file)] == []
