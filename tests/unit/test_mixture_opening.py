"""A mixture from its settings, and the engine that draws its responses."""

import pandas as pd
import pytest
import torch
from training_runs import LOOP, SHAPE

from online_il.config.generation import Generation
from online_il.config.mixture import MixtureExpert
from online_il.config.sampling import Sampling
from online_il.errors import InputError
from online_il.experts.divergence import shares_of
from online_il.experts.model import LoopPolicy
from online_il.experts.opening import (
    MixtureEngine,
    Shares,
    engine_for,
    open_mixture,
    opened_mixture,
    publish_mixture,
)
from online_il.experts.policy import batch_of
from online_il.experts.solver import Solver
from online_il.generation.engines import open_engine
from online_il.generation.tokens import Tokens, vocabulary_hash
from online_il.models import (
    form_hash,
    is_mixture,
    new_model,
    save_policy,
    weights_hash,
    word_tokenizer,
)
from online_il.tasks.miniature import VOCABULARY

SETTINGS = MixtureExpert(
    name="mixture",
    kind="mixture",
    parts={"expert": 0.25, "solver": 0.75},
    learnable="expert",
    fallback="base",
)
PROMPT = "<bos> 3 12 4 T 19 :"


@pytest.fixture(scope="module")
def policies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policies")
    for seed, name in enumerate(("expert", "base")):
        tokenizer = word_tokenizer(VOCABULARY)
        save_policy(new_model(SHAPE, tokenizer, 64, seed), tokenizer, folder / name)
    return {name: folder / name for name in ("expert", "base")}


def test_the_parts_are_those_of_the_settings(policies):
    mixed = open_mixture(SETTINGS, policies, LOOP)
    assert [(p.name, p.weight, p.learnable) for p in mixed.parts] == [
        ("expert", 0.25, True),
        ("solver", 0.75, False),
    ]
    solver = mixed.parts[1].policy
    assert isinstance(solver, Solver) and mixed.coverage == 4
    batch = batch_of([Tokens(policies["base"]).prompt(PROMPT)], [[20, 21, 22]])
    base = LoopPolicy(policies["base"], 8).logp(batch)
    torch.testing.assert_close(solver.logp(batch)[:, 1:], base[:, 1:])
    assert solver.logp(batch)[0, 0].max().exp() == pytest.approx(0.999, abs=1e-4)


def test_temperature_and_smoothing_reach_the_parts(policies):
    settings = SETTINGS.model_copy(update={"temperature": 2.0, "smoothing": 0.5})
    expert, solver = (part.policy for part in open_mixture(settings, policies, LOOP).parts)
    batch = batch_of([Tokens(policies["base"]).prompt(PROMPT)], [[20]])
    plain = LoopPolicy(policies["expert"], 8).logp(batch)
    torch.testing.assert_close(expert.logp(batch), (plain / 2).log_softmax(-1))
    assert solver.logp(batch)[0, 0].max().exp() == pytest.approx(0.5, abs=0.01)


def test_a_fallback_that_is_a_part_is_one_policy(policies):
    settings = SETTINGS.model_copy(update={"fallback": "expert"})
    expert, solver = (part.policy for part in open_mixture(settings, policies, LOOP).parts)
    assert isinstance(solver, Solver) and solver.fallback is expert


def test_the_engine_draws_the_mixture_and_the_shares_tell_whose_a_response_is(policies, tmp_path):
    mixed = open_mixture(SETTINGS, policies, LOOP)
    keys = [(0, j) for j in range(80)]
    sampling = Sampling(max_new_tokens=30)
    publish_mixture(SETTINGS, policies, tmp_path / "mixture")
    engine = engine_for(tmp_path / "mixture", Generation(engine="loop", batch_size=32))
    engine.load(tmp_path / "mixture")
    assert [len(unit) for unit in engine.units([PROMPT] * 80, keys)] == [32, 32, 16]
    drawn = engine.respond([PROMPT] * 80, keys, sampling=sampling, seed=3)
    alone = open_engine(LOOP)
    alone.load(policies["expert"])
    experts = alone.respond([PROMPT] * 80, keys, sampling=sampling, seed=3)
    tokens = Tokens(policies["base"])
    rows = [response.token_ids or [] for response in drawn]
    shares = shares_of(mixed, [tokens.prompt(PROMPT)] * 80, rows, batch_size=16)
    at_once = [response.text.startswith("<think> </think> <answer>") for response in drawn]
    assert 45 < sum(at_once) < 75, "three quarters of 80 in the mean"
    for response, own, share, direct in zip(drawn, experts, shares, at_once, strict=True):
        assert response == own or direct
        assert share.sum() == pytest.approx(1)
        assert (share[1] > 0.99) == direct


@pytest.mark.parametrize("changed", [{"temperature": 0.7}, {"top_k": 50}, {"top_p": 0.7}])
def test_the_engine_refuses_any_sampling_but_plain_one(policies, tmp_path, changed):
    publish_mixture(SETTINGS, policies, tmp_path / "mixture")
    engine = MixtureEngine(LOOP)
    engine.load(tmp_path / "mixture")
    sampling = Sampling(max_new_tokens=3, **changed)
    with pytest.raises(InputError, match="mixture is sampled as it is"):
        engine.respond([PROMPT], [(0, 0)], sampling=sampling, seed=1)


def test_parts_of_other_vocabularies_are_refused_with_both_names(policies, tmp_path):
    words = tuple("Z" if word == "T" else word for word in VOCABULARY)
    save_policy(
        new_model(SHAPE, word_tokenizer(words), 64, 0), word_tokenizer(words), tmp_path / "z"
    )
    with pytest.raises(InputError, match=r"expert\).*z \(base\): their tokenizers differ"):
        open_mixture(SETTINGS, {**policies, "base": tmp_path / "z"}, LOOP)


def test_parts_of_other_ends_are_refused(policies, tmp_path):
    tokenizer = word_tokenizer(VOCABULARY)
    model = new_model(SHAPE, tokenizer, 64, 0)
    model.generation_config.eos_token_id = [2, 5]
    save_policy(model, tokenizer, tmp_path / "z")
    with pytest.raises(InputError, match="ends of a response differ"):
        open_mixture(SETTINGS, {**policies, "base": tmp_path / "z"}, LOOP)


def test_any_engine_opens_a_mixture(policies):
    other = Generation(engine="transformers", batch_size=8)
    batch = batch_of([Tokens(policies["base"]).prompt(PROMPT)], [[20, 21, 22]])
    torch.testing.assert_close(
        open_mixture(SETTINGS, policies, other).logp(batch),
        open_mixture(SETTINGS, policies, LOOP).logp(batch),
        atol=1e-4,
        rtol=1e-4,
    )


def test_a_published_mixture_is_a_policy_like_any_other(policies, tmp_path):
    folder = tmp_path / "mixture"
    publish_mixture(SETTINGS, policies, folder)
    assert is_mixture(folder) and not is_mixture(policies["base"])
    assert vocabulary_hash(folder) == vocabulary_hash(policies["base"])
    batch = batch_of([Tokens(folder).prompt(PROMPT)], [[20, 21, 22]])
    asked = opened_mixture(folder, LOOP).logp(batch)
    assert torch.equal(asked, open_mixture(SETTINGS, policies, LOOP).logp(batch))
    # What it is made of, and how, is in its hashes; where it lies is not.
    publish_mixture(SETTINGS, policies, tmp_path / "again")
    other = SETTINGS.model_copy(update={"parts": {"expert": 0.5, "solver": 0.5}})
    publish_mixture(other, policies, tmp_path / "other")
    swapped = {"expert": policies["base"], "base": policies["expert"]}
    publish_mixture(SETTINGS, swapped, tmp_path / "swapped")
    assert weights_hash(folder) == weights_hash(tmp_path / "again")
    assert form_hash(folder) == form_hash(tmp_path / "again")
    assert form_hash(folder) != form_hash(tmp_path / "other")
    assert weights_hash(folder) != weights_hash(tmp_path / "swapped")


def test_shares_are_those_of_the_learnable_part_and_of_the_solver(policies, tmp_path):
    settings = SETTINGS.model_copy(
        update={"parts": {"expert": 0.25, "solver": 0.5, "base": 0.25}, "fallback": "expert"}
    )
    publish_mixture(settings, policies, tmp_path / "mixture")
    prompts = pd.DataFrame({"prompt_id": ["a", "b"], "text": [PROMPT, "<bos> 5 2 1 T 8 :"]})
    tokens = Tokens(policies["base"])
    ids = [[20, 21, 22], [23], [20, 20]]
    names = ["b", "a", "a"]
    rows = [{"prompt_id": n, "token_ids": row} for n, row in zip(names, ids, strict=True)]
    Shares(tmp_path / "mixture", LOOP).add(rows, prompts)
    contexts = [tokens.prompt(prompts["text"][place]) for place in (1, 0, 0)]
    told = open_mixture(settings, policies, LOOP).shares(batch_of(contexts, ids))
    for row, share in zip(rows, told.tolist(), strict=True):
        assert row["share_learnable"] == pytest.approx(share[0])
        assert row["direct"] == pytest.approx(share[1])


def test_a_mixture_scores_no_choices(policies, tmp_path):
    publish_mixture(SETTINGS, policies, tmp_path / "mixture")
    engine = MixtureEngine(LOOP)
    engine.load(tmp_path / "mixture")
    with pytest.raises(InputError, match="mixture scores no choices"):
        engine.loglikelihoods([PROMPT], [[" 1", " 2"]])
