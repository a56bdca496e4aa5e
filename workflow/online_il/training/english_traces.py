"""Traces of an imperfect searcher in English as token ids, for the fine-tuning of a base."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from online_il.chat import prompt_ids
from online_il.config.finetuning import Finetuning
from online_il.ends import trained_end
from online_il.errors import InputError
from online_il.models import load_tokenizer
from online_il.records import Prompts, read_table
from online_il.tasks import english
from online_il.tasks.countdown import Instance
from online_il.training.common import Demonstration

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def traces(model: Path, prompts: Path, settings: Finetuning, seed: int) -> list[Demonstration]:
    """Draw the training set: as many sequences as all updates take, each drawn afresh.

    The instances are those of train and pretraining; no test prompt is seen. Raises `InputError`
    for prompts that are not in English and for a sequence of more than `max_length` tokens.
    """
    drawn_as = settings.traces
    assert drawn_as is not None
    tokenizer, end = load_tokenizer(model), trained_end(model, conversation=True)
    table = read_table(prompts, Prompts)
    table = table[table["split"].isin(("train", "pretraining"))]
    if not all(map(english.is_prompt, table["text"])):
        raise InputError(f"{prompts}: its prompts are no Countdown in English, of which traces are")
    asked = prompt_ids(tokenizer, list(table["text"]))
    known = [json.loads(answer) for answer in table["answer"]]
    rng = random.Random(seed)
    rows = []
    for _ in range(settings.updates * settings.batch_size):
        row = rng.randrange(len(known))
        instance = Instance(tuple(known[row]["numbers"]), known[row]["target"])
        if rng.random() < drawn_as.practice_fraction:
            text, places = english.practice_trace(
                rng,
                instance,
                solve_probability=drawn_as.solve_probability,
                max_attempts=drawn_as.practice_attempts,
            )
            # It has no end: where to stop is a habit, and not learned from it.
            rows.append(Demonstration(asked[row], *practised(tokenizer, text, places)))
            continue
        text = english.searcher_trace(
            rng,
            instance,
            solve_probability=drawn_as.solve_probability,
            continue_probability=drawn_as.continue_probability,
            max_attempts=drawn_as.max_attempts,
        )
        response = tokenizer.encode(text, add_special_tokens=False)
        rows.append(Demonstration(asked[row], [*response, end]))
    longest = max(len(row.prompt) + len(row.response) for row in rows)
    if longest > settings.max_length:
        raise InputError(
            f"the longest trace has {longest} tokens and finetuning.max_length is "
            f"{settings.max_length}; raise it, or lower finetuning.traces.max_attempts and "
            "practice_attempts"
        )
    return rows


def practised(
    tokenizer: "PreTrainedTokenizerFast", text: str, places: Sequence[tuple[int, int]]
) -> tuple[list[int], list[bool]]:
    """Encode a text: (token ids, which of them have a character in one of the places)."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    inside = {place for start, end in places for place in range(start, end)}
    trained = [not inside.isdisjoint(range(start, end)) for start, end in encoded["offset_mapping"]]
    return list(encoded["input_ids"]), trained
