"""Two pretrained bases in one task: runs that name theirs, and what the config says of each."""

import json
from pathlib import Path

import pytest
from configs import ROOT, error, put, shipped

from online_il.config.divergence import Divergences
from online_il.config.generation import Generation
from online_il.config.tasks import Task
from online_il.cost.jobs import cost_of
from online_il.cost.rules import Policy, divergence
from online_il.hub import named_in
from online_il.program.dag import Job
from online_il.studies import load_study

TEXT = shipped("onegpu")
SMALL, LARGE = (f"Qwen/Qwen2.5-{size}-Instruct" for size in ("1.5B", "3B"))


@pytest.fixture(scope="module")
def study():
    return load_study(ROOT / "config" / "onegpu.yaml")


@pytest.fixture(scope="module")
def task(study) -> Task:
    return study.tasks[0]


def test_a_run_starts_from_the_base_that_it_names(task):
    assert {name: base.repo for name, base in task.named_bases.items()} == {
        "base": SMALL,
        "larger": LARGE,
    }
    begun = {run.name: task.base_of(run.name) for run in task.runs}
    assert begun.pop("larger-rl") == "larger"
    assert len(begun) == 6 and set(begun.values()) == {"base"}
    # Behind the expert of the unrealizable arms stands the model that it was trained from.
    assert [model.repo for model in task.models_behind("larger-rl")] == [LARGE]
    assert [model.repo for model in task.models_behind("expert")] == [SMALL]


def test_one_seed_is_the_first_block_and_more_are_one_key(task):
    assert task.seeds == [1] and task.seeds_of_base("larger") == [1]
    more = load_study(ROOT / "config" / "onegpu.yaml", {"blocks": 3}).tasks[0]
    assert more.seeds == [1, 2, 3] and more.seeds_of_base("larger") == [1]
    assert more.seed_of_base("larger", 3) == 1


def test_a_run_has_a_penalty_of_its_own_and_all_else_of_its_method(task):
    of = {run.name: task.settings_of(run) for run in task.runs if run.method == "grpo"}
    assert (of["expert"].kl_coefficient, of["larger-rl"].kl_coefficient) == (0.001, 0)
    assert of["larger-rl"] == of["expert"].model_copy(update={"kl_coefficient": 0})


def test_the_expert_of_another_base_counts_as_unrealizable(study, task):
    """Theorem 2's class has the student's checkpoints, its base and, of its class, the expert."""
    assert study.plan is not None and isinstance(study.divergence, Divergences)

    def read(name: str, steps: int, expert: str, family: int) -> None:
        policy = Policy(study, study.plan, task, name)
        # 512 prompts, two responses, of 150 + 500 tokens; the student four times, its base two.
        tokens, length = 512 * 2 * 650, 650
        own = 6 * policy.read("base", tokens, length)
        theirs = (2 + family) * policy.read(expert, tokens, length)
        assert len(task.checkpoints_of(policy.run)) == steps
        assert divergence(policy).compute == pytest.approx(own + theirs)

    read("sft-realizable", 6, "expert", 6 + 1 + 1)
    read("sft-unrealizable", 6, "larger-rl", 6 + 1)


def test_everything_that_the_study_needs_of_the_hub_is_named(study):
    assert {source.repo for source in named_in(study)} == {
        *(SMALL, LARGE),
        *("Jiayi-Pan/Countdown-Tasks-3to4", "cais/mmlu"),
    }


@pytest.mark.parametrize(
    ("after", "key", "value", "words"),
    [
        ("bases:", "name", "base", "name of the base model"),
        ("bases:", "name", "expert", "bases[0].name"),
        ("bases:", "seed", "x", "bases[0].seed"),
        ("bases:", "revision", "abc", "bases[0].revision"),
        ("- {name: larger-rl", "start", "lager", "did you mean 'larger'?"),
        ("- {name: larger-rl", "start", "larger@0", "larger is a base and has no step 0"),
        ("- {name: larger-rl", "kl_coefficient", "-1", "runs[1].kl_coefficient"),
        ("- {name: sft-unrealizable", "expert", "larger-lr", "did you mean 'larger-rl'?"),
        ("generation:", "during_updates", "dozing", "generation.during_updates"),
        ("mmlu_dev:", "files", "3", "data.mmlu_dev.files"),
        ("rows:", "mmlu", "1", "data.rows.mmlu"),
        ("benchmarks:", "benchmarks", "[id, gsm8k]", "no such benchmark"),
    ],
)
def test_each_fault_is_told_with_its_line(tmp_path: Path, after, key, value, words):
    text, line = put(TEXT, after, key, value)
    told = [one for one in error(tmp_path, text).splitlines() if words in one]
    assert len(told) == 1 and f"study.yaml:{line}: " in told[0]


def test_a_penalty_is_for_grpo_alone(tmp_path):
    old = "{name: sft-self, method: sft,"
    assert old in TEXT
    told = error(tmp_path, TEXT.replace(old, f"{old} kl_coefficient: 0.1,"))
    assert "sft has no such setting; remove it; it is for grpo" in told


def test_mmlu_has_its_examples_or_none_are_asked_for(tmp_path):
    found = TEXT.index("      mmlu_dev:")
    without = TEXT[:found] + TEXT[TEXT.index("      rows: {mmlu") :]
    assert "5 examples stand before each question of MMLU" in error(tmp_path, without)
    path = tmp_path / "shots.yaml"
    path.write_text(without.replace("      rows: {mmlu", "      shots: 0\n      rows: {mmlu"))
    assert load_study(path).tasks[0].data.mmlu_dev is None


def test_a_base_that_is_fine_tuned_stands_alone(tmp_path):
    finetuning = "finetuning: {dataset: {repo: a/b, revision: %s, files: x}, updates: 1," % (
        "0" * 40
    )
    finetuning += " batch_size: 2, micro_batch_size: 1, learning_rate: 0.1, max_length: 8,"
    finetuning += " max_grad_norm: 1.0}\n"
    text = TEXT.replace("      seed: 1\n", f"      seed: 1\n      {finetuning}", 1)
    text = text.replace(
        "resources:\n", "resources:\n  finetune: {mem_mb: 1, runtime: 1, gpu: 1}\n", 1
    )
    assert "further bases are taken as they are" in error(tmp_path, text)


def test_vllm_awake_is_said_to_no_job():
    """What is left out of a job's options cannot make it run again."""
    awake = Generation(engine="vllm", batch_size=8)
    assert "during_updates" not in json.loads(awake.model_dump_json())
    asleep = awake.model_copy(update={"during_updates": "asleep"})
    assert json.loads(asleep.model_dump_json())["during_updates"] == "asleep"
    assert Generation.model_validate_json(asleep.model_dump_json()) == asleep


def test_an_arm_from_the_larger_model_costs_what_that_models_reading_costs(study, task):
    costs = {
        name: cost_of(Job("distill", "countdown", name, 1), study, study.plan)
        for name in ("distill-realizable", "distill-unrealizable")
    }
    student = Policy(study, study.plan, task, "distill-unrealizable")
    # 200 updates of 256 responses.
    larger, own = (student.read(name, 51_200 * 650, 650) for name in ("larger-rl", "expert"))
    more = costs["distill-unrealizable"].work.compute - costs["distill-realizable"].work.compute
    assert more == pytest.approx(larger - own) and larger > 1.9 * own
