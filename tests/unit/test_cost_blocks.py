"""The plan's arithmetic for bases of each seed, and for more responses at the last checkpoint."""

import networkx as nx
import pytest
from configs import ROOT
from test_cost import small_study, study_of
from test_cost_imitation import DIVERGENCE

from online_il.config.study import Study, load
from online_il.cost.jobs import cost_of, costs_of
from online_il.cost.rules import Work
from online_il.cost.totals import rows_of, totals
from online_il.program.dag import Job


def changed(**evaluation: object) -> Study:
    raw = small_study()[0].model_dump(exclude_none=True)
    for settings in (raw["evaluation"], raw["tasks"][0]["evaluation"]):
        settings |= evaluation
    return study_of(raw)


def work(study: Study, run: str, rule: str = "evaluate") -> Work:
    assert study.plan is not None
    return cost_of(Job(rule, "countdown", run, 1), study, study.plan).work


# 30 prompts of 10 tokens, 30 tokens a response; the run has two checkpoints, the base one.
@pytest.mark.parametrize(
    ("evaluation", "run", "base", "read", "read_base"),
    [
        # Both samplings at both checkpoints, one response each.
        ({}, 4, 2, 4, 2),
        # Eight at the last by the policy itself, one at the first and by the paper's sampling.
        ({"samples_at_last": 8}, 1 + 8 + 2, 8 + 1, 4, 2),
        ({"samples_at_last": 8, "paper_checkpoints": "last"}, 1 + 8 + 1, 8 + 1, 3, 2),
        ({"paper_checkpoints": "last"}, 2 + 1, 1 + 1, 3, 2),
        (
            {"samples_at_last": 8, "paper_checkpoints": "last", "samples_per_prompt": 3},
            3 + 8 + 3,
            8 + 3,
            3,
            2,
        ),
        ({"samples_at_last": 8, "paper": None}, 1 + 8, 8, 2, 1),
        # The eight are in place of what single benchmarks have before: here 10 of 30 prompts.
        ({"samples_at_last": 8, "responses": {"id": 4}, "paper": None}, (4 + 2) / 3 + 8, 8, 2, 1),
    ],
)
def test_responses_at_the_last_checkpoint_are_counted(evaluation, run, base, read, read_base):
    study = changed(**evaluation)
    for name, drawn, times in (("sft-realizable", run, read), ("base", base, read_base)):
        found = work(study, name)
        assert found.generated == pytest.approx(drawn * 30 * 30), name
        assert found.decode == pytest.approx(drawn * 30 * 30 * 1_304 / 1e9)
        # A prompt is read once, however many responses there are to it.
        assert found.compute == times * 30 * 10 * (2_608 + 32 * 10), name


def test_divergences_read_as_many_responses_as_there_are_at_every_checkpoint():
    raw = small_study()[0].model_dump(exclude_none=True)
    raw["divergence"] = DIVERGENCE
    before = study_of(raw)
    raw["tasks"][0]["evaluation"]["samples_at_last"] = 8
    job = Job("divergence", "countdown", "distill-realizable")
    costs = [cost_of(job, study, study.plan).work for study in (before, study_of(raw))]
    assert costs[0] == costs[1] and costs[0].compute > 0


def graph(seeds: tuple[int, ...]) -> nx.DiGraph:
    found = nx.DiGraph()
    for seed in seeds:
        found.add_nodes_from(
            Job(rule, "countdown", "base", seed) for rule in ("pretrain", "evaluate")
        )
        found.add_node(Job("sft", "countdown", "sft-realizable", seed))
    return found


def mini(**task: object) -> Study:
    study = load(ROOT / "config" / "mini.yaml")
    return study.model_copy(update={"tasks": [study.tasks[0].model_copy(update=task)]})


def test_each_seed_pays_for_its_own_base():
    study, plan = mini(), small_study()[1]
    costs = costs_of(study, plan, graph((11, 12, 13)))
    assert len(costs) == 9
    trained = [job.seed for job in costs if job.rule == "pretrain"]
    assert sorted(trained) == [11, 12, 13]
    assert all(costs[Job("pretrain", "countdown", "base", s)].work.trained for s in trained)
    sums = totals(study, costs, {})["seed"]
    whole = sum(part["gpu_hours"] for part in sums.values())
    assert whole == pytest.approx(sum(cost.gpu_hours for cost in costs.values()))
    rows = {(row["run"], row["seed"]): row["jobs"] for row in rows_of(study, costs, {})}
    assert rows == {
        (run, seed): jobs
        for seed in (11, 12, 13)
        for run, jobs in (("base", "pretrain evaluate"), ("sft-realizable", "sft"))
    }


def test_a_plan_for_some_seeds_has_their_own_bases_alone():
    study, plan = mini(), small_study(seeds=[1, 2])[1].model_copy(update={"seeds": [12]})
    costs = costs_of(study, plan, graph((11, 12, 13)))
    assert {(job.rule, job.seed) for job in costs} == {
        ("pretrain", 12),
        ("evaluate", 12),
        ("sft", 12),
    }
    # One base of all seeds is needed by any of them.
    base = study.tasks[0].base.model_copy(update={"seed": 11})
    shared = graph((11,))
    shared.add_node(Job("sft", "countdown", "sft-realizable", 12))
    costs = costs_of(mini(base=base), plan, shared)
    assert {(job.rule, job.seed) for job in costs} == {
        ("pretrain", 11),
        ("evaluate", 11),
        ("sft", 12),
    }
