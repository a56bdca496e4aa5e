"""All that is wrong is told at once: a value that is refused hides no contradiction elsewhere.

Each fault is told alone; of two, both are told and nothing else, unless one needs what the other
refuses.
"""

import copy
from functools import cache
from typing import Any

import pytest
import yaml
from configs import ROOT

from online_il.config.checking import problems_of
from online_il.config.claims import Claims
from online_il.config.extending import read_extended
from online_il.config.problem import value_at
from online_il.config.study import problems_of_study
from online_il.studies import CHECKS

MINI = yaml.safe_load((ROOT / "config" / "mini.yaml").read_text()) | {
    "theory": yaml.safe_load((ROOT / "config" / "theory.yaml").read_text())["theory"]
}
PAPER = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text())
for _raw in (MINI, PAPER):
    _raw.pop("extends", None)
# Mixtures have a study of their own here.
MINI["tasks"][0]["experts"] = MINI["tasks"][0]["experts"][:1]
MINI["tasks"][0]["runs"] = MINI["tasks"][0]["runs"][:5]
MIXED, *_ = read_extended(ROOT / "config" / "mixture.yaml", "a study", "")
# The paper's plan is looked at.
for _raw in (MINI, MIXED):
    del _raw["plan"]
_RUNS = "expert sft-mixture learnable-mixture distill-mixture soft-forward-mixture"
_RUNS += " response-mixture habits sft-mixture-warm gap-mixture"
for _key, _kept in (("runs", _RUNS), ("experts", "solver mixture mixture2 blurred")):
    _rows = {_row["name"]: _row for _row in MIXED["tasks"][0][_key]}
    MIXED["tasks"][0][_key] = [_rows[_name] for _name in _kept.split()]
GONE = "gone"
"""Stands for the value of a key that is taken out."""

Fault = tuple[str, Any, str, str]
"""Where, the new value; the place that is named (empty: the same), a part of what is told."""

INSIDE = "tasks.0.data.in_distribution"

CLASS: list[Fault] = [
    ("save_minutes", "often", "", "valid number"),
    ("hardware", "tpu", "", "'cpu' or 'gpu'"),
    ("generation.engine", "trl", "", "'loop'"),
    ("methods.grpo.clip_ratio", "x", "", "valid number"),
    ("methods.grpo", 5, "", "valid dictionary"),
    ("methods.sft.checkpoints", "all", "", "valid list"),
    ("methods.distill.temperature", True, "", "true or false"),
    ("methods.distill.colour", 1, "", "unknown key"),
    ("resources.sft.mem_mb", GONE, "", "required key is missing"),
    ("evaluation.seed", -1, "", "greater than or equal"),
    ("evaluation.responses", {"id": "many"}, "evaluation.responses.id", "valid integer"),
    ("discrepancy.bin_width", 0, "", "greater than 0"),
    ("discrepancy.keywords", ["a b", "wait"], "discrepancy.keywords.0", "match pattern"),
    ("theory.offline_bound.seed", "x", "", "valid integer"),
    ("theory.gaussian.0.title", GONE, "", "required key is missing"),
    ("theory.gaussian.1.expert_weight", ["x"], "theory.gaussian.1.expert_weight.0", "valid number"),
    ("theory.pessimism.beta", [0, "x"], "theory.pessimism.beta.1", "valid number"),
    ("tasks.0.name", "Count", "", "match pattern"),
    ("tasks.0.name", GONE, "", "required key is missing"),
    ("tasks.0.data.kind", "minature", "", "no such kind"),
    ("tasks.0.data.kind", "zzz", "", "no such kind"),
    ("tasks.0.data.operators", "+%", "", "match pattern"),
    ("tasks.0.data.data_seed", GONE, "", "required key is missing"),
    ("tasks.0.data.facts", None, "", "valid dictionary"),
    ("tasks.0.data.in_distribution.numbers", [1], f"{INSIDE}.numbers.1", "key is missing"),
    ("tasks.0.base.kind", "scrach", "", "no such kind"),
    ("tasks.0.base.architecture.layers", 0, "", "greater than 0"),
    ("tasks.0.seeds", [], "", "at least 1 item"),
    ("tasks.0.seeds", ["a", 2, 3], "tasks.0.seeds.0", "valid integer"),
    ("tasks.0.experts.0.kind", "sovler", "", "no such kind"),
    ("tasks.0.runs.0", None, "", "valid dictionary"),
    ("tasks.0.runs.3.method", "distil", "", "'grpo', 'sft' or 'distill'"),
    ("tasks.0.runs.3.steps", 0, "", "greater than 0"),
    ("tasks.0.runs.3.name", "No Name", "", "match pattern"),
    ("tasks.0.runs.4.name", GONE, "", "required key is missing"),
    ("tasks.0.runs.2.learning_rate", "high", "", "valid number"),
    ("tasks.0.runs.2.stepps", 80, "", "unknown key"),
]  # fmt: skip

BETWEEN: list[Fault] = [
    ("methods.grpo.updates_per_step", 3, "", "updates cannot share"),
    ("methods.sft.micro_batch_size", 24, "", "do not divide"),
    ("methods.sft.checkpoints", [5, 999], "", "never reaches"),
    ("methods.distill.max_new_tokens", 250, "", "passes base.max_length"),
    ("evaluation.policy.max_new_tokens", 250, "", "passes base.max_length"),
    ("evaluation.responses", {"aime2024": 3}, "evaluation.responses.aime2024", "nothing is eval"),
    ("discrepancy.benchmark", "mmlu", "", "is not evaluated on it"),
    ("theory.offline_bound.samples", [0], "theory.offline_bound", "`samples` 0"),
    ("theory.pessimism.coverage", 1, "theory.pessimism", "`coverage` 1"),
    ("theory.gaussian.0.class_direction", [[0, 0]], "theory.gaussian.0", "of length 0"),
    ("theory.gaussian.2.name", "class-b", "theory.gaussian.2.name", "two panels"),
    ("resources.evaluate", GONE, "", "required key is missing"),
    ("tasks.0.benchmarks", ["id", "id"], "tasks.0.benchmarks.1", "listed twice"),
    ("tasks.0.benchmarks", ["id", "mmlu"], "tasks.0.benchmarks.1", "no such benchmark"),
    ("tasks.0.seeds", [1, 2, 3, 1], "tasks.0.seeds.3", "listed twice"),
    ("tasks.0.seeds", [1, -2, 3], "tasks.0.seeds.1", "this is no seed"),
    ("tasks.0.data.value_range", None, "", "can write only"),
    ("tasks.0.data.train", 9999, "tasks.0.data.in_distribution", "ask for"),
    ("tasks.0.data.out_of_distribution.answers", [1, 100], "", "can write only"),
    ("tasks.0.data.facts.count", 10001, "", "at most"),
    ("tasks.0.base", GONE, "", "start from a base"),
    ("tasks.0.base.architecture.head_dim", 3, "", "in pairs"),
    ("tasks.0.base.max_attempts", 90, "", "longest trace"),
    ("tasks.0.base.micro_batch_size", 24, "", "do not divide"),
    ("tasks.0.runs.1.name", "solver", "tasks.0.runs.1.name", "has this name"),
    ("tasks.0.runs.1.expert", "expret", "", "has this name"),
    ("tasks.0.runs.1.expert", None, "", "needs an expert"),
    ("tasks.0.runs.1.expert", "sft-realizable", "", "imitates itself"),
    ("tasks.0.runs.1.seeds", [8], "", "has no seed 8"),
    ("tasks.0.runs.1.checkpoints", [999], "", "never reaches"),
    ("tasks.0.runs.3.expert", "solver", "", "has no weights"),
    ("tasks.0.runs.0.expert", "base", "", "not from an expert"),
]  # fmt: skip


PAPERS_CLASS: list[Fault] = [
    ("plan.gpu_price", "cheap", "", "valid number"),
    ("plan.tokens.gsm8k", 5, "", "valid dictionary"),
    ("plan.tokens.aime.prompt_tokens", GONE, "", "required key is missing"),
    ("plan.tasks", ["gsm8k", 7], "plan.tasks.1", "valid string"),
    ("discrepancy.models.0.responses", 0, "", "greater than 0"),
    ("methods.grpo", 5, "", "valid dictionary"),
    ("resources.grpo.mem_mb", "much", "", "valid integer"),
    ("tasks.1.base.finetuning.updates", 0, "", "greater than 0"),
    ("tasks.1.data.train.revision", "main", "", "match pattern"),
    ("tasks.1.methods.grpo.max_new_tokens", "many", "", "valid integer"),
    ("tasks.2.seeds", "1", "", "valid list"),
    ("tasks.3.experts.0.kind", "endpiont", "", "no such kind"),
]  # fmt: skip

PAPERS_BETWEEN: list[Fault] = [
    ("plan.seeds", [77], "plan.seeds.0", "no task has this seed"),
    ("plan.tokens.countdown", GONE, "", "lengths of this task are missing"),
    ("plan.tokens.gsm8k.choice_tokens", None, "", "needs this length"),
    ("discrepancy.models.0.task", "amie", "", "no task has this name"),
    ("discrepancy.models.0.expert", "r1", "", "has no expert of this name"),
    ("resources.grpo.gpu", 0, "", "ask for none"),
    ("resources.sft.gpu", 3, "methods.sft.micro_batch_size", "on each of 3 GPUs"),
    ("tasks.1.resources.grpo.gpu", 3, "tasks.1.methods.grpo.micro_batch_size", "3 GPUs"),
    ("tasks.1.base.finetuning.micro_batch_size", 3, "", "do not divide"),
    ("tasks.2.methods.grpo.checkpoints", [961], "", "never reaches"),
    ("tasks.2.evaluation.responses.mmlu", 2, "", "nothing is evaluated"),
]  # fmt: skip


MIXED_CLASS: list[Fault] = [
    ("methods.distill.batch_size", 0, "", "greater than 0"),
    ("methods.distill", 5, "", "valid dictionary"),
    ("divergence.quantiles", [2], "divergence.quantiles.0", "less than or equal"),
    ("tasks.0.bases", 5, "", "valid list"),
    ("tasks.0.bases.0.name", GONE, "", "required key is missing"),
    ("tasks.0.bases.0.max_length", "long", "", "valid integer"),
    ("tasks.0.seeds", ["a", 2, 3], "tasks.0.seeds.0", "valid integer"),
    ("tasks.0.experts.1.parts.solver", 1.5, "", "less than or equal"),
    ("tasks.0.experts.1.smoothing", 0, "", "greater than or equal"),
    ("tasks.0.experts.1.name", GONE, "", "required key is missing"),
    ("tasks.0.experts.2.kind", "zzz", "", "no such kind"),
    ("tasks.0.experts.2.parts", ["expert"], "", "valid dictionary"),
    ("tasks.0.runs.2.filter", "all", "", "'none', 'learnable'"),
    ("tasks.0.runs.3.method", "distil", "", "'grpo', 'sft' or 'distill'"),
    ("tasks.0.runs.5.level", "responses", "", "'token' or 'response'"),
    ("tasks.0.runs.6.learning_rate", "high", "", "valid number"),
    ("tasks.0.runs.6.steps", 0, "", "greater than 0"),
    ("tasks.0.runs.6.checkpoints", ["all"], "tasks.0.runs.6.checkpoints.0", "valid integer"),
    ("tasks.0.runs.7.start", "habits@", "", "match pattern"),
    ("tasks.0.runs.7.start", "habits@1" + 9 * "0", "", "match pattern"),
    ("tasks.0.runs.7.strat", "base", "", "unknown key"),
]  # fmt: skip

MIXED_BETWEEN: list[Fault] = [
    ("divergence.benchmark", "idd", "", "no task with runs"),
    ("evaluation.policy.top_k", 50, "", "is sampled as it is"),
    ("tasks.0.bases.0.name", "blurred", "", "has this name"),
    ("tasks.0.bases.0.max_attempts", 90, "", "longest trace"),
    ("tasks.0.seeds", [1, 2, 3, 1], "tasks.0.seeds.3", "listed twice"),
    ("tasks.0.experts.1.parts", {"expert": 0.5, "solver": 0.4}, "", "sum to 0.9"),
    ("tasks.0.experts.1.learnable", "solver", "", "no student can represent"),
    ("tasks.0.experts.1.learnable", "base", "", "no part of the mixture"),
    ("tasks.0.experts.1.fallback", "exprt", "", "is named 'exprt'"),
    ("tasks.0.experts.1.fallback", "sft-mixture", "", "itself"),
    ("tasks.0.experts.2.fallback", "mixture", "", "made of no other"),
    ("tasks.0.experts.3.fallback", None, "", "a policy that goes on"),
    ("tasks.0.experts.3.parts", {"expert": 1}, "tasks.0.experts.3.smoothing", "with the solver"),
    ("tasks.0.runs.1.divergence", "forward", "", "no such setting"),
    ("tasks.0.runs.2.expert", "expert", "tasks.0.runs.2.filter", "no such part"),
    ("tasks.0.runs.3.start", "narow", "", "no base is named"),
    ("tasks.0.runs.4.level", "response", "", "whole already"),
    ("tasks.0.runs.5.responses_per_prompt", 3, "", "groups of 3"),
    ("tasks.0.runs.5.responses_per_prompt", GONE, "", "there is one"),
    ("tasks.0.runs.6.seeds", [1, 2], "tasks.0.runs.7.seeds", "has no seed 3"),
    ("tasks.0.runs.6.start", "sft-mixture-warm@160", "", "starts from itself"),
    ("tasks.0.runs.7.start", "habits@61", "", "keeps no step 61"),
    ("tasks.0.runs.7.start", "habit@60", "", "no run is named"),
    ("tasks.0.runs.8.expert", "solver", "tasks.0.runs.8.demonstrations", "no weights to sample"),
]  # fmt: skip

STUDIES = {
    "mini": (MINI, CLASS, BETWEEN),
    "paper": (PAPER, PAPERS_CLASS, PAPERS_BETWEEN),
    "mixed": (MIXED, MIXED_CLASS, MIXED_BETWEEN),
}
ALL = [(name, fault) for name, (_, *lists) in STUDIES.items() for part in lists for fault in part]

LENGTHS = {
    "methods.distill.max_new_tokens",
    "evaluation.policy.max_new_tokens",
    "tasks.0.base.max_attempts",
}
NEEDS = {
    # Data of no known kind: nobody knows what they hold.
    ("tasks.0.data.kind", "zzz"): {
        "tasks.0.benchmarks",
        "tasks.0.data.value_range",
        "tasks.0.data.train",
        "tasks.0.data.out_of_distribution.answers",
        "tasks.0.data.facts.count",
        *LENGTHS,
    },
    ("tasks.0.data.in_distribution.numbers", "[1]"): {"tasks.0.data.train"},
    ("tasks.0.seeds", "[]"): {"tasks.0.runs.1.seeds"},
    ("tasks.0.seeds", "['a', 2, 3]"): {"tasks.0.runs.1.seeds"},
    # Nobody knows the name of this row, what it trains and for how long.
    ("tasks.0.runs.0", "None"): {"tasks.0.runs.1.expert", "methods.sft.checkpoints"},
    ("tasks.0.runs.4.name", "gone"): {"tasks.0.runs.1.expert"},
    ("tasks.0.runs.3.method", "distil"): {"tasks.0.runs.3.expert"},
    ("methods.grpo", "5"): {"tasks.1.resources.grpo.gpu"},
    ("tasks.2.seeds", "1"): {"plan.seeds"},
    # Ways to imitate are checked with what the method has of them.
    ("methods.distill.batch_size", "0"): {"tasks.0.runs.5.responses_per_prompt"},
    ("methods.distill", "5"): {"tasks.0.runs.4.level", "tasks.0.runs.5.responses_per_prompt"},
    ("tasks.0.runs.5.level", "responses"): {"tasks.0.runs.5.responses_per_prompt"},
    ("tasks.0.runs.2.filter", "all"): {"tasks.0.runs.2.expert"},
    # What has this name, and what is it made of?
    ("tasks.0.bases", "5"): {"tasks.0.experts.1.fallback", "tasks.0.runs.3.start"},
    ("tasks.0.bases.0.name", "gone"): {"tasks.0.experts.1.fallback", "tasks.0.runs.3.start"},
    ("tasks.0.experts.1.name", "gone"): {
        "tasks.0.experts.1.fallback",
        "tasks.0.experts.2.fallback",
    },
    ("tasks.0.experts.2.kind", "zzz"): {"tasks.0.experts.2.fallback"},
    ("tasks.0.bases.0.max_length", "long"): {"tasks.0.bases.0.max_attempts"},
    # Which steps are kept, and of which run?
    ("tasks.0.runs.6.steps", "0"): {"tasks.0.runs.7.start"},
    ("tasks.0.runs.6.checkpoints", "['all']"): {"tasks.0.runs.7.start"},
    ("tasks.0.runs.7.start", "habits@"): {"tasks.0.runs.6.seeds", "tasks.0.runs.6.start"},
    ("tasks.0.runs.7.start", "habits@1000000000"): {"tasks.0.runs.6.seeds", "tasks.0.runs.6.start"},
}
"""The contradictions that may stay untold because they need what is refused."""


def keys_of(path: str) -> tuple[str | int, ...]:
    return tuple(int(key) if key.isdecimal() else key for key in path.split("."))


def planted(raw: dict[str, Any], *faults: Fault) -> dict[str, Any]:
    """A copy of a config with faults, those of outer keys first."""
    raw = copy.deepcopy(raw)
    for path, value, _, _ in sorted(faults, key=lambda fault: len(keys_of(fault[0]))):
        *outer, last = keys_of(path)
        part = value_at(raw, *outer)
        if value is GONE:
            part.pop(last)
        else:
            part[last] = value
    return raw


def told(raw: dict[str, Any]) -> list[tuple[str, str]]:
    """What is told of a study: the place and the message of each problem."""
    found = problems_of_study(raw, CHECKS)
    return sorted((".".join(map(str, one.keys)), one.message) for one in found)


def is_told(fault: Fault, found: list[tuple[str, str]]) -> bool:
    path, _, place, words = fault
    return any(at == (place or path) and words in message for at, message in found)


def apart(one: Fault, other: Fault) -> bool:
    """Whether neither fault takes the place of the other."""
    length = min(len(keys_of(one[0])), len(keys_of(other[0])))
    return keys_of(one[0])[:length] != keys_of(other[0])[:length]


@cache
def told_alone(name: str, path: str, shown: str) -> list[tuple[str, str]]:
    (fault,) = [one for study, one in ALL if (study, one[0], str(one[1])) == (name, path, shown)]
    return told(planted(STUDIES[name][0], fault))


@pytest.mark.parametrize(("name", "fault"), ALL, ids=lambda one: str(one)[:60])
def test_a_fault_is_told_and_nothing_else(name: str, fault: Fault) -> None:
    found = told_alone(name, fault[0], str(fault[1]))
    assert is_told(fault, found)
    assert all(fault[3] in message for _, message in found), found


def test_the_studies_have_no_fault() -> None:
    assert told(MINI) == told(PAPER) == told(MIXED) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "refused"),
    [(name, fault) for name, (_, faults, _) in STUDIES.items() for fault in faults],
    ids=lambda one: str(one)[:60],
)
def test_of_two_faults_both_are_told_and_nothing_else(name: str, refused: Fault) -> None:
    raw, _, between = STUDIES[name]
    excused = NEEDS.get((refused[0], str(refused[1])), set())
    for other in between:
        if not apart(refused, other):
            continue
        found = told(planted(raw, refused, other))
        assert is_told(refused, found), (other, found)
        assert is_told(other, found) or other[0] in excused, (other, found)
        alone = [*told_alone(name, *map(str, refused[:2])), *told_alone(name, *map(str, other[:2]))]
        assert {place for place, _ in found} <= {place for place, _ in alone}, other


def test_ten_faults_of_one_task_are_told_at_once() -> None:
    chosen = [
        *(fault for fault in CLASS if fault[1] in ("minature", "distil", "No Name", "sovler")),
        ("tasks.0.data.operators", "+%", "", "match pattern"),
        ("tasks.0.seeds", [1, 1], "tasks.0.seeds.1", "listed twice"),
        ("tasks.0.data.train", 9999, "tasks.0.data.in_distribution", "ask for"),
        ("tasks.0.data.data_seed", -1, "", "greater than or equal"),
        ("tasks.0.runs.1.expert", "expret", "", "has this name"),
        ("tasks.0.runs.2.name", "sft-realizable", "", "has this name"),
    ]
    found = told(planted(MINI, *chosen))
    assert [fault for fault in chosen if not is_told(fault, found)] == []


def test_what_policies_are_made_of_is_told_beside_all_else() -> None:
    by_path = {(fault[0], str(fault[1])): fault for fault in [*MIXED_CLASS, *MIXED_BETWEEN]}
    weights = by_path["tasks.0.experts.1.parts", "{'expert': 0.5, 'solver': 0.4}"]
    misspelt = by_path["tasks.0.runs.3.method", "distil"]
    unkept = by_path["tasks.0.runs.7.start", "habits@61"]
    rate = by_path["tasks.0.runs.6.learning_rate", "high"]
    circle = by_path["tasks.0.runs.6.start", "sft-mixture-warm@160"]
    twice = by_path["tasks.0.seeds", "[1, 2, 3, 1]"]
    chosen = [weights, misspelt, unkept, rate, circle, twice]
    found = told(planted(MIXED, *chosen))
    assert [fault for fault in chosen if not is_told(fault, found)] == []
    # The run that the circle goes through starts in it, too.
    circular = ("tasks.0.runs.7.start", "the run starts from itself in the end")
    assert len(found) == len(chosen) + 1 and circular in found


def test_what_a_misspelt_key_may_mean_is_not_told_to_be_missing_something() -> None:
    raw = planted(MINI, ("tasks.0.runs.1.expert", GONE, "", ""))
    raw["tasks"][0]["runs"][1]["expret"] = "expert"
    assert told(raw) == [("tasks.0.runs.1.expret", "unknown key")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mini", "mixed"])
@pytest.mark.parametrize("value", [None, 5, "x", [], {}, [None], {"a": None}])
def test_nothing_that_stands_anywhere_gives_a_traceback(value: Any, name: str) -> None:
    study, *lists = STUDIES[name]
    faults = [fault for part in lists for fault in part]
    paths = {keys_of(fault[0])[:length] for fault in faults for length in range(1, 6)}
    for keys in sorted(paths, key=str):
        raw = planted(study, (".".join(map(str, keys)), value, "", ""))
        assert all(problem.message and problem.remedy for problem in problems_of_study(raw, CHECKS))


def test_claims_with_a_fault_are_checked_against_each_other() -> None:
    raw = yaml.safe_load((ROOT / "config" / "claims.yaml").read_text())
    raw["claims"][0]["margin"] = -1
    raw["claims"][0]["runs"] = ["expert", "expert"]
    raw["claims"][1]["kind"] = "zzz"
    raw["claims"][2]["id"] = raw["claims"][3]["id"]
    joint, *_ = [
        n
        for n, one in enumerate(raw["claims"])
        if "sft-realizable-matches" in one.get("claims", [])
    ]
    raw["claims"][joint]["claims"][0] = "nothing"
    places = {".".join(map(str, one.keys)) for one in problems_of(Claims, raw)}
    wanted = {
        "claims.0.margin",
        "claims.0.runs.1",
        "claims.1.kind",
        "claims.3.id",
        f"claims.{joint}.claims.0",
    }
    assert wanted <= places
