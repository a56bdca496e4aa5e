"""Figures 5 to 7 of a study that is made up: which runs they show, and what their files hold."""

import itertools
import json
import math

import duckdb
import pytest
from fake_mixtures import made_up

from online_il.charts.arms import LOOKS, arms_of
from online_il.charts.cells import figure7, place_of
from online_il.charts.mixtures import figure5, figure6
from online_il.charts.style import caption, short
from online_il.claims.measured import Measurements, is_base, own_base
from online_il.config.arms import CELLS, FIGURES, ON_POLICY, main_mixture, measured_for
from online_il.errors import InputError
from online_il.statistics.curves import add_intervals
from online_il.store import learning_curves

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The settings of the study, its database, and what each figure shows of it."""
    settings, database = made_up(tmp_path_factory.mktemp("study"))
    (task,) = settings.tasks
    return task, database, {name: {task.name: found(task)} for name, found in FIGURES.items()}


def layers(node):
    if "layer" in node:
        return [node]
    parts = node.get("vconcat", node.get("hconcat", []))
    return [panel for part in parts for panel in layers(part)]


def rows(spec, panel, mark, place=0):
    """The rows behind a mark of a panel; layers that share them leave them to the panel."""
    layer = marked(panel, mark)[place]
    return spec["datasets"][(layer.get("data") or panel["data"])["name"]]


def marked(panel, mark):
    return [layer for layer in panel["layer"] if layer["mark"]["type"] == mark]


def coverage_axis(panel):
    """The x of Figure 6."""
    x = (layer["encoding"].get("x", {}) for layer in panel["layer"])
    return next(found for found in x if found.get("axis"))


def labels_of(axis):
    """The lines of the label of each value on the axis of Figure 6."""
    texts, _, places = axis["labelExpr"].removesuffix(", datum.value)]").partition("[indexof(")
    assert json.loads(places) == axis["values"]
    return dict(zip(axis["values"], json.loads(texts), strict=True))


def words(spec):
    return " ".join(spec["title"]["subtitle"])


def altered(database, folder, *statements):
    """A copy of the database that some statements have changed, with intervals of its own."""
    copy = folder / "altered.duckdb"
    copy.write_bytes(database.read_bytes())
    with duckdb.connect(str(copy)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.execute("DROP TABLE intervals")
        add_intervals(connection, 20, 0)
    return copy


def without(condition):
    """Statements that delete evaluations and the prompts behind them."""
    tables = ("evaluations", "prompt_accuracy")
    return [f"DELETE FROM {table} WHERE {condition}" for table in tables]


def made_of(parts, condition):
    """A statement that gives some mixtures other parts."""
    settings = f"json_merge_patch(settings, '{json.dumps({'parts': parts})}')"
    return f"UPDATE runs SET settings = {settings} WHERE method = 'mixture' AND {condition}"


def labels(spec, panel):
    return {row["label"].rpartition(" ")[0]: row for row in rows(spec, panel, "rule")}


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


def test_every_mark_can_be_filled():
    """A stroke has no inside: drawn as points are, nothing of it is seen."""
    solid = {"circle", "square", "cross", "diamond"}
    solid |= {f"triangle-{side}" for side in ("up", "down", "left", "right")}
    marks = [look.marker for look in LOOKS.values()]
    assert {mark for mark in marks if mark not in solid and not mark.endswith("Z")} == set()


def test_a_run_of_one_checkpoint_is_two_points(study, tmp_path):
    _, database, shown = study
    once = altered(database, tmp_path, *without("run = 'sft-mixture' AND step < 160"))
    spec = figure5(once, shown["figure5"]).to_dict()
    points = [row for row in rows(spec, layers(spec)[0], "point") if row["run"] == "sft-mixture"]
    assert sorted(row["step"] for row in points) == [0, 160]
    assert "Points: what was measured; lines only join them." in words(spec)


@pytest.mark.parametrize("draw", [figure5, figure6, figure7])
def test_intervals_of_one_seed_are_over_prompts_alone(study, tmp_path, draw):
    _, database, shown = study
    said = words(draw(database, shown[draw.__name__]).to_dict())
    assert "over seeds and prompts." in said and "Fewer have" not in said
    alone = altered(database, tmp_path, *without("seed > 1"))
    said = words(draw(alone, shown[draw.__name__]).to_dict())
    assert "over prompts." in said and "seeds" not in said


@pytest.mark.parametrize("draw", [figure5, figure6, figure7])
def test_an_arm_with_fewer_seeds_is_named(study, tmp_path, draw):
    _, database, shown = study
    lost = "run = 'distill-mixture' AND seed = 3"
    fewer = "Fewer have: on-policy distillation (distill-mixture) 2 seeds"
    gone = altered(database, tmp_path, *without(lost))
    assert f"{fewer}." in words(draw(gone, shown[draw.__name__]).to_dict())
    late = altered(database, tmp_path, *without(f"{lost} AND step > 40"))
    where = " at step 80, 120, 160" if draw is figure5 else ""
    assert f"{fewer}{where}." in words(draw(late, shown[draw.__name__]).to_dict())


def test_the_expert_itself_is_labelled_apart_from_the_levels(study, tmp_path):
    _, database, shown = study
    sunk = [
        f"UPDATE {table} SET accuracy = 0.7 WHERE run IN ('mixture256', 'expert')"
        for table in ("evaluations", "prompt_accuracy")
    ]
    spec = figure6(altered(database, tmp_path, *sunk), shown["figure6"]).to_dict()
    (panel,) = layers(spec)
    top = marked(panel, "point")[-1]["encoding"]["y"]["scale"]["domain"][1]
    places = {row["label"]: row["place"] for row in rows(spec, panel, "text")}
    assert set(places) >= {"the expert itself", "learnable part 0.70"}
    pixels = sorted(place / top * panel["height"] for place in places.values())
    assert all(after - before > 14 for before, after in itertools.pairwise(pixels))
    assert "the expert itself" not in {row["label"] for row in rows(spec, panel, "rule")}


def test_experts_of_one_coverage_stand_at_one_place(study, tmp_path):
    _, database, shown = study
    parts = {"expert": 0.0625, "solver": 0.9375}
    same = altered(database, tmp_path, made_of(parts, "run != 'mixture2'"))
    spec = figure6(same, shown["figure6"]).to_dict()
    (panel,) = layers(spec)
    assert coverage_axis(panel)["axis"]["values"] == [16]
    drawn = rows(spec, panel, "point", -1)
    assert len(drawn) == 12 and len({(row["arm"], row["at"]) for row in drawn}) == 3
    lines = [line["encoding"] for line in marked(panel, "line")]
    assert [line["y"]["aggregate"] for line in lines] == ["mean", "mean"]
    named = [row["label"] for row in rows(spec, panel, "text")]
    assert named.count("the expert itself") == 1
    assert "one C, lines lead through their mean" in words(spec)
    assert "their mean" not in words(figure6(database, shown["figure6"]).to_dict())


def test_a_coverage_without_room_for_its_label_is_named(study, tmp_path):
    _, database, shown = study
    near = altered(database, tmp_path, made_of({"expert": 0.3, "solver": 0.7}, "run = 'mixture64'"))
    axis = coverage_axis(layers(figure6(near, shown["figure6"]).to_dict())[0])["axis"]
    assert [lines[0] for lines in labels_of(axis).values()] == ["3.333", "", "16", "256"]
    assert axis["title"][-1] == "without room for a label: C = 4 with N / C = 1,024"
    assert not axis["labelOverlap"]


def test_demonstrations_that_differ_are_said_to(study, tmp_path):
    _, database, shown = study
    fewer = """UPDATE runs SET settings = json_merge_patch(settings, '{"demonstrations": 1024}')
        WHERE run LIKE '%-mixture256'"""
    spec = figure6(altered(database, tmp_path, fewer), shown["figure6"]).to_dict()
    axis = coverage_axis(layers(spec)[0])["axis"]
    assert list(labels_of(axis).values()) == [["4"], ["16"], ["64"], ["256"]]
    assert axis["title"][1] == (
        "no N / C: the arms differ in the number N of demonstrations, 1,024 or 4,096"
    )


@pytest.mark.parametrize("formula", ["C log K / N", "(C = 16)", "95 %"])
def test_no_line_ends_inside_a_formula(formula):
    for before in range(90):
        lines = caption("x" * before, formula, "and more words " * 9)
        assert any(formula in line for line in lines)
        assert all(len(line) <= 92 for line in lines)


def test_three_parts_have_one_coverage_and_are_named(study, tmp_path):
    _, database, shown = study
    parts = {"expert": 0.3, "solver": 0.5, "noisy": 0.2}
    three = altered(database, tmp_path, made_of(parts, "run = 'mixture'"))
    five, six, seven = (
        draw(three, shown[draw.__name__]).to_dict() for draw in (figure5, figure6, figure7)
    )
    assert layers(five)[0]["title"] == "unrealizable: mixture, C = 3.333"
    assert coverage_axis(layers(six)[0])["axis"]["labelExpr"].startswith('[["3.333"')
    assert "mixture (C = 3.333, neither direct nor learnable: noisy)" in words(seven)
    assert "neither" not in words(figure7(database, shown["figure7"]).to_dict())


def test_a_start_of_one_cell_is_one_cell_and_says_its_updates(study, tmp_path):
    _, database, shown = study
    runs = [run for run in shown["figure7"]["countdown"] if not run.endswith("-warm")]
    short_one = altered(database, tmp_path, *without("run = 'distill-mixture-warm' AND step > 120"))
    spec = figure7(short_one, {"countdown": [*runs, "distill-mixture-warm"]}).to_dict()
    whole, alone = layers(spec)
    assert len(rows(spec, whole, "rect")) == 8 and "instead of" not in whole["title"]["subtitle"]
    (cell,) = rows(spec, alone, "rect")
    assert cell["run"] == "distill-mixture-warm" and len(marked(alone, "rect")) == 1
    places = marked(alone, "rect")[0]["encoding"]
    assert places["x"]["scale"]["domain"] == ["reverse KL"]
    assert places["y"]["scale"]["domain"] == ["own prefixes (online)"]
    assert alone["title"]["subtitle"].endswith("; 120 updates instead of 160")


def test_all_bands_of_a_panel_together_hide_nothing(study):
    _, database, shown = study
    for panel, arms in zip(
        layers(figure5(database, shown["figure5"]).to_dict()), (7, 6), strict=True
    ):
        (area,) = marked(panel, "area")
        assert 0.05 < area["mark"]["opacity"] and (1 - area["mark"]["opacity"]) ** arms > 0.55


def test_long_names_are_cut(study, tmp_path):
    _, database, shown = study
    mixture, habits, expert = (letter * 80 for letter in "mhe")
    renamed = [
        f"UPDATE {table} SET {column} = replace({column}, '{old}', '{new}') WHERE {column} {where}"
        for table in ("evaluations", "prompt_accuracy", "runs")
        for column, old, new, where in (
            ("run", "mixture", mixture, "= 'mixture'"),
            ("run", "habits", habits, "= 'habits'"),
            ("run", "expert", expert, "= 'expert'"),
            ("expert", "mixture", mixture, "= 'mixture'"),
            ("expert", "expert", expert, "= 'expert'"),
            ("start", "habits", habits, "LIKE 'habits@%'"),
        )
        if column == "run" or table != "prompt_accuracy"
    ]
    long = altered(database, tmp_path, *renamed)
    five, seven = (draw(long, shown[draw.__name__]).to_dict() for draw in (figure5, figure7))
    titles = [panel["title"] for panel in layers(five)]
    assert len(titles) == 2 and all("…" in title and len(title) < 60 for title in titles)
    (start,) = [table["title"]["text"] for table in layers(seven) if "…" in table["title"]["text"]]
    assert len(start) < 75
    assert short("one-name") == "one-name"
    assert len({short(f"{expert}-{end}") for end in (4, 16, 64)}) == 3
