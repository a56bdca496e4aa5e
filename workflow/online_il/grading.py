"""Grading a response: the one place where a sample's reward and correctness are decided."""

import json
from typing import Any

from online_il.generation.response import Response
from online_il.tasks import countdown


def graded_sample(
    *,
    prompt_id: str,
    sample_index: int,
    policy: str,
    seed: int,
    answer: dict[str, Any],
    response: Response,
) -> dict[str, Any]:
    """A row of the samples table for a response to a Countdown prompt (paper, D.1)."""
    numbers, target = answer["numbers"], answer["target"]
    reward = countdown.score(response.text, numbers, target)
    return {
        "prompt_id": prompt_id,
        "sample_index": sample_index,
        "policy": policy,
        "seed": seed,
        "text": response.text,
        "n_tokens": response.n_tokens,
        "finish_reason": response.finish_reason,
        "reward": reward,
        "reward_tinyzero": countdown.score_tinyzero(response.text, numbers, target),
        "correct": reward == 1.0,
        "format_ok": reward > 0.0,
    }


def reward(completions: list[str], answer: list[str], **_: Any) -> list[float]:
    """The reward of GRPO: 1 correct, 0.1 well-formed, 0 otherwise (paper, D.1)."""
    answers = [json.loads(text) for text in answer]
    return [
        countdown.score(text, known["numbers"], known["target"])
        for text, known in zip(completions, answers, strict=True)
    ]
