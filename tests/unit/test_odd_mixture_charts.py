"""Figures 5 to 7 of odd data: what is missing, alike, too long or too near is drawn or named."""

import itertools

import pytest
from chart_specs import (
    altered,
    coverage_axis,
    labels_of,
    layers,
    made_of,
    made_up_study,
    marked,
    rows,
    without,
    words,
)

from online_il.charts.arms import LOOKS
from online_il.charts.cells import figure7
from online_il.charts.mixtures import figure5, figure6
from online_il.charts.style import caption, short

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return made_up_study(tmp_path_factory.mktemp("study"))


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
    assert "over seeds and prompts." in said and "Fewer:" not in said
    alone = altered(database, tmp_path, *without("seed > 1"))
    said = words(draw(alone, shown[draw.__name__]).to_dict())
    assert "over prompts." in said and "seeds" not in said


@pytest.mark.parametrize("draw", [figure5, figure6, figure7])
def test_an_arm_with_fewer_seeds_is_named(study, tmp_path, draw):
    _, database, shown = study
    lost = "run = 'distill-mixture' AND seed = 3"
    fewer = "Fewer: on-policy distillation (distill-mixture), 2 seeds"
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
        assert area["mark"]["opacity"] > 0.05 and (1 - area["mark"]["opacity"]) ** arms > 0.55


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
