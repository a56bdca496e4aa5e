"""Blocks: a seed with a base of its own, how many are run, and when they are looked at."""

import re
from copy import deepcopy
from pathlib import Path

import pytest
from configs import error, put, shipped
from test_config_at_once import CLASS, GONE, is_told, planted, told
from test_config_at_once import MINI as RAW

from online_il.config.evaluation import Evaluation
from online_il.config.study import Study
from online_il.studies import load_study

MINI = shipped("mini")
TASK, BASE, SELF = "\ntasks:\n", "\n    base:\n", "- name: sft-self\n"


# ---- refusals ----


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("blocks", "11", "blocks = 11: countdown has 10 seeds, one a block|lower it, or add seeds"),
        ("blocks", '"11"', "countdown has 10 seeds|lower it"),
        ("blocks", "0", "blocks = 0|greater than 0|How many first seeds"),
        ("blocks", "-3", "blocks = -3|greater than 0"),
        ("blocks", "three", 'blocks = "three"|valid integer'),
        ("blocks", "2.5", "blocks = 2.5|integer"),
        ("blocks", "true", "blocks = true|write a number"),
        ("blocks", "[3]", "blocks = [3]|valid integer"),
        ("looks", "[]", "looks = []|growing numbers of blocks|remove the key"),
        ("looks", "[1, 3]", "looks = [1, 3]|the first at least 2|remove the key"),
        ("looks", "[0]", "looks = [0]|the first at least 2"),
        ("looks", "[-3, 3]", "looks = [-3, 3]|the first at least 2"),
        ("looks", "[6, 3]", "looks = [6, 3]|growing|write them so"),
        ("looks", "[3, 6, 6]", "looks = [3, 6, 6]|growing|write them so"),
        ("looks", "3", "looks = 3|valid list|Numbers of blocks"),
        ("looks", "often", 'looks = "often"|valid list'),
        ("looks", "[3, six]", 'looks[1] = "six"|valid integer'),
        ("looks", "[3, 6.5]", "looks[1] = 6.5|integer"),
        ("looks", "[true, 3]", "looks[0] = true|write a number"),
        ("samples_at_last", "0", "evaluation.samples_at_last = 0|greater than 0"),
        ("samples_at_last", "all", 'evaluation.samples_at_last = "all"|integer'),
        ("paper_checkpoints", "none", "evaluation.paper_checkpoints = \"none\"|'all' or 'last'"),
    ],
)
def test_what_is_no_plan_is_told_with_its_line_and_a_remedy(tmp_path, key, value, words):
    text, line = put(MINI, "\n", key, value)
    (row,) = error(tmp_path, text).splitlines()[1:]
    assert f"study.yaml:{line}: " in row
    for word in words.split("|"):
        assert word in row, f"no {word} in {row}"


def test_blocks_beyond_the_last_look_are_told(tmp_path):
    """No claim would be judged by them, after hours."""
    text, _ = put(MINI, "\n", "looks", "[3, 6]")
    words = "blocks = 7: 7 blocks are run, and the last look is before; set blocks to 6"
    assert words in error(tmp_path, text, {"blocks": 7})
    assert "looks = [3, 6]: 10 blocks are run" in error(tmp_path, text, {"blocks": None})
    assert of(text, tmp_path, blocks=5).looks == [3, 6]


def test_more_blocks_for_one_start_are_told_of_the_command_line(tmp_path):
    message = error(tmp_path, MINI, {"blocks": 11})
    assert "command line: blocks = 11: countdown has 10 seeds" in message


@pytest.mark.parametrize(
    ("seed", "words"),
    [("11", "listed twice"), ("-1", "this is no seed"), ("true", "true or false")],
)
def test_a_seed_beyond_the_blocks_is_read_all_the_same(tmp_path, seed, words):
    """The next look would come to it, after hours."""
    text, line = put(MINI, TASK, "seeds", f"[11, 12, 13, 14, {seed}]")
    (row,) = error(tmp_path, text).splitlines()[1:]
    assert f"study.yaml:{line}: tasks[0].seeds[4] = {seed}: " in row and words in row


@pytest.mark.parametrize("seed", ["x", "null", "2.5", "[1]", "{a: 1}"])
def test_a_seed_beyond_the_blocks_that_is_no_number_is_refused(tmp_path, seed):
    text, _ = put(MINI, TASK, "seeds", "GONE")
    text = text.replace("seeds: GONE", f"seeds: [11, 12, 13, {seed}]")
    assert "tasks[0].seeds[3]" in error(tmp_path, text)


NEW = [
    ("blocks", 0, "", "greater than 0"),
    ("blocks", 11, "", "one a block"),
    ("looks", [6, 3], "", "growing numbers"),
    ("looks", [3, "six"], "looks.1", "valid integer"),
    ("evaluation.samples_at_last", 0, "", "greater than 0"),
]


@pytest.mark.parametrize("new", NEW, ids=str)
def test_blocks_and_looks_are_told_beside_all_else(new):
    for other in CLASS:
        found = told(planted(RAW, new, other))
        # Whose seeds, and how many?
        excused = new[0] == "blocks" and other[:2] in [
            ("tasks.0.name", GONE),
            ("tasks.0.seeds", []),
        ]
        assert is_told(other, found), (other, found)
        assert is_told(new, found) or excused, (other, found)
        alone = [*told(planted(RAW, new)), *told(planted(RAW, other))]
        assert {place for place, _ in found} <= {place for place, _ in alone} | {"blocks"}


# ---- which seeds are run ----


def of(text: str, folder: Path, **overrides: object) -> Study:
    path = folder / "study.yaml"
    path.write_text(text)
    return load_study(path, overrides or None)


def test_the_first_seeds_are_run_in_the_order_that_they_are_written_in(tmp_path):
    assert of(MINI, tmp_path).tasks[0].seeds == [11, 12, 13]
    assert of(MINI, tmp_path, blocks=5).tasks[0].seeds == [11, 12, 13, 14, 15]
    text, _ = put(MINI, TASK, "seeds", "[20, 4, 11, 3]")
    assert of(text, tmp_path, blocks=2).tasks[0].seeds == [20, 4]
    assert of(text, tmp_path, blocks=None).tasks[0].seeds == [20, 4, 11, 3]


@pytest.mark.parametrize("blocks", ['"2"', "2.0", "!!str 2"])
def test_a_number_of_blocks_that_is_taken_is_used(tmp_path, blocks):
    """Numbers may be written as text; all seeds would be run in place of two."""
    text, _ = put(MINI, "\n", "blocks", blocks)
    study = of(text, tmp_path)
    assert (study.blocks, study.tasks[0].seeds) == (2, [11, 12])


def test_a_task_that_trains_nothing_needs_no_block(tmp_path):
    raw = deepcopy(RAW)
    other = deepcopy(raw["tasks"][0]) | {"name": "second", "runs": [], "seeds": [1], "experts": []}
    assert told(raw | {"tasks": [*raw["tasks"], other]}) == []
    runs = raw["tasks"][0]["runs"]
    with_runs = raw | {"tasks": [*raw["tasks"], other | {"runs": runs[:1]}]}
    assert told(with_runs) == [("blocks", "second has 1 seeds, one a block")]


def test_without_looks_and_blocks_all_is_as_it_was(tmp_path):
    text = re.sub(r"(?m)^(blocks|looks): .*\n", "", MINI)
    study = of(text, tmp_path)
    assert (study.blocks, study.looks) == (None, None)
    assert study.tasks[0].seeds == list(range(11, 21))


def test_a_run_of_seeds_of_its_own_has_no_more_blocks_than_the_study(tmp_path):
    """A block that the study has not come to would be trained from its base on."""
    text, _ = put(MINI, SELF, "steps", "160\n        seeds: [12, 14]")
    task = of(text, tmp_path).tasks[0]
    (run,) = [run for run in task.runs if run.name == "sft-self"]
    assert task.seeds_of(run) == [12] and task.seeds_of_base("base") == [11, 12, 13]
    assert of(text, tmp_path, blocks=4).tasks[0].seeds_of_base("base") == [11, 12, 13, 14]


def test_a_mixture_of_runs_of_later_blocks_comes_with_them():
    """Nothing says then which seeds it has: it would be evaluated where its part is not trained."""
    raw = deepcopy(RAW)
    (task,) = raw["tasks"]
    task["runs"].append(task["runs"][0] | {"name": "late", "seeds": [15]})
    task["experts"].append(
        {"name": "later", "kind": "mixture", "parts": {"late": 0.5, "expert": 0.5}}
    )
    student = {"name": "of-late", "expert": "later", "seeds": [15]}
    task["runs"].append(task["runs"][-2] | student)
    assert told(raw) == []
    (whole,) = Study.model_validate(raw).tasks
    names = {
        blocks: {one.name for one in (*cut.runs, *cut.experts)}
        for blocks in (3, 5)
        if (cut := whole.of_blocks(blocks))
    }
    assert names[5] - names[3] == {"late", "later", "of-late"}


@pytest.mark.parametrize(("seed", "told"), [(13, False), (14, True)])
def test_seeds_beyond_the_blocks_are_not_planned_for(tmp_path, seed, told):
    """No job has one, so that the plan would be empty."""
    text = MINI.replace("\nplan:\n", f"\nplan:\n  seeds: [11, {seed}]\n")
    words = f"plan.seeds[1] = {seed}: this seed lies beyond the 3 blocks that are run"
    if told:
        assert words in error(tmp_path, text)
    else:
        assert of(text, tmp_path).plan.seeds == [11, 13]


# ---- whose base ----


def test_a_base_without_a_seed_is_one_of_each_seed(tmp_path):
    task = of(MINI, tmp_path).tasks[0]
    assert task.seeds_of_base("base") == [11, 12, 13]
    assert [task.seed_of_base("base", seed) for seed in (11, 13)] == [11, 13]


def test_a_base_with_a_seed_serves_all(tmp_path):
    task = of(MINI.replace(BASE, f"{BASE}      seed: 7\n"), tmp_path).tasks[0]
    assert task.seeds_of_base("base") == [7]
    assert [task.seed_of_base("base", seed) for seed in (11, 13)] == [7, 7]


def test_each_further_base_says_for_itself_whether_it_serves_all(tmp_path):
    raw = deepcopy(RAW)
    (task,) = raw["tasks"]
    further = {key: value for key, value in task["base"].items() if key != "seed"}
    task["bases"] = [further | {"name": "own"}, further | {"name": "one", "seed": 5}]
    assert told(raw) == []
    (made,) = (one.of_blocks(3) for one in Study.model_validate(raw).tasks)
    found = {name: made.seeds_of_base(name) for name in ("base", "own", "one")}
    assert found == {"base": [11, 12, 13], "own": [11, 12, 13], "one": [5]}
    task["base"]["seed"] = 5
    (made,) = (one.of_blocks(3) for one in Study.model_validate(raw).tasks)
    assert (made.seeds_of_base("base"), made.seeds_of_base("own")) == ([5], [11, 12, 13])


# ---- how many responses ----


@pytest.mark.parametrize(
    ("changes", "before", "last"),
    [
        ({}, 2, 2),
        ({"responses": {"id": 5}}, 5, 5),
        ({"samples_at_last": 8}, 2, 8),
        ({"samples_at_last": 8, "responses": {"id": 5}}, 5, 8),
        ({"samples_at_last": 8, "responses": {"ood": 5}}, 2, 8),
    ],
)
def test_the_last_checkpoint_has_responses_of_its_own(changes, before, last):
    policy = {"max_new_tokens": 4}
    settings = Evaluation.model_validate(
        {"samples_per_prompt": 2, "seed": 1, "policy": policy} | changes
    )
    assert [settings.count("id", last=one) for one in (False, True)] == [before, last]


def test_fewer_responses_at_the_last_checkpoint_than_before_are_refused(tmp_path):
    """Divergences put it before the others, response by response."""
    text, _ = put(MINI, "\n", "samples_per_prompt", "16")
    assert "evaluation.samples_at_last = 8" in error(tmp_path, text)
