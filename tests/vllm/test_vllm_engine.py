"""The vLLM engine against the transformers engine, on vLLM's CPU build."""

import json
import shutil

import pytest
from vllm_policies import CHOICES, PROMPTS, make_policy, needs_vllm

from online_il import chat
from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.errors import InputError
from online_il.generation.engines import open_engine
from online_il.models import load_tokenizer
from online_il.tasks.miniature import VOCABULARY

pytestmark = needs_vllm
GREEDY = Sampling(temperature=0.0, max_new_tokens=20)
KEYS = [(prompt, sample) for prompt in range(len(PROMPTS)) for sample in range(5)]
TEXTS = [PROMPTS[prompt] for prompt, _ in KEYS]
# The CPU build takes its cache from the machine's memory.
SETTINGS = {"batch_size": 8, "memory_share": 0.1}


@pytest.fixture(scope="module")
def policies(tmp_path_factory):
    """Two checkpoints of one model, and a third whose output layer is the embedding."""
    folder = tmp_path_factory.mktemp("policies")
    return [make_policy(folder / f"step{i}", seed=i, tied=i == 2) for i in range(3)]


@pytest.fixture(scope="module")
def opened():
    """The one engine of this file: starting it takes most of the time."""
    engine = open_engine(Generation(engine="vllm", **SETTINGS))
    yield engine
    engine.close()


@pytest.fixture
def engine(opened, policies):
    """The engine with the first policy in it."""
    opened.load(policies[0])
    return opened


def reference(policy):
    engine = open_engine(Generation(engine="transformers", batch_size=8))
    engine.load(policy)
    return engine


def greedy(engine, prompts=PROMPTS):
    keys = [(i, 0) for i in range(len(prompts))]
    return engine.respond(prompts, keys, sampling=GREEDY, seed=1)


def flat(rows):
    return [score for row in rows for score in row]


def agrees(engine, policy) -> None:
    """Greedy tokens are those of transformers, log-probabilities within 1e-3."""
    expected = reference(policy)
    assert greedy(engine) == greedy(expected)
    scores = engine.loglikelihoods(PROMPTS, CHOICES)
    assert [len(row) for row in scores] == [len(row) for row in CHOICES]
    assert flat(scores) == pytest.approx(flat(expected.loglikelihoods(PROMPTS, CHOICES)), abs=1e-3)


def test_greedy_tokens_and_log_probabilities_are_those_of_transformers(engine, policies):
    agrees(engine, policies[0])


def test_a_second_checkpoint_is_read_into_the_running_engine(engine, policies):
    running = engine._llm
    before = engine.loglikelihoods(PROMPTS, CHOICES)
    engine.load(policies[1])
    assert engine._llm is running
    agrees(engine, policies[1])
    assert flat(engine.loglikelihoods(PROMPTS, CHOICES)) != pytest.approx(flat(before), abs=0.1)


def test_every_key_is_answered_once_and_in_its_place(engine):
    sampling = Sampling(temperature=1.0, max_new_tokens=20)
    responses = engine.respond(TEXTS, KEYS, sampling=sampling, seed=1)
    assert len(responses) == len(set(responses)) == len(KEYS)
    assert {response.finish_reason for response in responses} == {"stop", "length"}
    for response in responses:
        assert response.n_tokens <= 20
        if response.finish_reason == "length":
            assert response.n_tokens == 20
        # The end token counts and is no part of the text.
        assert "<eos>" not in response.text
        assert len(response.text.split()) <= response.n_tokens - (response.finish_reason == "stop")
    # A row's response follows from its seed and key: not from order, batch or other samples.
    backwards = engine.respond(TEXTS[::-1], KEYS[::-1], sampling=sampling, seed=1)
    assert backwards[::-1] == responses
    for row in (0, 3, 7, 19):
        alone = engine.respond([TEXTS[row]], [KEYS[row]], sampling=sampling, seed=1)
        assert alone == [responses[row]]
    assert engine.respond(TEXTS, KEYS, sampling=sampling, seed=2) != responses


def test_greedy_samples_of_one_prompt_are_equal(engine):
    responses = engine.respond(TEXTS, KEYS, sampling=GREEDY, seed=1)
    once = greedy(engine)
    assert responses == [once[prompt] for prompt, _ in KEYS]


def test_the_sampling_settings_reach_vllm(engine):
    once = greedy(engine)
    for narrow in ({"top_k": 1}, {"top_p": 1e-6}):
        sampling = Sampling(temperature=1.0, max_new_tokens=20, **narrow)
        assert engine.respond(TEXTS, KEYS, sampling=sampling, seed=1) == [
            once[prompt] for prompt, _ in KEYS
        ]
    short = Sampling(temperature=0.0, max_new_tokens=3)
    responses = engine.respond(PROMPTS, [(i, 0) for i in range(4)], sampling=short, seed=1)
    assert [r.text.split() for r in responses] == [r.text.split()[:3] for r in once]


def test_any_of_a_models_end_tokens_ends_a_response(engine, policies, tmp_path):
    once = greedy(engine)
    row = max(range(len(once)), key=lambda row: once[row].n_tokens)
    end = VOCABULARY.index(once[row].text.split()[2])
    ending = shutil.copytree(policies[0], tmp_path / "ending")
    path = ending / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token_id": [2, end]}))
    engine.load(ending)
    responses = greedy(engine)
    assert responses == greedy(reference(ending))
    assert responses[row].finish_reason == "stop" and responses[row].n_tokens <= 3


def test_conversations_are_rendered_by_the_policys_own_template(engine, policies, tmp_path):
    talking = shutil.copytree(policies[0], tmp_path / "talking")
    tokenizer = load_tokenizer(talking)
    tokenizer.chat_template = "<bos> {{ messages[0]['content'] }} :"
    tokenizer.save_pretrained(talking)
    engine.load(talking)
    asked = chat.as_text([{"role": "user", "content": "5 6 T 30"}])
    assert greedy(engine, [asked]) == greedy(engine, ["<bos> 5 6 T 30 :"])


def test_a_request_longer_than_the_model_is_refused_before_anything_runs(engine):
    sampling = Sampling(max_new_tokens=122)
    with pytest.raises(InputError, match=r"7 tokens and 122 new ones .* the 128"):
        engine.respond(PROMPTS[:1], [(0, 0)], sampling=sampling, seed=1)


def test_a_policy_whose_output_layer_is_its_embedding_is_run_by_a_new_vllm(
    opened, policies, tmp_path
):
    opened.load(policies[2])
    agrees(opened, policies[2])
    running = opened._llm
    other = make_policy(tmp_path / "step3", seed=3)
    opened.load(other)
    assert opened._llm is not running
    agrees(opened, other)
