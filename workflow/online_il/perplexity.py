"""How well a policy reads a text: the likelihood of passages, each after the words before it.

Every token counts the same, whichever passage it stands in. Perplexity hangs on a policy's tokens;
bits per byte do not.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from online_il.errors import InputError
from online_il.generation.engines import Engine
from online_il.generation.resume import Resume, loglikelihoods
from online_il.generation.tokens import Tokens


def read_passages(
    engine: Engine, tokens: Tokens, prompts: pd.DataFrame, resume: Resume, *, policy: str, seed: int
) -> list[dict[str, Any]]:
    """Make the rows of `Passages`; `tokens` are those of the policy that the engine has loaded."""
    texts = [json.loads(answer)["text"] for answer in prompts["answer"]]
    scores = loglikelihoods(engine, list(prompts["text"]), [[text] for text in texts], resume)
    return [
        {
            "prompt_id": prompt_id,
            "policy": policy,
            "seed": seed,
            "n_tokens": len(tokens.scored(before, text)[1]),
            "n_bytes": len(text.encode()),
            # Rounding makes a probability of 1 a little more.
            "nats": max(0.0, -finite(nats, f"{policy}, seed {seed}")),
        }
        for prompt_id, before, text, (nats,) in zip(
            prompts["prompt_id"], prompts["text"], texts, scores, strict=True
        )
    ]


def finite(nats: float, policy: str) -> float:
    """Return a log-likelihood. Raises `InputError` where it is no number that can be compared."""
    if not math.isfinite(nats):
        raise InputError(
            f"{policy}: a log-likelihood is {nats}; the weights are damaged, or training diverged: "
            "lower its learning rate"
        )
    return nats


def measures(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Compute the fields of `EvaluationRecord` that tell of a text, of at least two passages."""
    nats_N, tokens_N, bytes_N = (
        np.array([row[key] for row in rows], dtype=float) for key in ("nats", "n_tokens", "n_bytes")
    )
    mean = nats_N.sum() / tokens_N.sum()
    # A ratio of sums over passages: the error of the sum of what each is off by.
    off_N = nats_N - mean * tokens_N
    stderr = math.sqrt(len(rows) / (len(rows) - 1) * (off_N**2).sum()) / float(tokens_N.sum())
    return {
        "nats_per_token": float(mean),
        "nats_per_token_stderr": stderr,
        "perplexity": math.exp(mean),
        "bits_per_byte": float(nats_N.sum() / bytes_N.sum() / math.log(2)),
    }
