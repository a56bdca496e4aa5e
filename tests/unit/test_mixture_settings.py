"""The settings of a mixture: each thing that is wrong with one, with its place and remedy."""

import copy
import re

import pytest
from pydantic import ValidationError

from online_il.config.mixture import MixtureExpert, mixture_problems

MIXTURE = {
    "name": "mixture",
    "kind": "mixture",
    "parts": {"expert": 0.0625, "solver": 0.9375},
    "learnable": "expert",
    "fallback": "base",
}
TASK = {
    "seeds": [1, 2, 3],
    "experts": [
        {"name": "solver", "kind": "solver"},
        {"name": "far", "kind": "endpoint"},
        {"name": "large", "kind": "model"},
        MIXTURE,
    ],
    "runs": [
        {"name": "expert", "method": "grpo"},
        {"name": "student", "method": "distill", "expert": "mixture"},
        {"name": "grandchild", "method": "sft", "expert": "student"},
    ],
}


def problems(**changed) -> list[tuple[str, str, str]]:
    """(place, message, remedy) of what is wrong with the mixture after a change."""
    task = copy.deepcopy(TASK)
    mixture = task["experts"][3]
    mixture.update(changed)
    for key in [key for key, value in changed.items() if value is None]:
        del mixture[key]
    return found(task)


def found(task) -> list[tuple[str, str, str]]:
    return [
        (".".join(map(str, problem.keys)), problem.message, problem.remedy)
        for problem in mixture_problems(task, ("tasks", 0))
    ]


def test_a_sound_mixture_is_taken():
    assert found(TASK) == []
    assert MixtureExpert.model_validate(MIXTURE).smoothing == 0.001
    assert problems(parts={"expert": 1.0}, fallback=None) == []
    assert problems(parts={"expert": 0.333333, "base": 0.666667}, fallback=None) == []
    assert problems(parts={"large": 0.5, "expert": 0.5}, fallback=None) == []
    assert problems(fallback="expert") == []


AT = "tasks.0.experts.3"


@pytest.mark.parametrize(
    "changed, place, message, remedy",
    [
        (
            {"parts": {"expert": 0.5, "solver": 0.4}},
            "parts",
            r"sum to 0.9 \(0.5 \+ 0.4\)",
            "sum to 1",
        ),
        ({"parts": {"expert": 0.5, "solver": 0.50001}}, "parts", "sum to 1.00001", "sum to 1"),
        (
            {"parts": {"exprt": 0.5, "solver": 0.5}, "learnable": None},
            "parts.exprt",
            "no run, model or solver is named 'exprt'",
            "did you mean 'expert'",
        ),
        (
            {"parts": {"far": 0.5, "solver": 0.5}, "learnable": None},
            "parts.far",
            "no next-token probabilities",
            "base, expert, grandchild, large, solver, student",
        ),
        ({"fallback": "far"}, "fallback", "no next-token probabilities", "base, expert"),
        ({"fallback": "nobody"}, "fallback", "named 'nobody'", "there are: base"),
        ({"fallback": "solver"}, "fallback", "no way to go on", "there are: base"),
        ({"fallback": None}, "fallback", "part solver needs a policy that goes on", "name a run"),
        (
            {"parts": {"expert": 1.0}},
            "fallback",
            "for a mixture with the solver",
            "remove it",
        ),
        (
            {"parts": {"expert": 1.0}, "fallback": None, "smoothing": 0.1},
            "smoothing",
            "for a mixture with the solver",
            "remove it",
        ),
        ({"learnable": "base"}, "learnable", "no part of the mixture", "expert, solver"),
        ({"learnable": "solver"}, "learnable", "no student can represent", "remove the key"),
        (
            {"parts": {"mixture": 0.5, "solver": 0.5}, "learnable": None},
            "parts.mixture",
            "made of no other",
            "name its parts",
        ),
        (
            {"parts": {"student": 0.5, "solver": 0.5}, "learnable": None},
            "parts.student",
            "student imitates this mixture in the end",
            "trained without it",
        ),
        (
            {"parts": {"grandchild": 0.5, "solver": 0.5}, "learnable": None},
            "parts.grandchild",
            "grandchild imitates this mixture in the end",
            "trained without it",
        ),
        (
            {"fallback": "grandchild"},
            "fallback",
            "grandchild imitates this mixture",
            "trained without it",
        ),
    ],
)
def test_each_fault_is_found_at_its_key(changed, place, message, remedy):
    [(where, said, advice)] = problems(**changed)
    assert where == f"{AT}.{place}"
    assert re.search(message, said) and re.search(remedy, advice)


def test_a_circle_through_another_mixture_is_found():
    task = copy.deepcopy(TASK)
    other = {**MIXTURE, "name": "other", "parts": {"between": 1.0}, "learnable": None}
    del other["fallback"]
    task["experts"].append(other)
    task["runs"].append({"name": "between", "method": "sft", "expert": "mixture"})
    task["runs"].append({"name": "after", "method": "distill", "expert": "other"})
    assert found(task) == []
    task["experts"][3]["parts"] = {"after": 0.0625, "solver": 0.9375}
    task["experts"][3]["learnable"] = "after"
    wheres = {where for where, message, _ in found(task) if "in the end" in message}
    assert wheres == {f"{AT}.parts.after", "tasks.0.experts.4.parts.between"}


def test_a_solver_under_two_names_is_no_two_parts():
    task = copy.deepcopy(TASK)
    task["experts"].append({"name": "again", "kind": "solver"})
    task["experts"][3]["parts"] = {"expert": 0.5, "solver": 0.25, "again": 0.25}
    [(where, message, _)] = found(task)
    assert where == f"{AT}.parts.again" and "twice" in message


def test_a_part_needs_the_seeds_of_the_student():
    task = copy.deepcopy(TASK)
    task["runs"][0]["seeds"] = [1, 2]
    [(where, message, remedy)] = found(task)
    assert where == "tasks.0.runs.1.seeds"
    assert "made of 'expert', which has no seed 3" in message and "[1, 2]" in remedy
    task["runs"][1]["seeds"] = [2]
    assert found(task) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"parts": {}},
        {"parts": {"expert": 0.0, "solver": 1.0}},
        {"parts": {"expert": -0.5, "solver": 1.0}},
        {"parts": {"expert": 1.5}},
        {"parts": {"expert": float("nan"), "solver": 1.0}},
        {"parts": ["expert"]},
        {"parts": None},
        {"smoothing": 0.0},
        {"smoothing": 1.0},
        {"temperature": 0.0},
        {"weights": {}},
    ],
)
def test_what_the_class_refuses_is_no_trouble_for_the_checks(changed):
    with pytest.raises(ValidationError):
        MixtureExpert.model_validate(MIXTURE | changed)
    assert all("sum to" not in message for _, message, _ in problems(**changed))


@pytest.mark.parametrize("odd", [None, 3, "x", [], [1], {"name": 3}, {"parts": {1: 2}}, {}])
def test_the_checks_read_what_is_no_mapping(odd):
    list(mixture_problems({"experts": odd, "runs": odd, "seeds": odd}, ()))
    list(mixture_problems({"experts": [odd, {"kind": "mixture", "parts": odd}], "runs": [odd]}, ()))
