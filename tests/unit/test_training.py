"""GRPO and distillation against ten lines of plain torch."""

import hashlib
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from training_runs import (
    GRPO,
    PROMPTS,
    WORDS,
    lengths,
    plain_advantages,
    plain_grpo_loss,
    recorded,
    reward,
    rows_of,
    run_grpo,
    same_gradient,
    tiny,
    token_logits,
    token_logps,
    with_weights,
)

from online_il.files import write_table
from online_il.models import word_tokenizer
from online_il.records import Training, read_table
from online_il.training import common, grpo

# ---- GRPO ----


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
