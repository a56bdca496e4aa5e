"""MMLU's choices are the tokens that lm-evaluation-harness scores, whatever tokens there are."""

import json

import pandas as pd
import pytest
from lm_eval.models.huggingface import HFLM
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from online_il.evaluation import likeliest_choices
from online_il.generation.resume import Resume
from online_il.generation.tokens import Tokens
from online_il.models import word_tokenizer
from online_il.tasks import miniature, mmlu

SPECIAL = ["<bos>", "<eos>"]
SPLIT = r" ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"  # As GPT-2, Llama 3 and Qwen cut.


def with_merges(alphabet, space):
    """A BPE model that has a token for a letter, for a space and it, and for two spaces and it."""
    letters = "ABCD"
    merges = [(space, letter) for letter in letters]
    merges += [(space, space)] + [(space + space, letter) for letter in letters]
    vocabulary = [*SPECIAL, *dict.fromkeys([*sorted(alphabet), space])]
    vocabulary += ["".join(merge) for merge in merges]
    return models.BPE(vocab={piece: i for i, piece in enumerate(vocabulary)}, merges=merges)


def qwen_like() -> Tokenizer:
    inner = Tokenizer(with_merges(pre_tokenizers.ByteLevel.alphabet(), "Ġ"))
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    inner.decoder = decoders.ByteLevel()
    return inner


def llama_3_like() -> Tokenizer:
    inner = qwen_like()
    inner.post_processor = processors.TemplateProcessing("<bos> $0", special_tokens=[("<bos>", 0)])
    return inner


def byte_level_without_a_split() -> Tokenizer:
    inner = qwen_like()
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return inner


def llama_2_like() -> Tokenizer:
    alphabet = {chr(code) for code in range(33, 127)} | {"\n"}
    inner = Tokenizer(with_merges(alphabet, "▁"))
    inner.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    inner.post_processor = processors.TemplateProcessing("<bos> $0", special_tokens=[("<bos>", 0)])
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return inner


TOKENIZERS = [qwen_like, llama_3_like, byte_level_without_a_split, llama_2_like]


class Asked:
    """An engine that notes the token ids of what it is asked to score."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens, self.rows = tokens, []

    def loglikelihoods(self, prompts, continuations):
        for prompt, choices in zip(prompts, continuations, strict=True):
            self.rows += [self.tokens.scored(prompt, choice) for choice in choices]
        return [[-float(choice != choices[1]) for choice in choices] for choices in continuations]


def asked(policy, texts, answers):
    """(the token ids that the evaluation asks for, its rows)."""
    prompts = pd.DataFrame(
        {
            "prompt_id": [str(number) for number in range(len(texts))],
            "text": texts,
            "answer": [json.dumps(answer) for answer in answers],
        }
    )
    engine = Asked(Tokens(policy))
    resume = Resume(policy / "state.jsonl", "one job")
    rows = likeliest_choices(engine, prompts, resume, policy="base/step0", seed=1)
    return engine.rows, rows


def harness(policy) -> HFLM:
    """The harness's model with our tokenizer and no weights."""
    model = HFLM.__new__(HFLM)
    model.tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(policy / "tokenizer.json"), bos_token="<bos>", eos_token="<eos>"
    )
    model.backend, model.add_bos_token, model.custom_prefix_token_id = "causal", None, None
    return model


@pytest.mark.parametrize("made", TOKENIZERS)
@pytest.mark.slow
def test_the_tokens_asked_for_are_those_of_the_harness(made, tmp_path):
    made().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text('{"eos_token_id": 1}')
    row = {"question": " What is 2 + 2? ", "subject": "anatomy", "choices": list("3456")}
    rows = [row | {"answer": number} for number in (1, 2)]
    found = mmlu.questions({"anatomy": rows}, {"anatomy": [rows[0]]}, 1)
    answers = [
        {"grader": "choice", "choices": q.choices, "correct": q.correct, "subject": q.subject}
        for q in found
    ]
    ours, graded = asked(tmp_path, [q.context for q in found], answers)
    model = harness(tmp_path)
    # As the harness writes them: its default delimiter, a space, and the letter.
    theirs = [model._encode_pair(q.context, f" {c}") for q in found for c in "ABCD"]
    assert ours == theirs
    # One token, a space and the letter: what the model says after "Answer:" in the examples.
    pieces = [
        Tokenizer.from_file(str(tmp_path / "tokenizer.json")).id_to_token(i) for i in range(999)
    ]
    assert [[pieces[i][1:] for i in ids] for _, ids in ours] == [[c] for c in "ABCDABCD"]
    assert [row["correct"] for row in graded] == [True, False]


def test_the_miniatures_facts_are_asked_for_as_words(tmp_path):
    word_tokenizer(miniature.VOCABULARY).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"eos_token_id": 2}')
    (fact,) = miniature.facts(1, seed=1)
    answer = {"grader": "choice", "choices": fact.choices, "correct": fact.choices[1]}
    rows, graded = asked(tmp_path, [miniature.fact_prompt(fact)], [answer])
    place = miniature.VOCABULARY.index
    prompt = [place(word) for word in ("<bos>", "F", str(fact.a), str(fact.b), ":")]
    assert rows == [(prompt, [place(str(choice))]) for choice in fact.choices]
    assert [(row["text"], row["correct"]) for row in graded] == [(str(fact.choices[1]), True)]
