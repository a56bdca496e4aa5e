"""Every verdict of a study, recomputed by a second person's code (tests/common/recomputed.py).

    ONLINE_IL_RESULTS=results/mini pytest tests/unit/test_recomputed.py

also recomputes a real study's.
"""

import ast
import itertools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import recomputed
import recomputed_effects
from fake_study import RUNS, fake_study
from test_claims import CLAIMS, designs, pair, run_claims

from online_il.store import build

MORE = RUNS | {
    "distill-realizable": ("distill", "expert", [(8, 8, 512), (24, 24, 1536)], 0.66),
    "sft-unrealizable": ("sft", "solver", [(8, 8, 512), (24, 24, 1536)], 0.2),
    "sft-self": ("sft", "base", [(8, 8, 512), (24, 24, 1536)], 0.17),
    "sft-mixture": ("sft", "mixture", [(8, 8, 512), (24, 24, 1536)], 0.2),
    "distill-mixture": ("distill", "mixture", [(8, 8, 512), (24, 24, 1536)], 0.6),
}


WHOLE = {("countdown", "id"), ("countdown", "forgetting")}


def judged(folder: Path, *options: object, **made: object) -> Path:
    """A made-up study and its claims."""
    fake_study(folder, runs=MORE, n_prompts=150, samplings=("policy",), **made)
    build(folder, folder / "measurements.duckdb")
    found = run_claims(folder, "--discrepancy", pair(folder, 0.2), *options)
    assert found.returncode == 0, found.stderr
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judged(tmp_path_factory.mktemp("study"))


def test_a_made_up_study_is_judged_alike_by_both(study):
    assert recomputed.compared(study, CLAIMS) == []
    rows = json.loads((study / "claims.json").read_text())["claims"]
    assert sum(row["effect"] is not None for row in rows) > 15
    assert len({row["verdict"] for row in rows}) > 2
    # Each seed has a base of its own: from the first one's a drop is another.
    apart = recomputed.Study(study, CLAIMS)
    for found in apart.runs.values():
        found["base"] |= {"a": found["base"]["a"][:1], "seeds": [1]}
    apart.judge({})
    effects = {row["id"]: row["effect"] for row in rows}
    name = "countdown-forgetting-unrealizable-drops"
    assert abs(apart.rows[name]["effect"] - effects[name]) > 1e-4


@pytest.mark.parametrize(
    ("seeds", "options"),
    [
        ((1, 2, 3), ()),
        ((11, 12, 13, 14, 15), ("--looks", 3, 6, 10)),
        (tuple(range(11, 18)), ("--looks", 3, 6, 10)),
        ((11, 12), ("--looks", 3, 6)),
    ],
)
def test_looks_whole_prompts_and_more_responses_are_judged_alike(tmp_path, seeds, options):
    folder = judged(
        *(tmp_path, "--designs", designs(seeds, whole=["id", "forgetting"]), *options),
        seeds=seeds,
        at_last=4,
    )
    assert recomputed.compared(folder, CLAIMS, WHOLE) == []
    rows = json.loads((folder / "claims.json").read_text())["claims"]
    looks = [row["decided_at"] for row in rows]
    assert (set(looks) != {None}) == (len(seeds) > 2 and bool(options))


def test_one_base_of_all_seeds_is_judged_alike(tmp_path):
    fake_study(tmp_path, runs=MORE, n_prompts=150, samplings=("policy",))
    for seed in (2, 3):
        for place in ("eval", "runs"):
            shutil.rmtree(tmp_path / place / "countdown" / "base" / f"seed{seed}")
    build(tmp_path, tmp_path / "measurements.duckdb")
    assert run_claims(tmp_path).returncode == 0
    assert recomputed.compared(tmp_path, CLAIMS) == []


def test_which_prompts_are_all_there_are_is_counted_out(tmp_path):
    """Of the numbers 1 to 3, three at a time, and the targets 2 to 5."""
    every = [
        (numbers, target)
        for numbers in itertools.combinations_with_replacement((1, 2, 3), 3)
        for target in range(2, 6)
        if target in recomputed_effects.reached(numbers)
    ]
    assert recomputed_effects.reached((1, 1, 1)) == {0, 1, 2, 3}
    # 1 + 1 + 3, 1 * 1 * 3, 1 + 3 - 1, 3 - 1 - 1, (1 + 1) * 3, 3 * 1 - 1, 3 * 1 + 1 and 3 * (1 - 1).
    assert recomputed_effects.reached((1, 1, 3)) == {0, 1, 2, 3, 4, 5, 6}
    rows = [
        {"split": ("train", "validation", "id")[place % 3], "answer": {"numbers": n, "target": t}}
        for place, (n, t) in enumerate(every)
    ]
    rows += [{"split": "forgetting", "answer": {"choices": [1, 2], "correct": 1}}]
    table = pd.DataFrame(rows)
    table["answer"] = table["answer"].map(json.dumps)
    path = tmp_path / "data" / "countdown" / "prompts.parquet"
    path.parent.mkdir(parents=True)
    table.to_parquet(path)
    assert recomputed_effects.complete(tmp_path) == WHOLE
    table.drop(index=4).to_parquet(path)
    assert recomputed_effects.complete(tmp_path) == {("countdown", "forgetting")}


def test_a_wrong_verdict_and_a_wrong_effect_are_found(study, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("eval", "discrepancy"):
        (copy / name).symlink_to(study / name)
    record = json.loads((study / "claims.json").read_text())
    by_id = {row["id"]: row for row in record["claims"]}
    by_id["countdown-sft-unrealizable-falls-short"]["verdict"] = "contradicted"
    by_id["countdown-sft-realizable-matches"]["effect"] += 0.001
    (copy / "claims.json").write_text(json.dumps(record))
    found = recomputed.compared(copy, CLAIMS)
    assert len(found) == 2 and np.all([line.startswith("countdown-sft-") for line in found])


@pytest.mark.parametrize("module", [recomputed, recomputed_effects])
def test_it_shares_nothing_with_the_package(module):
    nodes = list(ast.walk(ast.parse(Path(module.__file__).read_text())))
    names = {each.name for node in nodes if isinstance(node, ast.Import) for each in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert names and not any(name.startswith("online_il") for name in names)


@pytest.mark.slow
@pytest.mark.skipif("ONLINE_IL_RESULTS" not in os.environ, reason="no results are named")
def test_a_real_study_is_judged_alike_by_both():
    results = Path(os.environ["ONLINE_IL_RESULTS"])
    assert recomputed.compared(results, CLAIMS, recomputed_effects.complete(results)) == []
