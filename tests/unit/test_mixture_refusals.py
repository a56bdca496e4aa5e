"""What no study of mixtures can be made of is told at its key, before anything is sampled."""

import copy
import re
from pathlib import Path

import pytest
import yaml

from online_il.config.reading import ConfigError
from online_il.studies import load_study

MINI = Path(__file__).parents[2] / "config" / "mini.yaml"
MIXTURE = """
      - {{name: {name}, kind: mixture, parts: {{{parts}}}, learnable: expert,
         fallback: expert{more}}}"""
RUN = """
      - {{name: student, method: distill, expert: m, steps: 160,
         learning_rate: 0.001{more}}}"""


def told(folder, *, parts="expert: 0.5, solver: 0.5", more="", experts="", run="", study="") -> str:
    """What is said of a study with a mixture m; nothing of one that is taken."""
    name = re.match("[^,]*", more.removeprefix("name: "))[0] if more.startswith("name: ") else "m"
    more = more.removeprefix(f"name: {name}")
    mixture = MIXTURE.format(name=name, parts=parts, more=more)
    path = folder / "study.yaml"
    path.write_text(
        f"extends: {MINI}\nscale: bad\n{study}tasks:\n  - name: countdown\n    experts:\n"
        f"      - {{name: solver, kind: solver}}{mixture}{experts}\n    runs:\n      - name: expert"
        f"{RUN.format(more=run)}\n"
    )
    try:
        load_study(path)
    except ConfigError as error:
        return str(error)
    return ""


def test_a_sound_study_is_taken(tmp_path):
    assert told(tmp_path) == ""


@pytest.mark.parametrize("part", ["1", "yes", "null", "2026-11-26", "1.5"])
def test_a_part_whose_name_is_no_text_is_told_with_its_line(tmp_path, part):
    text = told(tmp_path, parts=f"{part}: 0.5, solver: 0.5")
    assert "study.yaml:7: tasks[0].experts[1].parts" in text and "needs quotes" in text


@pytest.mark.parametrize("weight", ["0", "-0.5", ".nan", ".inf", "1.0e-320", "1.0e-10", "half"])
def test_a_weight_that_is_none_is_told_with_what_weights_are(tmp_path, weight):
    text = told(tmp_path, parts=f"expert: {weight}, solver: 1")
    assert "parts.expert = " in text and "They sum to 1" in text


@pytest.mark.parametrize(
    "setting",
    [
        *("smoothing: 5.0e-324", "smoothing: 0", "smoothing: 1", "smoothing: .nan"),
        *("temperature: 1.0e-300", "temperature: 1.0e-39", "temperature: 0", "temperature: .inf"),
    ],
)
def test_what_makes_probabilities_overflow_is_refused(tmp_path, setting):
    assert f"experts[1].{setting.partition(':')[0]} = " in told(tmp_path, more=f", {setting}")


def test_a_mixture_of_the_name_of_its_part_is_told(tmp_path):
    text = told(tmp_path, more="name: expert")
    assert 'experts[1].name = "expert": another run' in text


def test_two_mixtures_of_one_name_with_a_circle_are_told(tmp_path):
    other = MIXTURE.format(name="m", parts="student: 1", more="")
    text = told(tmp_path, experts=other)
    assert "experts[1].name" in text and "experts[2].name" in text
    assert "experts[2].parts.student = 1.0: student imitates this mixture" in text


@pytest.mark.parametrize("start", ["expert@080", "base@0", "expert@00"])
def test_a_start_is_written_in_one_way(tmp_path, start):
    """Of two spellings figures and records would make two starts."""
    assert f'runs[1].start = "{start}"' in told(tmp_path, run=f", start: {start}")


@pytest.mark.parametrize("sampling", ["temperature: 0.7", "top_k: 5", "top_p: 0.9"])
def test_a_mixture_is_sampled_as_it_is_whatever_is_measured(tmp_path, sampling):
    study = f"divergence: null\nevaluation: {{policy: {{{sampling}}}}}\n"
    text = told(tmp_path, study=study)
    assert f"study.yaml:4: evaluation.policy.{sampling.partition(':')[0]} = " in text
    assert "the mixture m is sampled as it is; set it to" in text


def test_a_mixture_needs_a_benchmark_that_is_sampled(tmp_path):
    path = tmp_path / "study.yaml"
    told(tmp_path, study="divergence: null\ndiscrepancy: null\n")
    changed = path.read_text().replace("    experts:", "    benchmarks: [forgetting]\n    experts:")
    path.write_text(changed)
    with pytest.raises(ConfigError, match="none of these is sampled, and the mixture m"):
        load_study(path)


@pytest.mark.parametrize(
    "expert",
    [
        {"name": "expert", "kind": "mixture", "parts": {"rl": 1}},  # There it is a run.
        {"name": "solver", "kind": "mixture", "parts": {"rl": 1}},
        {"name": "expert", "kind": "solver"},
    ],
)
def test_a_name_says_in_all_tasks_how_a_policy_is_made(tmp_path, expert):
    """Two rules would make it: Snakemake's AmbiguousRuleException."""
    raw = yaml.safe_load(MINI.read_text())
    (task,) = raw["tasks"]
    run = task["runs"][0]
    other = copy.deepcopy(task) | {"name": "second", "experts": [expert]}
    other["runs"] = [run | {"name": "rl"}]
    raw |= {"extends": str(MINI), "discrepancy": None, "tasks": [task, other]}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(ConfigError, match="is made otherwise; rename one") as error:
        load_study(path)
    assert f'tasks[1].experts[0].name = "{expert["name"]}"' in str(error.value)


def test_a_part_of_a_task_without_a_base_is_not_the_base(tmp_path):
    raw = yaml.safe_load(MINI.read_text())
    (task,) = raw["tasks"]
    mixture = {"name": "m", "kind": "mixture", "parts": {"base": 1}}
    other = copy.deepcopy(task) | {"name": "second", "experts": [mixture], "runs": []}
    del other["base"]
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(raw | {"extends": str(MINI), "tasks": [task, other]}))
    with pytest.raises(
        ConfigError, match=r"tasks\[1\].experts\[0\].parts.base = 1.0: the task has"
    ):
        load_study(path)
