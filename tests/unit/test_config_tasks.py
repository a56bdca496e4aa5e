"""Settings of studies with several tasks, models of the hub, endpoints and GPUs."""

import re
from pathlib import Path

import pytest
import yaml
from configs import ROOT, error, put, shipped

from online_il.studies import load_study as load

PAPER = shipped("paper")
SMOKE = shipped("smoke")
COUNTDOWN, GSM8K = "\n  - name: countdown\n", "\n  - name: gsm8k\n"
DEEPSCALER, AIME = "\n  - name: deepscaler\n", "\n  - name: aime\n"
ENDPOINT, MODEL = "- name: deepseek-r1-0528\n", "- name: deepseek-r1-0528-qwen3-8b\n"


@pytest.mark.parametrize(
    ("after", "key", "value", "path", "words"),
    [
        (GSM8K, "kind", "gsm", "tasks[1].data.kind", "no such kind|mean 'gsm8k'"),
        (
            GSM8K,
            "kind",
            "gsm8k\n      colour: 1",
            "tasks[1].data.colour",
            "unknown key|known: knowledge, prose",
        ),
        (GSM8K, "repo", "gsm8k", "tasks[1].data.train.repo", "match pattern|owner/name"),
        (GSM8K, "revision", "main", "tasks[1].data.train.revision", "40 hexadecimal"),
        (GSM8K, "shots", "many", "tasks[1].data.shots", "integer|Examples before"),
        (GSM8K, "benchmarks", "[gsm8k, mmul]", "tasks[1].benchmarks[1]", "mean 'mmlu'|gsm8k, mmlu"),
        (COUNTDOWN, "benchmarks", "[id, mmlu]", "tasks[0].benchmarks[1]", "no such benchmark"),
        (COUNTDOWN, "benchmarks", "[]", "tasks[0].benchmarks", "at least 1 item"),
        (DEEPSCALER, "aime2024", "16, mmlu: 2", "tasks[2].evaluation.responses.mmlu", "nothing is"),
        ("finetuning:", "updates", "0", "tasks[1].base.finetuning.updates", "greater than 0"),
        (ENDPOINT, "kind", "endpiont", "tasks[3].experts[0].kind", "mean 'endpoint'"),
        (ENDPOINT, "url", "https://me:key@host/v1", "tasks[3].experts[0].url", "match pattern"),
        (ENDPOINT, "price_output", "cheap", "tasks[3].experts[0].price_output", "number|dollars"),
        (MODEL, "repo", "./weights", "tasks[3].experts[1].repo", "match pattern"),
        ("models:", "task", "amie", "discrepancy.models[0].task", "mean 'aime'"),
        ("models:", "expert", "r1", "discrepancy.models[0].expert", "aime has no expert"),
        ("models:", "student", "deepseek-r1-0528", "discrepancy.models[0].student", "with itself"),
        ("models:", "responses", "0", "discrepancy.models[0].responses", "greater than 0"),
        # Batches and GPUs.
        ("\nresources:", "grpo", "{mem_mb: 9, runtime: 9}", "resources.grpo.gpu", "ask for none"),
        (GSM8K, "gpu", "0", "tasks[1].resources.grpo.gpu", "ask for none|at least 1"),
        (GSM8K, "gpu", "3", "tasks[1].methods.grpo.micro_batch_size", "3 GPUs"),
        (
            GSM8K,
            "micro_batch_size",
            "48",
            "tasks[1].methods.grpo.micro_batch_size",
            "divisor of 128",
        ),
        (
            GSM8K,
            "micro_batch_size",
            "4\n        updates_per_step: 3",
            "tasks[1].methods.grpo.updates_per_step",
            "1024 rollouts",
        ),
        ("\nmethods:", "micro_batch_size", "15", "methods.grpo.micro_batch_size", "of 2 GPUs"),
        # Each task's own checkpoints, which its own runs must reach.
        (
            DEEPSCALER,
            "checkpoints",
            "[961]",
            "tasks[2].methods.grpo.checkpoints",
            "ends at step 960",
        ),
        ("\nmethods:", "checkpoints", "[321]", "methods.grpo.checkpoints", "ends at step 320"),
    ],
)
def test_a_wrong_setting_of_the_paper_is_named_with_its_place(
    tmp_path: Path, after: str, key: str, value: str, path: str, words: str
) -> None:
    text, _ = put(PAPER, after, key, value)
    message = error(tmp_path, text)
    rows = [row for row in message.splitlines() if re.search(rf": {re.escape(path)}[ :]", row)]
    assert rows, message
    for word in words.split("|"):
        assert any(word in row for row in rows), f"no {word} in: {rows}"


def test_runs_need_a_base_and_the_solver_needs_the_miniature(tmp_path: Path) -> None:
    raw = yaml.safe_load(PAPER)
    del raw["tasks"][0]["base"]
    raw["tasks"][1]["experts"] = [{"name": "exact", "kind": "solver"}]
    (student,) = [run for run in raw["tasks"][1]["runs"] if run["name"] == "sft-unrealizable"]
    student["expert"] = "exact"
    message = error(tmp_path, yaml.safe_dump(raw, sort_keys=False))
    assert message.startswith("2 problems")
    assert "tasks[0].base: the task has runs, which start from a base; add a base" in message
    assert "tasks[1].experts[0].kind" in message and "use an endpoint or a model" in message


def test_distillation_takes_an_expert_with_weights_and_no_endpoint(tmp_path: Path) -> None:
    raw = yaml.safe_load(SMOKE)
    (task,) = [task for task in raw["tasks"] if task["name"] == "gsm8k"]
    (student,) = [run for run in task["runs"] if run["method"] == "distill"]
    student["expert"] = "stranger"
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(raw))
    assert load(path)
    task["experts"][0] = {
        "name": "stranger",
        "kind": "endpoint",
        "url": "http://localhost:8000/v1",
        "model": "m",
    }
    message = error(tmp_path, yaml.safe_dump(raw))
    assert message.startswith("1 problem")
    assert "this one has no weights; name a run, or use sft" in message


def test_a_task_has_its_own_settings_or_those_of_the_study() -> None:
    study = load(ROOT / "config" / "paper.yaml")
    tasks = {task.name: task for task in study.tasks}
    countdown, gsm8k, deepscaler = (tasks[n] for n in ("countdown", "gsm8k", "deepscaler"))
    assert countdown.methods.grpo == study.methods.grpo
    assert gsm8k.methods.grpo.max_new_tokens == 4096
    assert gsm8k.methods.grpo.prompts_per_step == 128
    assert countdown.evaluation.paper.top_k == 50
    assert gsm8k.evaluation.paper is None
    assert countdown.resources.grpo.gpu == 2
    assert deepscaler.resources.grpo.gpu == 8
    assert deepscaler.resources.finetune == study.resources.finetune
    (expert,) = [run for run in deepscaler.runs if run.name == "expert"]
    assert 80 in deepscaler.checkpoints_of(expert)
    assert deepscaler.checkpoints_of(expert)[-1] == 960


def test_the_paper_is_configured_with_its_own_numbers() -> None:
    """Tables 2 and 3, Appendix D."""
    study = load(ROOT / "config" / "paper.yaml")
    tasks = {task.name: task for task in study.tasks}
    grpo = study.methods.grpo
    assert (grpo.prompts_per_step, grpo.rollouts_per_prompt, grpo.updates_per_step) == (128, 5, 2)
    assert (grpo.kl_coefficient, grpo.clip_ratio, grpo.entropy_coefficient) == (0.001, 0.2, 0.001)
    assert (grpo.max_prompt_tokens, grpo.max_new_tokens, grpo.temperature) == (2048, 1024, 1.0)
    countdown = tasks["countdown"].data
    assert (countdown.train, countdown.id) == (327_680, 1_024)
    assert countdown.out_of_distribution.operands == [4]
    assert countdown.out_of_distribution.numbers[1] == 125
    assert countdown.out_of_distribution.answers[1] == 300
    assert [run.learning_rate for run in tasks["countdown"].runs if run.method == "grpo"] == [1e-6]
    finetuning = tasks["gsm8k"].base.finetuning
    assert (finetuning.updates, finetuning.batch_size, finetuning.learning_rate) == (3064, 64, 1e-5)
    gsm8k = tasks["gsm8k"].methods.grpo
    assert gsm8k.prompts_per_step * gsm8k.rollouts_per_prompt == 1_024
    deepscaler = tasks["deepscaler"].methods.grpo
    steps = {run.name: run.steps for run in tasks["deepscaler"].runs}
    assert (steps["expert"], steps["sft-realizable"]) == (960, 15_360)
    assert deepscaler.prompts_per_step == 64
    # SFT consumes as many samples as its expert: the paper's factors of 10 and 16.
    for name, factor in (("countdown", 10), ("gsm8k", 16), ("deepscaler", 16)):
        steps = {run.name: run.steps for run in tasks[name].runs}
        assert steps["sft-realizable"] == factor * steps["expert"]
        rollouts = tasks[name].methods.grpo
        consumed = rollouts.prompts_per_step * rollouts.rollouts_per_prompt
        assert consumed == factor * tasks[name].methods.sft.batch_size
    (pair,) = study.discrepancy.models
    assert (pair.responses, pair.sampling.temperature, pair.sampling.top_p) == (14, 0.6, 0.95)
    assert pair.sampling.max_new_tokens == 100_000 and study.discrepancy.bin_width == 5_000
    assert pair.tokenizer.repo == "Qwen/Qwen3-8B"


def test_prefixes_of_an_expert_need_the_number_of_its_samples(tmp_path: Path) -> None:
    raw = yaml.safe_load(SMOKE)
    (task,) = [task for task in raw["tasks"] if task["name"] == "gsm8k"]
    raw["tasks"], raw["discrepancy"] = [task], None
    task["runs"] = [run for run in task["runs"] if run["method"] != "sft"]
    del raw["methods"]["sft"]
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(raw))
    assert load(path)
    task["runs"][-1]["prefixes"] = "expert"
    message = error(tmp_path, yaml.safe_dump(raw))
    assert message.startswith("1 problem") and "methods.sft: a required key is missing" in message


def test_gpus_do_not_part_the_responses_to_a_prompt(tmp_path: Path) -> None:
    raw = yaml.safe_load(PAPER)
    task = raw["tasks"][0]
    (student,) = [run for run in task["runs"] if run["method"] == "distill"]
    gpus, batch = raw["resources"]["distill"]["gpu"], raw["methods"]["distill"]["batch_size"]
    student |= {"level": "response", "responses_per_prompt": batch // gpus}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(raw))
    assert gpus > 1 and load(path)
    student["responses_per_prompt"] = batch
    message = error(tmp_path, yaml.safe_dump(raw))
    assert message.startswith("1 problem")
    assert f"whole groups of {batch}; choose a divisor of {batch // gpus}" in message


def test_a_key_of_digits_names_no_part(tmp_path: Path) -> None:
    mixture = """
      - {name: mixture, kind: mixture, parts: {1: 1.0}}
    runs:"""
    text = (
        SMOKE[: SMOKE.rindex("\n    runs:")] + mixture + SMOKE[SMOKE.rindex("\n    runs:") + 10 :]
    )
    message = error(tmp_path, text)
    line = text.count("\n", 0, text.index("parts: {1")) + 1
    assert message.startswith("1 problem") and f"study.yaml:{line}: " in message
    assert "Traceback" not in message and "parts" in message
