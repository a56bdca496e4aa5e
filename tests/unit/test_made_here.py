"""Distillation between a base that is made here and a model of a folder, such as an own export."""

import pytest
import yaml
from configs import ROOT
from preflight_studies import check

from online_il import models
from online_il.config.architecture import Architecture
from online_il.tasks.miniature import VOCABULARY

SHAPE = Architecture(hidden_size=16, intermediate_size=32, layers=1, heads=1, head_dim=16)


def exported(folder, tokenizer):
    """A folder with a model of this tokenizer, as one that is made here is published."""
    models.new_model(SHAPE, tokenizer, max_length=128, seed=1).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def study(folder, name="countdown", method="distill", **base):
    """The smoke study's task alone, with a student of the model in the folder."""
    raw = yaml.safe_load((ROOT / "config" / "smoke.yaml").read_text())
    raw = {key: value for key, value in raw.items() if key not in ("extends", "discrepancy")}
    (task,) = [task for task in raw["tasks"] if task["name"] == name]
    task["base"] |= base
    task["experts"] = [{"name": "mine", "kind": "model", "folder": str(folder)}]
    student = {"name": "student", "method": method, "expert": "mine", "steps": 2}
    task["runs"] = [student | {"learning_rate": 0.001}]
    return raw | {"tasks": [task], "theory": None}


def of_student(raw):
    """The problems of the student, not those of data that is not here."""
    return [problem for problem in check(raw) if problem.startswith("deepscaler/student: ")]


def test_a_model_of_the_same_words_is_distilled_from(tmp_path):
    folder = exported(tmp_path / "own", models.word_tokenizer(VOCABULARY))
    assert check(study(folder)) == []


@pytest.mark.parametrize("method", ["distill", "sft"])
def test_a_model_of_other_words_is_not(tmp_path, method):
    words = [*VOCABULARY[:-2], VOCABULARY[-1], VOCABULARY[-2]]
    folder = exported(tmp_path / "own", models.word_tokenizer(tuple(words)))
    problems = check(study(folder, method=method))
    if method == "sft":
        assert problems == [], "its texts are read, not its probabilities"
        return
    (problem,) = problems
    assert problem.startswith(f"countdown/student: the student and its expert {folder}")
    assert "have different tokenizers" in problem and "or use sft" in problem
    index = len(VOCABULARY) - 2
    assert f"id {index} is {VOCABULARY[-2]!r} and {VOCABULARY[-1]!r}" in problem


def test_a_model_of_bytes_is_distilled_into_a_model_of_bytes(tmp_path):
    folder = exported(tmp_path / "own", models.byte_tokenizer())
    assert of_student(study(folder, "deepscaler")) == []
    template = tmp_path / "other.jinja"
    template.write_text(models.CHAT.replace("\n", " "))
    (problem,) = of_student(study(folder, "deepscaler", chat_template=str(template)))
    assert "chat templates" in problem
    words = exported(tmp_path / "words", models.word_tokenizer(VOCABULARY))
    first, *_ = of_student(study(words, "deepscaler"))
    assert "have different tokenizers" in first
