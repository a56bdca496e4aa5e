"""What vLLM takes of a GPU beside training: as much as the estimate leaves, task by task."""

import pytest
from preflight_studies import PAPER, study_raw

from online_il.config.generation import COLOCATED_SHARE, Generation
from online_il.config.study import Study, load
from online_il.cost.memory import GIB, Memory, share_left
from online_il.preflight import memory
from online_il.preflight.report import Report
from online_il.training.rollouts import colocated, shared

GPU = 100 * GIB


def held(gib: float) -> Memory:
    """A training that holds so much beside vLLM."""
    return Memory(gib * GIB, 0, 0, 0, 0, 0, 0, other=0)


@pytest.mark.parametrize(
    ("gib", "share"), [(40, 0.5), (40.1, 0.49), (1, 0.85), (88, 0.1), (200, 0.1)]
)
def test_what_is_left_but_a_tenth_is_vllms_within_bounds(gib, share):
    assert share_left(held(gib), GPU) == share


def with_vllm(raw: dict, share: float | None) -> Study:
    raw["generation"] |= {"engine": "vllm", "colocated_share": share}
    return Study.model_validate(raw)


def test_a_share_of_null_fills_the_gpu_and_a_number_stays_one(tmp_path):
    raw = study_raw(tmp_path)
    given, left = with_vllm(raw, 0.2), with_vllm(raw, None)
    assert memory.colocated_share(given, given.tasks[0], "grpo") == 0.2
    task, plan = left.tasks[0], left.plan
    for rule in ("grpo", "distill"):
        share = memory.colocated_share(left, task, rule)
        estimate = memory.training_memory(left, plan, task)[rule]
        assert estimate.vllm == share * plan.gpu_memory_gib * GIB
        assert estimate.peak <= 0.9 * plan.gpu_memory_gib * GIB
        assert share == 0.85, "the models here are tiny"
    raw.pop("plan")
    assert memory.colocated_share(with_vllm(raw, None), task, "grpo") == COLOCATED_SHARE


def test_the_papers_trainings_get_more_than_the_third_that_all_had():
    study = load(PAPER, {})
    shares = {
        (task.name, rule): memory.colocated_share(study, task, rule)
        for task in study.tasks
        if task.runs
        for rule in ("grpo", "distill")
    }
    assert min(shares.values()) > 0.35
    assert shares["gsm8k", "grpo"] > 0.45 and shares["deepscaler", "distill"] > 0.6


def test_the_share_of_the_job_is_taken_where_the_settings_leave_it():
    left = Generation(engine="vllm", batch_size=1, colocated_share=None)
    for generation, share, expected in (
        (left, 0.6, 0.6),
        (left, None, COLOCATED_SHARE),
        (left.model_copy(update={"colocated_share": 0.2}), 0.6, 0.2),
    ):
        made = colocated(shared(generation, share), 10, 10)
        assert made["vllm_gpu_memory_utilization"] == expected


def test_heads_that_the_gpus_of_a_job_do_not_divide_are_named(tmp_path):
    raw = study_raw(tmp_path)
    raw["generation"]["engine"] = "vllm"
    problems = {}
    for gpus in (1, 2, 3):
        raw["resources"]["evaluate"]["gpu"] = gpus
        study, report = Study.model_validate(raw), Report()
        memory.check_memory(study, study.tasks[0], report)
        problems[gpus] = [line for line in report.problems if "heads" in line]
    # The model has two.
    assert problems[1] == problems[2] == []
    (line,) = problems[3]
    assert line == (
        "countdown, evaluate: vLLM cuts the model over 3 GPUs, and its 2 heads cannot be; set "
        "resources.evaluate.gpu to a number that divides them"
    )
