"""The plan's arithmetic for the ways to imitate, and for experts that are mixtures."""

from test_cost import small_study, study_of

from online_il.cost.jobs import cost_of
from online_il.cost.rules import Work
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
