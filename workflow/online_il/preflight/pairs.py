"""Compares the small files of a student and its expert, or of two parts of a mixture."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from online_il.config.bases import Scratch
from online_il.config.random import RandomModel
from online_il.cost.shape import json_of
from online_il.ends import tokens_by_id
from online_il.errors import InputError
from online_il.models import byte_tokenizer, word_tokenizer
from online_il.tasks.miniature import VOCABULARY
from online_il.vocabulary import (
    WIDTH_REMEDY,
    Difference,
    kept_rows,
    other_ends,
    other_prompts,
)

ONE_TOKENIZER = (
    "distill compares probabilities token id by token id: choose an expert with the student's "
    "tokenizer, or use sft"
)


def differences(
    student: Path,
    expert: Path,
    templates: tuple[str | None, str | None] | None,
    one_width: bool,
) -> Iterator[Difference]:
    """Tell what keeps two models of the hub from being distilled into each other.

    `templates` are the chat templates that stand in the place of their own (None for one that
    does not); None where prompts are no conversations. With `one_width` nothing is cut off.
    """
    tokens = [tokens_by_id(folder) for folder in (student, expert)]
    if tokens[0] is None or tokens[1] is None:
        lacking = student if tokens[0] is None else expert
        message = f"cannot be compared: no usable tokenizer.json in {lacking}"
        yield Difference(message, ONE_TOKENIZER)
        return
    widths = [json_of(folder / "config.json").get("vocab_size") for folder in (student, expert)]
    if tokens[0] != tokens[1]:
        ids = sorted(set(tokens[0]) | set(tokens[1]))
        first = next(i for i in ids if tokens[0].get(i) != tokens[1].get(i))
        here, there = (known.get(first, "no token") for known in tokens if known is not None)
        yield Difference(
            f"have different tokenizers, {len(tokens[0]):,} and {len(tokens[1]):,} tokens: id "
            f"{first} is {here!r} and {there!r}",
            ONE_TOKENIZER,
        )
    elif _rules(student) != _rules(expert):
        message = "have the same tokens and cut text into them by different rules"
        yield Difference(message, ONE_TOKENIZER)
    if widths[0] != widths[1] and one_width:
        yield Difference(f"have logits {widths[0]} and {widths[1]} wide", ONE_TOKENIZER)
    elif widths[0] != widths[1]:
        try:
            kept_rows({**tokens[0], **tokens[1]}, [width or 0 for width in widths])
        except InputError as error:
            yield Difference(str(error), WIDTH_REMEDY)
    try:
        found = [other_ends(student, expert)]
        found += [other_prompts(student, expert, templates)] if templates else []
    except InputError:
        return  # `check_ends` names it.
    yield from (difference for difference in found if difference)


def small_files(model: Scratch | RandomModel, folder: str) -> Path:
    """Write the tokenizer and config that a model made here will have into a folder, and name it.

    So it is compared with a model of the hub, or of a folder, before it is there.
    """
    place = Path(folder) / model.kind
    tokenizer = byte_tokenizer() if model.kind == "random" else word_tokenizer(VOCABULARY)
    tokenizer.save_pretrained(place)
    config = {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id}
    (place / "config.json").write_text(json.dumps(config))
    return place


def _rules(folder: Path) -> list[Any]:
    """Read how a tokenizer cuts text: all but its tokens and what only concerns batches."""
    content = json_of(folder / "tokenizer.json")
    rules = [content.get(key) for key in ("normalizer", "pre_tokenizer")]
    merges = content["model"].get("merges") or []
    return [*rules, [m.split(" ") if isinstance(m, str) else m for m in merges]]
