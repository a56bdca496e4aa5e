"""The key `lora`: mistakes, what runs without it are, what the plan and preflight say of it."""

import json
from pathlib import Path

import pytest
from configs import ROOT, error, shipped
from peft import LoraConfig, get_peft_model
from preflight_studies import check, study_raw
from pydantic import Json
from test_cost import SMALL, small_study
from transformers import Qwen2Config, Qwen2ForCausalLM

from online_il.config.grpo import Grpo
from online_il.config.lora import Lora
from online_il.config.study import Study, load
from online_il.cost import memory, shape
from online_il.cost.rules import (
    Policy,
    learn_from_probabilities,
    learn_from_reward,
    learn_from_samples,
)
from online_il.preflight.memory import passing_bytes, too_large, training_memory
from online_il.program.dag import Job
from online_il.provenance import libraries
from online_il.training.publish import TrainingOptions, saving_of

LORA = Lora(rank=2, alpha=4)
GIB = 2**30
AT = "    micro_batch_size: 8\n    # None"
MINI = shipped("small")


def with_lora(written: str) -> str:
    assert AT in MINI
    return MINI.replace(AT, f"    lora: {written}\n{AT}", 1)


@pytest.mark.parametrize(
    ("written", "key", "words"),
    [
        ("{rank: 0, alpha: 1}", "rank", "greater than 0"),
        ("{rank: 1.5, alpha: 1}", "rank", "integer"),
        ("{rank: 4}", "alpha", "required"),
        ("{rank: 4, alpha: 0}", "alpha", "greater than 0"),
        ("{rank: 4, alpha: -1}", "alpha", "greater than 0"),
        ("{rank: 4, alpha: .nan}", "alpha", "finite"),
        ("{rank: 4, alpha: 8, target_modules: []}", "target_modules", "at least 1"),
        ("{rank: 4, alpha: 8, target_modules: [q proj]}", "target_modules", "q proj"),
        ("{rank: 4, alpha: 8, target_modules: all}", "target_modules", "all-linear"),
        ("{rank: 4, alpha: 8, dropout: 0.1}", "dropout", "unknown key"),
    ],
)
def test_a_mistake_is_one_line_with_its_key(tmp_path, written, key, words):
    message = error(tmp_path, with_lora(written))
    lines = [line for line in message.splitlines() if "methods.grpo.lora" in line]
    assert lines and all(key in line for line in lines) and words in " ".join(lines)
    assert "Traceback" not in message


@pytest.mark.parametrize("place", ["    base:\n", "      - name: mixture\n"])
def test_what_trains_no_run_has_no_adapter(tmp_path, place):
    indent = " " * (6 if "base" in place else 8)
    text = MINI.replace(place, f"{place}{indent}lora: {{rank: 4, alpha: 8}}\n", 1)
    message = error(tmp_path, text)
    assert ".lora" in message and "unknown key" in message and ".package.lora" not in message


def test_several_gpus_are_refused(tmp_path):
    text = (ROOT / "config" / "onegpu-lora.yaml").read_text()
    text = text.replace("extends: ", f"extends: {ROOT}/config/")
    message = error(tmp_path, text, {"resources": {"sft": {"gpu": 2}}})
    assert "an adapter is trained on one GPU" in message and "resources.sft.gpu is 2" in message


def test_a_run_may_have_an_adapter_of_its_own(tmp_path):
    (tmp_path / "study.yaml").write_text(
        MINI.replace(
            "method: grpo, steps: 100", "lora: {rank: 4, alpha: 8}, method: grpo, steps: 100"
        )
    )
    (task,) = load(tmp_path / "study.yaml").tasks
    found = {run.name: task.settings_of(run).lora for run in task.runs}
    assert found.pop("expert") == Lora(rank=4, alpha=8, target_modules="all-linear")
    assert set(found.values()) == {None}


# ---- runs without an adapter are what they were ----


@pytest.mark.parametrize("name", ["mini", "small", "mixture", "paper"])
def test_settings_without_an_adapter_do_not_mention_it(name):
    study = load(ROOT / "config" / f"{name}.yaml")
    assert '"lora"' not in study.model_dump_json()
    for task in study.tasks:
        for run in task.runs:
            assert "lora" not in task.settings_of(run).model_dump()


class Options(TrainingOptions):
    settings: Json[Grpo]


def identity(folder: Path, **settings) -> tuple[str, TrainingOptions]:
    grpo = load(ROOT / "config" / "mini.yaml").methods.grpo.model_copy(update=settings)
    paths = dict.fromkeys(
        ("prompts", "checkpoints", "training", "record", "state", "progress", "base"), folder
    )
    options = Options.model_construct(
        **paths,
        settings=grpo,
        task="t",
        run="r",
        seed=1,
        code="c",
        steps=1,
        learning_rate=0.1,
        keep="1",
        start="base",
        save_minutes=1.0,
        hardware="cpu",
        precision=None,
    )
    return saving_of(options).identity, options


def test_pefts_version_is_part_of_a_run_with_an_adapter_alone(tmp_path, monkeypatch):
    known = {"plain": identity(tmp_path)[0], "lora": identity(tmp_path, lora=LORA)[0]}
    assert "peft" not in libraries() and "peft" in libraries("peft")
    from online_il import provenance

    version = provenance.version
    monkeypatch.setattr(provenance, "version", lambda n: "9" if n == "peft" else version(n))
    assert identity(tmp_path)[0] == known["plain"]
    assert identity(tmp_path, lora=LORA)[0] != known["lora"]
    assert (
        len({identity(tmp_path, lora=one)[0] for one in (None, LORA, Lora(rank=4, alpha=4))}) == 3
    )


def test_frozen_weights_are_loaded_as_they_are_and_trained_ones_in_single_precision(tmp_path):
    _, plain = identity(tmp_path)
    _, adapter = identity(tmp_path, lora=LORA)
    gpu = {"hardware": "gpu"}
    assert plain.dtype == plain.model_copy(update=gpu).dtype == adapter.dtype == "float32"
    assert adapter.model_copy(update=gpu).dtype == "auto"


# ---- plan and preflight ----


def test_the_parameters_of_an_adapter_are_those_that_peft_makes():
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=10,
            hidden_size=8,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=4,
            tie_word_embeddings=True,
        )
    )
    chosen = {"all-linear": "all-linear", "two": ["q_proj", "down_proj"]}
    for target in chosen.values():
        lora = Lora(rank=3, alpha=1, target_modules=target)
        wrapped = get_peft_model(
            model, LoraConfig(r=3, target_modules=target, task_type="CAUSAL_LM")
        )
        trained = sum(part.numel() for part in wrapped.parameters() if part.requires_grad)
        assert shape.adapter_parameters(SMALL, lora) == trained > 0
        model = wrapped.unload()


def test_memory_of_an_adapter_is_as_worked_by_hand():
    found = memory.training(
        SMALL, gpus=1, sequences=3, length=5, reference=True, asleep=9.0, lora=LORA
    )
    # Rank 2 over q 8+8, k and v 8+4, o 8+8, gate and up 8+16, down 16+8, in each of two blocks.
    trained = 2 * 2 * (16 + 12 + 12 + 16 + 24 + 24 + 24)
    assert found.states == 2 * 1_304 + 16 * trained, "no gradient or moment of a frozen weight"
    assert found.frozen == 0, "the reference is the policy without its adapter"
    assert (found.working, found.update, found.asleep) == (2 * trained, 4 * trained, 9.0)
    # The stream in bfloat16, one block, and its inputs once more: six of 8 numbers and one of 16.
    assert found.activations == 15 * (32 + 320 + 96 + 192 + 2 * (6 * 8 + 16))
    assert found.logits == 2 * 4 * 15 * 10
    taught = memory.training(SMALL, gpus=1, sequences=3, length=5, teachers=[SMALL], lora=LORA)
    assert taught.frozen == 2 * 1_304, "the teacher is a model of its own"


def test_work_of_an_adapter_is_one_forward_pass_less():
    study, plan = small_study()
    (task,) = study.tasks
    for name, cost in (
        ("expert", learn_from_reward),
        ("sft-realizable", learn_from_samples),
        ("distill-realizable", learn_from_probabilities),
    ):
        (run,) = [run for run in task.runs if run.name == name]
        with_one = run.model_copy(update={"lora": LORA})
        adapted = task.model_copy(update={"runs": [with_one]})
        full = cost(Policy(study, plan, task.model_copy(update={"runs": [run]}), name))
        less = cost(Policy(study, plan, adapted, name))
        response = task.evaluation and plan.tokens["countdown"].expert_tokens.get("expert", 30)
        length = 10 + response
        count = full.trained / response
        one_pass = shape.forward_flops(SMALL, count * length, length)
        assert full.compute - less.compute == pytest.approx(one_pass)
        assert less._replace(compute=0.0) == full._replace(compute=0.0)


def test_preflight_names_a_matrix_that_the_model_does_not_have(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPSEEK_API_KEY", "k")
    raw = study_raw(tmp_path)
    raw["resources"] = raw["resources"] | {
        rule: raw["resources"][rule] | {"gpu": 1} for rule in ("grpo", "sft", "distill")
    }
    raw["methods"]["sft"]["lora"] = {"rank": 2, "alpha": 4, "target_modules": ["q_proj", "query"]}
    found = [problem for problem in check(raw) if "lora" in problem]
    assert found and all("the model has no matrix 'query'; there are: q_proj" in p for p in found)
    assert all("sft" in problem for problem in found)
    raw["methods"]["sft"]["lora"]["target_modules"] = ["q_proj"]
    assert not [problem for problem in check(raw) if "lora" in problem]


def test_an_adapters_state_is_the_adapters_alone(tmp_path):
    raw = study_raw(tmp_path / "files")
    study = Study.model_validate(raw)
    task = study.tasks[0]
    run = next(run for run in task.runs if run.method == "sft")
    jobs = [Job("sft", "countdown", run.name, 1)]
    full, _ = passing_bytes(study, [task], jobs, tmp_path)
    adapted = task.model_copy(
        update={
            "runs": [r.model_copy(update={"lora": LORA}) for r in task.runs if r.method == "sft"]
        }
    )
    small, count = passing_bytes(study, [adapted], jobs, tmp_path)
    # Two blocks, rank 2: q 64+64, k and v 64+32, o 64+64, gate and up 64+128, down 128+64.
    trained = 2 * 2 * (128 + 96 + 96 + 128 + 192 + 192 + 192)
    assert (small, count) == (3 * 12 * trained, 1) and small < full / 10


def test_the_study_for_24_gib_fits_and_is_onegpus_with_adapters():
    full, study = (load(ROOT / "config" / f"{name}.yaml") for name in ("onegpu", "onegpu-lora"))
    (task,), (other,) = study.tasks, full.tasks
    assert study.plan is not None and study.plan.gpu_memory_gib < 24
    assert not too_large(study, study.plan, task)
    assert too_large(full, study.plan, other).keys() == {"grpo", "sft", "distill"}
    estimates = training_memory(study, study.plan, task)
    assert all(one.peak < 24 * GIB for one in estimates.values())
    for run, theirs in zip(task.runs, other.runs, strict=True):
        assert task.settings_of(run).lora == Lora(rank=32, alpha=64)
        assert run.learning_rate == pytest.approx(10 * theirs.learning_rate)
        assert run.model_copy(update={"learning_rate": theirs.learning_rate}) == theirs


def test_the_schema_knows_the_key():
    known = json.loads((ROOT / "config" / "schema.json").read_text())
    assert "lora" in known["$defs"]["Grpo"]["properties"]
    assert "lora" not in known["$defs"]["Grpo"].get("required", [])
