"""The decode loop as an engine: CPU and small models, without the start-up of `transformers`."""

from collections.abc import Sequence
from pathlib import Path

from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.generation import decode
from online_il.generation.response import Response
from online_il.generation.tokens import Tokens
from online_il.models import WEIGHTS, model_config
from online_il.records import InputError


class LoopEngine:
    """Our decode loop; a row's response depends on seed and key alone."""

    def __init__(self, settings: Generation) -> None:
        self._batch_size = settings.batch_size

    def load(self, policy: Path) -> None:
        """Read the policy in a folder. Raises `InputError` for what the loop cannot run."""
        from safetensors.torch import load_file

        if not (policy / WEIGHTS).is_file():
            raise InputError(
                f"{policy}: no {WEIGHTS}, the one file of weights that the decode loop reads; for "
                "a model in several parts set generation.engine to transformers or vllm"
            )
        try:
            self._model = decode.decoder(load_file(policy / WEIGHTS), model_config(policy))
        except ValueError as error:
            raise InputError(f"{policy}: {error}") from None
        self._tokens = Tokens(policy)

    def respond(
        self,
        prompts: Sequence[str],
        keys: Sequence[tuple[int, int]],
        *,
        sampling: Sampling,
        seed: int,
    ) -> list[Response]:
        """One response a prompt; keys as in `Engine`."""
        responses = decode.generate(
            self._model,
            [self._tokens.prompt(prompt) for prompt in prompts],
            keys,
            sampling=sampling,
            seed=seed,
            eos_token_id=self._tokens.ends,
            batch_size=self._batch_size,
        )
        return [self._tokens.response(ids) for ids in responses]

    def units(self, prompts: Sequence[str], keys: Sequence[tuple[int, int]]) -> list[list[int]]:
        """The batches of the decode loop."""
        rows = [self._tokens.prompt(prompt) for prompt in prompts]
        return list(decode.batches(rows, self._batch_size))

    def loglikelihoods(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """Log-likelihoods (nats), as in `Engine`."""
        rows = [
            self._tokens.scored(prompt, continuation)
            for prompt, choices in zip(prompts, continuations, strict=True)
            for continuation in choices
        ]
        flat = iter(decode.loglikelihoods(self._model, rows))
        return [[next(flat) for _ in choices] for choices in continuations]
