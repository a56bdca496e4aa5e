"""Settings of Countdown in English, of a base that learns traces, and of its seeds."""

import re

import pytest
from configs import error, put, shipped

from online_il.studies import load_study as load

HUB = f"""kind: model
      repo: HuggingFaceTB/SmolLM2-135M-Instruct
      revision: "{"0" * 40}"
"""
PACKAGE = re.compile(r"kind: package\n.*?\n(?=      #)", re.DOTALL)
# The same study with its model from the hub.
SMALL = PACKAGE.sub(HUB, shipped("small"))
DATA, BASE, INSIDE = "      kind: english", "    base:\n", "in_distribution:"
AT = "tasks[0].base.finetuning"


def test_each_seed_of_the_small_study_has_a_base_of_its_own(tmp_path):
    (tmp_path / "small.yaml").write_text(SMALL)
    study = load(tmp_path / "small.yaml")
    [task] = study.tasks
    assert study.precision == "single" and task.seeds == [11] == task.seeds_of_base("base")
    assert task.finetuning.traces.practice_fraction > 0
    more = load(tmp_path / "small.yaml", {"blocks": 3})
    assert more.tasks[0].seeds_of_base("base") == [11, 12, 13]
    assert [more.tasks[0].seed_of_base("base", seed) for seed in (11, 13)] == [11, 13]


@pytest.mark.parametrize(
    ("after", "key", "value", "path", "words"),
    [
        (DATA, "operators", '"+-"', "tasks[0].data.operators", 'ask for + - *|write "+-*"'),
        (DATA, "operators", '"+/"', "tasks[0].data.operators", "cannot write /"),
        (DATA, "value_range", "null", "tasks[0].data.value_range", "0 to 99|write [0, 99]"),
        (INSIDE, "numbers", "[1, 120]", "tasks[0].data.in_distribution.numbers", "keep within"),
        (DATA, "train", "9999", "tasks[0].data.in_distribution", "2022 solvable|ask for fewer"),
        (DATA, "facts", None, "tasks[0].data.facts", "unknown key"),
        (BASE, "dataset", None, f"{AT}.dataset", "required"),
        (BASE, "practice_attempts", "0", f"{AT}.traces.practice_attempts", "greater than 0"),
        (BASE, "micro_batch_size", "7", f"{AT}.micro_batch_size", "divisor"),
        ("\nprecision:", "precision", "bfloat16", "precision", "'single' or 'mixed'"),
        ("benchmarks:", "benchmarks", "[id, forgetting]", "tasks[0].benchmarks[1]", "no such"),
    ],
)
def test_a_mistake_is_named(tmp_path, after, key, value, path, words):
    if value is None:
        line = f"    {key}: {{}}\n"
        place = SMALL.index("        traces:") if key == "dataset" else SMALL.index("      ood: ")
        line = f"        {key}: {{}}\n" if key == "dataset" else f"      {key}: {{}}\n"
        text = SMALL[:place] + line + SMALL[place:]
    else:
        text, _ = put(SMALL, SMALL[SMALL.index(after) :][:60], key, value)
    message = error(tmp_path, text)
    assert path in message
    for word in words.split("|"):
        assert word in message, message


def test_a_base_learns_from_one_thing(tmp_path):
    neither = re.sub(r"(?ms)^        traces:\n.*?(?=^        updates)", "", SMALL)
    assert "nothing to learn from; give one of dataset and traces" in error(tmp_path, neither)
    rows = f'        dataset: {{repo: a/b, revision: "{"0" * 40}", files: "*"}}\n'
    both = SMALL.replace("        traces:\n", f"{rows}        traces:\n")
    assert "two things to learn from; give one of" in error(tmp_path, both)


def test_traces_are_for_data_in_english(tmp_path):
    smoke = shipped("smoke")
    place = smoke.index("        dataset:")
    traces = (
        "        traces: {solve_probability: 0.1, continue_probability: 0.5, max_attempts: 2,\n"
        "                 practice_fraction: 0.3, practice_attempts: 2}\n"
    )
    end = smoke.index("        updates:", place)
    message = error(tmp_path, smoke[:place] + traces + smoke[end:])
    assert "tasks[2].base.finetuning.traces" in message and "data of kind english" in message


def test_a_base_that_no_seed_makes_needs_one(tmp_path):
    bare = re.sub(r"(?ms)^      finetuning:\n.*?(?=^    experts)", "", SMALL)
    message = error(tmp_path, bare)
    assert "tasks[0].base.seed" in message and "nothing is fine-tuned" in message
    assert "write seed: 1" in message


def test_a_base_from_scratch_does_not_speak_english(tmp_path):
    mini = shipped("mini")
    text = mini.replace("      kind: miniature", DATA)
    text = re.sub(r"      facts: .*\n", "", text).replace(", forgetting]", "]")
    message = error(tmp_path, text)
    assert "tasks[0].base.kind" in message and "speaks the miniature's language alone" in message
