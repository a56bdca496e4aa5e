"""Further test prompts of a Countdown task, drawn past all instances of its table of prompts."""

import json
from collections.abc import Callable
from collections.abc import Set as AbstractSet

import pandas as pd

from online_il.chat import as_text
from online_il.config.data import CountdownHub
from online_il.config.further import BESIDE, Further, FurtherPrompts
from online_il.config.miniature import EnglishData, Instances, MiniatureData
from online_il.errors import InputError
from online_il.tasks import english
from online_il.tasks.countdown import OPERATORS, Instance, Key, generate, key
from online_il.tasks.countdown_prompts import chat_messages, compact_prompt
from online_il.tasks.prompt import Prompt

Countdown = MiniatureData | EnglishData | CountdownHub
ASKED: dict[str, Callable[[Instance], str]] = {
    "miniature": lambda instance: compact_prompt(*instance),
    "english": english.prompt,
    "countdown": lambda instance: as_text(chat_messages(*instance)),
}
"""By kind of data: how an instance is asked."""


def prompts(data: Countdown, further: Further, known: AbstractSet[Key]) -> list[Prompt]:
    """Draw the prompts of all further benchmarks, none of an instance that is `known`.

    Raises `InputError` when the ranges hold too few.
    """
    return [
        Prompt(
            name,
            ASKED[data.kind](instance),
            {"grader": "countdown", "numbers": instance.numbers, "target": instance.target},
            "online_il.tasks.countdown.generate",
            f"seed {asked.seed}",
        )
        for name, asked in further.asked.items()
        for instance in drawn(data, name, asked, known)
    ]


def drawn(
    data: Countdown, name: str, asked: FurtherPrompts, known: AbstractSet[Key]
) -> list[Instance]:
    """Draw the instances of one further benchmark; outside, each leaves the ranges inside."""
    instances = asked.instances(getattr(data, BESIDE[name]))
    inside = data.in_distribution
    try:
        return generate(
            asked.count,
            operands=instances.operands,
            number_range=instances.numbers,
            target_range=instances.answers,
            operators=getattr(data, "operators", OPERATORS),
            seed=asked.seed,
            value_range=getattr(data, "value_range", None),
            exclude=known,
            accept=None if name == "id2" else lambda one: not lies_in(inside, one),
        )
    except ValueError as error:
        raise InputError(f"further.{name}: beside the task's prompts: {error}") from None


def lies_in(ranges: Instances, instance: Instance) -> bool:
    """Say whether an instance lies in a distribution's ranges."""
    (least, most), (low, high) = ranges.numbers, ranges.answers
    return (
        len(instance.numbers) in ranges.operands
        and low <= instance.target <= high
        and all(least <= number <= most for number in instance.numbers)
    )


def instances_of(table: pd.DataFrame) -> set[Key]:
    """List the instances of a table of prompts, whatever the order of their numbers."""
    answers = map(json.loads, table["answer"])
    return {key(one["numbers"], one["target"]) for one in answers if "numbers" in one}
