"""The training prompts of the on-policy methods, in the order in which they are used."""

from pathlib import Path

from transformers import PreTrainedTokenizerFast

from online_il.chat import messages_of, prompt_ids
from online_il.ends import trained_end
from online_il.errors import InputError
from online_il.program.cli import log
from online_il.records import Prompts, read_table
from online_il.training.common import shuffled_passes


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
    the log. Raises `InputError` where none is left, and where the answers to them end with a token
    that ends no response of the policy in `base`.
    """
    table = read_table(path, Prompts)
    train = table[table["split"] == "train"]
    rows = [
        {"prompt": text, "answer": answer}
        for text, answer in zip(train["text"], train["answer"], strict=True)
    ]
    for conversation in {messages_of(row["prompt"]) is not None for row in rows}:
        trained_end(base, conversation=conversation)
    if longest is not None:
        ids = prompt_ids(tokenizer, [row["prompt"] for row in rows])
        short = [row for row, tokens in zip(rows, ids, strict=True) if len(tokens) <= longest]
        log(
            "training prompts",
            kept=len(short),
            longer_than_max_prompt_tokens=len(rows) - len(short),
        )
        rows = short
    if not rows:
        raise InputError(f"{path}: no training prompt (of at most {longest} tokens) in it")
    return shuffled_passes(rows, count, seed)
