"""The generation engines: token ids, text, lengths, scores and why a response ended."""

import json
import shutil
import sys

import pytest
import torch
from decode_models import hf_logits

from online_il import chat
from online_il.config.architecture import Architecture
from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.ends import end_ids
from online_il.errors import InputError
from online_il.generation import decode
from online_il.generation.engines import open_engine
from online_il.generation.response import finish_reason
from online_il.generation.tokens import Tokens
from online_il.generation.vllm_engine import requests, seed_of
from online_il.models import load_model, load_tokenizer, new_model, save_policy, word_tokenizer
from online_il.tasks.miniature import VOCABULARY

ENGINES = ["loop", "transformers"]
PROMPTS = ["<bos> 3 12 4 T 19 :", "<bos> 5 6 T 30 :", "<bos> F 98 7 :", "<bos> 1 2 3 4 T 10 :"]
TEMPLATE = (
    "<bos>{% for m in messages %} {{ m['role'] }} {{ m['content'] }}{% if not loop.last %} ,"
    "{% endif %}{% endfor %}{% if add_generation_prompt %} :{% endif %}"
)


def make_policy(folder, seed=0, words=VOCABULARY):
    """A saved policy far from uniform."""
    tokenizer = word_tokenizer(words)
    shape = Architecture(hidden_size=16, intermediate_size=32, layers=1, heads=2, head_dim=8)
    model = new_model(shape, tokenizer, max_length=64, seed=seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 8
    save_policy(model, tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    """A policy of the miniature's vocabulary."""
    return make_policy(tmp_path_factory.mktemp("decode") / "step0")


def changed(policy, folder, name, **values):
    """A copy of a policy in which a JSON file has other values."""
    shutil.copytree(policy, folder)
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return folder


def opened(engine, policy, batch_size=3):
    """An engine with a policy in it."""
    running = open_engine(Generation(engine=engine, batch_size=batch_size))
    running.load(policy)
    return running


def respond(policy, engine, sampling, prompts=PROMPTS, **options):
    keys = [(i, 0) for i in range(len(prompts))]
    return opened(engine, policy, **options).respond(prompts, keys, sampling=sampling, seed=1)


# ---- responses ----


def test_both_engines_answer_alike_when_greedy(policy):
    sampling = Sampling(temperature=0.0, max_new_tokens=10)
    assert respond(policy, "loop", sampling) == respond(policy, "transformers", sampling)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.slow
def test_a_response_tells_its_length_and_why_it_ended(policy, engine):
    tokenizer = load_tokenizer(policy)
    sampling = Sampling(temperature=4.0, max_new_tokens=30)
    reasons = set()
    for response in respond(policy, engine, sampling, PROMPTS * 10):
        reasons.add(response.finish_reason)
        words = response.text.split()
        assert "<eos>" not in words and response.n_tokens <= 30
        if response.finish_reason == "length":
            assert response.n_tokens == 30
        # Special tokens (the end, and padding or <bos> where sampled) are no part of the text.
        assert len(words) <= response.n_tokens - (response.finish_reason == "stop")
        assert tokenizer.encode(response.text, add_special_tokens=False) == [
            VOCABULARY.index(word) for word in words
        ]
    assert reasons == {"stop", "length"}


def test_finish_reasons_follow_the_last_token():
    assert finish_reason([5, 6, 2], [2]) == "stop"
    assert finish_reason([5, 6, 7], [2, 7]) == "stop"
    assert finish_reason([2, 6], [2]) == "length"
    assert finish_reason([], [2]) == "length"


def test_the_loop_engine_draws_what_the_decode_loop_draws(policy):
    keys = [(3, 1), (0, 0), (7, 2), (3, 0)]
    sampling = Sampling(temperature=1.5, max_new_tokens=12)
    model, tokenizer = load_model(policy), load_tokenizer(policy)
    drawn = decode.generate(
        decode.decoder(model.state_dict(), model.config.to_dict()),
        [tokenizer.encode(prompt) for prompt in PROMPTS],
        keys,
        sampling=sampling,
        seed=5,
        eos_token_id=tokenizer.eos_token_id,
    )
    responses = opened("loop", policy).respond(PROMPTS, keys, sampling=sampling, seed=5)
    assert [r.n_tokens for r in responses] == [len(ids) for ids in drawn]
    assert [r.text for r in responses] == [
        tokenizer.decode(ids, skip_special_tokens=True) for ids in drawn
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_any_of_a_models_end_tokens_ends_a_response(policy, tmp_path, engine):
    sampling = Sampling(temperature=0.0, max_new_tokens=10)
    plain = respond(policy, engine, sampling)
    # The third word that is said in answer to the first prompt ends responses, too.
    words = plain[0].text.split()
    end = VOCABULARY.index(words[2])
    policy = changed(policy, tmp_path / "ends", "generation_config.json", eos_token_id=[2, end])
    assert end_ids(policy) == [2, end]
    for before, after in zip(plain, respond(policy, engine, sampling), strict=True):
        said = before.text.split()
        if VOCABULARY[end] in said:
            place = said.index(VOCABULARY[end])
            assert after[:3] == (" ".join(said[: place + 1]), place + 1, "stop")
            assert after.token_ids is not None and after.token_ids[-1] == end
        else:
            assert after == before


def test_the_end_tokens_of_the_config_serve_where_there_is_no_generation_config(policy, tmp_path):
    folder = changed(policy, tmp_path / "plain", "config.json", eos_token_id=[7, 2])
    (folder / "generation_config.json").unlink()
    assert end_ids(folder) == [7, 2]
    folder = changed(folder, tmp_path / "endless", "config.json", eos_token_id=None)
    with pytest.raises(InputError, match="eos_token_id"):
        end_ids(folder)


def test_a_models_own_generation_settings_change_no_response(policy, tmp_path):
    sampling = Sampling(temperature=0.0, max_new_tokens=20)
    own = changed(
        policy,
        tmp_path / "own",
        "generation_config.json",
        repetition_penalty=5.0,
        no_repeat_ngram_size=1,
        suppress_tokens=list(range(20)),
    )
    assert respond(own, "transformers", sampling) == respond(policy, "transformers", sampling)


def test_greedy_responses_do_not_depend_on_the_padding(policy):
    sampling = Sampling(temperature=0.0, max_new_tokens=10)
    together = respond(policy, "transformers", sampling, batch_size=4)
    assert together == respond(policy, "transformers", sampling, batch_size=1)


# ---- token ids ----


@pytest.mark.parametrize("engine", ENGINES)
def test_a_second_policy_takes_the_place_of_the_first(policy, tmp_path, engine):
    sampling = Sampling(temperature=0.0, max_new_tokens=10)
    other = make_policy(tmp_path / "step1", seed=1)
    running = opened(engine, policy)
    running.load(other)
    keys = [(i, 0) for i in range(len(PROMPTS))]
    responses = running.respond(PROMPTS, keys, sampling=sampling, seed=1)
    assert responses == respond(other, engine, sampling) != respond(policy, engine, sampling)


def test_plain_text_and_conversations_have_the_ids_of_the_tokenizer(tmp_path):
    words = (*VOCABULARY, "user", "assistant", ",")
    policy = make_policy(tmp_path / "step0", words=words)
    tokenizer = load_tokenizer(policy)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(policy)
    asked = chat.as_text([{"role": "user", "content": "3 4 T 12"}])
    primed = chat.as_text(
        [{"role": "user", "content": "3 4 T 12"}, {"role": "assistant", "content": "3 *"}]
    )
    tokens = Tokens(policy)
    for prompt, text in (
        ("<bos> 5 6 T 30 :", "<bos> 5 6 T 30 :"),
        (asked, "<bos> user 3 4 T 12 :"),
        (primed, "<bos> user 3 4 T 12 , assistant 3 *"),
    ):
        assert tokens.prompt(prompt) == [words.index(word) for word in text.split()]
        assert chat.prompt_ids(tokenizer, [prompt]) == [tokens.prompt(prompt)]
    sampling = Sampling(temperature=0.0, max_new_tokens=5)
    spelled = respond(policy, "loop", sampling, ["<bos> user 3 4 T 12 :"])
    for engine in ENGINES:
        assert respond(policy, engine, sampling, [asked]) == spelled


def test_a_tokenizers_own_beginning_of_sequence_stands_once_before_a_prompt(policy, tmp_path):
    from tokenizers import Tokenizer, processors

    folder = shutil.copytree(policy, tmp_path / "bos")
    inner = Tokenizer.from_file(str(folder / "tokenizer.json"))
    inner.post_processor = processors.TemplateProcessing("<bos> $0", special_tokens=[("<bos>", 1)])
    inner.save(str(folder / "tokenizer.json"))
    tokenizer = load_tokenizer(folder)
    tokenizer.chat_template = "<bos> {{ messages[0]['content'] }} :"
    tokenizer.save_pretrained(folder)
    ids = [VOCABULARY.index(word) for word in ["<bos>", "5", "6", "T", "30", ":"]]
    tokens = Tokens(folder)
    assert tokens.prompt("5 6 T 30 :") == ids
    assert tokens.prompt(chat.as_text([{"role": "user", "content": "5 6 T 30"}])) == ids
    assert tokens.scored("5 6 T 30 :", " 5 6") == (ids, ids[1:3])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_conversation_without_a_chat_template_is_refused(policy, engine):
    asked = chat.as_text([{"role": "user", "content": "3 4 T 12"}])
    with pytest.raises(InputError, match="chat template"):
        respond(policy, engine, Sampling(max_new_tokens=2), [asked])


def test_the_space_between_prompt_and_continuation_belongs_to_the_continuation(tmp_path):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    # As with byte-level tokenizers, a space and the word behind it are one token.
    pieces = ["A", "Ġ", "n", "s", ":", "Ans", "ĠA", "An"]
    inner = Tokenizer(
        models.BPE(
            vocab={piece: i for i, piece in enumerate(pieces)},
            merges=[("A", "n"), ("An", "s"), ("Ġ", "A")],
        )
    )
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    (tmp_path / "config.json").write_text('{"eos_token_id": 0}')
    inner.save(str(tmp_path / "tokenizer.json"))
    tokens = Tokens(tmp_path)
    answer = pieces.index("ĠA")
    for prompt, continuation in (("Ans:", " A"), ("Ans: ", "A")):
        ids, scored = tokens.scored(prompt, continuation)
        assert [pieces[i] for i in ids] == ["Ans", ":"]
        assert scored == [answer]
    assert tokens.text([answer]) == " A"
    with pytest.raises(InputError, match="a token each"):
        tokens.scored("Ans:", "")


# ---- scores ----


@pytest.mark.parametrize("engine", ENGINES)
def test_choices_are_scored_by_their_log_likelihood(policy, engine):
    model = load_model(policy)
    tokenizer = load_tokenizer(policy)
    prompts = ["<bos> F 98 7 :", "<bos> F 1 2 3 4 :"]
    choices = [[" 5", " 34 <eos>", " 99"], [" 0", " 12"]]
    expected = []
    for prompt, texts in zip(prompts, choices, strict=True):
        expected.append([])
        for text in texts:
            prompt_ids, ids = tokenizer.encode(prompt), tokenizer.encode(text)
            logp = hf_logits(model, prompt_ids + ids).log_softmax(-1)
            expected[-1].append(
                sum(logp[len(prompt_ids) - 1 + t, token].item() for t, token in enumerate(ids))
            )
    scores = opened(engine, policy).loglikelihoods(prompts, choices)
    assert [len(row) for row in scores] == [3, 2]
    for row, want in zip(scores, expected, strict=True):
        assert row == pytest.approx(want, abs=1e-4)


# ---- what an engine cannot do ----


def test_the_loop_names_the_policy_that_it_cannot_run(policy, tmp_path):
    folder = changed(policy, tmp_path / "gpt2", "config.json", model_type="gpt2")
    with pytest.raises(InputError, match=r"gpt2.*generation\.engine"):
        opened("loop", folder)


def test_an_engine_that_is_not_installed_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(InputError, match=r"make setup-gpu.*transformers"):
        open_engine(Generation(engine="vllm", batch_size=1))


# ---- requests to vLLM ----


def test_one_request_asks_for_the_consecutive_samples_of_one_prompt():
    keys = [(1, 0), (0, 1), (0, 0), (1, 1), (0, 3), (2, 5)]
    prompts = [[7], [3], [3], [8], [3], [9]]  # Rows of (1, 0) and (1, 1) differ in their prompt.
    assert list(requests(keys, prompts, most=6)) == [[2, 1], [4], [0], [3], [5]]
    assert list(requests(keys, prompts, most=1)) == [[2], [1], [4], [0], [3], [5]]
    twice = [(0, 0), (0, 0)]
    assert list(requests(twice, [[3], [3]], most=2)) == [[0], [1]]
    assert list(requests([], [], most=0)) == []


def test_the_samples_of_a_request_have_the_seeds_that_vllm_counts_up_from_its_own():
    first = seed_of(7, (3, 0))
    assert [seed_of(7, (3, j)) for j in range(4)] == [first + j for j in range(4)]
    starts = {seed_of(seed, (prompt, 0)) for seed in range(20) for prompt in range(200)}
    assert len(starts) == 4000
    assert min(starts) >= 0 and max(starts) < 2**62
