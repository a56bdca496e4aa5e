"""The theory's figures: what they show is what their tables hold."""

import re
from pathlib import Path

import pandas as pd
import pytest
import warm

from online_il.charts import theory
from online_il.charts.gaussian import figure4
from online_il.charts.style import caption, save

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
PROGRAMS = {
    "gaussian": "--expert-mean -2 2 --class-direction 0 1",
    "mixture": "--expert-mean 0 3 --expert-mean 0 -3 --expert-weight 0.6 --expert-weight 0.4 "
    "--class-direction 0 1",
    "theorem1": "--contexts 8 4 --coverage 16 4 --samples 400 800 --replicates 200",
    "theorem2": "--epsilon 0.001 0.1 --students 9 --cells 21 --contexts 3",
    "theorem5": "--samples 32 512 --beta 0 0.02 --replicates 500",
    "horizon": "--horizons 1 8 --contexts 8 --labels 16 --replicates 100",
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, Path]:
    folder, found = tmp_path_factory.mktemp("tables"), {}
    for name, options in PROGRAMS.items():
        found[name] = folder / f"{name}.parquet"
        script = SCRIPTS / f"theory_{'gaussian' if name == 'mixture' else name}.py"
        warm.run(script, *options.split(), "--out", found[name], check=True)
    return found


def text(chart) -> str:
    return " ".join(chart.to_dict()["title"]["subtitle"])


def test_figure_4_says_the_values_of_both_projections(tables, tmp_path):
    chart = figure4(tables["gaussian"], tables["mixture"], titles=["one", "two"])
    panels = chart.to_dict()["vconcat"][0]["hconcat"]
    heads = [" ".join(panel["title"]["subtitle"]) for panel in panels]
    assert "reverse KL V 0.977" in heads[0] and "forward KL V 0.977" in heads[0]
    assert "reverse KL V 0.999" in heads[1] and "forward KL V 0.726" in heads[1]
    save(chart, tmp_path / "figure4", None)
    svg = (tmp_path / "figure4.svg").read_text()
    assert "NaN" not in svg and "reverse KL" in svg


def test_contours_lie_one_and_two_deviations_from_the_mean(tables):
    spec = figure4(tables["gaussian"], titles=["one"]).to_dict()
    rows = next(data for data in spec["datasets"].values() if data and "line" in data[0])
    expert = pd.DataFrame(row for row in rows if row["who"] == "expert")
    radius = ((expert["x"] + 2) ** 2 + (expert["y"] - 2) ** 2) ** 0.5
    assert sorted(set(radius.round(1))) == [1.0, 2.0]


def test_slopes_are_those_of_the_exact_risks(tables):
    found = theory.slopes(tables["theorem1"]).set_index(["sweep", "learner"])
    assert found.loc[("samples", "offline"), "slope"] == pytest.approx(1.0, abs=0.02)
    assert found.loc[("coverage", "offline"), "slope"] == pytest.approx(1.0, abs=0.02)
    rows = pd.read_parquet(tables["theorem1"])
    ratio = rows[(rows["sweep"] == "samples") & (rows["learner"] == "offline")]["ratio"]
    assert found.loc[("samples", "offline"), "ratio_low"] == pytest.approx(ratio.min())
    # The ratio risk / rate is the table's own arithmetic.
    assert (rows["risk_exact"] / rows["rate"] - rows["ratio"]).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("name", "table", "words"),
    [
        ("theorem1", "theorem1", "l = 8, C = 16, N = 400|1 / (2e ln 2) = 0.265"),
        ("theorem2", "theorem2", "gaussian A|gaussian B|hard instance|α ="),
        ("theorem5", "theorem5", "66 students|prove against Theorem 1|What they do not"),
        ("horizon", "horizon", "realizable|misspecified|at H = 8"),
    ],
)
def test_captions_tell_instance_and_result(tables, tmp_path, name, table, words):
    chart = getattr(theory, name)(tables[table])
    for word in words.split("|"):
        assert word in text(chart)
    save(chart, tmp_path / name, "abc")
    svg = (tmp_path / f"{name}.svg").read_text()
    assert "NaN" not in svg
    # The width of a paper's column at 150 % zoom.
    assert float(re.search(r'width="(\d+)', svg)[1]) < 750


def test_a_caption_is_wrapped_without_losing_a_word():
    words = [f"word{i}-{i}" for i in range(40)]
    lines = caption(" ".join(words[:20]), " ".join(words[20:]), width=50)
    assert " ".join(lines).split() == words and max(map(len, lines)) <= 50
