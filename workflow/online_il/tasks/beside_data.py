"""What data of any kind may have beside their own: further benchmarks, and fewer of their rows."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from online_il.config.knowledge import Benchmarked
from online_il.errors import InputError
from online_il.tasks import english, knowledge
from online_il.tasks.prompt import Prompt


def prompts(settings: Benchmarked) -> list[Prompt]:
    """Make the prompts of the benchmarks knowledge and english, where the data have them."""
    asked = knowledge.questions(settings.knowledge) if settings.knowledge else []
    return [*asked, *(english.passages(settings.english) if settings.english else [])]


def files(settings: Benchmarked) -> list[Path]:
    """List the files that `prompts` reads."""
    of_knowledge = [knowledge.FILE] if settings.knowledge else []
    return [*of_knowledge, *([english.file_of(settings.english)] if settings.english else [])]


def limited(rows: Sequence[Mapping[str, Any]], settings: Benchmarked) -> list[Mapping[str, Any]]:
    """Draw so many rows of each benchmark as `rows` of the settings says, in the order they have.

    Rows have a `split`. Raises `InputError` where there are fewer.
    """
    left_out: set[int] = set()
    for name, count in settings.rows.items():
        there = [number for number, row in enumerate(rows) if row["split"] == name]
        if count > len(there):
            raise InputError(
                f"data.rows.{name}: {count} prompts are asked for, and the benchmark has "
                f"{len(there)}; ask for so many at most, or remove the key"
            )
        rng = random.Random(f"{name} {settings.rows_seed}")
        left_out |= {*there} - {*rng.sample(there, count)}
    return [row for number, row in enumerate(rows) if number not in left_out]


def check(settings: Benchmarked) -> None:
    """Raise `InputError` where these benchmarks cannot be made, or have too few prompts."""
    rows = [{"split": one.split} for one in prompts(settings)]
    there = {row["split"] for row in rows}
    own = {name: count for name, count in settings.rows.items() if name in there}
    limited(rows, settings.model_copy(update={"rows": own}))
