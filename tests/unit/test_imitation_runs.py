"""Every way to imitate, trained by TRL, against a few lines of plain torch."""

from itertools import combinations_with_replacement

import pytest
import torch
from training_runs import (
    DISTILL,
    LOOP,
    PROMPTS,
    SHAPE,
    WORDS,
    arguments,
    lengths,
    recording,
    rows_of,
    run_distill,
    same_gradient,
    saving,
    tiny,
    token_logits,
    token_logps,
)
from trl import DistillationTrainer

from online_il.errors import InputError
from online_il.models import new_model, word_tokenizer
from online_il.training import distill
from online_il.training.common import Precision, Recorder, processes
from online_il.training.resume import Saving
from online_il.training.rollouts import LengthGrouping, LoopGeneration, PromptTokens

RESPONSE = {"level": "response", "responses_per_prompt": 4}


def ways(**changes):
    return DISTILL.model_validate(DISTILL.model_dump() | changes)


def run(folder, settings, rows=None, updates=1, teacher=None):
    """The recorded trainer of a short run."""
    trainers: list = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LoopTrainer", "ExpertTrainer", "WholeLoopTrainer"):
            patch.setattr(distill, name, recording(getattr(distill, name), trainers))
        distill.train(
            tiny(),
            teacher or tiny(seed=1),
            word_tokenizer(WORDS),
            rows or [{"prompt": PROMPTS[i % 4]} for i in range(8 * updates)],
            settings,
            generation=LOOP,
            arguments=arguments(folder, updates=updates),
            checkpoints=[updates],
            saving=saving(folder),
            progress=folder / "progress.json",
        )
    return trainers[0]


def plain_kl(student, teacher, prompt, response, direction) -> torch.Tensor:
    """KL at each token of a response, at the settings' temperature."""
    ours = token_logits(student, prompt, response, 0.8).log_softmax(-1)
    with torch.no_grad():
        theirs = token_logits(teacher, prompt, response, 0.8).log_softmax(-1)
    if direction == "forward":
        return (theirs.exp() * (theirs - ours)).sum(-1)
    return (ours.exp() * (ours - theirs)).sum(-1)


def gradient_of(loss, model) -> dict[str, torch.Tensor]:
    names = [name for name, _ in model.named_parameters()]
    return dict(zip(names, torch.autograd.grad(loss, list(model.parameters())), strict=True))


def summed(micros) -> dict[str, torch.Tensor]:
    return {name: sum(m.gradient[name] for m in micros) for name in micros[0].gradient}


# ---- today's way ----


class Before(LoopGeneration, Precision, PromptTokens, LengthGrouping, DistillationTrainer):
    """On-policy distillation as it was before there were others."""


def test_the_defaults_train_the_same_bits_as_before_there_were_other_ways(tmp_path, monkeypatch):
    now = run_distill(tmp_path / "now").model.state_dict()
    monkeypatch.setattr(distill, "LoopTrainer", Before)
    before = run_distill(tmp_path / "before").model.state_dict()
    assert all(torch.equal(now[name], before[name]) for name in before)
    assert not torch.equal(now["model.norm.weight"], tiny().state_dict()["model.norm.weight"])


# ---- direction and prefixes ----

RESPONSES = [[4, 5, 2], [6, 2], [3, 3, 7, 8, 9, 2], [10, 11, 4, 2], [2], [5] * 11]
DEMONSTRATIONS = [{"prompt": PROMPTS[i % 4], "response": r} for i, r in enumerate(RESPONSES)]


@pytest.mark.parametrize("prefixes", ["own", "expert"])
@pytest.mark.parametrize("divergence", ["forward", "reverse"])
def test_every_cell_of_direction_and_prefixes(divergence, prefixes, tmp_path):
    settings = ways(divergence=divergence, prefixes=prefixes, batch_size=6)
    rows = DEMONSTRATIONS * 2 if prefixes == "expert" else None
    seen = run(tmp_path, settings, rows, updates=2).seen
    n_tokens = sum(n for micro in seen[:3] for n in lengths(micro.inputs))
    student, teacher = tiny(), tiny(seed=1)
    taken = [row for micro in seen[:3] for row in rows_of([micro.inputs])]
    if prefixes == "expert":
        prompts = [tuple(word_tokenizer(WORDS).encode(r["prompt"])) for r in DEMONSTRATIONS]
        told = zip(prompts, map(tuple, RESPONSES), strict=True)
        assert sorted(taken) == sorted(told), "the demonstrations, each once"
    loss = sum(plain_kl(student, teacher, *row, divergence).sum() for row in taken) / n_tokens
    assert sum(micro.loss for micro in seen[:3]) == pytest.approx(loss.item(), abs=1e-5)
    same_gradient(summed(seen[:3]), gradient_of(loss, student))


def test_demonstrations_are_taken_in_the_planned_order(tmp_path):
    rows = [DEMONSTRATIONS[i] for i in (3, 1, 0, 5, 2, 4, 0, 1)]
    settings = ways(prefixes="expert", batch_size=4)
    seen = run(tmp_path, settings, rows, updates=2).seen
    for update, planned in ((0, rows[:4]), (1, rows[4:])):
        taken = [row[1] for m in seen if m.update == update for row in rows_of([m.inputs])]
        assert sorted(taken) == sorted(tuple(row["response"]) for row in planned)


def test_a_demonstration_without_tokens_is_refused_by_its_place(tmp_path):
    rows = [*DEMONSTRATIONS, {"prompt": PROMPTS[0], "response": []}]
    with pytest.raises(InputError, match="demonstration 6 of the planned order"):
        distill.check_demonstrations(rows)


# ---- whole responses ----


def plain_whole(rows, student, teacher, divergence) -> torch.Tensor:
    """The loss of two prompts' responses, four each, over their number of tokens."""
    costs = []
    for prompt, response in rows:
        cost = plain_kl(student, teacher, prompt, response, "reverse")
        if divergence == "log-density":
            logits = token_logits(student, prompt, response, 0.8)
            cost = cost + torch.distributions.Categorical(logits=logits).entropy()
        costs.append(cost)
    after = [[cost[t + 1 :].sum().item() for t in range(len(cost))] for cost in costs]
    total = torch.zeros(())
    for i, (prompt, response) in enumerate(rows):
        logps = token_logps(student, prompt, response, 0.8)
        for t in range(len(response)):
            running = [j for j in range(8) if j != i and len(after[j]) > t]
            near = [after[j][t] for j in running if j // 4 == i // 4]
            far = [after[j][t] for j in running if j // 4 != i // 4]
            mean = sum(far) / max(1, len(far))
            usual = (sum(near) + len(far) * mean) / max(1, len(running))
            total = total + costs[i][t] + logps[t] * (after[i][t] - usual)
    return total / sum(len(response) for _, response in rows)


@pytest.mark.parametrize("divergence", ["reverse", "log-density"])
def test_the_gradient_of_whole_responses_is_that_of_plain_torch(divergence, tmp_path):
    settings = ways(divergence=divergence, **RESPONSE)
    trainer = run(tmp_path, settings)
    rows = [row for micro in trainer.seen for row in rows_of([micro.inputs])]
    assert len(rows) == 8 and len({row[0] for row in rows}) == 2, "two prompts, four times each"
    student, teacher = tiny(), tiny(seed=1)
    loss = plain_whole(sorted(rows), student, teacher, divergence)
    same_gradient(summed(trainer.seen), gradient_of(loss, student))
    kl = sum(plain_kl(student, teacher, *row, "reverse").sum().item() for row in rows)
    n_tokens = sum(len(row[1]) for row in rows)
    assert sum(m.loss for m in trainer.seen) == pytest.approx(kl / n_tokens, abs=1e-5)


def test_a_constant_advantage_lowers_each_sample_and_knows_no_expert(tmp_path):
    trainer = run(tmp_path, ways(divergence="constant"))
    rows = [row for micro in trainer.seen for row in rows_of([micro.inputs])]
    student = tiny()
    loss = sum(token_logps(student, *row, 0.8).sum() for row in rows)
    same_gradient(summed(trainer.seen), gradient_of(loss / sum(len(r) for _, r in rows), student))


def test_an_update_does_not_depend_on_how_it_is_cut(tmp_path):
    found = []
    for micro in (1, 2, 8):
        settings = ways(micro_batch_size=micro, **RESPONSE)
        trainer = run(tmp_path / str(micro), settings)
        assert len(trainer.seen) == 8 // micro
        found.append(summed(trainer.seen))
    same_gradient(found[0], found[1])
    same_gradient(found[0], found[2])


def test_heads_that_change_logits_are_refused(tmp_path):
    teacher = tiny(seed=1)
    teacher.config.final_logit_softcapping = 30.0
    with pytest.raises(InputError, match="final_logit_softcapping"):
        distill.train(
            tiny(),
            teacher,
            word_tokenizer(WORDS),
            [{"prompt": PROMPTS[0]}] * 2,
            ways(**RESPONSE),
            generation=LOOP,
            arguments=arguments(tmp_path, updates=1),
            checkpoints=[1],
            saving=saving(tmp_path),
            progress=tmp_path / "progress.json",
        )


def test_groups_that_processes_would_part_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(distill, "processes", lambda: 4)
    with pytest.raises(InputError, match="whole groups of responses_per_prompt: 4"):
        run(tmp_path, ways(**RESPONSE))
    assert processes() == 1


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(RESPONSE, id="response"),
        pytest.param({"prefixes": "expert", "divergence": "forward"}, id="expert"),
    ],
)
def test_a_run_that_broke_off_ends_as_one_that_did_not(changes, tmp_path):
    def weights_of(folder):
        rows = (DEMONSTRATIONS * 6)[:32]
        distill.train(
            model := tiny(),
            tiny(seed=1),
            word_tokenizer(WORDS),
            rows,
            ways(**changes),
            generation=LOOP,
            arguments=arguments(folder / "saved" / "trainer", updates=4),
            checkpoints=[4],
            saving=Saving(folder / "saved", "a run", 0),
            progress=folder / "progress.json",
        )
        return model.state_dict()

    expected = weights_of(tmp_path / "whole")
    on_log = Recorder.on_log

    def broken(self, args, state, *rest, **options):
        if state.global_step == 3:
            raise KeyboardInterrupt
        on_log(self, args, state, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "on_log", broken)
        with pytest.raises(KeyboardInterrupt):
            weights_of(tmp_path / "broken")
    assert list((tmp_path / "broken" / "saved").glob("update-*")), "or it would start anew"
    found = weights_of(tmp_path / "broken")
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_on_the_experts_prefixes_no_engine_is_opened(tmp_path):
    vllm = LOOP.model_copy(update={"engine": "vllm"})
    settings = ways(prefixes="expert")
    made = distill.config(settings, arguments(tmp_path, updates=1), vllm)
    assert not made.use_vllm and distill.trainer_class(settings, vllm) is distill.ExpertTrainer


@pytest.mark.parametrize("changes", [{}, RESPONSE, {"prefixes": "expert"}], ids=str)
@pytest.mark.parametrize("asked", [False, True], ids=["single", "bfloat16"])
def test_the_student_computes_in_the_precision_that_is_asked_for(changes, asked, tmp_path):
    """It computed in single precision always: the loss goes past accelerate's autocast."""
    student, seen = tiny(), []

    def note(module, inputs, out):
        if torch.is_grad_enabled():
            seen.append((module.weight.dtype, out.dtype))

    student.model.layers[0].self_attn.q_proj.register_forward_hook(note)
    distill.train(
        student,
        tiny(seed=1).to(torch.bfloat16),
        word_tokenizer(WORDS),
        (DEMONSTRATIONS * 2)[:8],
        ways(**changes),
        generation=LOOP,
        arguments=arguments(tmp_path, updates=1) | {"bf16": asked},
        checkpoints=[1],
        saving=saving(tmp_path),
        progress=tmp_path / "progress.json",
    )
    assert seen and set(seen) == {(torch.float32, torch.bfloat16 if asked else torch.float32)}


# ---- the exact gradient of the KL of sequences ----

FOUR, LONGEST = ("<pad>", "<bos>", "<eos>", "a"), 2
ALL = [[2], *([t, 2] for t in (0, 1, 3)), *([t, u] for t in (0, 1, 3) for u in (0, 1, 3))]


def small(seed):
    model = new_model(SHAPE, word_tokenizer(FOUR), max_length=16, seed=seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 4
    return model


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A trainer of a model with four tokens; its policy stands still."""
    folder = tmp_path_factory.mktemp("whole")
    changes = {"batch_size": 8, "micro_batch_size": 8, "max_new_tokens": LONGEST}
    with pytest.MonkeyPatch.context() as patch:
        trainers: list = []
        patch.setattr(distill, "WholeLoopTrainer", recording(distill.WholeLoopTrainer, trainers))
        distill.train(
            small(0),
            small(1),
            word_tokenizer(FOUR),
            [{"prompt": "<bos> a a"}] * 8,
            ways(**RESPONSE, **changes),
            generation=LOOP,
            arguments=arguments(folder, updates=1, learning_rate=0.0),
            checkpoints=[1],
            saving=saving(folder),
            progress=folder / "progress.json",
        )
    return trainers[0]


def exact(model, teacher, divergence) -> torch.Tensor:
    """The KL of sequences (or minus the expected log-density) over all responses."""
    total = torch.zeros(())
    for response in ALL:
        logp = token_logps(model, [1, 3, 3], response, 0.8).sum()
        with torch.no_grad():
            logq = token_logps(teacher, [1, 3, 3], response, 0.8).sum()
        total = total + logp.exp() * ((logp if divergence == "reverse" else 0) - logq)
    return total


def pair_batch(one, two) -> dict:
    """Two responses to the prompt, as TRL pads them."""
    ids, mask = torch.zeros(2, LONGEST, dtype=torch.long), torch.zeros(2, LONGEST, dtype=torch.long)
    for row, response in enumerate((one, two)):
        ids[row, : len(response)], mask[row, : len(response)] = torch.tensor(response), 1
    prompt = torch.tensor([[1, 3, 3]] * 2)
    return {
        "prompt_ids": prompt,
        "prompt_mask": torch.ones_like(prompt),
        "completion_ids": ids,
        "completion_mask": mask,
        "num_items_in_batch": mask.sum(),
    }


@pytest.mark.parametrize("divergence", ["reverse", "log-density"])
def test_all_responses_weighted_exactly_give_the_gradient_of_sequences(
    divergence, whole, monkeypatch
):
    monkeypatch.setattr(whole, "divergence", divergence)
    monkeypatch.setattr(whole, "responses_per_prompt", 2)
    model, teacher = whole.model.train(), whole.teacher_model
    probability = [token_logps(model, [1, 3, 3], y, 0.8).sum().exp().item() for y in ALL]
    assert sum(probability) == pytest.approx(1, abs=1e-5)
    expected = gradient_of(exact(model, teacher, divergence), model)
    total = {name: torch.zeros_like(tensor) for name, tensor in expected.items()}
    weighted = list(zip(ALL, probability, strict=True))
    for (one, p), (two, q) in combinations_with_replacement(weighted, 2):
        batch = pair_batch(one, two)
        batch["ahead"] = whole._ahead(batch)
        whole.compute_loss(model, batch)
        # A pair counts in both its orders, and each gives the mean over its tokens.
        weight = p * q * (1 if one == two else 2) * batch["num_items_in_batch"] / 2
        for name, gradient in whole.seen[-1].gradient.items():
            total[name] += weight * gradient
    same_gradient(total, expected, tolerance=1e-4)


def test_the_mean_over_samples_is_the_gradient_within_its_standard_error(whole, monkeypatch):
    model, teacher = whole.model.train(), whole.teacher_model
    expected = gradient_of(exact(model, teacher, "reverse"), model)
    found: list[float] = []
    for step in range(100):
        monkeypatch.setattr(whole.state, "global_step", step)
        batch = whole._generate_and_score_completions([{"prompt": "<bos> a a"}] * 8)
        whole.compute_loss(model, batch)
        gradient, share = whole.seen[-1].gradient, batch["num_items_in_batch"].item() / 8
        found.append(share * sum((gradient[n] * expected[n]).sum().item() for n in expected))
    along = torch.tensor(found)
    wanted = sum((tensor**2).sum().item() for tensor in expected.values())
    error = along.std().item() / len(found) ** 0.5
    assert along.mean().item() == pytest.approx(wanted, abs=4 * error)
    assert error < 0.2 * wanted, "or this could not fail"
