"""The training prompts of the on-policy methods, in the order in which they are used."""

import random
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from online_il.chat import messages_of, prompt_ids
from online_il.ends import trained_end
from online_il.errors import InputError
from online_il.program.cli import log
from online_il.records import Prompts, read_table


def training_prompts(
    path: Path,
    base: Path,
    tokenizer: PreTrainedTokenizerFast,
    count: int,
    seed: int,
    longest: int | None,
) -> list[dict[str, str]]:
    """Read `count` rows with `prompt` and `answer`: shuffled passes over the training split.

    Prompts of more than `longest` tokens are left out (TRL would not cut them), and counted in
    the log; those that no update comes to are not even tokenised. Raises `InputError` where none is
    left, and where the answers to them end with a token that ends no response of the policy in
    `base`.
    """
    table = read_table(path, Prompts)
    train = table[table["split"] == "train"]
    rows = [
        {"prompt": text, "answer": answer}
        for text, answer in zip(train["text"], train["answer"], strict=True)
    ]
    for conversation in {messages_of(row["prompt"]) is not None for row in rows}:
        trained_end(base, conversation=conversation)
    if not rows:
        raise InputError(f"{path}: no training prompt in it")
    used: list[dict[str, str]] = []
    is_short: dict[str, bool] = {}
    rng = random.Random(seed)
    while len(used) < count:
        before = len(used)
        for row in rng.sample(rows, len(rows)):
            text = row["prompt"]
            if longest is not None and text not in is_short:
                is_short[text] = len(prompt_ids(tokenizer, [text])[0]) <= longest
            if is_short.get(text, True):
                used.append(row)
            if len(used) == count:
                break
        if len(used) == before:
            raise InputError(f"{path}: no training prompt of at most {longest} tokens in it")
    if longest is not None:
        too_long = sum(not short for short in is_short.values())
        log("training prompts", tokenised=len(is_short), longer_than_max_prompt_tokens=too_long)
    return used
