"""The plan's arithmetic, against transformers' own models and against sums worked by hand."""

from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

from online_il.config.architecture import Architecture
from online_il.config.plan import ModelShape, Plan
from online_il.config.study import Study, load
from online_il.cost import memory, page, shape
from online_il.cost.jobs import cost_of, costs_of, expected_seconds, gpu_hours, jobs_of_figures
from online_il.cost.rules import Policy, Work, unit_rows
from online_il.cost.totals import rows_of, sentence, totals
from online_il.errors import InputError
from online_il.models import byte_tokenizer, new_model, save_policy
from online_il.program.dag import Job

ROOT = Path(__file__).parents[2]
PAPER = ROOT / "config" / "paper.yaml"
SIZES = {
    "Qwen/Qwen2.5-3B-Instruct": 3_085_938_688,
    "meta-llama/Llama-3.2-3B": 3_212_749_824,
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": 1_777_088_000,
    "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B": 8_190_735_360,
}
# Hand-sized: a block has 2*8*8 + 2*8*4 = 192 in attention, 3*8*16 = 384, 16 in norms and, for
# Qwen2, 8 + 2*4 = 16 biases: 608. Two blocks 1,216, embedding 10*8 = 80, last norm 8: 1,304.
SMALL = ModelShape(
    family="qwen2",
    hidden=8,
    intermediate=16,
    layers=2,
    heads=2,
    kv_heads=1,
    head_dim=4,
    vocabulary=10,
    output="tied",
    positions=64,
)


def paper() -> dict[str, Any]:
    raw = yaml.safe_load(PAPER.read_text())
    del raw["extends"]
    return raw


def study_of(raw: dict[str, Any]) -> Study:
    return Study.model_validate(raw)


def small_study(**plan: Any) -> tuple[Study, Plan]:
    """One task with a small model, numbers that can be worked by hand, and prices."""
    raw = paper()
    raw.pop("discrepancy")
    task = raw["tasks"][0]
    raw["tasks"] = [task]
    task["seeds"] = [1, 2]
    task["data"] |= {"id": 10, "ood": 20}
    task["experts"][0] |= {"price_input": 2.0, "price_output": 3.0}
    raw["methods"]["grpo"] |= {"prompts_per_step": 4, "rollouts_per_prompt": 2}
    raw["methods"]["sft"] |= {"batch_size": 8, "demonstrations": 50}
    raw["methods"]["distill"] |= {"batch_size": 8}
    for run in task["runs"]:
        run |= {"steps": 10, "checkpoints": [5]}
    raw["plan"] |= {
        "models": {"Qwen/Qwen2.5-3B-Instruct": SMALL.model_dump()},
        "tokens": {
            "countdown": {
                "prompt_tokens": 10,
                "response_tokens": 30,
                "expert_tokens": {"deepseek-v3.2-exp": 50},
            }
        },
        "peak_tflops": 1e-9,  # 1,000 operations a second, half of them used.
        "training_mfu": 0.5,
        "decode_tokens_per_second": 0.0001,
        "decode_step_seconds": 1e-9,
        **plan,
    }
    study = study_of(raw)
    assert study.plan is not None
    return study, study.plan


def small_graph() -> nx.DiGraph:
    """Some jobs of the small study, and what they need; made by hand."""
    base, expert = Job("adopt", "countdown", "base", 1), Job("grpo", "countdown", "expert", 1)
    sample = Job("sample", "countdown", "expert", 1)
    student = Job("sft", "countdown", "sft-realizable", 1)
    prompts = Job("convert", "countdown")
    policies = (base, expert, student)
    evaluations = {job: job._replace(rule="evaluate") for job in policies}
    graph = nx.DiGraph([(prompts, job) for job in (*policies, sample, *evaluations.values())])
    graph.add_edges_from([(base, expert), (base, student), (expert, sample), (sample, student)])
    graph.add_edges_from(evaluations.items())
    other = Job("demonstrate", "countdown", "deepseek-v3.2-exp", 2)
    graph.add_edge(prompts, other)
    graph.add_edges_from((job, Job("figure1")) for job in evaluations.values())
    graph.add_edge(Job("theory_gaussian"), Job("figure2"))
    return graph


@pytest.mark.parametrize("repo", SIZES)
def test_parameters_are_those_of_the_model_that_transformers_makes(repo):
    """Tied embeddings, Qwen2's biases and Qwen3's norms of queries and keys included."""
    known = ModelShape.model_validate(paper()["plan"]["models"][repo])
    config = {"llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}[known.family](
        vocab_size=known.vocabulary,
        hidden_size=known.hidden,
        intermediate_size=known.intermediate,
        num_hidden_layers=known.layers,
        num_attention_heads=known.heads,
        num_key_value_heads=known.kv_heads,
        head_dim=known.head_dim,
        max_position_embeddings=known.positions,
        tie_word_embeddings=known.output == "tied",
    )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert shape.parameters(known) == model.num_parameters() == SIZES[repo]
    assert shape.of_config(config.to_dict(), repo) == known


def test_operations_and_cache_are_as_worked_by_hand():
    assert shape.parameters(SMALL) == 1_304
    # Two a parameter, and 2 * 2 layers * 8 wide * 20 long for attention, for each of 5 tokens.
    assert shape.forward_flops(SMALL, 5, 20) == 5 * (2 * 1_304 + 640)
    # An embedding that is only looked up multiplies nothing.
    own = SMALL.model_copy(update={"output": "own"})
    assert shape.parameters(own) == 1_384
    assert shape.forward_flops(own, 5, 20) == shape.forward_flops(SMALL, 5, 20)
    # Keys and values, two bytes, two layers, one head of 4.
    assert shape.cache_bytes(SMALL) == 2 * 2 * 2 * 4


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "gpt2"}, "gpt2"),
        ({"model_type": "qwen2", "hidden_size": 8}, "no complete shape"),
        ({"model_type": "qwen2", "hidden_size": "x", "num_attention_heads": 0}, "no complete"),
    ],
)
def test_a_config_json_without_a_known_shape_is_refused(config, message):
    with pytest.raises(InputError, match=message):
        shape.of_config(config, "some/model")


def test_what_is_made_here_has_a_shape_when_it_is_read_from_its_folder_again(tmp_path):
    architecture = Architecture(hidden_size=8, intermediate_size=12, layers=2, heads=2, head_dim=4)
    save_policy(new_model(architecture, byte_tokenizer(), 32, 0), byte_tokenizer(), tmp_path / "m")
    read = shape.of_config(shape.json_of(tmp_path / "m" / "config.json"), "m")
    assert read == shape.of_architecture(architecture, 259, 32) and read.family == "qwen2"


def test_memory_on_one_gpu_is_as_worked_by_hand():
    found = memory.training(SMALL, gpus=1, sequences=3, length=5, reference=True, vllm=1000.0)
    assert found.states == 16 * 1_304
    assert found.frozen == 4 * 1_304
    assert found.working == 2 * 1_304 + 8 * 80
    # 15 tokens: 2 blocks * 8 wide * 4 bytes, and 40*8 + 8*(2 + 1)*4 + 12*16 bytes of one block.
    assert found.activations == 15 * (64 + 320 + 96 + 192)
    assert found.logits == 2 * 4 * 15 * 10
    assert found.update == 4 * 1_304
    passing = found.working + found.activations + found.logits
    assert found.peak == found.states + found.frozen + 1000 + 2 * 2**30 + passing


def test_memory_on_several_gpus_cuts_states_and_reference_but_not_the_teacher():
    found = memory.training(SMALL, gpus=4, sequences=3, length=5, teachers=[SMALL])
    assert found.states == 4 * 1_304
    assert found.frozen == 2 * 1_304
    # Embedding and two blocks, their gradients, and the output matrix in single precision.
    assert found.working == 2 * (80 + 2 * 608) + 2 * (80 + 608) + 8 * 80
    assert found.activations == 15 * (32 + 320 + 96 + 192)
    assert found.logits == 4 * 4 * 15 * 10
    # In bfloat16; a quarter, and what is gathered of it: embedding and two blocks.
    reference = memory.training(SMALL, gpus=4, sequences=3, length=5, reference=True)
    assert reference.frozen == 2 * (326 + 80 + 2 * 608)


def test_the_optimizer_is_the_peak_where_nothing_else_takes_more():
    found = memory.training(SMALL, gpus=1, sequences=1, length=1)
    small = found._replace(working=0.0, activations=0.0, logits=0.0)
    assert small.peak == found.states + found.update + 2 * 2**30


def test_the_tiles_of_the_logits_have_a_bound():
    known = ModelShape.model_validate(paper()["plan"]["models"]["Qwen/Qwen2.5-3B-Instruct"])
    found = memory.training(known, gpus=1, sequences=64, length=4_096)
    assert found.logits == 2 * 4 * 4_096 * 32_768


def test_vllm_needs_the_weights_and_one_longest_sequence():
    found = memory.generation_least(SMALL, gpus=2, length=100)
    assert found == (2 * 1_304 + 32 * 100) / 2 + 2 * 2**30


def test_gpu_hours_are_operations_over_speed_and_tokens_over_throughput():
    _, plan = small_study()
    assert gpu_hours(plan, Work(compute=500.0 * 3600)) == pytest.approx(1.0)
    generating = Work(decode=0.0001 * 7200)
    assert gpu_hours(plan, generating) == pytest.approx(2.0)
    # Where the longest responses take longer than all of them together.
    assert gpu_hours(plan, generating._replace(waits=1e9 * 10_800)) == pytest.approx(3.0)
    assert gpu_hours(plan, generating._replace(waits=1e9 * 3_600)) == pytest.approx(2.0)


def test_each_kind_of_job_is_as_worked_by_hand():
    study, plan = small_study()

    def work(rule: str, run: str) -> Work:
        return cost_of(Job(rule, "countdown", run, 1), study, plan).work

    # A forward pass over one sequence of 10 + 30 tokens, and of 10 + 50.
    one, longer = 40 * (2_608 + 32 * 40), 60 * (2_608 + 32 * 60)
    # 10 steps of 8 rollouts; 4 passes, one for the old policy, one for the reference.
    grpo = work("grpo", "expert")
    assert grpo.compute == 80 * 6 * one
    assert (grpo.generated, grpo.trained) == (2_400, 2_400)
    assert grpo.decode == pytest.approx(2_400 * 1_304 / 1e9)
    # 10 batches, each as long as its longest response, on two GPUs.
    assert grpo.waits == 10 * 1_024 * 2
    cost = cost_of(Job("grpo", "countdown", "expert", 1), study, plan)
    assert cost.gpu_hours == pytest.approx(gpu_hours(plan, grpo._replace(waits=0.0)))
    assert (cost.gpus, cost.hours) == (2, pytest.approx(cost.gpu_hours / 2))
    sft = work("sft", "sft-realizable")
    assert (sft.compute, sft.generated, sft.trained) == (80 * 4 * one, 0, 2_400)
    assert work("sft", "sft-unrealizable").compute == 80 * 4 * longer
    # The teacher reads what the student says.
    distill = work("distill", "distill-realizable")
    assert (distill.compute, distill.generated) == (80 * 5 * one, 2_400)
    # 50 demonstrations; every prompt is read.
    sample = work("sample", "expert")
    assert (sample.compute, sample.generated) == (50 * 10 * (2_608 + 32 * 10), 1_500)
    # Two checkpoints, 30 prompts, two samplings.
    assert work("evaluate", "sft-realizable").generated == 2 * 2 * 30 * 30
    assert work("evaluate", "base").generated == 2 * 30 * 30
    asked = work("demonstrate", "deepseek-v3.2-exp")
    assert (asked.api_prompt, asked.api_response) == (500, 2_500)
    assert asked.api_cost == pytest.approx((500 * 2 + 2_500 * 3) / 1e6)


def test_grpo_does_without_passes_that_its_settings_do_without():
    study, plan = small_study()
    expert = Job("grpo", "countdown", "expert", 1)
    before = cost_of(expert, study, plan).work.compute
    lean = study.methods.grpo.model_copy(update={"updates_per_step": 1, "kl_coefficient": 0.0})
    methods = study.methods.model_copy(update={"grpo": lean})
    tasks = [task.model_copy(update={"methods": methods}) for task in study.tasks]
    after = cost_of(expert, study.model_copy(update={"tasks": tasks}), plan)
    assert after.work.compute == pytest.approx(before * 4 / 6)


def test_a_figure_counts_what_it_depends_on_once():
    study, plan = small_study()
    graph = small_graph()
    costs = costs_of(study, plan, graph)
    figures = jobs_of_figures(graph, costs)
    # Figure 2 depends on nothing that takes GPUs or money.
    assert figures == {
        "figure1": {
            Job(rule, "countdown", run, 1)
            for rule, run in (
                ("adopt", "base"),
                ("evaluate", "base"),
                ("grpo", "expert"),
                ("evaluate", "expert"),
                ("sample", "expert"),
                ("sft", "sft-realizable"),
                ("evaluate", "sft-realizable"),
            )
        }
    }
    sums = totals(study, costs, figures)
    assert sums["figure"]["figure1"]["gpu_hours"] == pytest.approx(
        sum(cost.gpu_hours for cost in costs.values())
    )
    assert sums["figure"]["figure1"]["jobs"] == 7 and sums["all"]["everything"]["jobs"] == 8
    by_seed = sum(part["gpu_hours"] for part in sums["seed"].values())
    assert by_seed == pytest.approx(sums["all"]["everything"]["gpu_hours"])
    rows = [(row["run"], row["seed"], row["jobs"]) for row in rows_of(study, costs, figures)]
    assert rows == [
        ("base", 1, "adopt evaluate"),
        ("expert", 1, "grpo evaluate sample"),
        ("sft-realizable", 1, "sft evaluate"),
        ("deepseek-v3.2-exp", 2, "demonstrate"),
    ]


def test_a_plan_for_some_seeds_has_the_base_that_they_all_need():
    study, plan = small_study(seeds=[2])
    graph = small_graph()
    graph.add_node(Job("sample", "countdown", "base", 1))
    found = {(job.rule, job.run) for job in costs_of(study, plan, graph)}
    assert found == {
        ("adopt", "base"),
        ("evaluate", "base"),
        ("demonstrate", "deepseek-v3.2-exp"),
    }


def test_every_model_of_the_paper_has_a_shape_without_any_download():
    study = load(PAPER)
    for task in study.tasks:
        models = [task.base, *(expert for expert in task.experts if expert.kind == "model")]
        for model in models:
            if model is not None:
                assert model.repo in SIZES
                assert shape.parameters(shape.of_model(model, study.plan)) == SIZES[model.repo]


def test_an_unknown_model_is_named_with_its_remedy():
    study, plan = small_study(models={})
    with pytest.raises(InputError, match=r"Qwen2\.5-3B-Instruct@.*plan\.models.*download-paper"):
        cost_of(Job("grpo", "countdown", "expert", 1), study, plan)


def test_a_figure_is_told_in_words():
    sums = {"gpu_hours": 1234.5, "api_response": 2e6, "api_prompt": 1e6, "api_cost": 7.0}
    _, plan = small_study(gpu_price=2.0)
    told = sentence("Figure 2 alone", sums, plan)
    expected = "Figure 2 alone costs 1,234 GPU-hours ($2,469) and $7.00 for 3.0 million API tokens."
    assert told == expected
    _, plan = small_study(gpu_price=None, device="core")
    told = sentence("Figure 2 alone", sums | {"api_cost": 0.0}, plan)
    assert "1,234 core-hours and an unknown price" in told


def test_a_plan_of_cores_counts_the_threads_of_jobs():
    study, plan = small_study(device="core")
    job = Job("grpo", "countdown", "expert", 1)
    threads = study.tasks[0].resources.grpo.threads
    priced = cost_of(job, study, plan)
    assert priced.gpus == threads > 2 and priced.hours == pytest.approx(priced.gpu_hours / threads)


def test_the_page_escapes_what_the_config_says():
    study, plan = small_study(gpu="<script>")
    costs = costs_of(study, plan, small_graph())
    html = page.page(rows_of(study, costs, {}), totals(study, costs, {}), plan, "title & more")
    assert "<script>" not in html and "title &amp; more" in html


def test_the_progress_display_is_told_the_mean_of_each_rule():
    """SFT: 3 passes, and one for checkpointing, of the small model over 10 x 8 rows."""
    study, _ = small_study()
    students = [Job("sft", "countdown", name, 1) for name in ("sft-realizable", "sft-unrealizable")]
    found = expected_seconds(study, [*students, Job("solve", "countdown", "solver"), Job("claims")])
    # Two operations a parameter, and 2 layers x 2 x 2 heads x 4 wide x the length in attention.
    seconds = [4 * 80 * length * (2 * 1304 + 32 * length) / (0.5 * 1000) / 2 for length in (40, 60)]
    assert found == {"sft": pytest.approx(sum(seconds) / 2), "solve": 0.0}
    # GPUs are what a job asks for; of cores it has no more than there are: 16 are asked for.
    assert expected_seconds(study, students, 1) == {"sft": found["sft"]}
    cores, _ = small_study(device="core")
    of_all, of_one, of_two = (expected_seconds(cores, students, n)["sft"] for n in (None, 1, 2))
    assert of_one == pytest.approx(16 * of_all) == pytest.approx(2 * of_two)
    assert of_all == pytest.approx(found["sft"] * 2 / 16)
    without = study.model_copy(update={"plan": None})
    assert expected_seconds(without, students) == {}


@pytest.mark.parametrize(
    ("task", "run", "rows"),
    [
        # 20,000 / 8.1907 tokens a second, 900 seconds, 23,000 tokens a response.
        ("aime", "deepseek-r1-0528-qwen3-8b", 95),
        # 20,000 / 1.7771, and 4,500.
        ("deepscaler", "expert", 2_250),
    ],
)
def test_a_unit_of_a_sampling_takes_a_quarter_of_an_hour_by_the_plan(task, run, rows):
    study = load(PAPER)
    own = next(one for one in study.tasks if one.name == task)
    assert unit_rows(Policy(study, study.plan, own, run), "sample") == rows
    asked = own.resources.sample.model_copy(update={"gpu": 2})
    wider = {"resources": own.resources.model_copy(update={"sample": asked})}
    twice = unit_rows(Policy(study, study.plan, own.model_copy(update=wider), run), "sample")
    assert 2 * rows <= twice <= 2 * rows + 1


def test_a_unit_has_a_response_however_long_it_is():
    study = load(PAPER, {"plan": {"decode_tokens_per_second": 1.0}})
    policy = Policy(study, study.plan, study.tasks[-1], "deepseek-r1-0528-qwen3-8b")
    assert unit_rows(policy, "sample") == 1
