"""The figures: what their files hold, for studies of several shapes."""

import itertools
import json
import re
from pathlib import Path

import pytest
from fake_study import RUNS, fake_study

from online_il.charts import style
from online_il.charts.curves import AXES, figure1, figure2
from online_il.charts.style import KNOWN, save, styles
from online_il.errors import InputError
from online_il.statistics.intervals import mean_over_seeds
from online_il.store import build, learning_curves, query

pytestmark = pytest.mark.slow

CHANCE = {"countdown": 0.25, "gsm8k": 0.5}


def database_of(folder: Path, **shape) -> Path:
    fake_study(folder / "results", **shape)
    build(folder / "results", folder / "d.duckdb")
    return folder / "d.duckdb"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return database_of(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks, one seed, a run with a name of its own."""
    return database_of(
        tmp_path_factory.mktemp("odd"),
        tasks=("countdown", "gsm8k"),
        seeds=(1,),
        runs=RUNS | {"mine": ("sft", "expert", [(8, 8, 512)], 0.5)},
    )


def layers(node):
    """All the layered panels of a specification, from left to right and top to bottom."""
    if "layer" in node:
        return [node]
    parts = node.get("vconcat", node.get("hconcat", []))
    return [panel for part in parts for panel in layers(part)]


def rows(spec, layer):
    return spec["datasets"][layer["data"]["name"]]


def marked(panel, mark):
    return [layer for layer in panel["layer"] if layer["mark"]["type"] == mark]


def x_fields(spec):
    return [marked(panel, "point")[0]["encoding"]["x"]["field"] for panel in layers(spec)]


def test_files_are_whole_and_need_no_network(study: Path, tmp_path: Path) -> None:
    save(figure1(study), tmp_path / "figures" / "figure1", "abc")
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == [
        "figure1.html",
        "figure1.svg",
        "figure1.vl.json",
    ]
    html = (tmp_path / "figures" / "figure1.html").read_text()
    assert "vegaEmbed" in html and not re.search(r"<script[^>]*\ssrc", html)
    assert not re.search(r"\bimport\s*\(?\s*['\"]https?:", html)
    markup = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert not re.search(r"(src|href)\s*=|url\(|@import", markup)
    svg = (tmp_path / "figures" / "figure1.svg").read_text()
    assert svg.startswith("<svg") and svg.rstrip().endswith("</svg>")
    assert "3 seeds" in svg and "12 prompts" in svg
    spec = json.loads((tmp_path / "figures" / "figure1.vl.json").read_text())
    assert spec["usermeta"]["code_hash"] == "abc"
    save(figure1(study), tmp_path / "again", "abc")
    assert json.loads((tmp_path / "again.vl.json").read_text()) == spec


def test_figure1_shows_both_samplings_on_three_axes(study: Path) -> None:
    spec = figure1(study).to_dict()
    assert x_fields(spec) == ["samples", "updates", "device_seconds"] * 2
    assert [row["title"]["subtitle"] for row in spec["vconcat"]] == [
        "sampled from the policy itself",
        "the paper's validation sampling",
    ]


def test_figure1_holds_the_means_and_their_intervals(study: Path) -> None:
    spec = figure1(study).to_dict()
    truth = learning_curves(study).query("benchmark == 'id' and sampling == 'policy'")
    truth = truth.set_index(["run", "step"])
    panel = layers(spec)[0]
    for layer in marked(panel, "area") + marked(panel, "point"):
        shown = rows(spec, layer)
        assert len(shown) == 2 * 3  # Two runs: the base's point and two checkpoints of their own.
        for row in shown:
            expected = truth.loc[(row["run"], row["step"])]
            for key in ("accuracy", "band_low", "band_high", *AXES):
                assert row[key] == pytest.approx(expected[key])
        starts = [row for row in shown if row["step"] == 0]
        assert {row["run"] for row in starts} == {"expert", "sft-realizable"}
        assert all(row["samples"] == row["updates"] == 0 for row in starts)
    single = rows(spec, marked(panel, "line")[0])
    assert len(single) == 3 * 2 * 3


def test_levels_stand_at_the_final_accuracies(study: Path) -> None:
    truth = learning_curves(study).set_index(["benchmark", "sampling", "run", "step"])["accuracy"]
    spec = figure1(study).to_dict()
    for panel, sampling in zip(layers(spec), ["policy"] * 3 + ["paper"] * 3, strict=True):
        (rule,) = marked(panel, "rule")
        shown = {row["label"].split()[0]: row for row in rows(spec, rule)}
        assert shown["expert"]["accuracy"] == pytest.approx(truth["id", sampling, "expert", 6])
        assert shown["base"]["accuracy"] == pytest.approx(truth["id", sampling, "base", 0])
        assert shown["base"]["label"] == f"base {truth['id', sampling, 'base', 0]:.2f}"


def test_figure2_puts_ood_left_and_forgetting_right(study: Path) -> None:
    spec = figure2(study, CHANCE).to_dict()
    titles = [column["title"]["text"] for column in spec["hconcat"]]
    assert titles == ["countdown, out of distribution"] * 2 + ["countdown, forgetting"]
    assert x_fields(spec) == ["samples", "updates", "device_seconds"] * 3
    labels = [
        {row["label"]: row["accuracy"] for row in rows(spec, marked(panel, "rule")[0])}
        for panel in layers(spec)
    ]
    assert all("chance 0.25" not in panel for panel in labels[:6])
    assert all(panel["chance 0.25"] == 0.25 for panel in labels[6:])


def test_labels_of_close_levels_keep_apart(study: Path) -> None:
    spec = figure2(study, CHANCE).to_dict()
    for panel in layers(spec):
        top = marked(panel, "point")[0]["encoding"]["y"]["scale"]["domain"][1]
        places = sorted(row["place"] for row in rows(spec, marked(panel, "text")[0]))
        pixels = [place / top * panel["height"] for place in places]
        assert all(b - a > 14 for a, b in itertools.pairwise(pixels))
        assert pixels[-1] <= panel["height"]


def test_two_tasks_one_seed_and_a_run_of_another_name(
    odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only the picture is looked at; a page takes seconds.
    monkeypatch.setattr(style.vl_convert, "vegalite_to_html", lambda *_, **__: "")
    spec = figure1(odd).to_dict()
    assert [row["title"]["text"] for row in spec["vconcat"]] == (
        ["countdown, in distribution"] * 2 + ["gsm8k, in distribution"] * 2
    )
    scale = marked(layers(spec)[0], "point")[0]["encoding"]["color"]["scale"]
    colours = dict(zip(scale["domain"], scale["range"], strict=True))
    assert list(colours) == ["expert", "sft-realizable", "mine"]
    assert colours["mine"] not in {look.colour for look in KNOWN.values()}
    assert "1 seed," in " ".join(spec["title"]["subtitle"])
    save(figure1(odd), tmp_path / "figure1", None)
    save(figure2(odd, CHANCE), tmp_path / "figure2", None)
    for name in ("figure1.svg", "figure2.svg"):
        assert "NaN" not in (tmp_path / name).read_text()


def test_a_run_of_fewer_seeds_starts_at_their_bases_and_is_named(tmp_path: Path) -> None:
    """Its curve began at the mean of all bases, and a base without its run was drawn as a seed."""
    runs = RUNS | {"sft-self": ("sft", "base", [(8, 8, 512)], 0.4)}
    alone = {"sft-self": (2,)}
    database = database_of(tmp_path, runs=runs, seeds_of=alone, samplings=("policy",))
    bases = query(database, "FROM evaluations WHERE run = 'base'").set_index(["benchmark", "seed"])
    for figure, benchmarks in (
        (figure1(database), ["id"]),
        (figure2(database, CHANCE), ["ood", "forgetting"]),
    ):
        spec = figure.to_dict()
        for at, panel in enumerate(layers(spec)):
            base = bases.loc[benchmarks[at * len(benchmarks) // len(layers(spec))], "accuracy"]
            assert base.nunique() > 1
            points = [row for row in rows(spec, marked(panel, "point")[0]) if row["step"] == 0]
            starts = {row["run"]: (row["accuracy"], row["seeds"]) for row in points}
            assert starts["sft-self"] == (pytest.approx(base[2]), 1)
            assert starts["expert"] == (pytest.approx(base.mean()), 3)
            single = rows(spec, marked(panel, "line")[0])
            assert {row["seed"] for row in single if row["run"] == "sft-self"} == {2}
        notes = " ".join(spec["title"]["subtitle"])
        assert "Mean over 1–3 seeds" in notes and "sft-self (1 of 3)." in notes
        assert "expert (" not in notes
    band = query(database, "FROM intervals WHERE run = 'sft-self' AND benchmark = 'id'")
    # One seed in both points: prompts alone, as of its own base.
    own = query(
        database, "FROM prompt_accuracy WHERE run = 'base' AND benchmark = 'id' AND seed = 2"
    )
    interval = mean_over_seeds(own["accuracy"].to_numpy()[None])
    first = band.set_index("step").loc[0]
    assert (first["low"], first["high"]) == pytest.approx((interval.low, interval.high))


def test_a_run_has_the_same_style_in_every_study() -> None:
    alone, together = styles(["sft-self"]), styles(["b", "sft-self", "a", "expert"])
    assert alone["sft-self"] == together["sft-self"]
    assert list(together) == ["expert", "sft-self", "a", "b"]
    many = styles([f"run{i}" for i in range(30)])
    assert len(many) == 30


def test_a_benchmark_that_was_not_measured_is_named(tmp_path: Path) -> None:
    database = database_of(tmp_path, seeds=(1,), benchmarks=("id",))
    with pytest.raises(InputError, match="ood or ood2 or forgetting"):
        figure2(database, CHANCE)
