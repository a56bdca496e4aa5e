"""Grading a response: the one place where a sample's reward and correctness are decided.

A prompt's answer names its grader. Countdown: the paper's 1, 0.1 or 0 (D.1). GSM8K: the last
number, as lm-evaluation-harness's flexible-extract has it, with its strict-match beside it. Math:
the last boxed answer, by math-verify. The paper does not say how it grades the last two.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from online_il.generation.response import Response
from online_il.tasks import boxed, countdown, harness


class Grade(NamedTuple):
    """What a grader says of one response; NaN where the column is not of its task."""

    reward: float
    correct: bool
    format_ok: bool
    reward_tinyzero: float = math.nan
    correct_strict: float = math.nan


def grade(text: str, answer: Mapping[str, Any]) -> Grade:
    """The grade of a response's text, by the grader that the prompt's answer names.

    Bounded in time and memory whatever the text, and safe outside the main thread. Raises
    `ValueError` on a grader that does not grade text.
    """
    grader = answer.get("grader", "countdown")
    if grader == "countdown":
        numbers, target = answer["numbers"], answer["target"]
        reward = countdown.score(text, numbers, target)
        tinyzero = countdown.score_tinyzero(text, numbers, target)
        return Grade(reward, reward == 1.0, reward > 0.0, reward_tinyzero=tinyzero)
    if grader == "gsm8k":
        strict, flexible, formatted = harness.gsm8k_grade(text, answer["reference"])
        return Grade(float(flexible), flexible, formatted, correct_strict=float(strict))
    if grader == "math":
        right, answered = boxed.grade(text, answer["reference"])
        return Grade(float(right), right, answered)
    raise ValueError(f"no grader of text: {grader!r}; there are countdown, gsm8k and math")


def graded_sample(
    *,
    prompt_id: str,
    sample_index: int,
    policy: str,
    seed: int,
    answer: Mapping[str, Any],
    response: Response,
) -> dict[str, Any]:
    """A row of the samples table for a response to a prompt with this answer."""
    return {
        "prompt_id": prompt_id,
        "sample_index": sample_index,
        "policy": policy,
        "seed": seed,
        "text": response.text,
        "n_tokens": response.n_tokens,
        "finish_reason": response.finish_reason,
        **grade(response.text, answer)._asdict(),
    }


Completion = str | list[dict[str, str]]


def reward(
    completions: Sequence[Completion],
    answer: Sequence[str] | None = None,
    numbers: Sequence[Sequence[int]] | None = None,
    target: Sequence[int] | None = None,
    **_: Any,
) -> list[float]:
    """The reward of GRPO: of each completion, text or conversation, by its prompt's answer (JSON).

    Without `answer` the columns are Countdown's `numbers` and `target`.
    """
    if answer is None:
        assert numbers is not None and target is not None
        answers = [{"numbers": n, "target": t} for n, t in zip(numbers, target, strict=True)]
    else:
        answers = [json.loads(one) for one in answer]
    return [
        grade(_text(completion), one).reward
        for completion, one in zip(completions, answers, strict=True)
    ]


def _text(completion: Completion) -> str:
    """What the policy said: the text, or the content of a conversation's messages."""
    if isinstance(completion, str):
        return completion
    return "".join(message["content"] for message in completion)
