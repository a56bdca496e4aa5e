"""Supervised training against a plain loop."""

import hashlib
from collections import Counter

import pytest
import torch
from safetensors.torch import load_file
from training_runs import WORDS, arguments, copied, saving, tiny, token_logps
from trl import SFTTrainer

from online_il.files import write_table
from online_il.models import word_tokenizer
from online_il.records import Training, read_table
from online_il.training import supervised

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


def demonstrations(count: int) -> list[supervised.Demonstration]:
    generator = torch.Generator().manual_seed(0)

    def words(least, most):
        n = int(torch.randint(least, most + 1, (), generator=generator))
        return torch.randint(3, 12, (n,), generator=generator).tolist()

    return [supervised.Demonstration([1, *words(0, 4)], [*words(0, 9), 2]) for _ in range(count)]


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
        saving=saving(folder),
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
@pytest.mark.slow
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


@pytest.mark.slow
def test_only_the_steps_asked_for_are_published(tmp_path):
    _, recorder = run_sft(tmp_path, 8, checkpoints=[2])
    assert [c.step for c in recorder.checkpoints] == [2]
    assert [path.name for path in recorder.folder.iterdir()] == ["step2"]


@pytest.mark.slow
def test_training_again_gives_the_same_weights(sft_runs, tmp_path):
    again, recorder = run_sft(tmp_path, 2)
    assert all(torch.equal(again[name], tensor) for name, tensor in sft_runs[2][0].items())
    hashes = [c.weights_hash for c in recorder.checkpoints]
    assert hashes == [c.weights_hash for c in sft_runs[2][1].checkpoints]


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_the_run_with_the_remedy(tmp_path):
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        run_sft(tmp_path, 8, updates=UPDATES * 2, checkpoints=(), learning_rate=1e25)
