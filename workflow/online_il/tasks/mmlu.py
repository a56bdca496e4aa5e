"""MMLU's questions, each with its examples, by lm-evaluation-harness's own task definitions.

The format of a question, the description before it and the choice of examples are the harness's;
only the rows come from our own copy of the data set. As the harness does unless it is told to, an
instructed model, too, is asked in plain text, without its chat template.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from online_il.errors import InputError
from online_il.tasks.harness import definition


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
