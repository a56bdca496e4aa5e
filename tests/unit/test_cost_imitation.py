"""The plan's arithmetic for the ways to imitate, and for experts that are mixtures."""

from pathlib import Path

import networkx as nx
from test_cost import small_study, study_of

from online_il.config.study import load
from online_il.cost.jobs import cost_of, costs_of
from online_il.cost.rules import Policy, Work
from online_il.cost.totals import rows_of, totals
from online_il.program.dag import Job


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
    assert narrow.trained == wide.trained == 3000 * 64 * 256
    assert 0.25 < narrow.compute / wide.compute < 0.5
    rows = [(row["run"], row["method"], row["seed"]) for row in rows_of(study, costs, {})]
    assert rows == [("base", "base", 1), ("narrow", "base", 1), ("sft-narrow", "sft", 2)]
    assert totals(study, costs, {})["seed"]["bases"]["jobs"] == 3
