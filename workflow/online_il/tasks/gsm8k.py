"""GSM8K, the paper's second task, and MMLU, on which its forgetting is measured.

The prompt asks for `####` before the final number, which is how the data set's own solutions end;
the paper does not print its prompt.
"""

import re

from online_il import hub
from online_il.chat import as_text
from online_il.config.data import Gsm8k
from online_il.config.hub import DataSet
from online_il.errors import InputError
from online_il.tasks import harness, mmlu
from online_il.tasks.prompt import Converted, Prompt, prompt, without_tests, words

INSTRUCTION = "Think step by step, and then write the final answer as a number after ####."
_REFERENCE = re.compile(r"####\s*(-?[0-9][0-9.,]*)\s*$")


class Solved(hub.HubRow):
    """A row of openai/gsm8k."""

    question: str
    answer: str


class Choice(hub.HubRow):
    """A row of cais/mmlu."""

    question: str
    subject: str
    choices: list[str]
    answer: int


def reference_of(solution: str) -> str | None:
    """Read the number after `####` at the end of a solution, without commas; None for none."""
    match = _REFERENCE.search(solution)
    return match[1].replace(",", "") if match else None


def prompts(settings: Gsm8k) -> Converted:
    """Make splits train, gsm8k and mmlu; training rows that are test rows are dropped."""
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
    questions = _mmlu(settings)
    subjects = len({question.answer["subject"] for question in questions})
    return Converted(found + questions, {"train_dropped": dropped, "mmlu_subjects": subjects})


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


def _mmlu(settings: Gsm8k) -> list[Prompt]:
    source = settings.mmlu
    tests, examples = _by_subject(source), _by_subject(settings.mmlu_dev)
    found = []
    for question in mmlu.questions(tests, examples, settings.shots):
        answer = {
            "grader": "choice",
            "choices": question.choices,
            "correct": question.correct,
            "subject": question.subject,
        }
        found.append(
            prompt("mmlu", question.context, answer, source)._replace(
                revision=harness.revision(source.revision)
            )
        )
    return found


def _by_subject(source: DataSet) -> dict[str, list[dict[str, object]]]:
    """Read MMLU's rows by subject, in the order of the files."""
    found: dict[str, list[dict[str, object]]] = {}
    for row in hub.rows(source, Choice):
        if len(row.choices) != 4 or not 0 <= row.answer < 4:
            raise InputError(
                f"data set {source.repo}@{source.revision}: {len(row.choices)} choices and answer "
                f"{row.answer}, not 4 and 0-3, in {row.question[:60]!r}; correct `files`"
            )
        found.setdefault(row.subject, []).append(row.model_dump())
    return found
