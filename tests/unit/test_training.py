"""Training with TRL: settings, advantages, losses and gradients against plain torch.

One tiny model with a vocabulary of twelve words; its random responses end at all lengths.
"""

import hashlib
import math
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
import trl.kernels.chunked_divergence
import trl.trainer.utils
from safetensors.torch import load_file
from trl import SFTTrainer

from online_il.config.training import Architecture, Distill, Grpo
from online_il.models import load_model, new_model, save_policy, word_tokenizer
from online_il.records import Training, read_table, write_table
from online_il.training import common, distill, grpo, rollouts, supervised

WORDS = ("<pad>", "<bos>", "<eos>", *"abcdefghi")
SHAPE = Architecture(hidden_size=16, intermediate_size=32, layers=1, heads=2, head_dim=8)
GRPO = Grpo(
    prompts_per_step=4,
    rollouts_per_prompt=4,
    updates_per_step=2,
    micro_batch_size=2,
    kl_coefficient=0.3,
    clip_ratio=0.1,
    entropy_coefficient=0.05,
    temperature=0.9,
    max_new_tokens=11,
    max_grad_norm=0.7,
    checkpoints=[1],
)
DISTILL = Distill(
    batch_size=8,
    micro_batch_size=2,
    temperature=0.8,
    max_new_tokens=11,
    max_grad_norm=0.7,
    checkpoints=[1],
)
PROMPTS = ["<bos> a b c", "<bos> d", "<bos> e f", "<bos> g h i a b"]


def tiny(seed: int = 0):
    model = new_model(SHAPE, word_tokenizer(WORDS), max_length=64, seed=seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 4  # Away from uniform.
    return model


def arguments(folder, updates: int, **options):
    return common.arguments(
        output=folder / "state",
        updates=updates,
        **{"learning_rate": 0.01, "max_grad_norm": 0.7, "seed": 5} | options,
    )


def copied(model) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def with_weights(state):
    model = tiny()
    model.load_state_dict(state)
    return model


def reward(completions, **_) -> list[float]:
    """Hand-made: distinct letters and a little for each word."""
    return [len(set(text.split())) + 0.25 * len(text.split()) for text in completions]


# ---- settings ----


def asserted(config, expected) -> None:
    assert {name: getattr(config, name) for name in expected} == expected


COMMON = {
    "learning_rate": 0.01,
    "max_grad_norm": 0.7,
    "weight_decay": 0.0,
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "adam_epsilon": 1e-8,
    "warmup_steps": 0,
    "bf16": False,
    "fp16": False,
    "gradient_checkpointing": False,
    "disable_dropout": True,
    "use_cpu": True,
    "seed": 5,
    "data_seed": 5,
    "shuffle_dataset": False,
    "logging_nan_inf_filter": False,
    "label_smoothing_factor": 0.0,
}


def test_every_grpo_setting_that_matters_is_the_stated_one(tmp_path):
    config = grpo.config(GRPO, arguments(tmp_path, updates=4))
    asserted(
        config,
        COMMON
        | {
            "max_steps": 4,
            "loss_type": "grpo",
            "scale_rewards": "group",
            "beta": 0.3,
            "epsilon": 0.1,
            "epsilon_high": None,
            "delta": None,
            "use_bias_correction_kl": False,
            "importance_sampling_level": "token",
            "entropy_coef": 0.05,
            "top_entropy_quantile": 1.0,
            "off_policy_mask_threshold": None,
            "mask_truncated_completions": False,
            "num_iterations": 1,
            "num_generations": 4,
            "generation_batch_size": 16,
            "temperature": 0.9,
            "top_k": 0,
            "top_p": 1.0,
            "min_p": None,
            "repetition_penalty": 1.0,
            "max_completion_length": 11,
            "sync_ref_model": False,
            "multi_objective_aggregation": "sum_then_normalize",
        },
    )
    assert config.lr_scheduler_type == "constant" and config.optim == "adamw_torch"
    # 16 rollouts in micro-batches of 2, two updates of 4 micro-batches each.
    assert config.per_device_train_batch_size == 2
    assert config.gradient_accumulation_steps == 4
    assert config.steps_per_generation == 8


def test_every_distillation_setting_that_matters_is_the_stated_one(tmp_path):
    config = distill.config(DISTILL, arguments(tmp_path, updates=4))
    asserted(
        config,
        COMMON
        | {
            "max_steps": 4,
            "beta": 1.0,
            "temperature": 0.8,
            "top_k": 0,
            "top_p": 1.0,
            "min_p": None,
            "repetition_penalty": 1.0,
            "max_completion_length": 11,
            "per_device_train_batch_size": 2,
            "gradient_accumulation_steps": 4,
        },
    )
    assert config.lr_scheduler_type == "constant" and config.optim == "adamw_torch"


# ---- recorded runs ----


def recording(trainer_class, kept: list):
    """A trainer that keeps, of every micro-batch, the inputs, weights, loss and gradient."""

    class Recording(trainer_class):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            self.seen = []
            kept.append(self)

        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            parameters = dict(model.named_parameters())
            gradients = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True)
            self.seen.append(
                SimpleNamespace(
                    update=self.state.global_step,
                    inputs=inputs,
                    state=copied(model),
                    loss=loss.item(),
                    gradient=dict(zip(parameters, gradients, strict=True)),
                )
            )
            return loss

    return Recording


def recorded(patch, module, run) -> SimpleNamespace:
    """What `run()` returns, its trainer, and its rollout batches before and after grouping."""
    trainers, cuts = [], []
    group = rollouts.group_by_length

    def spy(batches, per_update):
        grouped = group(batches, per_update)
        cuts.append((list(batches), grouped))
        return grouped

    patch.setattr(module, "LoopTrainer", recording(module.LoopTrainer, trainers))
    patch.setattr(rollouts, "group_by_length", spy)
    recorder = run()
    return SimpleNamespace(recorder=recorder, trainer=trainers[0], cuts=cuts)


def run_grpo(folder, settings=GRPO, steps=2, engine="loop", rewarded=reward, rate=0.03):
    save_policy(tiny(), word_tokenizer(WORDS), folder / "base")  # TRL loads the reference itself.
    return grpo.train(
        load_model(folder / "base"),
        word_tokenizer(WORDS),
        [{"prompt": PROMPTS[i % 4]} for i in range(4 * steps)],
        rewarded,
        settings,
        engine=engine,
        arguments=arguments(folder, updates=2 * steps, learning_rate=rate),
        checkpoints=[1],
        folder=folder / "checkpoints",
        progress=folder / "progress.json",
    )


def run_distill(folder, settings=DISTILL, updates=2, engine="loop"):
    return distill.train(
        tiny(),
        tiny(seed=1),
        word_tokenizer(WORDS),
        [{"prompt": PROMPTS[i % 4]} for i in range(8 * updates)],
        settings,
        engine=engine,
        arguments=arguments(folder, updates=updates),
        checkpoints=[2],
        folder=folder / "checkpoints",
        progress=folder / "progress.json",
    )


@pytest.fixture(scope="module")
def grpo_run(tmp_path_factory):
    """Two rollout batches, two updates each."""
    folder = tmp_path_factory.mktemp("grpo")
    with pytest.MonkeyPatch.context() as patch:
        return recorded(patch, grpo, lambda: run_grpo(folder))


@pytest.fixture(scope="module")
def grpo_run_without_entropy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grpo0")
    settings = GRPO.model_copy(update={"entropy_coefficient": 0.0})
    with pytest.MonkeyPatch.context() as patch:
        return recorded(patch, grpo, lambda: run_grpo(folder, settings, steps=1))


@pytest.fixture(scope="module")
def distill_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distill")
    with pytest.MonkeyPatch.context() as patch:
        return recorded(patch, distill, lambda: run_distill(folder))


def lengths(batch) -> list[int]:
    return batch["completion_mask"].sum(-1).tolist()


def rows_of(batches) -> list[tuple]:
    """(prompt, response, what else belongs to it) of every row, without padding."""
    rows = []
    for batch in batches:
        for i, n in enumerate(lengths(batch)):
            prompt = batch["prompt_ids"][i][batch["prompt_mask"][i] == 1].tolist()
            assert batch["completion_mask"][i, :n].all(), "padding is on the right"
            row = [tuple(prompt), tuple(batch["completion_ids"][i, :n].tolist())]
            row += [tuple(batch[k][i, :n].tolist()) for k in sorted(batch) if k.endswith("logps")]
            row += [batch["advantages"][i].item()] if "advantages" in batch else []
            rows.append(tuple(row))
    return rows


# ---- plain torch ----


def token_logits(model, prompt, response, temperature) -> torch.Tensor:
    """Logits (T, V) before each token of a response; one unpadded row through the model."""
    ids = torch.tensor([[*prompt, *response]])
    logits = model(ids, use_cache=False).logits[0, len(prompt) - 1 : -1]
    return logits / temperature


def token_logps(model, prompt, response, temperature) -> torch.Tensor:
    logp = token_logits(model, prompt, response, temperature).log_softmax(-1)
    return logp.gather(-1, torch.tensor(response)[:, None])[:, 0]


def plain_advantages(rewards: torch.Tensor) -> torch.Tensor:
    """(reward - mean) / (standard deviation + 1e-4) of each group of four."""
    groups = rewards.view(-1, 4)
    spread = groups.std(dim=1, keepdim=True, correction=1)
    return ((groups - groups.mean(dim=1, keepdim=True)) / (spread + 1e-4)).flatten()


def plain_grpo_loss(rows, model, old, base, settings, count: Counter) -> torch.Tensor:
    """The loss of one micro-batch of (prompt, response, advantage), from Table 2 and D.1."""
    losses, entropies = [], []
    for prompt, response, advantage in rows:
        logp = token_logps(model, prompt, response, settings.temperature)
        with torch.no_grad():
            old_logp = token_logps(old, prompt, response, settings.temperature)
            base_logp = token_logps(base, prompt, response, settings.temperature)
        ratio = (logp - old_logp).exp()
        clipped = ratio.clamp(1 - settings.clip_ratio, 1 + settings.clip_ratio)
        gain = torch.minimum(ratio * advantage, clipped * advantage)
        kl = (base_logp - logp).exp() - (base_logp - logp) - 1
        losses.append((-gain + settings.kl_coefficient * kl).mean())
        logits = token_logits(model, prompt, response, settings.temperature)
        entropies.append(torch.distributions.Categorical(logits=logits).entropy())
        count["clipped"] += int((gain != ratio * advantage).sum())
        count["tokens"] += len(response)
    bonus = torch.cat(entropies).mean()
    return torch.stack(losses).mean() - settings.entropy_coefficient * bonus


def same_gradient(one, two, tolerance=1e-5) -> None:
    """Equal up to `tolerance` times the largest entry of all."""
    assert one.keys() == two.keys()
    largest = max(gradient.abs().max().item() for gradient in one.values())
    assert largest > 1e-3
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=tolerance * largest, rtol=0, msg=name)


# ---- GRPO ----


def test_advantages_are_scaled_by_the_unbiased_deviation_of_the_group(grpo_run):
    tokenizer = word_tokenizer(WORDS)
    for before, _ in grpo_run.cuts:
        rows = rows_of(before)
        assert len(rows) == 16
        by_prompt: dict[tuple, list] = {}
        for prompt, response, *_, advantage in rows:
            text = tokenizer.decode(response, skip_special_tokens=True)
            by_prompt.setdefault(prompt, []).append((reward([text])[0], advantage))
        expected_prompts = {tuple(tokenizer.encode(prompt)) for prompt in PROMPTS}
        assert set(by_prompt) == expected_prompts
        for group in by_prompt.values():
            rewards, advantages = torch.tensor(group, dtype=torch.float32).T
            assert len(group) == 4 and rewards.std() > 0
            torch.testing.assert_close(advantages, plain_advantages(rewards), atol=1e-4, rtol=1e-4)


def test_a_group_with_equal_rewards_has_no_advantage(tmp_path, monkeypatch):
    def flat(completions, **_):
        return [0.1] * len(completions)

    run = recorded(monkeypatch, grpo, lambda: run_grpo(tmp_path, steps=1, rewarded=flat))
    assert torch.cat([b["advantages"] for b in run.cuts[0][0]]).tolist() == [0.0] * 16


def test_the_grpo_loss_and_its_gradient_are_those_of_plain_torch(grpo_run):
    seen = grpo_run.trainer.seen
    assert [s.update for s in seen] == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    base = with_weights(seen[0].state)
    count = Counter()
    for index, micro in enumerate(seen):
        # The old policy is the one that made the rollouts: two updates, eight micro-batches.
        old = with_weights(seen[index // 8 * 8].state)
        model = with_weights(micro.state)
        rows = [(row[0], row[1], row[-1]) for row in rows_of([micro.inputs])]
        assert len(rows) == 2
        loss = plain_grpo_loss(rows, model, old, base, GRPO, count)
        assert micro.loss * 4 == pytest.approx(loss.item(), rel=1e-5, abs=1e-5)
        gradient = torch.autograd.grad(loss / 4, list(model.parameters()))
        names = [name for name, _ in model.named_parameters()]
        same_gradient(micro.gradient, dict(zip(names, gradient, strict=True)))
    assert count["clipped"] > 5, "some ratios leave the clipping range, or this tests less"


def test_rollouts_are_scored_by_the_policy_that_made_them(grpo_run):
    for number, (before, _) in enumerate(grpo_run.cuts):
        old = with_weights(grpo_run.trainer.seen[8 * number].state)
        base = with_weights(grpo_run.trainer.seen[0].state)
        for prompt, response, old_logps, base_logps, _ in rows_of(before):
            with torch.no_grad():
                for model, logps in ((old, old_logps), (base, base_logps)):
                    torch.testing.assert_close(
                        torch.tensor(logps),
                        token_logps(model, prompt, response, 0.9),
                        atol=1e-5,
                        rtol=1e-5,
                    )


def test_responses_vary_in_length_and_some_are_cut(grpo_run):
    found = [n for before, _ in grpo_run.cuts for batch in before for n in lengths(batch)]
    assert len(set(found)) > 5 and max(found) == 11


def test_the_grpo_table_counts_responses_tokens_and_steps_exactly(grpo_run, tmp_path):
    rows = grpo_run.recorder.rows
    assert [row["update"] for row in rows] == [1, 2, 3, 4]
    assert [row["step"] for row in rows] == [1, 1, 2, 2]
    assert [row["samples"] for row in rows] == [8, 16, 24, 32]
    total = 0
    for number, (before, _) in enumerate(grpo_run.cuts):
        found = [n for batch in before for n in lengths(batch)]
        total += sum(found)
        ended = [r[1][-1] in (0, 2) for r in rows_of(before)]
        for row in rows[2 * number : 2 * number + 2]:
            assert row["mean_length"] == pytest.approx(sum(found) / 16)
            assert row["truncation_rate"] == pytest.approx(1 - sum(ended) / 16)
        assert rows[2 * number + 1]["tokens"] == total
    losses = [s.loss for s in grpo_run.trainer.seen]
    assert [row["loss"] for row in rows] == pytest.approx(
        [sum(losses[4 * u : 4 * u + 4]) for u in range(4)], abs=1e-5
    )
    assert {row["learning_rate"] for row in rows} == {0.03}
    write_table(rows, Training, tmp_path / "training.parquet", {})
    assert read_table(tmp_path / "training.parquet", Training)["tokens"].iloc[-1] == total


def test_an_odd_number_of_tokens_is_halved_without_losing_one(tmp_path):
    recorder = common.Recorder(
        model=None,
        tokenizer=None,
        checkpoints=[],
        updates_per_step=2,
        samples_per_update=8,
        tokens_of=None,
        folder=tmp_path,
        progress=tmp_path / "progress.json",
    )
    totals = [153, 153, 141, 80]
    for update in range(1, 9):
        logs = {"loss": 0.0, "learning_rate": 0.1}
        if update % 2:  # TRL logs the rollouts once, for the first of their two updates.
            logs["completions/mean_length"] = totals[update // 2] / 16
        recorder.on_log(None, SimpleNamespace(global_step=update, max_steps=8), None, logs)
    assert [row["tokens"] for row in recorder.rows][1::2] == [153, 306, 447, 527]


def test_the_grpo_checkpoint_of_step_one_holds_the_weights_after_two_updates(grpo_run):
    (checkpoint,) = grpo_run.recorder.checkpoints
    assert (checkpoint.step, checkpoint.updates, checkpoint.samples) == (1, 2, 16)
    path = grpo_run.recorder.folder / "step1" / "model.safetensors"
    assert checkpoint.weights_hash == hashlib.sha256(path.read_bytes()).hexdigest()
    third = grpo_run.trainer.seen[8]
    assert third.update == 2
    for name, tensor in load_file(path).items():
        assert torch.equal(tensor, third.state[name])
    assert not torch.equal(tensor, grpo_run.trainer.seen[7].state[name])
    assert [p.name for p in grpo_run.recorder.folder.iterdir()] == ["step1"]


def test_each_rollout_batch_has_random_numbers_of_its_own(tmp_path, monkeypatch):
    # The policy stands still and the prompts repeat, so random numbers alone can tell them apart.
    run = recorded(monkeypatch, grpo, lambda: run_grpo(tmp_path, rate=0.0))
    first, second = (Counter(row[:2] for row in rows_of(before)) for before, _ in run.cuts)
    assert len(first) > 12, "responses to one prompt differ"
    assert first != second


# ---- distillation ----


def plain_reverse_kl(rows, student, teacher, temperature) -> torch.Tensor:
    """Sum over all tokens of the KL from student to teacher over the full vocabulary."""
    total = torch.zeros(())
    for prompt, response in rows:
        ours = token_logits(student, prompt, response, temperature).log_softmax(-1)
        with torch.no_grad():
            theirs = token_logits(teacher, prompt, response, temperature).log_softmax(-1)
        total = total + (ours.exp() * (ours - theirs)).sum()
    return total


def test_the_distillation_loss_is_the_reverse_kl_averaged_over_all_tokens(distill_run):
    seen, teacher = distill_run.trainer.seen, tiny(seed=1)
    assert [s.update for s in seen] == [0] * 4 + [1] * 4
    for update in range(2):
        micros = seen[4 * update : 4 * update + 4]
        n_tokens = sum(sum(lengths(micro.inputs)) for micro in micros)
        for micro in micros:
            student = with_weights(micro.state)
            loss = plain_reverse_kl(rows_of([micro.inputs]), student, teacher, 0.8) / n_tokens
            assert micro.loss == pytest.approx(loss.item(), abs=1e-5)
            gradient = torch.autograd.grad(loss, list(student.parameters()))
            names = [name for name, _ in student.named_parameters()]
            same_gradient(micro.gradient, dict(zip(names, gradient, strict=True)))
        assert sum(micro.loss for micro in micros) > 0.05


def test_the_teacher_stays_as_it_is(distill_run):
    start, end = tiny(seed=1).state_dict(), distill_run.trainer.teacher_model.state_dict()
    assert all(torch.equal(start[name], end[name]) for name in start)


def test_the_distillation_table_counts_responses_and_tokens_exactly(distill_run, tmp_path):
    rows = distill_run.recorder.rows
    totals = [sum(n for batch in before for n in lengths(batch)) for before, _ in distill_run.cuts]
    assert [row["update"] for row in rows] == [row["step"] for row in rows] == [1, 2]
    assert [row["samples"] for row in rows] == [8, 16]
    assert [row["tokens"] for row in rows] == [totals[0], totals[0] + totals[1]]
    assert [c.step for c in distill_run.recorder.checkpoints] == [2]
    assert distill_run.recorder.checkpoints[0].tokens == sum(totals)
    write_table(rows, Training, tmp_path / "training.parquet", {})
    assert read_table(tmp_path / "training.parquet", Training)["reward"].isna().all()


# ---- grouping by length ----


def made_batches(n_batches: int, size: int, seed: int) -> list[dict]:
    """Micro-batches as TRL cuts them: prompts padded left, responses right, all equally wide."""
    generator = torch.Generator().manual_seed(seed)
    rows = n_batches * size
    prompt = torch.randint(1, 6, (rows,), generator=generator)
    response = torch.randint(1, 10, (rows,), generator=generator)
    at = torch.arange(9)
    whole = {
        "prompt_mask": (torch.arange(5) >= 5 - prompt[:, None]).long(),
        "completion_mask": (at < response[:, None]).long(),
        "advantages": torch.arange(rows, dtype=torch.float32),  # Names the rows.
        "num_items_in_batch": response.sum(),
    }
    whole["prompt_ids"] = (
        torch.randint(3, 12, (rows, 5), generator=generator) * whole["prompt_mask"]
    )
    for name in ("completion_ids", "old_per_token_logps"):
        values = torch.randint(3, 12, (rows, 9), generator=generator) * whole["completion_mask"]
        whole[name] = values
    return [
        {k: v if v.ndim == 0 else v[i * size : (i + 1) * size] for k, v in whole.items()}
        for i in range(n_batches)
    ]


@pytest.mark.parametrize(
    "n_batches, per_update, size", [(8, 4, 3), (6, 6, 2), (4, 1, 5), (3, 3, 1)]
)
def test_grouping_moves_rows_within_an_update_alone_and_sorts_them(n_batches, per_update, size):
    batches = made_batches(n_batches, size, seed=n_batches)
    grouped = rollouts.group_by_length(batches, per_update)
    assert len(grouped) == n_batches
    for start in range(0, n_batches, per_update):
        before, after = batches[start : start + per_update], grouped[start : start + per_update]
        assert Counter(rows_of(before)) == Counter(rows_of(after))
        found = [n for batch in after for n in lengths(batch)]
        assert found == sorted(found)
    for batch in grouped:
        assert len(lengths(batch)) == size
        assert batch["num_items_in_batch"] == batches[0]["num_items_in_batch"]
        longest = max(lengths(batch))
        for name in ("completion_ids", "completion_mask", "old_per_token_logps"):
            assert batch[name].shape == (size, longest)
        longest = int(batch["prompt_mask"].sum(-1).max())
        assert batch["prompt_ids"].shape == batch["prompt_mask"].shape == (size, longest)


def test_grouping_trims_prompts_as_wide_as_responses_on_their_left():
    batch = {
        "prompt_ids": torch.tensor([[0, 0, 3], [0, 4, 5]]),
        "prompt_mask": torch.tensor([[0, 0, 1], [0, 1, 1]]),
        "completion_ids": torch.tensor([[6, 2, 0], [2, 0, 0]]),
        "completion_mask": torch.tensor([[1, 1, 0], [1, 0, 0]]),
    }
    (trimmed,) = rollouts.group_by_length([batch], 1)
    assert trimmed["prompt_ids"].tolist() == [[4, 5], [0, 3]]
    assert trimmed["prompt_mask"].tolist() == [[1, 1], [0, 1]]
    assert trimmed["completion_ids"].tolist() == [[2, 0], [6, 2]]
    assert trimmed["completion_mask"].tolist() == [[1, 0], [1, 1]]


def test_trainers_read_the_grouped_batches_in_order(grpo_run, distill_run):
    for run in (grpo_run, distill_run):
        grouped = [batch for _, after in run.cuts for batch in after]
        assert len(grouped) == len(run.trainer.seen)
        for batch, micro in zip(grouped, run.trainer.seen, strict=True):
            assert rows_of([batch]) == rows_of([micro.inputs])
        for before, after in run.cuts:
            widths = [batch["completion_ids"].shape[1] for batch in after]
            assert min(widths) < before[0]["completion_ids"].shape[1], "some padding is gone"


def summed_gradient(trainer, batches) -> dict[str, torch.Tensor]:
    model = trainer.model.train()
    model.zero_grad()
    for batch in batches:
        trainer.compute_loss(model, dict(batch)).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("fixture", ["grpo_run_without_entropy", "distill_run"])
def test_grouping_leaves_the_gradient_of_an_update_as_it_is(fixture, request):
    run = request.getfixturevalue(fixture)
    before, after = run.cuts[0]
    for update in range(0, len(before), 4):
        one = summed_gradient(run.trainer, before[update : update + 4])
        two = summed_gradient(run.trainer, after[update : update + 4])
        same_gradient(one, two)


def test_sorted_scoring_gives_the_scores_of_trl_at_every_response_token(grpo_run):
    trainer = grpo_run.trainer
    before = grpo_run.cuts[0][0]
    batch = {k: torch.cat([b[k] for b in before]) for k in before[0] if k.endswith(("ids", "mask"))}
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
    keep = batch["completion_ids"].shape[1]
    valid = batch["completion_mask"].bool()
    widths = []
    for batch_size in (2, 3, 16, 50):
        with torch.no_grad():
            ours, *rest = trainer._get_per_token_logps_and_entropies(
                trainer.model, ids, mask, keep, batch_size=batch_size
            )
            theirs, *_ = grpo.GRPOTrainer._get_per_token_logps_and_entropies(
                trainer, trainer.model, ids, mask, keep, batch_size=batch_size
            )
        assert rest == [None, None]
        widths.append(ours.shape)
        torch.testing.assert_close(ours[valid], theirs[valid], atol=1e-6, rtol=1e-6)
        assert not ours[~valid].any()
    assert set(widths) == {(16, keep)}


def test_scoring_with_entropies_is_left_to_trl(grpo_run):
    trainer, before = grpo_run.trainer, grpo_run.cuts[0][0][0]
    ids = torch.cat([before["prompt_ids"], before["completion_ids"]], dim=1)
    mask = torch.cat([before["prompt_mask"], before["completion_mask"]], dim=1)
    logps, entropies, _ = trainer._get_per_token_logps_and_entropies(
        trainer.model, ids, mask, before["completion_ids"].shape[1], compute_entropy=True
    )
    assert logps.shape == entropies.shape == before["completion_ids"].shape


@pytest.mark.parametrize("method", ["grpo", "distill"])
def test_the_transformers_engine_trains_too(method, tmp_path):
    run = {
        "grpo": lambda: run_grpo(tmp_path, steps=1, engine="transformers"),
        "distill": lambda: run_distill(tmp_path, engine="transformers"),
    }[method]
    rows = run().rows
    assert len(rows) == 2 and rows[-1]["tokens"] > 0
    assert all(math.isfinite(row["loss"]) for row in rows)


# ---- supervised ----


def test_every_pass_of_a_plan_is_a_permutation():
    updates = supervised.plan(n_rows=10, updates=7, batch_size=4, seed=1)
    assert [len(update) for update in updates] == [4] * 7
    order = [row for update in updates for row in update]
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert len(set(order[20:])) == 8
    assert order[:10] != order[10:20] and order[:10] != list(range(10))


def test_a_plan_with_fewer_rows_than_a_batch_repeats_whole_passes():
    (update,) = supervised.plan(n_rows=3, updates=1, batch_size=7, seed=0)
    assert len(update) == 7
    assert sorted(Counter(update).values()) == [2, 2, 3]


def test_a_plan_depends_on_its_seed_alone():
    assert supervised.plan(50, 5, 8, seed=1) == supervised.plan(50, 5, 8, seed=1)
    assert supervised.plan(50, 5, 8, seed=1) != supervised.plan(50, 5, 8, seed=2)
    assert supervised.plan(50, 9, 8, seed=1)[:5] == supervised.plan(50, 5, 8, seed=1)


def demonstrations(count: int) -> list[supervised.Row]:
    generator = torch.Generator().manual_seed(0)

    def words(least, most):
        n = int(torch.randint(least, most + 1, (), generator=generator))
        return torch.randint(3, 12, (n,), generator=generator).tolist()

    return [supervised.Row([1, *words(0, 4)], [*words(0, 9), 2]) for _ in range(count)]


ROWS = demonstrations(16)
UPDATES = [[3, 9, 0, 14, 7, 11, 2, 5], [1, 4, 15, 8, 6, 10, 13, 12]]


def run_sft(folder, micro: int, updates=UPDATES, checkpoints=(1, 2), **options):
    model = tiny()
    recorder = supervised.train(
        model,
        word_tokenizer(WORDS),
        ROWS,
        updates,
        arguments=arguments(folder, updates=len(updates), **options),
        micro_batch_size=micro,
        checkpoints=list(checkpoints),
        folder=folder / "checkpoints",
        progress=folder / "progress.json",
    )
    return copied(model), recorder


@pytest.fixture(scope="module")
def sft_runs(tmp_path_factory):
    """{micro-batch size: (weights, recorder, inputs of every micro-batch)}."""
    runs = {}
    for micro in (2, 8):
        inputs = []
        compute = SFTTrainer.compute_loss

        def watched(self, model, batch, *args, _inputs=inputs, _compute=compute, **options):
            _inputs.append({k: v for k, v in batch.items() if isinstance(v, torch.Tensor)})
            return _compute(self, model, batch, *args, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SFTTrainer, "compute_loss", watched)
            runs[micro] = (*run_sft(tmp_path_factory.mktemp(f"sft{micro}"), micro), inputs)
    return runs


@pytest.fixture(scope="module")
def plain_sft():
    """(weights, loss, gradient norm) after each update of a plain AdamW loop."""
    model = tiny().train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0
    )
    history = []
    for update in UPDATES:
        logps = [token_logps(model, ROWS[i].prompt, ROWS[i].response, 1.0) for i in update]
        loss = -torch.cat(logps).mean()
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.7)
        optimizer.step()
        history.append((copied(model), loss.item(), norm.item()))
    return history


@pytest.mark.parametrize("micro", [2, 8])
def test_two_supervised_updates_are_those_of_a_plain_loop(micro, sft_runs, plain_sft):
    weights, recorder, _ = sft_runs[micro]
    for name, tensor in plain_sft[-1][0].items():
        torch.testing.assert_close(weights[name], tensor, atol=2e-5, rtol=1e-4, msg=name)
    assert any((weights[n] - t).abs().max() > 0.01 for n, t in tiny().state_dict().items())
    for row, (_, loss, norm) in zip(recorder.rows, plain_sft, strict=True):
        assert row["loss"] == pytest.approx(loss, abs=1e-4)
        assert row["grad_norm"] == pytest.approx(norm, rel=1e-3)


def test_supervised_weights_do_not_depend_on_the_micro_batches(sft_runs):
    for name, tensor in sft_runs[2][0].items():
        torch.testing.assert_close(sft_runs[8][0][name], tensor, atol=2e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("micro", [2, 8])
def test_only_responses_are_trained_and_each_update_has_its_own_rows(micro, sft_runs):
    inputs = sft_runs[micro][2]
    assert len(inputs) == 16 // micro
    for number, update in enumerate(UPDATES):
        trained = []
        for batch in inputs[number * 8 // micro : (number + 1) * 8 // micro]:
            assert batch["input_ids"].shape[0] == micro
            for ids, labels, mask in zip(
                batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True
            ):
                whole = ids[mask == 1].tolist()
                response = labels[labels != -100].tolist()
                assert labels[mask == 0].eq(-100).all()
                assert whole[-len(response) :] == response
                assert labels[mask == 1][: -len(response)].eq(-100).all()
                trained.append((tuple(whole[: -len(response)]), tuple(response)))
        expected = [(tuple(ROWS[i].prompt), tuple(ROWS[i].response)) for i in update]
        assert Counter(trained) == Counter(expected)
        sizes = [len(prompt) + len(response) for prompt, response in trained]
        assert sizes == sorted(sizes), "micro-batches hold rows of similar length"


def test_the_supervised_table_counts_exactly_and_can_be_written(sft_runs, tmp_path):
    recorder = sft_runs[2][1]
    first, second = (sum(len(ROWS[i].response) for i in update) for update in UPDATES)
    assert [row["update"] for row in recorder.rows] == [1, 2]
    assert [row["step"] for row in recorder.rows] == [1, 2]
    assert [row["samples"] for row in recorder.rows] == [8, 16]
    assert [row["tokens"] for row in recorder.rows] == [first, first + second]
    assert [row["learning_rate"] for row in recorder.rows] == [0.01, 0.01]
    seconds = [row["device_seconds"] for row in recorder.rows]
    assert 0 < seconds[0] <= seconds[1]
    write_table(recorder.rows, Training, tmp_path / "training.parquet", {})
    again = read_table(tmp_path / "training.parquet", Training)
    assert again["tokens"].tolist() == [first, first + second]
    assert again["reward"].isna().all(), "supervised training has no reward"


def test_checkpoints_hold_the_weights_of_their_step_and_their_hash(sft_runs, plain_sft):
    recorder = sft_runs[2][1]
    assert [c.step for c in recorder.checkpoints] == [1, 2]
    for checkpoint, (weights, _, _), row in zip(
        recorder.checkpoints, plain_sft, recorder.rows, strict=True
    ):
        path = recorder.folder / f"step{checkpoint.step}" / "model.safetensors"
        assert checkpoint.weights_hash == hashlib.sha256(path.read_bytes()).hexdigest()
        assert checkpoint.tokens == row["tokens"] and checkpoint.samples == row["samples"]
        for name, tensor in load_file(path).items():
            torch.testing.assert_close(tensor, weights[name], atol=2e-5, rtol=1e-4)


def test_only_the_steps_asked_for_are_published(tmp_path):
    _, recorder = run_sft(tmp_path, 8, checkpoints=[2])
    assert [c.step for c in recorder.checkpoints] == [2]
    assert [path.name for path in recorder.folder.iterdir()] == ["step2"]


def test_training_again_gives_the_same_weights(sft_runs, tmp_path):
    again, recorder = run_sft(tmp_path, 2)
    assert all(torch.equal(again[name], tensor) for name, tensor in sft_runs[2][0].items())
    hashes = [c.weights_hash for c in recorder.checkpoints]
    assert hashes == [c.weights_hash for c in sft_runs[2][1].checkpoints]


def test_a_loss_that_is_no_number_stops_the_run_with_the_remedy(tmp_path):
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        run_sft(tmp_path, 8, updates=UPDATES * 2, checkpoints=(), learning_rate=1e25)


# ---- tiles ----


@pytest.fixture
def wide_tiles(monkeypatch):
    """TRL's own tile widths."""
    monkeypatch.setattr(trl.trainer.utils, "_CHUNKED_LOGPROB_CHUNK_SIZE", 32768)
    monkeypatch.setattr(trl.kernels.chunked_divergence, "VOCAB_CHUNK_SIZE", 32768)


def widths() -> tuple[int, int]:
    return (
        trl.trainer.utils._CHUNKED_LOGPROB_CHUNK_SIZE,
        trl.kernels.chunked_divergence.VOCAB_CHUNK_SIZE,
    )


def test_tiles_are_fitted_to_small_vocabularies_alone(wide_tiles):
    common.fit_tiles(150_000)
    assert widths() == (32768, 32768)
    common.fit_tiles(12)
    assert widths() == (12, 12)


def fused(model, ids):
    labels = ids.clone()
    labels[:, :2] = -100
    out = model(input_ids=ids, labels=labels, fused_lm_head=True)
    gradient = torch.autograd.grad(out.log_probs.sum(), list(model.parameters()))
    return out.log_probs.detach(), gradient


def test_fitted_tiles_give_the_log_probabilities_of_wide_ones(wide_tiles):
    model = tiny()
    trl.trainer.utils.add_fused_lm_head(model, temperature=0.7, outputs=("log_probs", "entropy"))
    ids = torch.randint(0, 12, (3, 9), generator=torch.Generator().manual_seed(1))
    wide, wide_gradient = fused(model, ids)
    common.fit_tiles(12)
    fitted, gradient = fused(model, ids)
    torch.testing.assert_close(fitted, wide, atol=1e-6, rtol=1e-6)
    for one, two in zip(gradient, wide_gradient, strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        logp = (tiny()(ids).logits[:, :-1] / 0.7).log_softmax(-1)
    expected = logp.gather(-1, ids[:, 1:, None])[..., 0]
    torch.testing.assert_close(fitted[:, 1:], expected[:, 1:], atol=1e-5, rtol=1e-5)


def test_fitted_tiles_give_the_distillation_loss_of_wide_ones(wide_tiles, distill_run):
    trainer, batch = distill_run.trainer, distill_run.cuts[0][1][0]
    wide = summed_gradient(trainer, [batch])
    common.fit_tiles(12)
    same_gradient(summed_gradient(trainer, [batch]), wide)


def test_trl_reads_the_tile_widths_that_are_fitted(monkeypatch, distill_run):
    # After an upgrade of TRL, setting a name that it no longer reads would do nothing, unseen.
    model = tiny()
    trl.trainer.utils.add_fused_lm_head(model)
    ids = torch.randint(0, 12, (1, 5))
    monkeypatch.setattr(trl.trainer.utils, "_CHUNKED_LOGPROB_CHUNK_SIZE", 0)
    with pytest.raises(ValueError):
        fused(model, ids)
    monkeypatch.setattr(trl.kernels.chunked_divergence, "VOCAB_CHUNK_SIZE", 0)
    with pytest.raises(ValueError):
        summed_gradient(distill_run.trainer, [distill_run.cuts[0][1][0]])
