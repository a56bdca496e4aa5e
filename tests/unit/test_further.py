"""Further test prompts: how they are drawn, and what of their settings is refused."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from configs import ROOT, error, line_of, shipped

from online_il.benchmarks import BENCHMARKS, FURTHER, of_data
from online_il.chat import messages_of
from online_il.config.data import CountdownHub
from online_il.config.further import BESIDE, Further
from online_il.config.miniature import EnglishData, MiniatureData
from online_il.cost import rules as costs
from online_il.errors import InputError
from online_il.layout import Layout
from online_il.studies import load_study as load
from online_il.tasks import english
from online_il.tasks.beside_data import numbered
from online_il.tasks.countdown import key, solve
from online_il.tasks.further import drawn, instances_of, lies_in, prompts
from online_il.tasks.further_data import SPLITS
from online_il.tasks.miniature_splits import splits

RANGES = {"operands": [2, 3], "numbers": (1, 12), "answers": (1, 60)}
WIDER = {"operands": [3], "numbers": (1, 20), "answers": (1, 90)}
SHARED = {"in_distribution": RANGES, "out_of_distribution": WIDER, "data_seed": 1}
GENERATED = {
    **SHARED,
    "operators": "+-*",
    "value_range": (0, 99),
    "pretraining": 30,
    "train": 900,
    "validation": 30,
    "id": 60,
    "ood": 30,
}
MINIATURE = MiniatureData(kind="miniature", facts={"count": 8, "choices": 4}, **GENERATED)
ENGLISH = EnglishData(kind="english", **GENERATED)
HUB = CountdownHub(
    kind="countdown",
    dataset={"repo": "a/b", "revision": "0" * 40, "files": "*"},
    **SHARED,
    train=8,
    id=8,
    ood=8,
)
FURTHER_ONES = Further(
    id2={"count": 80, "seed": 6},
    ood2={"operands": [2, 3, 4], "numbers": (1, 14), "count": 40, "seed": 5},
)
SMOKE = shipped("smoke")


def known_of(data: MiniatureData | EnglishData) -> set:
    return {key(*one) for instances in splits(data).values() for one in instances}


def test_no_instance_is_known_and_each_lies_where_the_name_says():
    known = known_of(MINIATURE)
    found = {
        name: drawn(MINIATURE, name, asked, known) for name, asked in FURTHER_ONES.asked.items()
    }
    keys = [key(*one) for instances in found.values() for one in instances]
    assert len(set(keys)) == len(keys) == 120 and not known & set(keys)
    inside = MINIATURE.in_distribution
    assert all(lies_in(inside, one) for one in found["id2"])
    # Most of what can be drawn with these ranges lies in distribution, and is passed over.
    assert not any(lies_in(inside, one) for one in found["ood2"])
    assert {len(one.numbers) for one in found["ood2"]} == {2, 3, 4}
    for numbers, target in found["id2"] + found["ood2"]:
        assert solve(numbers, target, "+-*", (0, 99))


def test_the_seed_decides_and_what_is_left_out_is_as_in_the_data():
    asked = FURTHER_ONES.id2
    one, same = (drawn(MINIATURE, "id2", asked, set()) for _ in range(2))
    assert one == same
    assert one != drawn(MINIATURE, "id2", asked.model_copy(update={"seed": 7}), set())
    assert asked.instances(MINIATURE.in_distribution) == MINIATURE.in_distribution
    own = FURTHER_ONES.ood2.instances(MINIATURE.out_of_distribution)
    assert (own.operands, own.numbers, own.answers) == ([2, 3, 4], (1, 14), (1, 90))


@pytest.mark.parametrize("data", [MINIATURE, ENGLISH, HUB], ids=lambda data: data.kind)
def test_they_are_asked_as_the_task_asks(data):
    made = prompts(data, FURTHER_ONES, set())
    assert [one.split for one in made] == ["id2"] * 80 + ["ood2"] * 40
    assert {one.revision for one in made} == {"seed 6", "seed 5"}
    if data.kind == "miniature":
        assert all(one.text.startswith("<bos> ") and one.text.endswith(" :") for one in made)
    elif data.kind == "english":
        assert all(english.is_prompt(one.text) for one in made)
    else:
        assert all(messages_of(one.text)[-1]["role"] == "assistant" for one in made)
    rows = numbered("countdown", made)
    assert [rows[0]["prompt_id"], rows[80]["prompt_id"]] == ["id2-00000", "ood2-00000"]
    numbers, target = (json.loads(rows[0]["answer"])[name] for name in ("numbers", "target"))
    assert key(numbers, target) in instances_of(pd.DataFrame(rows))


def test_facts_are_no_instances():
    rows = [{"answer": json.dumps({"numbers": [4, 1], "target": 5})}]
    rows += [{"answer": json.dumps({"grader": "choice", "choices": [1, 2], "correct": 1})}]
    assert instances_of(pd.DataFrame(rows)) == {((1, 4), 5)}


def test_too_few_are_told_with_how_many_there_are():
    known = known_of(MINIATURE)
    asked = FURTHER_ONES.id2.model_copy(update={"operands": [2], "count": 5000})
    with pytest.raises(InputError, match=r"further\.id2: .*asked for 5000.*found \d+ before"):
        drawn(MINIATURE, "id2", asked, known)


def test_each_further_benchmark_has_its_role_and_no_data_always_has_it():
    assert set(FURTHER) == {*BESIDE} == {*SPLITS} == {*Further.model_fields}
    roles = {name: BENCHMARKS[name].role.replace(" ", "_") for name in FURTHER}
    assert roles == BESIDE
    assert not {*FURTHER} & {*of_data("miniature"), *of_data("english"), *of_data("countdown")}


# ---- settings ----

LISTED = "    benchmarks: [id, ood, forgetting]"


def asking(further: str, benchmarks: str = "id, ood, id2, ood2, forgetting") -> str:
    assert SMOKE.count(LISTED) == 1
    return SMOKE.replace(LISTED, f"    further: {further}\n    benchmarks: [{benchmarks}]")


@pytest.mark.parametrize(
    ("further", "benchmarks", "path", "words"),
    [
        ("{}", "id, ood", "further", "no benchmark is asked for; add id2 or ood2"),
        ("{id2: {count: 8, seed: 1}}", "id", "further.id2", "nothing is evaluated|add id2 to"),
        ("{id2: {count: 8, seed: 1}}", "id2, ood2", "benchmarks[1]", "add `ood2` to the task's `f"),
        ("{ood3: {count: 8, seed: 1}}", "id", "further.ood3", "unknown key"),
        ("{id2: {count: 1, seed: 1}}", "id2", "further.id2.count", "greater than 1"),
        (
            "{id2: {count: 8, seed: 1, numbers: [1, 13]}}",
            "id2",
            "further.id2.numbers",
            "leaves data.in_distribution; keep within it, or ask for ood2",
        ),
        (
            "{id2: {count: 8, seed: 1, operands: [4]}}",
            "id2",
            "further.id2.operands",
            "leaves data.in_distribution",
        ),
        (
            "{ood2: {count: 8, seed: 1, operands: [6]}}",
            "ood2",
            "further.ood2.operands[0]",
            "2 to 5 numbers",
        ),
        (
            "{ood2: {count: 8, seed: 1, answers: [1, 100]}}",
            "ood2",
            "further.ood2.answers",
            "keep within [0, 99]",
        ),
        # All of its ranges lie in distribution.
        (
            "{ood2: {count: 8, seed: 1, operands: [3], numbers: [2, 11], answers: [1, 9]}}",
            "ood2",
            "further.ood2.count",
            "found no solvable instances that leave the in-distribution ranges",
        ),
        (
            "{id2: {count: 90000, seed: 1}}",
            "id2",
            "further.id2.count",
            "train + validation + id + id2 ask for 90028, and there are",
        ),
        (
            "{ood2: {count: 90000, seed: 1}}",
            "ood2",
            "further.ood2.count",
            "pretraining + ood + ood2 ask for 90016, and there are",
        ),
        # What the first table has of narrower ranges is not known before it is drawn.
        (
            "{ood2: {count: 90000, seed: 1, numbers: [13, 20]}}",
            "ood2",
            "further.ood2.count",
            "limit: ood2 ask for 90000",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(further, benchmarks, path, words, tmp_path):
    text = asking(further, benchmarks)
    message = error(tmp_path, text)
    line = line_of(text, "    further: ") + path.startswith("benchmarks")
    assert f"study.yaml:{line}: tasks[3].{path}" in message
    assert all(word.removeprefix("limit: ") in message for word in words.split("|")), message


def test_the_benchmark_without_the_key_is_told(tmp_path):
    text = SMOKE.replace(LISTED, LISTED.replace("ood,", "ood, ood2,"))
    message = error(tmp_path, text)
    assert 'tasks[3].benchmarks[2] = "ood2"' in message
    assert "add `ood2` to the task's `further`, or remove it here" in message


def test_data_that_are_no_instances_have_none(tmp_path):
    raw = yaml.safe_load(SMOKE)
    (task,) = (one for one in raw["tasks"] if one["name"] == "gsm8k")
    task["further"] = {"ood2": {"count": 8, "seed": 1}}
    message = error(tmp_path, yaml.safe_dump(raw))
    assert "tasks[2].further: data of kind gsm8k are no instances" in message
    assert "use data of kind miniature, english, countdown" in message
    del task["further"]
    task["benchmarks"].append("ood2")
    message = error(tmp_path, yaml.safe_dump(raw))
    assert "the task's data have no such benchmark" in message and "`further`" not in message


def test_longer_prompts_count_where_responses_must_fit(tmp_path):
    asked = "{ood2: {operands: [5], numbers: [1, 9], count: 8, seed: 1}}"
    text = asking(asked, "id, ood2").replace("max_length: 128\n", "max_length: 32\n")
    text = text.replace("max_attempts: 4", "max_attempts: 1")
    message = error(tmp_path, text)
    assert "with a prompt of 9 tokens this passes base.max_length 32; choose at most 23" in message
    (tmp_path / "study.yaml").write_text(text.replace("[5]", "[3]"))
    assert load(tmp_path / "study.yaml").tasks[3].further


@pytest.mark.parametrize("name", ["mini", "smoke", "small", "paper"])
def test_a_study_without_the_key_has_the_settings_that_it_had(name):
    study = load(ROOT / "config" / f"{name}.yaml")
    assert all(task.further is None for task in study.tasks)
    assert "further" not in study.model_dump_json()


def mini(folder: Path, more: str = "") -> costs.Policy:
    text = f"extends: {ROOT}/config/mini.yaml\nscale: mini\ntasks:\n  - name: countdown\n{more}"
    (folder / "study.yaml").write_text(text)
    study = load(folder / "study.yaml")
    return costs.Policy(study, study.plan, study.tasks[0], "base")


def test_the_plan_counts_their_responses_and_the_data_stay_as_they_are(tmp_path):
    plain = mini(tmp_path)
    more = mini(
        tmp_path,
        "    further: {ood2: {operands: [4], count: 256, seed: 5}}\n"
        "    benchmarks: [id, ood, ood2, forgetting]\n",
    )
    assert more.task.data.model_dump_json() == plain.task.data.model_dump_json()
    before, after = (costs.evaluate(one).generated for one in (plain, more))
    assert after == pytest.approx(before * (550 + 256 + 256) / (550 + 256))


def test_their_table_is_read_beside_the_first_where_it_is_there(tmp_path):
    layout = Layout(tmp_path)
    assert layout.existing_prompts("countdown") == [layout.prompts("countdown")]
    layout.further("countdown").parent.mkdir(parents=True)
    layout.further("countdown").touch()
    tables = [layout.prompts("countdown"), layout.further("countdown")]
    assert layout.existing_prompts("countdown") == tables
