"""Figures 5 to 7 of a study that is made up: which runs they show, and what their files hold."""

import json
import math

import duckdb
import pytest
from chart_specs import (
    coverage_axis,
    labels,
    labels_of,
    layers,
    made_up_study,
    marked,
    rows,
    words,
)

from online_il.charts.arms import LOOKS, arms_of
from online_il.charts.cells import figure7, place_of
from online_il.charts.mixtures import figure5, figure6
from online_il.claims.measured import Measurements, is_base, own_base
from online_il.config.arms import CELLS, FIGURES, ON_POLICY, main_mixture, measured_for
from online_il.errors import InputError
from online_il.store import learning_curves

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return made_up_study(tmp_path_factory.mktemp("study"))


def ends(database):
    """The accuracy at the end of each run, by hand from the curves."""
    with duckdb.connect(str(database), read_only=True) as connection:
        found = connection.sql("SELECT run, arg_max(accuracy, step) FROM curves GROUP BY run")
        return dict(found.fetchall())


def test_the_config_says_which_runs_are_shown(study):
    task, _, shown = study
    assert main_mixture(task).name == "mixture"
    five, six, seven = (set(shown[name]["countdown"]) for name in FIGURES)
    arms = {"sft", "distill", "forward", "soft-forward", "soft-reverse", "response"}
    assert five == {f"{arm}-{of}" for arm in arms for of in ("mixture", "realizable")} | {
        "learnable-mixture"
    }
    # Not what learned from C = 2 for 60 steps, nor the mixture of another temperature.
    assert six == {
        f"{arm}-mixture{c}" for arm in ("sft", "learnable", "distill") for c in ("", 4, 64, 256)
    }
    assert seven == {f"{arm}-mixture{warm}" for arm in arms for warm in ("", "-warm")}
    assert measured_for(task, ["distill-mixture-warm"]) == {
        "base",
        "habits",
        "mixture",
        "expert",
        "distill-mixture-warm",
    }


def test_of_runs_that_differ_in_a_rate_the_first_is_the_arm(study):
    task, *_ = study
    again = next(run for run in task.runs if run.name == "distill-mixture")
    again = again.model_copy(update={"name": "a-distill", "learning_rate": 0.1})
    twice = task.model_copy(update={"runs": [*task.runs, again]})
    assert FIGURES["figure5"](twice) == FIGURES["figure5"](task)
    first = task.model_copy(update={"runs": [again, *task.runs]})
    assert "a-distill" in FIGURES["figure5"](first)
    assert "distill-mixture" not in FIGURES["figure5"](first)


def test_a_study_without_a_mixture_that_is_imitated_shows_none(study):
    task, *_ = study
    alone = task.model_copy(update={"runs": task.runs[:1]})
    without = task.model_copy(update={"experts": task.experts[:1]})
    for other in (alone, without):
        assert [found(other) for found in FIGURES.values()] == [[], [], []]


def test_figure5_puts_the_unrealizable_expert_left(study):
    _, database, shown = study
    spec = figure5(database, shown["figure5"]).to_dict()
    left, right = layers(spec)
    assert left["title"] == "unrealizable: mixture, C = 16"
    assert right["title"] == "realizable: expert"
    truth, last = learning_curves(database).set_index(["run", "step"]), ends(database)
    for panel, suffix, arms in ((left, "-mixture", 7), (right, "-realizable", 6)):
        drawn = rows(spec, panel, "point")
        assert {row["run"].endswith(suffix) for row in drawn} == {True}
        assert len({row["arm"] for row in drawn}) == arms
        for row in drawn:
            expected = truth.loc[(row["run"], row["step"])]
            for key in ("accuracy", "band_low", "band_high", "samples"):
                assert row[key] == pytest.approx(expected[key])
        assert {row["step"] for row in drawn} == {0, 5, 10, 20, 40, 80, 120, 160}
    found = {name: row["accuracy"] for name, row in labels(spec, left).items()}
    named = {"the expert": "mixture", "learnable part": "expert", "base": "base"}
    assert found == pytest.approx({label: last[run] for label, run in named.items()})
    found = {name: row["accuracy"] for name, row in labels(spec, right).items()}
    assert found == pytest.approx({"the expert": last["expert"], "base": last["base"]})
    assert "3 seeds and 40 prompts" in words(spec)
    assert "An update takes 64 samples" in words(spec)


def test_an_arm_looks_alike_in_every_figure_and_no_two_look_alike(study):
    _, database, shown = study
    assert len({look.label for look in LOOKS.values()}) == len(LOOKS)
    assert len({(look.colour, look.marker) for look in LOOKS.values()}) == len(LOOKS)
    named = [way for way, look in LOOKS.items() if look.label == "on-policy distillation"]
    assert named == [ON_POLICY] == [("distill", "reverse", "own", "token", None)]
    for draw, name in ((figure5, "figure5"), (figure6, "figure6")):
        spec = draw(database, shown[name]).to_dict()
        scale = marked(layers(spec)[0], "point")[-1]["encoding"]["color"]["scale"]
        colours = dict(zip(scale["domain"], scale["range"], strict=True))
        for look in LOOKS.values():
            assert colours.get(look.label, look.colour) == look.colour
        assert "on-policy distillation" in colours


def test_figure6_stands_at_one_over_the_weight(study):
    _, database, shown = study
    spec = figure6(database, shown["figure6"]).to_dict()
    (panel,) = layers(spec)
    last = ends(database)
    truth = learning_curves(database).query("step == 160").set_index("run")
    drawn = {row["run"]: row for row in rows(spec, panel, "point", -1)}
    assert set(drawn) == set(shown["figure6"]["countdown"])
    for run, row in drawn.items():
        assert row["coverage"] == int(run.partition("-mixture")[2] or 16)
        assert 0.9 < row["at"] / row["coverage"] < 1.1
        assert row["accuracy"] == pytest.approx(last[run])
        for key in ("low", "high"):
            assert row[key] == pytest.approx(truth.loc[run, key])
    axis = coverage_axis(panel)
    assert axis["scale"]["type"] == "log" and axis["axis"]["values"] == [4, 16, 64, 256]
    assert labels_of(axis["axis"]) == {
        4: ["4", "1,024"],
        16: ["16", "256"],
        64: ["64", "64"],
        256: ["256", "16"],
    }
    expert = {row["expert"]: row["accuracy"] for row in rows(spec, panel, "point")}
    assert expert == pytest.approx(
        {name: last[name] for name in ("mixture", "mixture4", "mixture64", "mixture256")}
    )


def test_figure7_has_a_table_a_start_with_the_base_first(study):
    _, database, shown = study
    spec = figure7(database, shown["figure7"]).to_dict()
    last, tables = ends(database), layers(spec)
    titles = [table["title"]["text"] for table in tables]
    assert [title.partition("from ")[2] for title in titles] == ["the base", "habits, step 60"]
    with duckdb.connect(str(database), read_only=True) as connection:
        direct = dict(connection.sql("SELECT run, direct FROM curves WHERE step = 160").fetchall())
        of_start = connection.sql("SELECT direct FROM curves WHERE run = 'habits'").fetchall()
    before = f"before: accuracy {last['habits']:.2f}, direct {of_start[0][0]:.2f}"
    assert tables[1]["title"]["subtitle"] == before
    own, expert = "own prefixes (online)", "expert's prefixes (offline)"
    for table, warm in zip(tables, ("", "-warm"), strict=True):
        cells = {(row["row"], row["column"]): row for row in rows(spec, table, "rect")}
        impossible = [cells.pop(at) for at in ((expert, "whole responses"), (own, "hard labels"))]
        assert [cell["blank"] for cell in impossible] == ["–", "–"]
        assert {at: row["run"] for at, row in cells.items()} == {
            (expert, "hard labels"): f"sft-mixture{warm}",
            (expert, "forward KL"): f"soft-forward-mixture{warm}",
            (expert, "reverse KL"): f"soft-reverse-mixture{warm}",
            (own, "forward KL"): f"forward-mixture{warm}",
            (own, "reverse KL"): f"distill-mixture{warm}",
            (own, "whole responses"): f"response-mixture{warm}",
        }
        for row in cells.values():
            assert row["shown"] == f"{last[row['run']]:.2f}"
            assert row["direct"] == f"direct {direct[row['run']]:.2f}"
        assert cells[own, "reverse KL"]["name"] == "on-policy distillation"
        # Words lie over the cell: who points at one points at the cell.
        cell, frame = marked(table, "rect")
        told = [word["encoding"].get("tooltip") for word in marked(table, "text")]
        assert told == [None] + 4 * [cell["encoding"]["tooltip"]]
        assert "tooltip" not in frame["encoding"] and frame["mark"]["stroke"]
    assert len({place_of(way) for way in CELLS}) == len(CELLS)


def test_a_cell_that_nobody_ran_says_so(study):
    _, database, shown = study
    some = [run for run in shown["figure7"]["countdown"] if run != "forward-mixture"]
    spec = figure7(database, {"countdown": some}).to_dict()
    cells = rows(spec, layers(spec)[0], "rect")
    (empty,) = [row for row in cells if row["blank"] == "not run"]
    assert (empty["row"], empty["column"]) == ("own prefixes (online)", "forward KL")
    assert empty["accuracy"] is None or math.isnan(empty["accuracy"])
    assert not {"nan", "NaN"} & {str(row.get("shown")) for row in cells}
    silent = [w for w in marked(layers(spec)[0], "text") if "tooltip" not in w["encoding"]]
    assert [word["encoding"]["text"]["field"] for word in silent] == ["blank"]
    assert "dy" not in silent[0]["mark"]  # In the middle of its frame.


def test_settings_that_older_records_lack_are_the_defaults(study, tmp_path):
    _, database, shown = study
    copy = tmp_path / "old.duckdb"
    copy.write_bytes(database.read_bytes())
    with duckdb.connect(str(copy)) as connection:
        connection.execute(
            "UPDATE runs SET settings = '{}' WHERE run IN ('sft-mixture', 'distill-mixture')"
        )
    found = arms_of(copy, shown["figure5"]).set_index("run")["arm"]
    assert found["sft-mixture"] == "SFT (hard labels)"
    assert found["distill-mixture"] == "on-policy distillation"


def test_a_database_without_these_runs_is_one_line(study):
    _, database, _ = study
    for draw in (figure5, figure6, figure7):
        with pytest.raises(InputError, match="none of the runs"):
            draw(database, {"countdown": ["nobody"]})


def test_part_of_the_arms_is_drawn_too(study):
    _, database, _ = study
    spec = figure5(database, {"countdown": ["sft-mixture"]}).to_dict()
    assert [panel["title"] for panel in layers(spec)] == ["unrealizable: mixture, C = 16"]
    assert "NaN" not in json.dumps(spec)


def test_claims_take_a_mixture_seed_by_seed_and_for_no_base(study):
    """A base serves all seeds with the accuracies of one; a mixture has a policy of each."""
    task, database, _ = study
    measured = Measurements(database).runs(task.name, "id")
    assert is_base("base", measured) and not is_base("mixture", measured)
    assert own_base("mixture", measured) == "base" and measured["mixture"].seeds == task.seeds
