"""MMLU's questions, each with its examples, by lm-evaluation-harness's own task definitions.

The format of a question, the description before it and the choice of examples are the harness's;
only the rows come from our own copy of the data set. As the harness does unless it is told to, an
instructed model, too, is asked in plain text, without its chat template.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from online_il import hub
from online_il.config.data import AskedMmlu
from online_il.config.hub import DataSet
from online_il.errors import InputError
from online_il.tasks.harness import definition, revision
from online_il.tasks.prompt import Converted, prompt


class Choice(hub.HubRow):
    """A row of cais/mmlu."""

    question: str
    subject: str
    choices: list[str]
    answer: int


class Question(NamedTuple):
    """One question of MMLU: its context with the examples, and the choices as continuations.

    A continuation is the whole of what the harness asks for, with the space before it: " A".
    """

    subject: str
    context: str
    choices: list[str]
    correct: str


Rows = Sequence[Mapping[str, Any]]


def questions(
    tests: Mapping[str, Rows], examples: Mapping[str, Rows], shots: int
) -> list[Question]:
    """Write MMLU's questions, each after the first `shots` examples of its subject.

    Rows have the data set's `question`, `choices` and `answer`. Raises `InputError` on a subject
    that the harness does not know and on one with too few examples.
    """
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask

    logging.getLogger("lm_eval").setLevel(logging.ERROR)  # Else two warnings a subject.
    found = []
    for subject, rows in tests.items():
        dev = examples.get(subject, [])
        try:
            if not subject.isidentifier():
                raise FileNotFoundError(subject)
            config = definition(f"mmlu/default/mmlu_{subject}.yaml")
        except FileNotFoundError:
            raise InputError(f"MMLU: lm-eval has no subject {subject!r}; correct `mmlu`") from None
        if len(dev) < shots:
            raise InputError(
                f"MMLU: {len(dev)} examples of {subject}, and `shots` asks for {shots}; "
                "correct `shots` or `mmlu_dev`"
            )
        data = {"test": Dataset.from_list(list(rows)), "dev": Dataset.from_list(list(dev))}
        task = ConfigurableTask(
            config=config | {"num_fewshot": shots, "custom_dataset": lambda _=data, **__: _}
        )
        task.build_all_requests()
        by_row: dict[int, list[tuple[str, str]]] = {}
        for request in task.instances:
            by_row.setdefault(request.doc_id, []).append(request.args)
        for number, requests in by_row.items():
            choices = [continuation for _, continuation in requests]
            correct = choices[rows[number]["answer"]]
            found.append(Question(subject, requests[0][0], choices, correct))
    return found


def question_of(context: str) -> str:
    """Cut a context of `questions` down to its question, without examples and choices."""
    *examples, last = re.split(r"\nAnswer: [A-D]\n\n", context)
    if not examples:  # Then it stands behind the subject's description.
        last = last.partition("\n\n")[2] or last
    return last.partition("\nA. ")[0]


def with_mmlu(converted: Converted, settings: AskedMmlu) -> Converted:
    """Add MMLU's questions to the prompts of a task whose data ask them, and count subjects."""
    source = settings.mmlu
    if source is None:
        return converted
    tests = _by_subject(source)
    examples = _by_subject(settings.mmlu_dev) if settings.mmlu_dev else {}
    found = []
    for question in questions(tests, examples, settings.shots):
        answer = {
            "grader": "choice",
            "choices": question.choices,
            "correct": question.correct,
            "subject": question.subject,
        }
        found.append(
            prompt("mmlu", question.context, answer, source)._replace(
                revision=revision(source.revision)
            )
        )
    subjects = {"mmlu_subjects": len({one.answer["subject"] for one in found})}
    return Converted(converted.prompts + found, converted.counts | subjects)


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
