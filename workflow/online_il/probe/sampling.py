"""Checks of the engine that generates: it starts, keeps to seeds and weights, takes new ones."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from online_il.chat import as_text
from online_il.config.sampling import Sampling
from online_il.generation.tokens import Tokens
from online_il.models import load_model, load_tokenizer, save_policy
from online_il.preflight.toolchain import Unfit
from online_il.probe.trial import Trial

PROMPTS = [as_text([{"role": "user", "content": f"What is {n} + {n + 3}?"}]) for n in range(8)]
SAMPLES, TOKENS = 4, 32
SCORED = {
    "The capital of France is": [
        " Paris, and the river there is the Seine.",
        " a city that lies at the Thames, and has been there for two thousand years.",
    ],
    "def add(a, b):\n    return": [" a + b\n\n\ndef subtract(a, b):\n    return a - b\n"],
    # Choices of one token each, as MMLU's are scored.
    "3 + 4 = ?\nA. 7\nB. 8\nC. 9\nD. 10\nAnswer:": [" A", " B", " C", " D"],
}
CLOSE = {"gpu": 0.02, "cpu": 0.001}
"""How far log-probabilities may be apart: nats a token, for each nat that they are from 0 and one
more. Engines compute in bfloat16 on GPUs, torch here in single precision."""


def model(trial: Trial) -> str:
    """Write the two policies that are tried: the model, and it with its embedding rolled."""
    import torch

    loaded, tokenizer = load_model(trial.model, "float32"), load_tokenizer(trial.model)
    loaded = loaded.to(torch.bfloat16) if trial.on_gpu else loaded
    save_policy(loaded, tokenizer, trial.policy(1))
    embedding = loaded.get_input_embeddings().weight
    with torch.no_grad():
        embedding.copy_(embedding.roll(1, dims=0))
    save_policy(loaded, tokenizer, trial.policy(2))
    tied = "tied embeddings" if loaded.config.tie_word_embeddings else "an output layer of its own"
    return f"{loaded.num_parameters():,} parameters, {tied}"


def start(trial: Trial) -> str:
    """Open the engine and draw a response to each prompt."""
    begun = time.perf_counter()
    engine = trial.engine(1)
    ready = time.perf_counter() - begun
    drawn = _drawn(engine, 1)
    tokens = sum(response.n_tokens for response in drawn)
    return f"{trial.generation.engine} ready after {ready:.0f} s, {tokens} tokens drawn"


def seeds(trial: Trial) -> str:
    """Draw the same again with the same seed, in another order, and with another seed."""
    engine = trial.engine(1)
    first, again = _drawn(engine, 1), _drawn(engine, 1)
    if _drawn(engine, 2) == first:
        remedy = "do not start: seeds are not read, and every block would be one draw"
        raise Unfit("another seed draws the same tokens", remedy)
    same = sum(one == other for one, other in zip(first, again, strict=True))
    if same < len(first):
        raise Unfit(
            f"the same seed draws other tokens: {same} of {len(first)} responses are equal",
            "export VLLM_BATCH_INVARIANT=1 (slower), if results are to be repeated token for token",
        )
    turned = _drawn(engine, 1, backwards=True)
    same = sum(one == other for one, other in zip(first, turned, strict=True))
    return f"{len(first)} responses the same again; {same} of them in another order, too"


def log_probabilities(trial: Trial) -> str:
    """Score given tokens with the engine and with plain torch."""
    known = reference(trial, 1)
    away = distance(trial.engine(1), known)
    _near(away, known, trial, "the engine's log-probabilities are not the model's")
    return f"{away:.4f} nats a token from torch's, over {known.tokens} tokens"


def reload(trial: Trial) -> str:
    """Give the engine other weights, as evaluation does for every checkpoint, and score again."""
    known, before = reference(trial, 2), reference(trial, 1)
    trial.engine(1)
    begun = time.perf_counter()
    engine = trial.engine(2)
    took = time.perf_counter() - begun
    away = distance(engine, known)
    _near(away, known, trial, "with new weights the log-probabilities are not theirs")
    told = f"new weights after {took:.0f} s, {away:.4f} nats a token from torch's"
    running = getattr(engine, "_llm", None)
    if running is None:
        return told
    # Whether vLLM could be spared the new start: told, and of no consequence.
    running.collective_rpc("reload_weights", kwargs={"weights_path": str(trial.policy(1))})
    running.reset_prefix_cache()
    trial.loaded = None
    in_place = distance(engine, before) <= allowed(before, trial)
    return f"{told}; put in place by vLLM itself they are {'right, too' if in_place else 'stale'}"


class Known(NamedTuple):
    """Log-likelihoods of the scored texts by plain torch, nats, and how many tokens they are of."""

    scores: list[float]
    lengths: list[int]

    @property
    def tokens(self) -> int:
        """Tokens in all."""
        return sum(self.lengths)


def reference(trial: Trial, number: int) -> Known:
    """Score the texts with plain torch in single precision."""
    import torch

    policy: Path = trial.policy(number)
    device = "cuda" if trial.on_gpu else "cpu"
    loaded, tokens = load_model(policy, "float32").to(device).eval(), Tokens(policy)
    scores, lengths = [], []
    for prompt, continuations in SCORED.items():
        for continuation in continuations:
            ids, more = tokens.scored(prompt, continuation)
            with torch.no_grad():
                logits_T_V = loaded(torch.tensor([[*ids, *more]], device=device)).logits[0]
            logp_T_V = logits_T_V.float().log_softmax(-1)[len(ids) - 1 : -1]
            scores.append(float(logp_T_V[range(len(more)), more].sum()))
            lengths.append(len(more))
    return Known(scores, lengths)


def distance(engine: Any, known: Known) -> float:
    """Compute how far the engine's log-likelihoods are from the known ones, nats a token."""
    rows = engine.loglikelihoods(list(SCORED), list(SCORED.values()))
    found = [score for row in rows for score in row]
    away = [abs(one - other) for one, other in zip(found, known.scores, strict=True)]
    return sum(away) / known.tokens


def allowed(known: Known, trial: Trial) -> float:
    """Give the distance that rounding may make."""
    return CLOSE[trial.study.hardware] * (1 + sum(map(abs, known.scores)) / known.tokens)


def _near(away: float, known: Known, trial: Trial, what: str) -> None:
    most = allowed(known, trial)
    if not away <= most:  # Nor where it is no number.
        raise Unfit(
            f"{what}: {away:.3f} nats a token apart, and {most:.3f} are rounding",
            "do not start: evaluation and rollouts would be another model's. Take the versions of "
            "envs/gpu.txt, and try generation.engine transformers",
        )


def _drawn(engine: Any, seed: int, backwards: bool = False) -> Sequence[Any]:
    """Draw several responses to each prompt, as the first time: nothing remembered of prompts."""
    if running := getattr(engine, "_llm", None):
        running.reset_prefix_cache()
    keys = [(prompt, sample) for prompt in range(len(PROMPTS)) for sample in range(SAMPLES)]
    keys = keys[::-1] if backwards else keys
    sampling = Sampling(temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=TOKENS)
    texts = [PROMPTS[prompt] for prompt, _ in keys]
    drawn = engine.respond(texts, keys, sampling=sampling, seed=seed)
    return drawn[::-1] if backwards else drawn
