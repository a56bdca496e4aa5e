"""Every verdict of a study, recomputed by a second person's code (tests/common/recomputed.py).

    ONLINE_IL_RESULTS=results/mini pytest tests/unit/test_recomputed.py

also recomputes a real study's.
"""

import ast
import json
import os
from pathlib import Path

import numpy as np
import pytest
import recomputed
import recomputed_effects
from fake_study import RUNS, fake_study
from test_claims import CLAIMS, pair, run_claims

from online_il.store import build

MORE = RUNS | {
    "distill-realizable": ("distill", "expert", [(8, 8, 512), (24, 24, 1536)], 0.66),
    "sft-unrealizable": ("sft", "solver", [(8, 8, 512), (24, 24, 1536)], 0.2),
    "sft-self": ("sft", "base", [(8, 8, 512), (24, 24, 1536)], 0.17),
    "sft-mixture": ("sft", "mixture", [(8, 8, 512), (24, 24, 1536)], 0.2),
    "distill-mixture": ("distill", "mixture", [(8, 8, 512), (24, 24, 1536)], 0.6),
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    fake_study(folder, runs=MORE, n_prompts=150, samplings=("policy",))
    build(folder, folder / "measurements.duckdb")
    found = run_claims(folder, "--discrepancy", pair(folder, 0.2))
    assert found.returncode == 0, found.stderr
    return folder


def test_a_made_up_study_is_judged_alike_by_both(study):
    assert recomputed.compared(study, CLAIMS) == []
    rows = json.loads((study / "claims.json").read_text())["claims"]
    assert sum(row["effect"] is not None for row in rows) > 15
    assert len({row["verdict"] for row in rows}) > 2


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
    assert recomputed.compared(Path(os.environ["ONLINE_IL_RESULTS"]), CLAIMS) == []
