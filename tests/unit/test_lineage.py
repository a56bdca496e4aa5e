"""What a task's policies are made of: each thing that is wrong there, with its place and remedy."""

import copy
import re

import pytest
import yaml
from configs import shipped
from pydantic import ValidationError

from online_il.config.checking import problems_of
from online_il.config.inheriting import inherited
from online_il.config.mixture import MixtureExpert
from online_il.config.study import Study
from online_il.config.tasks import Task

MIXTURE = {
    "name": "mixture",
    "kind": "mixture",
    "parts": {"expert": 0.0625, "solver": 0.9375},
    "learnable": "expert",
    "fallback": "base",
}
NARROW = {"name": "narrow"}
LARGE = {"kind": "random", "seed": 1, "max_length": 64}
LARGE["architecture"] = {"hidden_size": 16, "intermediate_size": 32, "layers": 1, "heads": 1}
LARGE["architecture"] |= {"head_dim": 16}


def a_run(name, method, expert=None, **keys):
    return {
        "name": name,
        "method": method,
        "expert": expert,
        "steps": 2,
        "learning_rate": 0.1,
    } | keys


SMOKE = inherited(yaml.safe_load(shipped("smoke")))
[COUNTDOWN] = [task for task in SMOKE["tasks"] if task["name"] == "countdown"]
NARROW |= COUNTDOWN["base"] | {"architecture": LARGE["architecture"] | {"hidden_size": 8}}
TASK = COUNTDOWN | {
    "seeds": [1, 2, 3],
    "bases": [NARROW],
    "experts": [
        {"name": "solver", "kind": "solver"},
        {"name": "far", "kind": "endpoint", "url": "http://localhost:8000/v1", "model": "m"},
        LARGE | {"name": "large"},
        MIXTURE,
    ],
    "runs": [
        a_run("expert", "grpo"),
        a_run("student", "distill", "mixture"),
        a_run("grandchild", "sft", "student"),
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
        for problem in problems_of(Task, task)
    ]


def test_a_sound_mixture_is_taken():
    assert found(TASK) == []
    assert MixtureExpert.model_validate(MIXTURE).smoothing == 0.001
    assert problems(parts={"expert": 1.0}, fallback=None) == []
    assert problems(parts={"expert": 0.333333, "base": 0.666667}, fallback=None) == []
    assert problems(parts={"large": 0.5, "expert": 0.5}, fallback=None) == []
    assert problems(fallback="expert") == []


AT = "experts.3"


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
            "base, expert, grandchild, large, narrow, solver, student",
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
    told = problems(**changed)
    # Who stands in a circle with the mixture is told so, too.
    [(where, said, advice)] = [one for one in told if "imitates itself" not in one[1]]
    assert where == f"{AT}.{place}"
    assert (len(told) > 1) == ("imitates this mixture" in said)
    assert re.search(message, said) and re.search(remedy, advice)


def test_a_circle_through_another_mixture_is_found():
    task = copy.deepcopy(TASK)
    other = {**MIXTURE, "name": "other", "parts": {"between": 1.0}, "learnable": None}
    del other["fallback"]
    task["experts"].append(other)
    task["runs"].append(a_run("between", "sft", "mixture"))
    task["runs"].append(a_run("after", "distill", "other"))
    assert found(task) == []
    task["experts"][3]["parts"] = {"after": 0.0625, "solver": 0.9375}
    task["experts"][3]["learnable"] = "after"
    wheres = {where for where, message, _ in found(task) if "this mixture in the end" in message}
    assert wheres == {f"{AT}.parts.after", "experts.4.parts.between"}


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
    assert where == "runs.1.seeds"
    assert "made of 'expert', which has no seed 3" in message and "[1, 2]" in remedy
    task["runs"][1]["seeds"] = task["runs"][2]["seeds"] = [2]
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
    told = problems(**changed)
    assert told and all("sum to" not in message for _, message, _ in told)


def test_the_solver_speaks_to_a_base_that_is_trained_here():
    task = copy.deepcopy(TASK) | {"base": LARGE, "bases": []}
    [(where, message, _)] = found(task)
    assert where == "experts.3.parts.solver" and "kind random" in message


def told_of(index, **keys) -> list[tuple[str, str, str]]:
    """What is wrong with a run of the sound task after a change, its number left out."""
    task = copy.deepcopy(TASK)
    task["runs"][index] |= keys
    return [(where.removeprefix(f"runs.{index}."), *said) for where, *said in found(task)]


WAYS = {"level": "response", "responses_per_prompt": 4}


def test_sound_ways_and_starts_are_taken():
    assert told_of(1, **WAYS) == []
    assert told_of(1, start="expert@1", divergence="forward", prefixes="expert") == []
    assert told_of(2, filter="correct", start="student@2") == []
    assert told_of(2, expert="mixture", filter="learnable") == []
    assert told_of(0, start="grandchild@2")[0][0] == "start"  # The grandchild is made of it.
    assert told_of(1, start="narrow") == told_of(2, start="narrow", expert="narrow") == []


@pytest.mark.parametrize(
    "index, keys, place, message, remedy",
    [
        (1, {"level": "response"}, "responses_per_prompt", "there is one", "at least 2"),
        (1, {**WAYS, "responses_per_prompt": 3}, "responses_per_prompt", "groups of 3", "divisor"),
        (1, {**WAYS, "prefixes": "expert"}, "level", "whole already", "set level to token"),
        (1, {"divergence": "log-density"}, "level", "Definition 3", "set level to response"),
        (0, {"divergence": "forward"}, "divergence", "grpo has no such", "it is for distill"),
        (2, {"prefixes": "expert"}, "prefixes", "sft has no such", "it is for distill"),
        (1, {"filter": "correct"}, "filter", "distill has no such", "it is for sft"),
        (2, {"filter": "learnable"}, "filter", "'student' has no such part", "set filter to none"),
        (1, {"start": "exprt@1"}, "start", "no run is named 'exprt'", "did you mean 'expert'"),
        (1, {"start": "solver@1"}, "start", "no run is named 'solver'", "start from the base"),
        (1, {"start": "base@1"}, "start", "base is a base and has no step 1", "start: base"),
        (1, {"start": "narrow@3"}, "start", "narrow is a base and has no", "start: narrow"),
        (1, {"start": "narow"}, "start", "no base is named 'narow'", "mean 'narrow'.*base, narrow"),
        (1, {"start": "solver"}, "start", "no base is named 'solver'", "or start from <run>@"),
        (1, {"start": "expert@7"}, "start", "expert keeps no step 7", "choose one of 1, 2"),
        (1, {"start": "expert@0"}, "start", "expert keeps no step 0", "choose one of 1, 2"),
        (1, {"start": "student@1"}, "start", "starts from itself", "start from the base"),
        (1, {"start": "expert"}, "start", "'expert' is a run", "write <run>@<step>, here expert@2"),
        (1, {"start": "narrow@"}, "start", "match pattern", "<run>@<step>"),
        (1, {"start": ""}, "start", "match pattern", "<run>@<step>"),
    ],
)
def test_each_fault_of_a_run_is_found_at_its_key(index, keys, place, message, remedy):
    [(where, said, advice)] = told_of(index, **keys)
    assert where == place
    assert re.search(message, said) and re.search(remedy, advice)


def test_what_a_method_has_already_is_told_of_the_method_alone():
    task = copy.deepcopy(TASK)
    task["methods"]["distill"] |= {"level": "response"}
    task["runs"][1]["divergence"] = "reverse"
    [(where, message, _)] = found(task)
    assert where == "methods.distill.responses_per_prompt" and "there is one" in message
    task["runs"][1] |= {"responses_per_prompt": 2}
    assert [where for where, *_ in found(task)] == ["methods.distill.responses_per_prompt"]


def test_a_circle_of_starts_and_experts_is_told_at_all_its_places():
    task = copy.deepcopy(TASK)
    task["runs"][0]["start"] = "grandchild@2"
    told = {where: message for where, message, _ in found(task)}
    assert set(told) == {"runs.0.start", "runs.1.expert", "runs.2.expert", "experts.3.parts.expert"}
    assert "starts from itself" in told["runs.0.start"]


def test_a_start_needs_the_seeds_of_the_run():
    task = copy.deepcopy(TASK)
    task["runs"].append(a_run("warm", "sft", "solver", start="grandchild@1"))
    assert found(task) == []
    task["runs"][2]["seeds"] = [1, 3]
    [(where, message, remedy)] = found(task)
    assert where == "runs.3.seeds"
    assert "starts from 'grandchild', which has no seed 2" in message and "[1, 3]" in remedy


@pytest.mark.parametrize(
    "changed, place, message, remedy",
    [
        ({"name": "base"}, "bases.0.name", "name of the base model", "another name"),
        ({"name": "expert"}, "bases.0.name", "run, expert or base", "another name"),
        ({"name": "solver"}, "bases.0.name", "run, expert or base", "another name"),
        ({"name": "Narrow"}, "bases.0.name", "match pattern", ""),
        ({"kind": "tiny"}, "bases.0.kind", "no such kind", ""),
        ({"micro_batch_size": 7}, "bases.0.micro_batch_size", "16 sequences", "divisor"),
        ({"updates": 0}, "bases.0.updates", "greater than 0", ""),
        ({"max_lenght": 9}, "bases.0.max_lenght", "unknown key", "max_length"),
    ],
)
def test_each_fault_of_a_further_base_is_found_at_its_key(changed, place, message, remedy):
    told = found(copy.deepcopy(TASK) | {"bases": [NARROW | changed]})
    [(said, advice)] = [one[1:] for one in told if one[0] == place]
    assert re.search(message, said) and re.search(remedy, advice)


@pytest.mark.parametrize(("own", "further"), [(LARGE, NARROW), (None, LARGE | {"name": "narrow"})])
def test_bases_are_trained_from_scratch_all_or_none(own, further):
    task = copy.deepcopy(TASK) | {"bases": [further]} | ({"base": own} if own else {})
    [(message, remedy)] = [one[1:] for one in found(task) if one[0] == "bases.0.kind"]
    assert "trained from scratch" in message and "kind scratch" in remedy


def test_a_policy_goes_back_to_the_base_that_it_was_first_trained_from():
    runs = [
        a_run("expert", "grpo"),
        a_run("first", "sft", "expert", start="narrow"),
        a_run("second", "distill", "expert", start="first@2"),
        a_run("circle", "sft", "expert", start="circle@2"),
    ]
    task = Task.model_validate(copy.deepcopy(TASK) | {"runs": runs})
    named = ("base", "narrow", "expert", "first", "second", "circle")
    assert [task.base_of(name) for name in named] == [
        *("base", "narrow", "base", "narrow", "narrow", "base")
    ]
    assert [model.architecture.hidden_size for model in task.models_behind("second")] == [8]
    assert [model.architecture.hidden_size for model in task.models_behind("expert")] == [16]


def test_a_base_has_the_name_of_no_run_of_another_task():
    """A rule knows by its name alone whether it makes a policy."""
    raw = copy.deepcopy(SMOKE)
    raw |= {"theory": None}
    del raw["extends"]
    other, *_ = [task for task in raw["tasks"] if task["name"] != "countdown" and task.get("runs")]
    other["runs"].append(other["runs"][0] | {"name": "narrow"})
    index = [task["name"] for task in raw["tasks"]].index("countdown")
    raw["tasks"][index]["bases"] = [NARROW]
    told = {problem.keys: problem.message for problem in problems_of(Study, raw)}
    assert "of another task" in told["tasks", index, "bases", 0, "name"]
