"""GSM8K, the paper's second task.

The prompt asks for `####` before the final number, which is how the data set's own solutions end;
the paper does not print its prompt.
"""

import re

from online_il import hub
from online_il.chat import as_text
from online_il.config.data import Gsm8k
from online_il.config.hub import DataSet
from online_il.errors import InputError
from online_il.tasks import harness
from online_il.tasks.mmlu import with_mmlu
from online_il.tasks.prompt import Converted, Prompt, prompt, without_tests, words

INSTRUCTION = "Think step by step, and then write the final answer as a number after ####."
_REFERENCE = re.compile(r"####\s*(-?[0-9][0-9.,]*)\s*$")


class Solved(hub.HubRow):
    """A row of openai/gsm8k."""

    question: str
    answer: str


def reference_of(solution: str) -> str | None:
    """Read the number after `####` at the end of a solution, without commas; None for none."""
    match = _REFERENCE.search(solution)
    return match[1].replace(",", "") if match else None


def prompts(settings: Gsm8k) -> Converted:
    """Make splits train, gsm8k and mmlu, if it is asked; training rows in the tests are dropped."""
    tests = list(hub.rows(settings.test, Solved))
    train, dropped = without_tests(
        hub.rows(settings.train, Solved), tests, lambda row: words(row.question)
    )
    found = [
        _asked(split, row, source)
        for split, source, rows in (
            ("train", settings.train, train),
            ("gsm8k", settings.test, tests),
        )
        for row in rows
    ]
    return with_mmlu(Converted(found, {"train_dropped": dropped}), settings)


def _asked(split: str, row: Solved, source: DataSet) -> Prompt:
    reference = reference_of(row.answer)
    if reference is None:
        raise InputError(
            f"data set {source.repo}@{source.revision}: a solution without a number after ####, to "
            f"{row.question[:60]!r}; correct `files` or `revision`"
        )
    messages = [{"role": "user", "content": f"{row.question.strip()}\n\n{INSTRUCTION}"}]
    answer = {"grader": "gsm8k", "reference": reference}
    asked = prompt(split, as_text(messages), answer, source)
    return asked._replace(revision=harness.revision(source.revision))
