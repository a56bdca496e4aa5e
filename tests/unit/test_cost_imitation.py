"""The plan's arithmetic for the ways to imitate, and for experts that are mixtures."""

from pathlib import Path

import networkx as nx
import pytest
from test_cost import SMALL, small_study, study_of

from online_il.config.divergence import Divergences
from online_il.config.study import load
from online_il.cost import memory, page, shape
from online_il.cost.jobs import cost_of, costs_of
from online_il.cost.rules import Policy, Work
from online_il.cost.totals import PlannedRuns, rows_of, totals
from online_il.files import write_table
from online_il.preflight.memory import too_large, training_memory
from online_il.program.dag import Job
from online_il.records import read_table

DIVERGENCE = {"benchmark": "id", "quantiles": [1], "density_clip": 30}


def test_ways_to_imitate_and_mixtures_are_as_worked_by_hand():
    raw = small_study()[0].model_dump(exclude_none=True)
    task = raw["tasks"][0]
    (student,) = [run for run in task["runs"] if run["name"] == "distill-realizable"]
    parts = {"expert": 0.5, "base": 0.5}
    task["experts"].append({"name": "mixture", "kind": "mixture", "parts": parts})
    raw["plan"]["tokens"]["countdown"]["expert_tokens"]["mixture"] = 50
    mixed = student | {"name": "distill-mixture", "expert": "mixture"}
    task["runs"] += [
        mixed,
        student | {"name": "whole", "level": "response", "responses_per_prompt": 4},
        mixed | {"name": "soft", "prefixes": "expert"},
    ]
    study = study_of(raw)
    assert study.plan is not None

    def work(rule: str, run: str) -> Work:
        return cost_of(Job(rule, "countdown", run, 1), study, study.plan).work

    one, longer = 40 * (2_608 + 32 * 40), 60 * (2_608 + 32 * 60)
    # Four passes of the student; both parts read.
    assert work("distill", "distill-mixture").compute == 80 * 6 * one
    # One pass more of the student and of its teacher.
    assert work("distill", "whole").compute == 80 * 7 * one
    assert work("distill", "whole").generated == 2_400
    # The expert's responses, and nothing that is generated.
    soft = work("distill", "soft")
    assert (soft.compute, soft.generated, soft.decode) == (80 * 6 * longer, 0, 0)
    # Sampled from itself and read by both parts: 30 prompts once, no second sampling.
    assert work("evaluate", "mixture").generated == 30 * 30
    read = 30 * 10 * (2_608 + 32 * 10)
    assert work("evaluate", "mixture").compute == read + 2 * 30 * one
    plain, shared = (work("evaluate", run) for run in ("distill-realizable", "distill-mixture"))
    assert shared.compute - plain.compute == 2 * 120 * one
    assert work("mix", "mixture") == Work()


def test_what_is_read_for_the_divergences_is_as_worked_by_hand():
    study, _ = small_study()
    raw = study.model_dump(exclude_none=True)
    raw["divergence"] = DIVERGENCE
    task = raw["tasks"][0]
    task["evaluation"]["responses"] = {"id": 3}
    parts = {"expert": 0.5, "base": 0.5}
    task["experts"].append({"name": "mixture", "kind": "mixture", "parts": parts})
    student = next(run for run in task["runs"] if run["name"] == "distill-realizable")
    task["runs"].append(student | {"name": "distill-mixture", "expert": "mixture"})
    task["runs"].append(student | {"name": "distill-self", "expert": "base"})
    study = study_of(raw)
    assert study.plan is not None
    names = ("distill-realizable", "distill-mixture", "distill-self")
    graph = nx.DiGraph()
    graph.add_nodes_from(Job("divergence", "countdown", name) for name in names)
    graph.add_nodes_from(Job("distill", "countdown", names[0], seed) for seed in (1, 2))
    costs = costs_of(study, study.plan, graph)
    # Ten prompts, three responses each, 40 tokens with the prompt, two seeds.
    one = 2 * 10 * 3 * 40 * (2_608 + 32 * 40)
    # The student reads four times, the base two. The expert reads two times, and what the two
    # checkpoints, the base and the expert itself have answered.
    readings = {
        names[0]: 4 + 2 + (2 + 4),
        # Both parts read; no part is said to be learnable.
        names[1]: 4 + 2 + 2 * (2 + 3),
        # Expert and base are one.
        names[2]: 4 + 4 + 3,
    }
    for name, number in readings.items():
        found = costs[Job("divergence", "countdown", name)]
        assert found.work == Work(compute=number * one), name
        assert found.gpus == 1 and found.gpu_hours == pytest.approx(number * one / 500 / 3600)
    # One seed of two: half of the work, and the other seed's training is left out.
    half = costs_of(study, study.plan.model_copy(update={"seeds": [2]}), graph)
    assert [(job.rule, job.seed) for job in half if job.run == names[0]] == [
        ("distill", 2),
        ("divergence", None),
    ]
    assert (
        half[Job("divergence", "countdown", names[0])].work.compute == readings[names[0]] * one / 2
    )
    assert "all seeds together" in totals(study, costs, {})["seed"]
    by_seed = sum(part["gpu_hours"] for part in totals(study, costs, {})["seed"].values())
    assert by_seed == pytest.approx(sum(cost.gpu_hours for cost in costs.values()))


def test_a_plan_with_jobs_for_all_seeds_is_written_and_read(tmp_path):
    study, plan = small_study()
    study = study.model_copy(update={"divergence": Divergences.model_validate(DIVERGENCE)})
    graph = nx.DiGraph()
    graph.add_nodes_from(Job("distill", "countdown", "distill-realizable", n) for n in (1, 2))
    graph.add_node(Job("divergence", "countdown", "distill-realizable"))
    rows = rows_of(study, costs_of(study, plan, graph), {})
    write_table(rows, PlannedRuns, tmp_path / "plan.parquet", {})
    found = read_table(tmp_path / "plan.parquet", PlannedRuns)
    assert found["seed"].isna().tolist() == [False, False, True]
    assert found["seed"].tolist()[:2] == [1, 2]
    assert [page.cells(row)[page.HEAD.index("seed")] for row in rows] == ["1", "2", "all"]


def test_demonstrations_of_a_runs_own_cost_what_as_many_shared_ones_would():
    raw = small_study()[0].model_dump(exclude_none=True)
    task = raw["tasks"][0]
    (student,) = [run for run in task["runs"] if run["name"] == "sft-realizable"]
    shared = task["methods"]["sft"]["demonstrations"]
    task["runs"].append(student | {"name": "gap", "demonstrations": 3 * shared})
    study = study_of(raw)
    assert study.plan is not None
    all_students, own = (
        cost_of(Job(rule, "countdown", run, 1), study, study.plan).work
        for rule, run in (("sample", "expert"), ("sample_fresh", "gap"))
    )
    assert all_students.generated > 0
    assert (own.generated, own.decode, own.compute) == (
        3 * all_students.generated,
        3 * all_students.decode,
        3 * all_students.compute,
    )


# A block has 2*16*16 + 2*16*8 in attention, 3*16*32, 32 in norms and 16 + 2*8 biases: 2,368. Two
# 4,736, embedding and output 2*12*16 = 384, last norm 16: 5,136, of which 12*16 are only looked up.
LARGER = SMALL.model_copy(
    update={"hidden": 16, "intermediate": 32, "head_dim": 8, "vocabulary": 12, "output": "own"}
)


def test_a_larger_expert_is_priced_by_its_own_shape():
    raw = small_study()[0].model_dump(exclude_none=True)
    task = raw["tasks"][0]
    task["experts"].append({"name": "larger", "kind": "model", "repo": "a/b", "revision": "0" * 40})
    raw["plan"]["models"]["a/b"] = LARGER.model_dump()
    (student,) = [run for run in task["runs"] if run["name"] == "distill-realizable"]
    task["runs"] += [student | {"name": "distill-larger", "expert": "larger"}]
    study = study_of(raw)
    assert study.plan is not None
    distill = cost_of(Job("distill", "countdown", "distill-larger", 1), study, study.plan)
    # Four passes of the student, one of its teacher: two operations a parameter that multiplies,
    # and 2 * 2 layers * 16 wide a position.
    student_pass, teacher_pass = 40 * (2_608 + 32 * 40), 40 * (2 * (5_136 - 192) + 64 * 40)
    assert distill.work.compute == 80 * (4 * student_pass + teacher_pass)
    # The student writes, and the teacher's demonstrations are its own work.
    assert distill.work.decode == pytest.approx(80 * 30 * 1_304 / 1e9)
    sample = cost_of(Job("sample", "countdown", "larger", 1), study, study.plan).work
    assert sample.decode == pytest.approx(50 * 30 * 5_136 / 1e9)


def test_an_expert_larger_than_the_student_is_cut_over_several_gpus():
    def frozen(gpus, *teachers):
        found = memory.training(SMALL, gpus=gpus, sequences=3, length=5, teachers=teachers)
        return found.frozen

    assert shape.parameters(LARGER) == 5_136
    assert frozen(1, LARGER) == 2 * 5_136
    # Its part, and what is gathered: embedding and output, two blocks.
    assert frozen(4, LARGER) == 2 * (5_136 / 4 + 384 + 2 * 2_368)
    assert frozen(4, SMALL) == 2 * 1_304, "no larger: whole on every GPU"
    assert frozen(4, LARGER, SMALL) == 2 * (5_136 + 1_304), "the parts of a mixture are whole"


@pytest.mark.parametrize("name", ["paper-larger", "paper-teachers"])
def test_the_larger_experts_are_priced_and_fit_their_gpus(name):
    study = load(Path(__file__).parents[2] / "config" / f"{name}.yaml")
    plan = study.plan
    assert plan is not None
    shapes = {repo: shape.parameters(one) for repo, one in plan.models.items()}
    assert shapes["Qwen/Qwen2.5-7B-Instruct"] == 7_615_616_512
    assert shapes["deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"] == 7_615_616_512
    assert shapes["meta-llama/Llama-3.1-8B"] == 8_030_261_248
    hours = {}
    for task in study.tasks:
        for rule, estimate in training_memory(study, plan, task).items():
            assert estimate.peak < plan.gpu_memory_gib * memory.GIB, (task.name, rule)
        for run in task.runs:
            job = Job(run.method, task.name, run.name, task.seeds[0])
            hours[task.name, run.name] = cost_of(job, study, plan).gpu_hours
    assert min(hours.values()) > 0
    if name == "paper-larger":
        for task in ("countdown", "gsm8k", "deepscaler"):
            names = {run for one, run in hours if one == task}
            ways = ("sft", "distill", "forward", "soft-forward", "soft-reverse", "response")
            ends = ("realizable", "larger", "larger-rl")
            assert names == {"expert", *(f"{way}-{end}" for way in ways for end in ends)}
            # A larger teacher's forward pass; the price of what comes later.
            assert hours[task, "distill-larger"] > hours[task, "distill-realizable"]
            assert hours[task, "response-larger"] > hours[task, "distill-larger"]


def test_a_teacher_that_does_not_fit_beside_its_student_gets_more_gpus():
    study = load(Path(__file__).parents[2] / "config" / "paper-larger.yaml")
    plan, task = study.plan, study.tasks[0]
    assert plan is not None and too_large(study, plan, task) == {}
    # Six times the layers are 33 billion parameters more: 33 GB more on each of two GPUs.
    grown = plan.models["Qwen/Qwen2.5-7B-Instruct"].model_copy(update={"layers": 168})
    larger = plan.model_copy(update={"models": {**plan.models, "Qwen/Qwen2.5-7B-Instruct": grown}})
    study = study.model_copy(update={"plan": larger})
    (rule,) = too_large(study, larger, task)
    estimate, enough = too_large(study, larger, task)[rule]
    assert rule == "distill" and estimate.frozen / memory.GIB > 20 and enough == 4
    # What no node has room for is said to fit none.
    small = larger.model_copy(update={"gpu_memory_gib": 1.0})
    assert {enough for _, enough in too_large(study, small, task).values()} == {None}


def test_a_further_base_has_its_own_shape_and_serves_all_seeds():
    study = load(Path(__file__).parents[2] / "config" / "mixture.yaml")
    plan = small_study()[1].model_copy(update={"seeds": [2]})
    [task] = study.tasks

    def hidden(name: str) -> int:
        return Policy(study, plan, task, name).shape.hidden

    names = ("base", "expert", "distill-mixture-warm", "narrow", "sft-narrow", "distill-narrow")
    assert [hidden(name) for name in names] == [64, 64, 64, 32, 32, 32]
    graph = nx.DiGraph()
    made = [("pretrain", "base", 1), ("pretrain", "narrow", 1), ("evaluate", "narrow", 1)]
    graph.add_nodes_from(Job(rule, "countdown", run, seed) for rule, run, seed in made)
    graph.add_nodes_from(Job("sft", "countdown", "sft-narrow", seed) for seed in (1, 2))
    costs = costs_of(study, plan, graph)
    wide, narrow = (costs[Job("pretrain", "countdown", n, 1)].work for n in ("base", "narrow"))
    assert (wide.trained, narrow.trained) == (3000 * 64 * 256, 12000 * 64 * 256)
    assert 1.0 < narrow.compute / wide.compute < 2.0
    rows = [(row["run"], row["method"], row["seed"]) for row in rows_of(study, costs, {})]
    assert rows == [("base", "base", 1), ("narrow", "base", 1), ("sft-narrow", "sft", 2)]
    assert totals(study, costs, {})["seed"]["bases"]["jobs"] == 3
