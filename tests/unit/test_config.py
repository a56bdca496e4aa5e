"""The settings: everything that is wrong in a config is named, with its place and a remedy."""

import re
from pathlib import Path

import pytest
import yaml
from configs import error, line_of, put, shipped

from online_il.studies import load_study as load
from online_il.tasks.miniature_data import Ranges, solvable

MINI, THEORY = shipped("mini"), shipped("theory")
RAW = yaml.safe_load(MINI)

GRPO, SFT, DISTILL = "\n  grpo:\n", "\n  sft:\n", "\n  distill:\n"
TASK, BASE, RUNS = "\ntasks:\n", "\n    base:\n", "\n    runs:\n"
INSIDE, OUTSIDE = "\n      in_distribution:", "\n      out_of_distribution:"
EXPERT, STUDENT, SOLVED = (
    "- name: expert\n",
    "- name: sft-realizable\n",
    "- name: sft-unrealizable\n",
)
DISTILLED = "- name: distill-realizable\n"


# Where, key, new value; then the line (from the key's, or of a text), the key path, the value as
# shown, words of message and remedy.
WRONG = [
    # What a class refuses.
    ("\n", "scale", "Mini!", 0, "scale", '"Mini!"', "match pattern|Name of the study"),
    ("\n", "scale", "yes", 0, "scale", "true", "valid string"),
    ("\n", "engine", "trl", 0, "generation.engine", '"trl"', "'loop', 'transformers' or 'vllm'"),
    ("\n", "engine", "lop", 0, "generation.engine", '"lop"', "mean 'loop'|meaning:"),
    (RUNS, "method", "distil", 0, "tasks[0].runs[0].method", '"distil"', "mean 'distill'"),
    (GRPO, "clip_ratio", "abc", 0, "methods.grpo.clip_ratio", '"abc"', "number|PPO clipping"),
    (GRPO, "clip_ratio", ".inf", 0, "methods.grpo.clip_ratio", "Infinity", "finite number"),
    (GRPO, "clip_ratio", ".nan", 0, "methods.grpo.clip_ratio", "NaN", "finite number"),
    (GRPO, "micro_batch_size", "true", 0, "methods.grpo.micro_batch_size", "true", "a number"),
    (GRPO, "max_new_tokens", "many", 0, "methods.grpo.max_new_tokens", '"many"', "integer"),
    (GRPO, "max_new_tokens", "1.5", 0, "methods.grpo.max_new_tokens", "1.5", "integer"),
    (TASK, "name", "MMLU", 0, "tasks[0].name", '"MMLU"', "match pattern|Name of the task"),
    (TASK, "kind", "minature", 0, "tasks[0].data.kind", '"minature"', "mean 'miniature'"),
    (BASE, "kind", "scrach", 0, "tasks[0].base.kind", '"scrach"', "mean 'scratch'|random"),
    (TASK, "seeds", "[]", 0, "tasks[0].seeds", "[]", "at least 1 item|Seeds of every run"),
    (TASK, "seeds", "[true]", 0, "tasks[0].seeds[0]", "true", "true or false|write a number"),
    (TASK, "seeds", "{1: 2}", 0, "tasks[0].seeds", "{...}", "valid list"),
    (TASK, "seeds", "[[1], 2]", 0, "tasks[0].seeds[0]", "[1]", "valid integer"),
    (TASK, "benchmarks", "[id, mmlu]", 0, "tasks[0].benchmarks[1]", '"mmlu"', "id, validation"),
    (RUNS, "method", "dpo", 0, "tasks[0].runs[0].method", '"dpo"', "'grpo', 'sft' or 'distill'"),
    (EXPERT, "steps", "0", 0, "tasks[0].runs[0].steps", "0", "greater than 0"),
    (EXPERT, "steps", "80\n        stepz: 1", 1, "tasks[0].runs[0].stepz", "1", "mean 'steps'"),
    (EXPERT, "steps", "80\n        zzz: 1", 1, "tasks[0].runs[0].zzz", "1", "known: name, method"),
    (EXPERT, "steps", "80\n        7: 1", 1, "tasks[0].runs[0][7]", "", "unknown key"),
    # Names, experts, seeds.
    (EXPERT, "steps", "80\n        steps: 9", 1, "tasks[0].runs[0].steps", "", "again|keep one"),
    (STUDENT, "name", "base", 0, "tasks[0].runs[1].name", '"base"', "base model|choose another"),
    (STUDENT, "name", "solver", 0, "tasks[0].runs[1].name", '"solver"', "has this name|choose"),
    (STUDENT, "name", "expert", 0, "tasks[0].runs[1].name", '"expert"', "has this name|choose"),
    (STUDENT, "expert", "expret", 0, "tasks[0].runs[1].expert", '"expret"', "mean 'expert'"),
    (STUDENT, "expert", "[a]", 0, "tasks[0].runs[1].expert", '["a"]', "valid string"),
    (STUDENT, "expert", "null", 0, "tasks[0].runs[1].expert", "null", "needs an expert|solver"),
    (STUDENT, "expert", "sft-realizable", 0, "tasks[0].runs[1].expert", '"sft-r', "itself|else"),
    (DISTILLED, "expert", "solver", 0, "tasks[0].runs[3].expert", '"solver"', "no weights|use sft"),
    (
        EXPERT,
        "method",
        "grpo\n        expert: solver",
        1,
        "tasks[0].runs[0].expert",
        '"solver"',
        "not from an expert|remove",
    ),
    (TASK, "seeds", "[1, 2, 1]", 0, "tasks[0].seeds[2]", "1", "listed twice|keep one"),
    (TASK, "seeds", "[-1]", 0, "tasks[0].seeds[0]", "-1", "no seed|choose one from 0"),
    (
        EXPERT,
        "steps",
        "80\n        seeds: [11, 8]",
        1,
        "tasks[0].runs[0].seeds",
        "[11, 8]",
        "the task has no seed 8|add",
    ),
    (
        EXPERT,
        "steps",
        "80\n        seeds: [11, 11]",
        1,
        "tasks[0].runs[0].seeds[1]",
        "11",
        "listed twice|keep one",
    ),
    (
        EXPERT,
        "steps",
        "80\n        seeds: [11]",
        "- name: sft-realizable",
        "tasks[0].runs[1].seeds",
        "",
        "its expert 'expert' has no seed 12, 13, 14|keep to the seeds of 'expert'",
    ),
    # Checkpoints and batches.
    (
        EXPERT,
        "steps",
        "9",
        "checkpoints: [2,",
        "methods.grpo.checkpoints",
        "[14, ",
        "ends at step 9|raise",
    ),
    (GRPO, "checkpoints", "[0]", 0, "methods.grpo.checkpoints", "[0]", "count from 1|drop"),
    (SFT, "checkpoints", "[5, 999]", 0, "methods.sft.checkpoints", "[999]", "step 320|drop"),
    (
        EXPERT,
        "steps",
        "80\n        checkpoints: [81]",
        1,
        "tasks[0].runs[0].checkpoints",
        "[81]",
        "ends at step 80|raise",
    ),
    (GRPO, "updates_per_step", "3", 0, "methods.grpo.updates_per_step", "3", "256|divisor"),
    (GRPO, "micro_batch_size", "24", 0, "methods.grpo.micro_batch_size", "24", "128|divisor"),
    (SFT, "micro_batch_size", "24", 0, "methods.sft.micro_batch_size", "24", "64|divisor"),
    (DISTILL, "batch_size", "40", 1, "methods.distill.micro_batch_size", "16", "40|divisor"),
    (BASE, "micro_batch_size", '"24"', 0, "tasks[0].base.micro_batch_size", "24", "64|divisor"),
    (BASE, "head_dim", "3", 0, "tasks[0].base.architecture.head_dim", "3", "even"),
    # Lengths.
    (GRPO, "max_new_tokens", "250", 0, "methods.grpo.max_new_tokens", "250", "at most 249|raise"),
    ("policy:", "max_new_tokens", "250", 0, "evaluation.policy.max_new_tokens", "250", "249"),
    (BASE, "max_attempts", "90", 0, "tasks[0].base.max_attempts", "90", "max_length 256|lower"),
    # The miniature's language and its instances.
    (
        TASK,
        "operators",
        '"+/"',
        0,
        "tasks[0].data.operators",
        '"+/"',
        "cannot write /|choose from + - *",
    ),
    (TASK, "value_range", "null", 0, "tasks[0].data.value_range", "null", "0 to 99|write [0, 99]"),
    (TASK, "value_range", "[-9, 99]", 0, "tasks[0].data.value_range", "[-9, 99]", "keep within"),
    (
        INSIDE,
        "numbers",
        "[1, 120]",
        0,
        "tasks[0].data.in_distribution.numbers",
        "[1, 120]",
        "within",
    ),
    (INSIDE, "numbers", "[12, 1]", 0, "tasks[0].data.in_distribution.numbers", "[12, 1]", "empty"),
    (
        OUTSIDE,
        "answers",
        "[1, 100]",
        0,
        "tasks[0].data.out_of_distribution.answers",
        "[1, 1",
        "0 to 99",
    ),
    (INSIDE, "operands", "[3, 9]", 0, "tasks[0].data.in_distribution.operands[1]", "9", "2 to 5"),
    (TASK, "count", "10001", 0, "tasks[0].data.facts.count", "10001", "at most 10000"),
    (TASK, "choices", "101", 0, "tasks[0].data.facts.choices", "101", "at most 100"),
    (TASK, "benchmarks", "[id, id]", 0, "tasks[0].benchmarks[1]", '"id"', "twice|keep one"),
    (
        TASK,
        "train",
        "9999",
        "      in_distribution",
        "tasks[0].data.in_distribution",
        "",
        "2022 solvable|ask for fewer",
    ),
    (
        TASK,
        "ood",
        "99999",
        "      out_of_dist",
        "tasks[0].data.out_of_distribution",
        "",
        "that leave|fewer",
    ),
    (OUTSIDE, "numbers", "[1, 1]", 0, "tasks[0].data.out_of_distribution", "", "no solvable|widen"),
    (INSIDE, "answers", "[99, 99]", 0, "tasks[0].data.in_distribution", "", "and there are|widen"),
    (INSIDE, "numbers", "[0, 0]", 0, "tasks[0].data.in_distribution", "", "no solvable|widen"),
]


@pytest.mark.parametrize(
    ("after", "key", "value", "at", "path", "shown", "words"),
    WRONG,
    ids=[f"{row[4]}={row[2].strip()}"[:60] for row in WRONG],
)
def test_a_wrong_setting_is_named_with_place_and_remedy(
    tmp_path: Path,
    after: str,
    key: str,
    value: str,
    at: int | str,
    path: str,
    shown: str,
    words: str,
) -> None:
    text, line = put(MINI, after, key, value)
    line = line + at if isinstance(at, int) else line_of(text, at)
    start = f"study.yaml:{line}: {path}{' = ' + shown if shown else ''}"
    message = error(tmp_path, text)
    found = [row for row in message.splitlines() if start in row]
    assert found, f"no {start} in: {message}"
    for word in words.split("|"):
        assert any(word in row for row in found), f"no {word} in: {found}"


@pytest.mark.parametrize(
    ("after", "key", "value", "path", "words"),
    [
        ("\n", "resamples", "3", "discrepancy.resamples", "100|Permutations"),
        ("\n", "keywords", '["two words"]', "discrepancy.keywords[0]", "pattern"),
        ("offline_bound:", "coverage", "[16, 0.5]", "theory.offline_bound", "` 0.5|least 1"),
        ("offline_bound:", "samples", "[0]", "theory.offline_bound", "`samples` 0|least 1"),
        ("pessimism:", "coverage", "2", "theory.pessimism", "`coverage` 2|least"),
        ("horizon:", "coverage", "0.5", "theory.horizon.coverage", "0.5|C of the misspecified"),
        ("alignment:", "cells", "many", "theory.alignment.cells", "many|Cells an axis"),
        ("class-a", "class_direction", "[[0, 0]]", "theory.gaussian[0]", "` of length 0"),
        ("class-a", "expert_mean", "[[0, 1, 2]]", "theory.gaussian[0]", "3|as many"),
        (
            "mixture-high",
            "expert_weight",
            "[0.6, 0.6]",
            "theory.gaussian[2]",
            "weight` 0.6|sum to 1",
        ),
        ("gaussian:", "name", "class-b", "theory", "two panels|rename"),
        ("gaussian:", "colour: 1, name", "x", "theory.gaussian[0].colour", "unknown key"),
    ],
)
def test_wrong_theory_or_discrepancy_is_found_before_anything_runs(
    tmp_path: Path, after: str, key: str, value: str, path: str, words: str
) -> None:
    name = "study" if path.startswith("discrepancy") else "theory"
    text = MINI if name == "study" else THEORY
    head, found, tail = text.partition(f"\n{path.partition('.')[0]}:")
    old = key.rpartition(", ")[2]
    line = re.compile(rf"\b{old}: .+").search(tail, tail.index(after))
    assert found and line
    new = f"{key}: {value}".replace(", ", "\n      ") if ", name" in key else f"{key}: {value}"
    text = head + found + tail[: line.start()] + new + tail[line.end() :]
    # The theory stands in a file of its own, which the study extends; its line is told.
    (tmp_path / "theory.yaml").write_text(text)
    study = text if name == "study" else re.sub("extends: .+", "extends: theory.yaml", MINI)
    message = error(tmp_path, study)
    rows = [row for row in message.splitlines() if f": {path}" in row]
    assert rows and all(f"{name}.yaml:" in row for row in rows), message
    for word in words.split("|"):
        assert any(word in row for row in rows), f"no {word} in: {rows}"


def test_what_is_compared_must_be_evaluated(tmp_path: Path) -> None:
    text, line = put(MINI, "\ndiscrepancy:", "benchmark", "ood")
    assert "ood" in RAW["tasks"][0]["benchmarks"]
    text, _ = put(text, TASK, "benchmarks", "[id, forgetting]")
    message = error(tmp_path, text)
    assert f"study.yaml:{line}: discrepancy.benchmark" in message
    assert "countdown is not evaluated on it" in message and "add it" in message


def test_a_study_needs_neither_theory_nor_discrepancy(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    head, _, tail = MINI.partition("\ndiscrepancy:")
    text = head + "\ntasks:" + tail.partition("\ntasks:")[2]
    path.write_text(re.sub("extends: .+", "", text))
    study = load(path)
    assert study.theory is None and study.discrepancy is None


def test_twelve_problems_are_named_at_once(tmp_path: Path) -> None:
    text = MINI.replace("engine: loop", "engine: loops")
    text, _ = put(text, GRPO, "micro_batch_size", "24")
    text, _ = put(text, SFT, "max_grad_norm", "high")
    text, _ = put(text, "\nresources:\n", "mem_mb", "0")
    text, _ = put(text, TASK, "seeds", "[1, 1, 2]")
    text, _ = put(text, TASK, "train", "99999")
    text, _ = put(text, TASK, "value_range", "null")
    text, _ = put(text, OUTSIDE, "numbers", "[20, 1]")
    text, _ = put(text, BASE, "head_dim", "3")
    text, _ = put(text, EXPERT, "steps", "80\n        stepps: 80")
    text, _ = put(text, SOLVED, "expert", "solvers")
    text = re.sub(r"\nscale: .*", "", text)
    message = error(tmp_path, text)
    rows = message.splitlines()
    assert rows[0].startswith("12 problems in ")
    assert len(rows) == 13
    for path in (
        "scale: a required key is missing; add: Name of the study",
        'generation.engine = "loops"',
        "methods.grpo.micro_batch_size = 24",
        'methods.sft.max_grad_norm = "high"',
        "resources.pretrain.mem_mb = 0",
        "tasks[0].seeds[1] = 1",
        "tasks[0].data.value_range = null",
        "tasks[0].data.in_distribution: train + validation + id ask for 100741",
        "tasks[0].data.out_of_distribution.numbers = [20, 1]",
        "tasks[0].base.architecture.head_dim = 3",
        "tasks[0].runs[0].stepps = 80",
        'tasks[0].runs[2].expert = "solvers"',
    ):
        assert path in message
    lines = [int(row.split(".yaml:")[1].split(":")[0]) for row in rows[1:]]
    assert lines == sorted(lines)


def test_runs_that_imitate_each_other_are_refused(tmp_path: Path) -> None:
    text, _ = put(MINI, STUDENT, "expert", "sft-unrealizable")
    text, _ = put(text, SOLVED, "expert", "sft-realizable")
    message = error(tmp_path, text)
    assert message.startswith("2 problems")
    assert message.count("imitates itself in the end") == 2


def test_two_tasks_of_one_name_and_one_run_of_two_methods_are_refused(tmp_path: Path) -> None:
    task = MINI[MINI.index("  - name: countdown") :]
    other, _ = put("\n" + task, "\n", "name", "countdown")
    other, _ = put(other, "- name: sft-self\n", "method", "distill")
    message = error(tmp_path, MINI + other)
    assert "tasks[0].name" in message
    assert 'tasks[1].name = "countdown": two tasks have this name; keep one of them' in message
    assert "tasks[1].runs[4].name" in message
    assert "different methods: distill, sft" in message


def test_numbers_may_be_written_as_text(tmp_path: Path) -> None:
    # YAML 1.1 reads 1e-3 as text.
    text, _ = put(MINI, EXPERT, "learning_rate", "1e-3")
    path = tmp_path / "study.yaml"
    path.write_text(text)
    assert load(path).tasks[0].runs[0].learning_rate == 0.001


def test_a_student_is_five_lines_of_yaml(tmp_path: Path) -> None:
    assert MINI.rstrip().splitlines()[-1].startswith("        "), "the runs end the file"
    path = tmp_path / "study.yaml"
    path.write_text(
        MINI.rstrip()
        + """
      - name: distill-self
        method: distill
        expert: base
        steps: 100
        learning_rate: 0.0005
"""
    )
    study = load(path)
    task, run = study.tasks[0], study.tasks[0].runs[-1]
    assert (run.name, run.expert) == ("distill-self", "base")
    assert task.seeds_of(run) == task.seeds
    listed = study.methods.distill.checkpoints
    assert task.checkpoints_of(run) == sorted({s for s in listed if s <= 100} | {100})


def test_a_runs_own_seeds_and_checkpoints_come_first(tmp_path: Path) -> None:
    text, _ = put(MINI, "- name: sft-self\n", "steps", "50\n        seeds: [12]")
    text, _ = put(text, "- name: sft-self\n", "seeds", "[12]\n        checkpoints: [30, 10]")
    path = tmp_path / "study.yaml"
    path.write_text(text)
    study = load(path)
    task = study.tasks[0]
    (run,) = [run for run in task.runs if run.name == "sft-self"]
    assert task.seeds_of(run) == [12]
    assert task.checkpoints_of(run) == [10, 30, 50]
    assert task.checkpoints_of(run.model_copy(update={"checkpoints": []})) == [50]


def test_instances_are_counted_where_that_is_cheap_and_drawn_elsewhere() -> None:
    few = Ranges((2,), (1, 3), (2, 4))
    # From 1 1: 2. From 1 2: 2 3. From 1 3: 2 3 4. From 2 2: 4. From 2 3 and 3 3: none.
    assert solvable(few, "+-*", (0, 99)) == 7
    # Without those of the numbers 1 and 2 and the target 2.
    assert solvable(few, "+-*", (0, 99), Ranges((2,), (1, 2), (2, 2))) == 5
    many = Ranges((4,), (1, 99), (1, 99))
    assert solvable(many, "+-*", (0, 99)) is None
    assert solvable(many, "+-*", (0, 99), many) == 0
    assert solvable(many._replace(answers=(0, 0)), "+", (0, 99)) == 0
