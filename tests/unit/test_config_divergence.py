"""What is wrong with a study's `divergence`, or with demonstrations of a run's own, and where."""

from pathlib import Path

import pytest
from configs import error, line_of, put, shipped, without_mixtures

from online_il.studies import load_study as load

MINI = shipped("mini")
KEY = "\ndivergence:"
SFT_SOLVER = "expert: solver\n        steps: 320"
SFT_EXPERT = "expert: expert\n        steps: 160"


@pytest.mark.parametrize(
    ("key", "value", "path", "words"),
    [
        ("benchmark", "idd", "divergence.benchmark", "no task with runs|did you mean 'id'"),
        ("benchmark", "forgetting", "divergence.benchmark", "no response|name one of id, ood"),
        ("benchmark", "validation", "divergence.benchmark", "no task with runs|there are: id, ood"),
        ("quantiles", "[0.5, 0]", "divergence.quantiles[1]", "greater than 0"),
        ("quantiles", "[1.5]", "divergence.quantiles[0]", "less than or equal to 1"),
        ("quantiles", "[1, 1]", "divergence.quantiles[1]", "listed twice|keep one"),
        ("quantiles", "[]", "divergence.quantiles", "at least 1"),
        ("density_clip", "0", "divergence.density_clip", "greater than 0"),
    ],
)
def test_wrong_values_are_named_with_their_line_and_a_remedy(tmp_path, key, value, path, words):
    text, line = put(MINI, KEY, key, value)
    (row,) = [row for row in error(tmp_path, text).splitlines() if path in row]
    assert f"study.yaml:{line}: {path}" in row
    assert all(word in row for word in words.split("|")), row


def test_responses_that_are_not_the_policys_own_have_no_kl(tmp_path):
    # Where nothing is a mixture, which cannot be sampled so at all.
    text, _ = put(without_mixtures(MINI), "policy:", "top_k", "50")
    message = error(tmp_path, text)
    line = line_of(text, KEY) + 2
    (row,) = [row for row in message.splitlines() if "divergence.benchmark" in row]
    assert f"study.yaml:{line}: " in row
    assert "temperature 1, top_k 50, top_p 1" in row and "set temperature 1, top_k 0" in row


def test_a_study_without_probabilities_has_nothing_to_measure(tmp_path):
    head, _, rest = MINI.partition("      - name: sft-realizable")
    kept = (
        head
        + rest[rest.index("      - name: sft-unrealizable") : rest.index("      - name: distill")]
    )
    message = error(tmp_path, kept)
    assert (
        "divergence.benchmark" in message and "no run that is evaluated on it imitates" in message
    )


def test_students_of_experts_with_probabilities_are_measured():
    study = load(Path(__file__).parents[2] / "config" / "mini.yaml")
    names = [run.name for run in study.divergence.students(study.tasks[0])]
    assert {"sft-realizable", "distill-realizable", "sft-self"} <= set(names)
    assert "sft-unrealizable" not in names and "expert" not in names


def test_null_switches_it_off(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(MINI)
    assert load(path, {"divergence": None}).divergence is None


def test_demonstrations_of_a_runs_own_need_sft_and_weights_to_sample_from(tmp_path):
    added = SFT_SOLVER.replace("steps", "demonstrations: 4097\n        steps")
    message = error(tmp_path, MINI.replace(SFT_SOLVER, added))
    (row,) = [row for row in message.splitlines() if "demonstrations = 4097" in row]
    assert (
        "'solver' has no weights to sample more from" in row
        and "raise methods.sft.demonstrations" in row
    )
    line = line_of(MINI, SFT_SOLVER) + 1
    assert f"study.yaml:{line}: " in row
    distill = MINI.index("method: distill")
    text = MINI[:distill] + MINI[distill:].replace(
        "steps: 160", "demonstrations: 9\n        steps: 160", 1
    )
    assert "distill has no such setting" in error(tmp_path, text)


def test_demonstrations_of_a_runs_own_are_its_setting(tmp_path):
    path = tmp_path / "study.yaml"
    added = SFT_EXPERT.replace("steps", "demonstrations: 10240\n        steps")
    path.write_text(MINI.replace(SFT_EXPERT, added, 1))
    (task,) = load(path).tasks
    counts = {
        run.name: task.settings_of(run).demonstrations for run in task.runs if run.method == "sft"
    }
    assert counts["sft-realizable"] == 10240
    assert counts["sft-self"] == task.methods.sft.demonstrations == 4096


def test_no_demonstration_of_the_shipped_gap_runs_is_seen_twice():
    (task,) = load(Path(__file__).parents[2] / "config" / "mixture.yaml").tasks
    gaps = [run for run in task.runs if run.name.startswith("gap-")]
    assert len({(run.learning_rate, run.start) for run in gaps}) == len(gaps) == 4
    for run in gaps:
        assert run.demonstrations == run.steps * task.methods.sft.batch_size
