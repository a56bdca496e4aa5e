"""Solved problems as the token ids that the base of GSM8K is fine-tuned on (OpenR1-Math, D.2)."""

import json
from collections.abc import Iterator
from pathlib import Path

from online_il import hub
from online_il.chat import as_text, prompt_ids
from online_il.config.finetuning import Finetuning
from online_il.ends import trained_end
from online_il.errors import InputError
from online_il.models import load_tokenizer
from online_il.records import Prompts, read_table
from online_il.tasks.asked import Asked
from online_il.training.common import Demonstration


class Message(hub.HubRow):
    """One turn of a conversation."""

    role: str
    content: str


class Conversation(hub.HubRow):
    """A row of OpenR1-Math: a question and a solution."""

    messages: list[Message]


def asked(prompts: Path) -> Asked:
    """Collect the questions of the task's benchmarks, which the base must not learn from."""
    table = read_table(prompts, Prompts)
    tested = table[table["split"] != "train"]
    answers = map(json.loads, tested["answer"])
    return Asked(zip(tested["split"], tested["text"], answers, strict=True))


def solutions(
    model: Path, prompts: Path, settings: Finetuning, left_out: dict[str, int]
) -> Iterator[Demonstration]:
    """Yield the conversations as token ids; count in `left_out` those that are not, by reason.

    `prompts` is the task's table of prompts. Raises `InputError` for a conversation without an
    answer, and where fewer are left than an update takes.
    """
    source = settings.dataset
    assert source is not None
    tokenizer = load_tokenizer(model)
    tested = asked(prompts)
    end = trained_end(model, conversation=True)
    left_out |= {"longer_than_max_length": 0, "asked_in_a_benchmark": 0}
    found = 0
    for number, row in enumerate(hub.rows(source, Conversation)):
        messages = [message.model_dump() for message in row.messages]
        if len(messages) < 2 or messages[-1]["role"] != "assistant":
            raise InputError(f"{source.repo}, row {number}: `messages` does not end with an answer")
        if any(message["content"] in tested for message in messages[:-1]):
            left_out["asked_in_a_benchmark"] += 1
            continue
        prompt = prompt_ids(tokenizer, [as_text(messages[:-1])])[0]
        answer = tokenizer.encode(messages[-1]["content"], add_special_tokens=False)
        answer.append(end)
        if len(prompt) + len(answer) > settings.max_length:
            left_out["longer_than_max_length"] += 1
            continue
        found += 1
        yield Demonstration(prompt, answer)
    if found < settings.batch_size:
        raise InputError(
            f"{source.repo}: {found} rows are left, fewer than one update of "
            f"{settings.batch_size} takes ({left_out}); raise finetuning.max_length"
        )
