"""Studies that extend a file, tasks that write what differs, and what the config knows."""

import ast
import re
from pathlib import Path

import pytest
import yaml
from configs import ROOT, error, put, shipped, without_mixtures
from hypothesis import given, settings
from hypothesis import strategies as st

from online_il.config.extending import lay_over
from online_il.config.inheriting import inherited
from online_il.config.reading import ConfigError
from online_il.studies import load_study

MINI = shipped("mini")
TASK = "\n  - name: countdown\n"
NO_DISTILL = re.sub(r"(?ms)^  distill:\n    b.*?(?=^\w)", "", MINI)


def written(folder: Path, **files: str) -> Path:
    """A folder of YAML files; the path of the first."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / f"{next(iter(files))}.yaml"


# ---- extending a file ----


def test_a_study_writes_what_differs_from_the_one_that_it_extends(tmp_path):
    path = written(
        tmp_path,
        mine="""
            extends: theirs.yaml
            scale: mine
            evaluation: {policy: {max_new_tokens: 99}}
            theory: null
            blocks: 1
            tasks:
              - name: countdown
                seeds: [7]
                runs:
                  - name: expert
                  - {name: sft-long, method: sft, expert: expert, steps: 320, learning_rate: 0.001}
        """,
        theirs=MINI,
    )
    mine, theirs = load_study(path), load_study(tmp_path / "theirs.yaml")
    assert (mine.scale, mine.theory, mine.save_minutes) == ("mine", None, 1)
    assert mine.evaluation.policy.max_new_tokens == 99
    assert mine.evaluation.policy.temperature == theirs.evaluation.policy.temperature
    assert mine.methods == theirs.methods and mine.discrepancy == theirs.discrepancy
    (task,), (before,) = mine.tasks, theirs.tasks
    assert (task.seeds, task.base, task.experts) == ([7], before.base, before.experts)
    # A list holds the rows that it names; one of a known name starts from that row.
    assert [run.name for run in task.runs] == ["expert", "sft-long"]
    assert task.runs[0] == before.runs[0]


def test_files_are_extended_one_after_the_other_from_where_they_lie(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "second.yaml").write_text("extends: ../third.yaml\nsave_minutes: 5\n")
    path = written(tmp_path, first="extends: below/second.yaml\nscale: first\n", third=MINI)
    study = load_study(path)
    assert (study.scale, study.save_minutes) == ("first", 5)
    assert study.theory == load_study(ROOT / "config" / "mini.yaml").theory


def test_a_part_of_another_kind_takes_the_place_of_the_whole(tmp_path):
    base = "base: {kind: model, repo: a/b, revision: " + "a" * 40 + ", seed: 1}"
    data = "data: {kind: aime, aime2024: &a {repo: a/b, revision: " + "a" * 40 + ", files: x}"
    data += ", aime2025: *a}"
    text = f"""
        extends: theirs.yaml
        discrepancy: null
        divergence: null
        tasks:
          - {{name: countdown, {base}, {data}, benchmarks: [aime2024], experts: [],
             runs: [{{name: expert}}]}}
    """
    study = load_study(written(tmp_path, mine=text, theirs=MINI))
    assert study.tasks[0].base.repo == "a/b" and study.tasks[0].data.kind == "aime"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            {"one": "extends: two.yaml\n", "two": "extends: one.yaml\n"},
            "two.yaml:1: extends = one|a circle|one.yaml -> |remove this key",
        ),
        ({"one": "a: 1\nextends: one.yaml\n"}, "one.yaml:2: extends = one.yaml|circle"),
        ({"one": "extends: absent.yaml\n"}, "one.yaml:1: extends = absent.yaml|no such file"),
        ({"one": "extends: [two.yaml]\n"}, "one.yaml:1: extends|names no file"),
        ({"one": "extends: 3\n"}, "one.yaml:1: extends|names no file"),
        ({"one": "extends:\n"}, "one.yaml:1: extends|names no file"),
        ({"one": "extends: .\n"}, "one.yaml:1: extends = .|cannot be read"),
        (
            {"one": "a: 1\nextend: two.yaml\n"},
            "one.yaml:2: extend|did you mean 'extends'?",
        ),
        ({"one": "extends: two.yaml\n", "two": "[1"}, "one.yaml:1: extends|two.yaml:1: not plain"),
        ({"one": "extends: two.yaml\n", "two": "- 1"}, "one.yaml:1: extends|two.yaml|holds a list"),
    ],
)
def test_what_cannot_be_extended_is_refused_in_words(tmp_path, files, words):
    with pytest.raises(ConfigError) as refused:
        load_study(written(tmp_path, **files))
    assert all(word in str(refused.value) for word in words.split("|")), refused.value


def test_every_problem_is_told_with_the_file_that_it_stands_in(tmp_path):
    theirs, line = put(MINI, "\n  sft:\n", "demonstrations", "many")
    theirs, seeds = put(theirs, TASK, "seeds", "[010]")
    mine = """
        extends: theirs.yaml
        sclae: mine
        tasks:
          - name: countdown
            seeds: [1, 1, 2]
    """.lstrip("\n")
    path = written(tmp_path, mine=mine, theirs=theirs)
    with pytest.raises(ConfigError) as refused:
        load_study(path)
    message = str(refused.value)
    assert message.startswith("4 problems in ")
    assert f"{tmp_path}/mine.yaml:2: sclae" in message
    assert f"{tmp_path}/mine.yaml:5: tasks[0].seeds[1] = 1: this is listed twice" in message
    assert f"{tmp_path}/theirs.yaml:{line}: methods.sft.demonstrations" in message
    # What YAML misreads is told of a file even where another one is laid over it.
    assert f"{tmp_path}/theirs.yaml:{seeds}: tasks.0.seeds.0" in message.replace("[0]", ".0")


VALUES = st.recursive(
    st.none() | st.integers() | st.text("abc", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "kind", "a", "b"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def laid(below: object, above: object) -> object:
    nodes = [yaml.compose(yaml.safe_dump(value)) for value in (below, above)]
    return yaml.constructor.SafeConstructor().construct_document(lay_over(*nodes))


@given(VALUES, VALUES)
@settings(max_examples=150, deadline=None, derandomize=True)
@pytest.mark.slow
def test_a_value_over_itself_or_over_nothing_is_that_value(below, above):
    assert laid(above, above) == above
    assert laid(None, above) == above
    over = laid(below, above)
    # Nothing that the upper one says is lost, and laying it over again changes nothing.
    assert laid(over, above) == over
    if not isinstance(above, dict | list):
        assert over == above


# ---- what a task has from the study ----


def test_a_task_has_the_studys_settings_but_for_what_it_writes():
    raw = {
        "methods": {"sft": {"a": 1, "b": [1, 2]}, "grpo": {"c": 1}},
        "evaluation": {"policy": {"x": 1, "y": 2}, "paper": {"x": 1}},
        "tasks": [
            {"methods": {"sft": {"b": [3]}}, "evaluation": {"policy": {"y": 3}, "paper": None}},
            {"resources": {"sft": {"gpu": 1}}},
        ],
    }
    first, second = inherited(raw)["tasks"]
    assert first["methods"] == {"sft": {"a": 1, "b": [3]}, "grpo": {"c": 1}}
    assert first["evaluation"] == {"policy": {"x": 1, "y": 3}, "paper": None}
    assert (second["methods"], second["evaluation"]) == (raw["methods"], raw["evaluation"])
    assert (first["resources"], second["resources"]) == ({}, {"sft": {"gpu": 1}})


def of_task(key: str, value: str) -> str:
    """The miniature with a part that its task has of its own."""
    return re.sub(r"(?m)^    seeds: .*\n", rf"\g<0>    {key}: {value}\n", MINI)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # A value is refused where it stands: once, in the study or in the task.
        (put(MINI, "\n  sft:\n", "batch_size", "many")[0], ['methods.sft.batch_size = "many"']),
        (put(MINI, "\n  sft:\n", "batch_size", "true")[0], ["methods.sft.batch_size = true"]),
        (
            of_task("methods", "{sft: {batch_size: many}}"),
            ['tasks[0].methods.sft.batch_size = "many"'],
        ),
        (of_task("methods", "{sft: {batchsize: 3}}"), ["tasks[0].methods.sft.batchsize = 3"]),
        # An unknown key leaves the others: nothing else is missing, and the rest is checked.
        (put(MINI, "\n  sft:\n", "batch_size", "64\n    size: 3")[0], ["methods.sft.size = 3"]),
        (
            put(MINI, "\n  sft:\n", "batch_size", "40\n    size: 3")[0],
            ["methods.sft.size = 3", "methods.sft.micro_batch_size = 16"],
        ),
        (MINI.replace("\n  sft: {mem", "\n  sft: {gpus: 1, mem"), ["resources.sft.gpus = 1"]),
        (
            MINI.replace("  policy: {temp", "  policy: {topk: 3, temp"),
            ["evaluation.policy.topk = 3"],
        ),
        (of_task("evaluation", "{policy: []}"), ["tasks[0].evaluation.policy = []"]),
        # What is wrong between a value of its own and one of the study is told of the task.
        (
            of_task("methods", "{sft: {batch_size: 40}}"),
            ["tasks[0].methods.sft.micro_batch_size = 16"],
        ),
        # What no task has must be there, whatever the others have.
        (
            re.sub(r"(?ms)^  distill:\n    b.*?(?=^\w)", "", MINI),
            ["methods.distill: a required key"],
        ),
        (re.sub(r"(?m)^  evaluate: .*\n", "", MINI), ["resources.evaluate: a required key"]),
        (re.sub(r"(?m)^  pretrain: .*\n", "", MINI), ["resources.pretrain: a required key"]),
        (re.sub(r"(?ms)^evaluation:\n.*?(?=^\w)", "", MINI), ["evaluation: a required key"]),
    ],
)
def test_a_problem_of_a_shared_setting_is_told_once_where_it_stands(tmp_path, text, expected):
    message = error(tmp_path, text)
    assert message.startswith(f"{len(expected)} problem"), message
    assert all(f": {part}" in message for part in expected), message


def test_a_method_that_no_run_uses_needs_no_settings(tmp_path):
    text = re.sub(r"(?m)^  distill: \{mem.*\n", "", without_mixtures(NO_DISTILL))
    text = re.sub(r"(?ms)^      - name: distill-realizable\n.*?(?=^      - name)", "", text)
    assert load_study(written(tmp_path, study=text)).methods.distill is None


def test_updates_of_a_fine_tuning_divide(tmp_path):
    """Training would refuse them, after the job had waited for its GPUs."""
    paper = shipped("paper")
    text, _ = put(paper, "      finetuning:", "micro_batch_size", "3")
    assert "finetuning.micro_batch_size = 3: an update has 64 sequences" in error(tmp_path, text)
    text, _ = put(paper, "      finetuning:", "micro_batch_size", "16")
    assert "do not divide into 16s on each of 8 GPUs" in error(tmp_path, text)


# ---- what the config knows ----


def test_the_config_knows_no_code_of_tasks_theory_or_generation():
    """It may read names of methods and benchmarks, errors, and how a text file is decoded."""
    allowed = {"config", "methods", "benchmarks", "errors", "text"}
    modules = [*(ROOT / "workflow/online_il/config").glob("*.py")]
    modules += [ROOT / "workflow/online_il" / f"{name}.py" for name in ("methods", "benchmarks")]
    assert len(modules) > 20
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            if names == ["online_il"]:
                names = [f"online_il.{alias.name}" for alias in node.names]
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert name.split(".")[0] != "online_il" or name.split(".")[1] in allowed, path
