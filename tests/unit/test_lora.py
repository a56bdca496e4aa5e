"""Low-rank adapters: what is trained, what its reference is, what is published and handed over."""

import copy
import hashlib
import signal
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from test_resume import EVERY_BOUNDARY, after, base, log_of, start, whole  # noqa: F401
from test_supervised import ROWS, UPDATES
from test_training import plain_reverse_kl
from torch.func import functional_call
from training_runs import (
    DISTILL,
    GRPO,
    LOOP,
    PROMPTS,
    TRANSFORMERS,
    WORDS,
    arguments,
    copied,
    lengths,
    plain_grpo_loss,
    recorded,
    recording,
    rows_of,
    run_distill,
    run_grpo,
    same_gradient,
    saving,
    tiny,
    token_logps,
)
from transformers import AutoModelForCausalLM, AutoTokenizer

from online_il.chat import prompt_ids
from online_il.config.lora import Lora
from online_il.errors import InputError
from online_il.models import word_tokenizer
from online_il.training import adapters, distill, grpo, supervised

LORA = Lora(rank=2, alpha=6)
SCALE = 3.0  # alpha / rank
MATRICES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ADAPTER = {"lora": {"rank": 2, "alpha": 6}}


def merged(state: dict) -> dict:
    """The weights (names as without an adapter) of a state of peft's: W + alpha / rank * B A."""
    weights = {}
    for name, tensor in state.items():
        if "lora_" in name:
            continue
        place, inside, own = name.removeprefix("base_model.model.").rpartition("base_layer.")
        plain = place + own
        if inside and own == "weight":
            a_R_I, b_O_R = (state[f"base_model.model.{place}lora_{x}.default.weight"] for x in "AB")
            tensor = tensor + SCALE * (b_O_R @ a_R_I)
        weights[plain] = tensor
    return weights


class Policy:
    """A plain model with given weights, through which gradients flow."""

    def __init__(self, state: dict) -> None:
        self.model, self.weights = tiny(), merged(state)

    def __call__(self, ids, **options):
        return functional_call(self.model, self.weights, (ids,), options, tie_weights=False)


def with_gradients(state: dict) -> tuple[dict, dict]:
    """A state whose adapter's matrices want gradients, and these matrices."""
    leaves = {n: t.clone().requires_grad_() for n, t in state.items() if "lora_" in n}
    return {**state, **leaves}, leaves


def same(one: dict, two: dict) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def base_weights(state: dict) -> dict:
    """The frozen weights of a state of peft's, under their own names."""
    return {
        name.removeprefix("base_model.model.").replace("base_layer.", ""): tensor
        for name, tensor in state.items()
        if "lora_" not in name
    }


@pytest.fixture(scope="module")
def grpo_run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        settings = GRPO.model_copy(update={"lora": LORA})
        folder = tmp_path_factory.mktemp("grpo")
        return recorded(patch, grpo, lambda: run_grpo(folder, settings, rate=0.01))


def test_the_first_policy_is_its_base_and_its_kl_is_nothing(grpo_run):
    rows = grpo_run.recorder.rows
    assert rows[0]["kl"] == 0.0 and rows[-1]["kl"] > 0.01
    assert same(merged(grpo_run.trainer.seen[0].state), copied(tiny()))


def test_the_adapter_alone_has_gradients_and_the_base_is_untouched(grpo_run):
    for micro in grpo_run.trainer.seen:
        assert len(micro.gradient) == 2 * len(MATRICES)
        assert all("lora_" in name for name in micro.gradient)
        assert {name.split(".")[-4] for name in micro.gradient} == set(MATRICES)
    end = copied(grpo_run.trainer.model)
    assert same(base_weights(end), copied(tiny()))
    assert all(end[name].abs().max() > 1e-3 for name in end if "lora_B" in name)
    trained = sum(p.numel() for g in grpo_run.trainer.optimizer.param_groups for p in g["params"])
    assert trained == sum(t.numel() for n, t in end.items() if "lora_" in n)


def test_the_grpo_loss_and_the_adapters_gradient_are_those_of_plain_torch(grpo_run):
    seen, count = grpo_run.trainer.seen, Counter()
    assert len(seen) == 16
    for index, micro in enumerate(seen):
        old = Policy(seen[index // 8 * 8].state)
        state, leaves = with_gradients(micro.state)
        rows = [(row[0], row[1], row[-1]) for row in rows_of([micro.inputs])]
        loss = plain_grpo_loss(rows, Policy(state), old, tiny(), GRPO, count)
        assert micro.loss * 4 == pytest.approx(loss.item(), rel=1e-4, abs=1e-5)
        gradient = torch.autograd.grad(loss / 4, list(leaves.values()))
        same_gradient(micro.gradient, dict(zip(leaves, gradient, strict=True)), 1e-4)


def test_grpos_reference_is_the_base_while_the_adapter_has_moved(grpo_run):
    assert grpo_run.trainer.ref_model is None, "no second copy of the weights"
    moved = 0.0
    for prompt, response, old, reference, _ in rows_of(grpo_run.cuts[1][0]):
        with torch.no_grad():
            theirs = token_logps(tiny(), prompt, response, 0.9)
            ours = token_logps(Policy(grpo_run.trainer.seen[8].state), prompt, response, 0.9)
        torch.testing.assert_close(torch.tensor(reference), theirs, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(torch.tensor(old), ours, atol=1e-5, rtol=1e-5)
        moved = max(moved, (ours - theirs).abs().max().item())
    assert moved > 0.05


def test_a_published_policy_is_merged_and_plain_transformers_reads_it(grpo_run):
    folder = grpo_run.recorder.folder / "step1"
    assert not list(folder.glob("*adapter*"))
    model, found = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(found.values()) and AutoTokenizer.from_pretrained(folder)
    third = grpo_run.trainer.seen[8]
    assert third.update == 2
    (checkpoint,) = grpo_run.recorder.checkpoints
    weights = folder / "model.safetensors"
    assert checkpoint.weights_hash == hashlib.sha256(weights.read_bytes()).hexdigest()
    expected = merged(third.state)
    for name, tensor in load_file(weights).items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-6, rtol=1e-6)
    with_adapter, ids = grpo_run.trainer.model, torch.arange(12)[None]
    end = copied(with_adapter)
    with_adapter.load_state_dict(third.state)
    with torch.no_grad():
        one, two, start = (m(ids).logits.log_softmax(-1) for m in (model, with_adapter, tiny()))
    with_adapter.load_state_dict(end)
    torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)
    assert (one - start).abs().max() > 0.05


def test_merging_aside_is_pefts_own_merge_and_leaves_the_model_as_it_was(grpo_run):
    model = grpo_run.trainer.model
    before = copied(model)
    found = dict(adapters.named_weights(model.get_base_model()))
    theirs = copy.deepcopy(model).merge_and_unload()
    assert same(found, dict(theirs.named_parameters()))
    assert same(copied(model), before)


def test_vllm_gets_merged_weights_and_the_base_is_not_rounded(grpo_run):
    engine, model = SimpleNamespace(), grpo_run.trainer.model
    before = copied(model)
    adapters.hand_over_merged(SimpleNamespace(model=model, vllm_generation=engine))
    for _ in range(3):
        got = dict(engine._iter_named_params())
    expected = merged(before)
    assert [*got] == [name for name, _ in tiny().named_parameters()]  # Tied weights come once.
    for name, tensor in got.items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-6, rtol=1e-6)
    assert same(copied(model), before)


@pytest.mark.parametrize("generation", [LOOP, TRANSFORMERS], ids=lambda one: one.engine)
def test_every_engine_sees_the_adapter(generation, tmp_path, monkeypatch):
    made = []
    name = "LoopTrainer" if generation is LOOP else "Trainer"
    monkeypatch.setattr(distill, name, recording(getattr(distill, name), made))
    run_distill(tmp_path, DISTILL.model_copy(update={"lora": LORA}), 3, generation)
    (trainer,) = made
    trainer.temperature, trainer.generation_config.do_sample = 1e-4, False
    trained, untrained = Policy(copied(trainer.model)), tiny()
    ids = prompt_ids(word_tokenizer(WORDS), PROMPTS)

    def greedy(model, row: list[int]) -> list[int]:
        found: list[int] = []
        while len(found) < 11 and found[-1:] != [2]:
            with torch.no_grad():
                logits = model(torch.tensor([[*row, *found]]), use_cache=False).logits
            found.append(int(logits[0, -1].argmax()))
        return found

    expected = [greedy(trained, row) for row in ids]
    assert expected != [greedy(untrained, row) for row in ids], "or this tests nothing"
    assert trainer._generate_single_turn(ids, None, {}) == expected


WAYS = {
    "on-policy": {},
    "forward": {"divergence": "forward"},
    "whole responses": {"level": "response", "responses_per_prompt": 2},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_student_with_an_adapter_is_distilled(way, tmp_path, monkeypatch):
    made = []
    chosen = "WholeLoopTrainer" if "level" in way else "LoopTrainer"
    monkeypatch.setattr(distill, chosen, recording(getattr(distill, chosen), made))
    recorder = run_distill(tmp_path, DISTILL.model_copy(update={"lora": LORA, **way}))
    (trainer,) = made
    assert same(copied(trainer.teacher_model), copied(tiny(seed=1)))
    assert same(base_weights(copied(trainer.model)), copied(tiny()))
    assert recorder.checkpoints[0].step == 2
    if way:
        return
    for update in range(2):
        micros = trainer.seen[4 * update : 4 * update + 4]
        n_tokens = sum(sum(lengths(micro.inputs)) for micro in micros)
        for micro in micros:
            state, leaves = with_gradients(micro.state)
            rows = rows_of([micro.inputs])
            loss = plain_reverse_kl(rows, Policy(state), tiny(seed=1), 0.8) / n_tokens
            assert micro.loss == pytest.approx(loss.item(), abs=1e-5)
            gradient = torch.autograd.grad(loss, list(leaves.values()))
            same_gradient(micro.gradient, dict(zip(leaves, gradient, strict=True)), 1e-4)


def run_sft(folder, lora: Lora, updates=UPDATES):
    model = tiny()
    recorder = supervised.train(
        model,
        word_tokenizer(WORDS),
        ROWS,
        updates,
        arguments=arguments(folder, updates=len(updates)),
        micro_batch_size=2,
        checkpoints=[1],
        saving=saving(folder),
        progress=folder / "progress.json",
        lora=lora,
    )
    return model, recorder


def test_sft_of_an_adapter_is_that_of_plain_torch(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(supervised, "Trainer", recording(supervised.Trainer, made))
    _, recorder = run_sft(tmp_path, LORA)
    for update, seen in zip(UPDATES, (made[0].seen[:4], made[0].seen[4:]), strict=True):
        state, leaves = with_gradients(seen[0].state)
        policy = Policy(state)
        logps = [token_logps(policy, ROWS[i].prompt, ROWS[i].response, 1.0) for i in update]
        loss = -torch.cat(logps).mean()
        row = recorder.rows[UPDATES.index(update)]
        assert row["loss"] == pytest.approx(loss.item(), rel=1e-5)
        gradient = torch.autograd.grad(loss, list(leaves.values()))
        norm = torch.stack([part.square().sum() for part in gradient]).sum().sqrt()
        assert row["grad_norm"] == pytest.approx(norm.item(), rel=1e-4)


def test_single_matrices_are_adapted_where_they_are_named(tmp_path):
    lora = Lora(rank=1, alpha=1, target_modules=["q_proj", "down_proj"])
    model, _ = run_sft(tmp_path, lora)
    adapted = {name.split(".")[-4] for name, _ in model.named_parameters() if "lora_" in name}
    assert adapted == {"q_proj", "down_proj"}


@pytest.mark.parametrize("name", ["query", "lm_head", "embed_tokens", "model"])
def test_a_matrix_that_the_model_does_not_have_is_named_before_training(name, tmp_path):
    with pytest.raises(InputError) as caught:
        run_sft(tmp_path, Lora(rank=1, alpha=1, target_modules=["q_proj", name]))
    message = str(caught.value)
    assert f"no matrix {name!r}" in message and "down_proj, gate_proj" in message
    assert "\n" not in message


def test_several_processes_are_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="one GPU, and here are 2 processes"):
        adapters.peft_config(LORA, tiny(), 2)
    assert adapters.peft_config(None, tiny(), 2) is None


@pytest.mark.parametrize(
    ("method", "engine"), [("sft", "loop"), ("grpo", "transformers"), ("distill", "loop")]
)
def test_a_killed_training_of_an_adapter_ends_as_one_that_was_never_killed(
    method,
    engine,
    base,  # noqa: F811
    tmp_path,
):
    expected = whole(method, tmp_path / "undisturbed", base, engine=engine, **ADAPTER)
    folder = tmp_path / "killed"
    for update in (3, 7):
        process = start(method, folder, base, engine=engine, **ADAPTER, **EVERY_BOUNDARY)
        assert after(process, folder, update, signal.SIGKILL) == -signal.SIGKILL
    newest = max((folder / "state").glob("update-*"))
    assert (newest / "adapter_model.safetensors").is_file()
    assert not (newest / "model.safetensors").exists(), "frozen weights are not written again"
    assert whole(method, folder, base, engine=engine, **ADAPTER, **EVERY_BOUNDARY) == expected
    assert "going on after update" in log_of(folder)
    full = whole(method, tmp_path / "full", base, engine=engine)
    assert full["files"] != expected["files"]
