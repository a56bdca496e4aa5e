"""What a budget buys of a study, against sums worked by hand."""

from itertools import pairwise

import networkx as nx
import pytest
from configs import ROOT
from test_cost import small_graph, small_study
from test_cost_program import program

from online_il.config.study import load
from online_il.cost.budget import Part, buy, dollars, parts_of, sentences, targets_of
from online_il.cost.jobs import Cost
from online_il.cost.rules import Work
from online_il.errors import InputError
from online_il.program.dag import Job

EVAL = "results/paper/eval/countdown"
STUDY, PLAN = small_study(gpu_price=10.0)


def job(name: str) -> Job:
    return Job("sft", "countdown", name, 1)


def cost(hours: float, api: float = 0.0) -> Cost:
    return Cost(Work(api_cost=api), gpus=1, limit_hours=1, gpu_hours=hours)


# Both need the expert: 2 hours at $10; and 1 hour, and half an hour and $3 of an API, of their own.
COSTS = {job("expert"): cost(2), job("a"): cost(1), job("b"): cost(0.5, api=3)}
PARTS = [
    Part("run a", (f"{EVAL}/base/seed1", f"{EVAL}/a/seed1"), frozenset({job("expert"), job("a")})),
    Part("run b", (f"{EVAL}/base/seed1", f"{EVAL}/b/seed1"), frozenset({job("expert"), job("b")})),
    Part("Figure 1", ("figure1",), frozenset(COSTS)),
]


def names(budget: float) -> tuple[list[tuple[str, float, float]], str | None]:
    bought, dearer = buy(PARTS, COSTS, PLAN, budget)
    listed = [(one.part.name, round(one.more, 6), round(one.together, 6)) for one in bought]
    return listed, dearer and dearer.part.name


def test_the_cheapest_next_part_is_bought_and_what_parts_share_is_paid_once():
    b, a = ("run b", 28, 28), ("run a", 10, 38)
    assert names(27.99) == ([], "run b")
    assert names(28) == names(37.99) == ([b], "run a")
    # A figure of what is bought costs nothing more.
    assert names(38) == names(1e9) == ([b, a, ("Figure 1", 0, 38)], None)


def test_it_is_said_with_a_command_that_starts_it():
    told = sentences(STUDY, PARTS, COSTS, PLAN, 30, "--configfile my.yaml")
    assert told[:3] == [
        "What $30.00 buys of what is not done yet, the cheapest next part first:",
        "  1. run b: $28.00 (2.5 GPU-hours), together $28.00",
        "Next would be run a: $10.00 more, $38.00 in all.",
    ]
    assert told[3] == f"To start it: snakemake {EVAL}/{{base,b}}/seed1 --configfile my.yaml"
    told = sentences(STUDY, PARTS, COSTS, PLAN, 5, "")
    assert told[1:] == ["  nothing: the cheapest, run b, costs $28.00"]
    told = sentences(STUDY, PARTS, COSTS, PLAN, 50, "--configfile my.yaml")
    assert told[-2:] == [
        "  3. Figure 1: nothing more",
        "That is everything: snakemake --configfile my.yaml",
    ]


def test_a_figure_that_fits_in_the_place_of_the_runs_is_named():
    costs = COSTS | {job("table"): cost(0, api=29)}
    parts = [*PARTS, Part("Table 1", ("table1",), frozenset({job("table")}))]
    told = sentences(STUDY, parts, costs, PLAN, 30, "--configfile my.yaml")
    assert told[-1] == "In its place, Table 1 for $29.00: snakemake table1 --configfile my.yaml"
    assert not [line for line in sentences(STUDY, parts, costs, PLAN, 28, "") if "Table" in line]


def test_another_card_buys_more_or_less():
    gpu = {"gpu": "cheap", "gpu_memory_gib": 40, "peak_tflops": 1e-9, "training_mfu": 0.5}
    gpu |= {"decode_tokens_per_second": 0.0001, "decode_step_seconds": 1e-9, "gpu_price": 1e-9}
    study, plan = small_study(gpu_price=10.0, other_gpus=[gpu])
    node = job("sft-realizable")
    told = sentences(study, [Part("it", ("x/y",), frozenset({node}))], {node: cost(9)}, plan, 1, "")
    assert told[-1] == "On cheap it buys 1 of the 1 parts, here 0."


def test_a_part_is_a_run_of_a_seed_with_all_that_it_needs_and_that_is_not_done():
    graph = small_graph()
    policies = ("base", "expert", "sft-realizable")
    costs = {
        node: cost(1)
        for node in graph
        if node.rule in ("adopt", "grpo", "sft", "sample", "evaluate")
    }
    found = {part.name: part for part in parts_of(STUDY, graph, costs, {"figure1": {*costs}})}
    assert list(found) == [*(f"countdown/{run}, seed 1" for run in policies[1:]), "Figure 1"]
    expert, student, figure = found.values()
    assert expert.targets == (f"{EVAL}/base/seed1", f"{EVAL}/expert/seed1")
    assert student.targets == (f"{EVAL}/base/seed1", f"{EVAL}/sft-realizable/seed1")
    assert figure.targets == ("figure1",)
    base, grpo = Job("adopt", "countdown", "base", 1), Job("grpo", "countdown", "expert", 1)
    of_expert = {base, grpo, base._replace(rule="evaluate"), grpo._replace(rule="evaluate")}
    assert expert.jobs == of_expert
    # The student needs the expert's samples and no evaluation of the expert.
    sft = Job("sft", "countdown", "sft-realizable", 1)
    own = {sft, sft._replace(rule="evaluate"), grpo._replace(rule="sample")}
    assert student.jobs == own | of_expert - {grpo._replace(rule="evaluate")}
    nx.set_node_attributes(graph, {base: False, grpo: False}, "pending")
    nx.set_node_attributes(graph, {sft: True}, "pending")
    (part, _, _) = parts_of(STUDY, graph, costs, {"figure1": {*costs}})
    assert part.jobs == of_expert - {base, grpo}


def test_figures_of_the_same_jobs_are_one_part():
    graph = small_graph()
    node = Job("sample", "countdown", "expert", 1)
    figures = {"figure3": {node}, "table1": {node}}
    (part,) = parts_of(STUDY, graph, {node: cost(1)}, figures)
    assert (part.name, part.targets) == ("Figure 3 and Table 1", ("figure3", "table1"))


def test_folders_that_differ_in_the_run_alone_are_written_as_one():
    parts = [
        Part("", ("e/t/base/seed1", "e/t/a/seed1"), frozenset()),
        Part("", ("figure3", "table1"), frozenset()),
        Part("", ("e/t/base/seed1", "e/t/a/seed2"), frozenset()),
    ]
    bought, _ = buy(parts, {}, PLAN, 1)
    assert targets_of(bought) == ["figure3", "table1", "e/t/{base,a}/seed1", "e/t/a/seed2"]


@pytest.mark.parametrize("given", [50, 50.5, "50", " 7.25 ", "1e3"])
def test_an_amount_is_read(given):
    assert dollars(given) == float(given)


@pytest.mark.parametrize(
    "given", [0, -5, "0", "50$", "$50", "fifty", "", "5,5", True, None, [5], "nan", "inf", 1e999]
)
def test_what_is_no_amount_is_refused_in_words(given):
    with pytest.raises(InputError, match=r"budget = .*US dollars above 0.*budget=50"):
        dollars(given)


def test_hours_without_a_price_are_told():
    study, plan = small_study(gpu_price=None)
    with pytest.raises(InputError, match=r"plan\.gpu_price: .*what a GPU-hour costs.*add it"):
        sentences(study, PARTS, COSTS, plan, 50, "")
    # An API's price is one.
    bought, _ = buy(PARTS[:1], {node: cost(0, api=1) for node in COSTS}, plan, 50)
    assert bought[0].together == 2


def test_tokens_without_a_price_are_not_taken_for_free_in_silence():
    asked = Cost(Work(api_prompt=1e6, api_response=2e6), gpus=0, limit_hours=0, gpu_hours=0)
    told = sentences(STUDY, PARTS, COSTS | {job("b"): asked}, PLAN, 25, "")
    assert "  1. run b: $20.00" in told[1]
    assert told[-1].startswith("Not counted: 3.0 million API tokens of which the config has no")
    assert not [line for line in sentences(STUDY, PARTS, COSTS, PLAN, 50, "") if "Not" in line]


@pytest.mark.slow
def test_the_program_buys_for_what_is_laid_over_the_config_too():
    config = "config/paper-countdown.yaml"
    words = ["--config", config, "--overrides", '{"scale": "two", "plan": {"gpu_price": 2}}']
    done = program(*words, "--budget", "200")
    assert (done.returncode, done.stderr) == (0, "")
    *_, start = [line for line in done.stdout.splitlines() if line.startswith("To start it: ")]
    assert start.startswith("To start it: snakemake results/two/eval/countdown/{base,")
    assert start.endswith(f"/seed1 --configfile {config} --config 'scale=\"two\"'")
    listed = [line for line in done.stdout.splitlines() if line[:4].strip(" 1234567890.") == ""]
    spent = [float(line.rpartition("$")[2]) for line in listed if "together" in line]
    assert len(spent) > 2 and all(a <= b for a, b in pairwise(spent)) and spent[-1] <= 200
    done = program("--config", config, "--budget", "-1")
    assert done.returncode != 0 and "budget" in done.stderr and "Traceback" not in done.stderr


def test_the_paper_on_a_small_cluster_is_one_task_and_one_seed_without_an_endpoint():
    study, paper = (load(ROOT / "config" / f"{name}.yaml") for name in ("paper-countdown", "paper"))
    (task,) = study.tasks
    assert study.blocks == 1 and task.experts == [] and study.hardware == "gpu"
    assert {one.gpu for rule, one in task.resources if one and rule != "finetune"} == {4, 2, 1}
    # What the paper has is as the paper has it.
    theirs = {run.name: run for run in paper.tasks[0].runs}
    for name in ("expert", "sft-realizable", "distill-realizable"):
        (own,) = [run for run in task.runs if run.name == name]
        assert own == theirs[name]
        assert task.settings_of(own) == paper.tasks[0].settings_of(theirs[name])
    assert task.data == paper.tasks[0].data and task.base == paper.tasks[0].base
