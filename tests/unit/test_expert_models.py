"""Models as policies with next-token probabilities, and TRL's trainer with a mixture as teacher."""

import math

import numpy as np
import pytest
import torch
from datasets import Dataset
from scipy import stats
from training_runs import LOOP, PROMPTS, SHAPE, TRANSFORMERS, WORDS, arguments, recording, tiny
from trl import DistillationTrainer

from online_il.config.distill import Distill
from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.errors import InputError
from online_il.experts import teacher as teachers
from online_il.experts.mixture import Mixture, Part
from online_il.experts.model import LoopPolicy, TransformersPolicy, open_model
from online_il.experts.policy import batch_of, token_logp
from online_il.experts.solver import Solver, in_words
from online_il.experts.teacher import Teacher
from online_il.generation.engines import open_engine
from online_il.models import new_model, save_policy, word_tokenizer
from online_il.tasks.miniature import VOCABULARY
from online_il.training import distill

EOS = 2
RAGGED = batch_of([[1, 3, 4, 5], [1, 6], [1, 7, 8]], [[9, 3, 2], [4, 4, 5, 6, 7], [2]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policies")
    for seed in (0, 1):
        save_policy(tiny(seed), word_tokenizer(WORDS), folder / f"policy{seed}")
    return folder


def row_logp(model, prompt, response, temperature=1.0):
    """Log-probabilities (T, V) of one row alone, without padding."""
    ids = torch.tensor([[*prompt, *response]])
    with torch.no_grad():
        logits = model(ids, use_cache=False).logits[0, len(prompt) - 1 : -1]
    return (logits / temperature).log_softmax(-1)


@pytest.mark.parametrize("settings", [LOOP, TRANSFORMERS], ids=lambda s: s.engine)
@pytest.mark.parametrize("temperature", [1.0, 1.5])
def test_a_ragged_batch_gives_each_row_what_the_model_gives_it_alone(folder, settings, temperature):
    policy = open_model(folder / "policy0", settings, temperature)
    assert isinstance(policy, LoopPolicy if settings is LOOP else TransformersPolicy)
    assert policy.width == len(WORDS)
    logp_B_C_V = policy.logp(RAGGED)
    assert logp_B_C_V.shape == (3, 5, len(WORDS)) and logp_B_C_V.isfinite().all()
    for row, (prompt, response) in enumerate(
        zip(RAGGED.prompts(), RAGGED.responses(), strict=True)
    ):
        expected = row_logp(tiny(), prompt, response, temperature)
        torch.testing.assert_close(logp_B_C_V[row, : len(response)], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("settings", [LOOP, TRANSFORMERS], ids=lambda s: s.engine)
def test_a_policy_draws_what_its_engine_draws(folder, settings):
    keys = [(row, row % 2) for row in range(4)]
    engine = open_engine(settings)
    engine.load(folder / "policy0")
    sampling = Sampling(temperature=1.5, max_new_tokens=9)
    expected = engine.respond(PROMPTS, keys, sampling=sampling, seed=3)
    tokenizer = word_tokenizer(WORDS)
    contexts = [tokenizer.encode(prompt, add_special_tokens=False) for prompt in PROMPTS]
    policy = open_model(folder / "policy0", settings, 1.5)
    drawn = policy.respond(contexts, keys, max_new_tokens=9, seed=3)
    assert drawn == [list(response.token_ids or []) for response in expected]
    assert len({len(row) for row in drawn}) > 1


def test_vllm_gives_no_whole_vocabulary_and_transformers_serves(folder):
    settings = Generation(engine="vllm", batch_size=4)
    assert isinstance(open_model(folder / "policy0", settings), TransformersPolicy)


def test_a_damaged_folder_is_refused_in_words(tmp_path):
    with pytest.raises(InputError, match=r"model.safetensors"):
        open_model(tmp_path, LOOP)


# ---- in TRL's trainer ----


def mixture_of(folder) -> Mixture:
    parts = [LoopPolicy(folder / f"policy{seed}", 64) for seed in (0, 1)]
    return Mixture("mixture", [Part("a", parts[0], 0.25, True), Part("b", parts[1], 0.75, False)])


def plain_mixture_logp(prompt, response):
    """Log-probabilities (T, V) by the definition: the next token's joint over the prefix's."""
    rows = [row_logp(tiny(seed), prompt, response).double() for seed in (0, 1)]
    found = []
    for place in range(len(response)):
        weights = [
            weight * math.exp(math.fsum(row[t, response[t]].item() for t in range(place)))
            for weight, row in zip((0.25, 0.75), rows, strict=True)
        ]
        joint_V = sum(w * row[place].exp() for w, row in zip(weights, rows, strict=True))
        found.append((joint_V / sum(weights)).log())
    return torch.stack(found)


def test_which_part_writes_and_what_it_writes_are_drawn_independently(folder):
    mixed = mixture_of(folder)
    count = 4000
    keys = [(row, 0) for row in range(count)]
    rows = mixed.respond([[1, 3]] * count, keys, max_new_tokens=1, seed=2)
    counts_V = np.bincount([row[0] for row in rows], minlength=mixed.width)
    chance_V = mixed.logp(batch_of([[1, 3]], [[0]]))[0, 0].exp().double().numpy()
    expected_V = chance_V / chance_V.sum() * count
    assert expected_V.min() > 5
    assert stats.chisquare(counts_V, expected_V).pvalue > 0.001


@pytest.fixture(scope="module", params=[8192, 1], ids=["through a square", "as given"])
def update(request, folder, tmp_path_factory):
    """One update of TRL's own trainer, as our distillation has it, with a mixture for teacher.

    With the vocabulary taken for a large one, our own loss reads the mixture's probabilities.
    """
    seen: list = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teachers, "LARGEST_VOCABULARY", request.param)
        teacher = Teacher(mixture_of(folder))
    assert (teacher.get_output_embeddings() is None) == (request.param == 1)
    settings = Distill(
        batch_size=8,
        micro_batch_size=4,
        max_new_tokens=11,
        temperature=1.0,
        max_grad_norm=1.0,
        checkpoints=[1],
    )
    trainer = recording(distill.LoopTrainer, seen)(
        model=tiny(3),
        teacher_model=teacher,
        args=distill.config(settings, arguments(tmp_path_factory.mktemp("trl"), updates=1), LOOP),
        train_dataset=Dataset.from_list([{"prompt": PROMPTS[i % 4]} for i in range(8)]),
        processing_class=word_tokenizer(WORDS),
    )
    assert isinstance(trainer, DistillationTrainer)
    trainer.train()
    return seen[0].seen


def test_the_loss_of_trls_trainer_is_the_reverse_kl_to_the_mixture(update):
    """On its own ragged micro-batches: prompts padded left, responses padded right."""
    micro_batches = [m for m in update if m.update == 0]
    total = sum(int(m.inputs["completion_mask"].sum()) for m in micro_batches)
    prompt_padding = response_padding = 0
    for micro in micro_batches:
        student = tiny(3)
        student.load_state_dict(micro.state)
        expected = torch.zeros((), dtype=torch.double)
        inputs = micro.inputs
        prompt_padding += int((inputs["prompt_mask"] == 0).sum())
        response_padding += int((inputs["completion_mask"] == 0).sum())
        for row in range(len(inputs["prompt_ids"])):
            prompt = inputs["prompt_ids"][row][inputs["prompt_mask"][row] == 1].tolist()
            response = inputs["completion_ids"][row][inputs["completion_mask"][row] == 1].tolist()
            own = row_logp(student, prompt, response).double()
            expected += (own.exp() * (own - plain_mixture_logp(prompt, response))).sum()
        assert micro.loss == pytest.approx(expected.item() / total, rel=1e-4)
        assert max(gradient.abs().max() for gradient in micro.gradient.values()) > 1e-3
    assert prompt_padding and response_padding


def test_a_teacher_has_nothing_to_train_and_its_forward_gives_the_mixture(folder):
    mixed = mixture_of(folder)
    teacher = Teacher(mixed).eval()
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    ids = torch.cat((RAGGED.prompt_ids_B_P, RAGGED.response_ids_B_C), dim=1)
    mask = torch.cat((RAGGED.prompt_mask_B_P, RAGGED.response_mask_B_C), dim=1)
    logits = teacher(input_ids=ids, attention_mask=mask, logits_to_keep=6, use_cache=False).logits
    assert logits.shape == (3, 6, len(WORDS)) and not logits.requires_grad
    torch.testing.assert_close(logits[:, :-1], mixed.logp(RAGGED))
    assert teacher.config.get_text_config().vocab_size == len(WORDS)


class Flat:
    """A policy of a given width that gives one token no probability."""

    def __init__(self, width):
        self.width = width

    def logp(self, batch):
        logp = torch.zeros((*batch.response_ids_B_C.shape, self.width)).log_softmax(-1)
        logp[..., 0] = -torch.inf
        return logp


def test_a_teacher_without_a_finite_divergence_is_refused():
    ids = torch.ones((2, 5), dtype=torch.long)
    with pytest.raises(InputError, match="divergence from it is infinite"):
        Teacher(Flat(7))(input_ids=ids, attention_mask=ids, logits_to_keep=3)


def test_a_wide_vocabulary_has_no_square():
    teacher = Teacher(Flat(152_064))
    assert teacher.get_output_embeddings() is None and not list(teacher.parameters())
    assert Teacher(Flat(8192)).get_output_embeddings().weight.shape == (8192, 8192)
    # TRL would round the probabilities to the training's arithmetic on the way through it.
    assert Teacher(Flat(7), single=False).get_output_embeddings() is None


# ---- the solver with a real fallback ----


def test_what_leaves_the_tree_is_drawn_by_the_model_and_scored_by_it(tmp_path):
    tokenizer = word_tokenizer(VOCABULARY)
    model = new_model(SHAPE, tokenizer, max_length=64, seed=0)
    save_policy(model, tokenizer, tmp_path / "base")
    base = LoopPolicy(tmp_path / "base", 64)
    policy = Solver(in_words(tokenizer.get_vocab(), [EOS]), [EOS], smoothing=0.3, fallback=base)
    prompt = tokenizer.encode("<bos> 3 12 4 T 19 :", add_special_tokens=False)
    keys = [(0, j) for j in range(40)]
    rows = policy.respond([prompt] * 40, keys, max_new_tokens=12, seed=1)
    tree = policy.tree(prompt)
    wandered = 0
    batch = batch_of([prompt] * 40, rows)
    logp = token_logp(policy.logp(batch), batch)
    for row, response in enumerate(rows):
        left = next((t for t in range(len(response)) if tuple(response[:t]) not in tree), None)
        if left is None:
            continue
        wandered += 1
        expected = row_logp(model.eval(), prompt, response)[left:]
        for place, token in enumerate(response[left:]):
            assert logp[row, left + place].item() == pytest.approx(
                expected[place, token].item(), abs=1e-4
            )
        [again] = base.respond(
            [[*prompt, *response[:left]]], [keys[row]], max_new_tokens=12 - left, seed=1
        )
        assert response[left:] == again
    assert wandered > 20
