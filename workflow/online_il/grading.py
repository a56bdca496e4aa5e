"""Grading a response: the one place where a sample's reward and correctness are decided.

A prompt's answer names its grader. Countdown: the paper's 1, 0.1 or 0 (D.1). GSM8K: the last
number, as lm-evaluation-harness's flexible-extract has it, with its strict-match beside it. Math:
the last boxed answer, by math-verify. The paper does not say how it grades the last two.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from online_il.generation.response import Response
from online_il.tasks import boxed, countdown_scores, harness
from online_il.text import encodable


class Grade(NamedTuple):
    """The grade of one response; NaN where the column is not of its task."""

    reward: float
    correct: bool
    format_ok: bool
    reward_tinyzero: float = math.nan
    correct_strict: float = math.nan


def grade(text: str, answer: Mapping[str, Any]) -> Grade:
    """Grade a response's text by the grader that the prompt's answer names.

    Bounded in time and memory whatever the text, and safe outside the main thread. Raises
    `ValueError` on a grader that does not grade text.
    """
    grader = grader_of(answer)
    if grader == "countdown":
        numbers, target = answer["numbers"], answer["target"]
        reward = countdown_scores.score(text, numbers, target)
        tinyzero = countdown_scores.score_tinyzero(text, numbers, target)
        return Grade(reward, reward == 1.0, reward > 0.0, reward_tinyzero=tinyzero)
    if grader == "gsm8k":
        strict, flexible, formatted = harness.gsm8k_grade(text, answer["reference"])
        return Grade(float(flexible), flexible, formatted, correct_strict=float(strict))
    if grader == "math":
        right, answered = boxed.grade(text, answer["reference"])
        return Grade(float(right), right, answered)
    raise ValueError(f"no grader of text: {grader!r}; there are countdown, gsm8k and math")


def grader_of(answer: Mapping[str, Any]) -> str:
    """Name the grader that a prompt's answer asks for."""
    return str(answer.get("grader", "countdown"))


def graded_sample(
    *,
    prompt_id: str,
    sample_index: int,
    policy: str,
    seed: int,
    answer: Mapping[str, Any],
    response: Response,
) -> dict[str, Any]:
    """Make a row of the samples table from a response to a prompt with this answer."""
    text = encodable(response.text)
    return {
        "prompt_id": prompt_id,
        "sample_index": sample_index,
        "policy": policy,
        "seed": seed,
        "text": text,
        "n_tokens": response.n_tokens,
        "finish_reason": response.finish_reason,
        "token_ids": response.token_ids,
        **grade(text, answer)._asdict(),
    }


def graded_samples(
    prompts: pd.DataFrame,
    keys: Iterable[tuple[int, int]],
    responses: Iterable[Response],
    *,
    policy: str,
    seed: int,
) -> list[dict[str, Any]]:
    """Make the rows of the samples table; `keys` are (prompt number, sample index) of each."""
    return [
        graded_sample(
            prompt_id=prompts["prompt_id"][prompt],
            sample_index=index,
            policy=policy,
            seed=seed,
            answer=json.loads(prompts["answer"][prompt]),
            response=response,
        )
        for (prompt, index), response in zip(keys, responses, strict=True)
    ]


def reward(completions: Sequence[str], answer: Sequence[str], **_: Any) -> list[float]:
    """Reward each completion by its prompt's answer (JSON), for GRPO."""
    return [
        grade(text, json.loads(known)).reward
        for text, known in zip(completions, answer, strict=True)
    ]
