"""What config/onegpu.yaml costs and takes of a GPU, worked by hand; a wrong count fails."""

import networkx as nx
import pytest
from configs import ROOT
from test_cost import SMALL, small_study

from online_il.cost import memory
from online_il.cost.jobs import cost_of, costs_of
from online_il.cost.memory import GIB
from online_il.cost.page import assumptions, figure_sentences
from online_il.cost.totals import total, totals
from online_il.preflight.machine import Gpu
from online_il.preflight.memory import check_memory, training_memory
from online_il.preflight.report import Report
from online_il.program.dag import Job
from online_il.studies import load_study

# Hand-counted from the config.json of each: 28 or 36 blocks, a tied embedding and the last norm.
BLOCK = 2 * 1536 * 1536 + 2 * 1536 * 256 + 3 * 1536 * 8960 + 2 * 1536 + 1536 + 2 * 256
STUDENT = 28 * BLOCK + 151_936 * 1536 + 1536
LARGER_BLOCK = 2 * 2048 * 2048 + 2 * 2048 * 256 + 3 * 2048 * 11_008 + 2 * 2048 + 2048 + 2 * 256
LARGER = 36 * LARGER_BLOCK + 151_936 * 2048 + 2048
LENGTH = 150 + 500


@pytest.fixture(scope="module")
def study():
    return load_study(ROOT / "config" / "onegpu.yaml")


def forward(parameters: int, layers: int, width: int) -> float:
    """Operations on a token: two a parameter, and attention."""
    return 2 * parameters + 2 * layers * width * LENGTH


def test_grpo_of_both_models_is_priced_as_worked_by_hand(study):
    """160 steps of 128 x 5; the old policy is read once, and for the student alone a reference."""
    rollouts = 160 * 128 * 5
    for run, count, layers, width, passes in (
        ("expert", STUDENT, 28, 1536, 4 + 1 + 1),
        ("larger-rl", LARGER, 36, 2048, 4 + 1),
    ):
        cost = cost_of(Job("grpo", "countdown", run, 1), study, study.plan)
        compute = rollouts * LENGTH * passes * forward(count, layers, width)
        assert cost.work.compute == pytest.approx(compute)
        decode = rollouts * 500 * count / 1e9
        assert cost.work.decode == pytest.approx(decode) and cost.gpus == 1
        seconds = compute / (0.2 * 989.5e12) + decode / 20_000
        assert cost.gpu_hours == pytest.approx(seconds / 3600)
        assert cost.gpu_hours < cost.limit_hours


def test_an_evaluation_is_two_responses_on_both_sets_and_a_sample_of_mmlu(study):
    work = cost_of(Job("evaluate", "countdown", "sft-self", 1), study, study.plan).work
    assert work.generated == 6 * 2 * (512 + 512) * 500
    read = 6 * (512 + 512) * 150 * (2 * STUDENT + 2 * 28 * 1536 * 150)
    read += 6 * 512 * 700 * (2 * STUDENT + 2 * 28 * 1536 * 700)
    assert work.compute == pytest.approx(read)


def test_no_job_asks_for_more_than_one_gpu_and_every_one_fits_it(study):
    (task,) = study.tasks
    assert {one.gpu for _, one in task.resources if one is not None} == {1}
    report = Report()
    check_memory(study, task, report)
    assert report.problems == [] and study.plan.gpu_memory_gib < 80


def test_what_a_larger_model_takes_beside_a_sleeping_vllm_is_as_worked_by_hand(study):
    (task,) = study.tasks
    found = training_memory(study, study.plan, task)
    # While it generates: weights, gradients and moments of the 3B, vLLM's 0.3 of 79 GiB, CUDA's 2.
    assert found["grpo"].peak / GIB == pytest.approx(16 * LARGER / GIB + 0.3 * 79 + 2)
    assert found["grpo"].frozen == 0
    # The student of the 3B holds it in bfloat16.
    assert found["distill"].frozen == 2 * LARGER and found["distill"].states == 16 * STUDENT
    generation = study.generation.model_copy(update={"during_updates": "awake"})
    awake = study.model_copy(update={"generation": generation})
    assert training_memory(awake, study.plan, task)["grpo"].peak > 79 * GIB


def test_sleeping_gives_room_to_the_updates_and_takes_it_back(study):
    awake = memory.training(SMALL, gpus=1, sequences=3, length=5, vllm=1e6)
    asleep = memory.training(SMALL, gpus=1, sequences=3, length=5, asleep=1e6)
    passing = awake.working + awake.activations + awake.logits
    assert awake.peak - asleep.peak == passing  # The larger of the two is 1e6.
    assert memory.training(SMALL, gpus=1, sequences=3, length=5, asleep=1.0).peak == (
        awake.peak - 1e6
    )


def test_a_card_that_is_too_small_is_told_with_job_need_and_remedy(study):
    (task,) = study.tasks
    report = Report()
    check_memory(study, task, report, Gpu("NVIDIA RTX 4090", 23.99))
    trained = [problem for problem in report.problems if "takes about" in problem]
    told = {problem.partition(":")[0]: problem for problem in trained}
    for rule in ("grpo", "sft", "distill"):
        problem = told[f"countdown, {rule}"]
        assert "NVIDIA RTX 4090 here has 24" in problem
        assert f"turn micro_batch_size, resources.{rule}.gpu" in problem
    # The 3B's states, 0.3 of these 24 GiB, and 2; and of which run that is.
    assert f"takes about {16 * LARGER / GIB + 9.2 + 8.1 + 1 + 2:.0f} GiB" in told["countdown, grpo"]
    assert "GPUs (larger-rl): " in told["countdown, grpo"]
    assert "GPUs (distill-unrealizable): " in told["countdown, distill"]


def test_the_same_work_is_priced_on_every_other_card():
    other = {"gpu": "slow", "gpu_memory_gib": 40, "peak_tflops": 5e-10, "training_mfu": 0.25}
    other |= {"decode_tokens_per_second": 0.0001, "decode_step_seconds": 1e-9, "gpu_price": 3.0}
    study, plan = small_study(other_gpus=[other], gpu_price=1.0)
    job = Job("sft", "countdown", "sft-realizable", 1)
    graph = nx.DiGraph()
    graph.add_node(job)
    costs = costs_of(study, plan, graph)
    [slow] = plan.other_gpus
    # A quarter of the speed: half the peak, half the share of it. SFT generates nothing.
    assert costs_of(study, plan.on(slow), graph)[job].gpu_hours == pytest.approx(
        4 * costs[job].gpu_hours
    )
    sums = totals(study, costs, {}) | {"gpu": {"slow": {**total(costs, costs), "gpu_hours": 8.0}}}
    assert figure_sentences(sums, plan)[-1] == "On slow, everything costs 8 GPU-hours ($24)."
    assert ["other_gpus.0.peak_tflops", "5e-10"] in [row[:2] for row in assumptions(plan)]
    assert plan.on(slow).tokens == plan.tokens
