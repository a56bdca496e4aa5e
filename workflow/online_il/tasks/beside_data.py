"""What data of any kind may have beside their own: further benchmarks, and fewer of their rows."""

import json
import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

from online_il.config.knowledge import Benchmarked
from online_il.errors import InputError
from online_il.provenance import files_hash
from online_il.tasks import knowledge, prose
from online_il.tasks.prompt import Prompt

Rows = list[dict[str, Any]]


def prompts(settings: Benchmarked) -> list[Prompt]:
    """Make the prompts of the benchmarks knowledge and prose, where the data have them."""
    asked = knowledge.questions(settings.knowledge) if settings.knowledge else []
    return [*asked, *(prose.passages(settings.prose) if settings.prose else [])]


def texts(settings: object) -> str | None:
    """Hash the files that `prompts` reads; None where it reads none."""
    if not isinstance(settings, Benchmarked):
        return None
    files = [knowledge.FILE] if settings.knowledge else []
    files += [prose.file_of(settings.prose)] if settings.prose else []
    # A file that is not there is for `preflight` to name.
    return files_hash([path for path in files if path.is_file()]) if files else None


def numbered(task: str, prompts: Iterable[Prompt]) -> Rows:
    """Make the rows of a task's table of prompts, numbered split by split."""
    numbers: Counter[str] = Counter()
    rows = []
    for split, text, answer, source, revision in prompts:
        rows.append(
            {
                "prompt_id": f"{split}-{numbers[split]:05d}",
                "task": task,
                "split": split,
                "text": text,
                "answer": json.dumps(answer),
                "source": source,
                "revision": revision,
            }
        )
        numbers[split] += 1
    return rows


def limited(rows: Rows, settings: Benchmarked) -> Rows:
    """Draw so many rows of each benchmark as `rows` of the settings says, in the order they have.

    Raises `InputError` where there are fewer.
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
    rows = numbered("", prompts(settings))
    there = {row["split"] for row in rows}
    own = {name: count for name, count in settings.rows.items() if name in there}
    limited(rows, settings.model_copy(update={"rows": own}))
