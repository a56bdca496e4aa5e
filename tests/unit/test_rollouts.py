"""Micro-batches grouped by length and tiles fitted to the vocabulary change no loss."""

import math
from collections import Counter

import pytest
import torch
import trl.kernels.chunked_divergence
import trl.trainer.utils
from training_runs import (
    TRANSFORMERS,
    lengths,
    rows_of,
    run_distill,
    run_grpo,
    same_gradient,
    tiny,
)

from online_il.config.generation import Generation
from online_il.generation import decode
from online_il.training import common, grpo, rollouts

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


@pytest.mark.slow
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
@pytest.mark.slow
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
@pytest.mark.slow
def test_the_transformers_engine_trains_too(method, tmp_path):
    run = {
        "grpo": lambda: run_grpo(tmp_path, steps=1, generation=TRANSFORMERS),
        "distill": lambda: run_distill(tmp_path, generation=TRANSFORMERS),
    }[method]
    rows = run().rows
    assert len(rows) == 2 and rows[-1]["tokens"] > 0
    assert all(math.isfinite(row["loss"]) for row in rows)


@pytest.mark.parametrize("method", ["grpo", "distill"])
@pytest.mark.slow
def test_rollouts_come_in_batches_as_large_as_set_and_read_a_prompt_once(
    method, tmp_path, monkeypatch
):
    shapes, forward = [], decode.forward

    def counted(model, ids, *rest):
        shapes.append(tuple(ids.shape))
        return forward(model, ids, *rest)

    monkeypatch.setattr(decode, "forward", counted)
    generation = Generation(engine="loop", batch_size=4)
    if method == "grpo":
        run_grpo(tmp_path, steps=1, generation=generation)
    else:
        run_distill(tmp_path, updates=1, generation=generation)
    assert max(rows for rows, _ in shapes) == 4
    read = [shape for shape in shapes if shape[1] > 1]
    # Four prompts of 2 to 6 tokens. GRPO asks each four times: a batch is a prompt, read once.
    assert read == ([(1, n) for n in (2, 3, 4, 6)] if method == "grpo" else [(2, 3), (2, 6)])


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
