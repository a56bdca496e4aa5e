"""The decode loop as an engine: CPU and small models, without the start-up of `transformers`."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor
from torch.nn import functional as F

from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.errors import InputError
from online_il.generation import decode
from online_il.generation.response import Response
from online_il.generation.scoring import of_choices
from online_il.generation.tokens import Tokens
from online_il.models import WEIGHTS, model_config

ContextState = tuple[decode.Cache, int, Tensor | None]


def read_decoder(policy: Path) -> decode.Decoder:
    """The policy in a folder as the loop runs it. Raises `InputError` for what it cannot run."""
    from safetensors.torch import load_file

    if not (policy / WEIGHTS).is_file():
        raise InputError(
            f"{policy}: no {WEIGHTS}, the one file of weights that the decode loop reads; for "
            "a model in several parts set generation.engine to transformers or vllm"
        )
    try:
        return decode.decoder(load_file(policy / WEIGHTS), model_config(policy))
    except ValueError as error:
        raise InputError(f"{policy}: {error}") from None


class LoopEngine:
    """Our decode loop; a row's response depends on seed and key alone."""

    def __init__(self, settings: Generation) -> None:
        self._batch_size = settings.batch_size

    def load(self, policy: Path) -> None:
        """Read the policy in a folder. Raises `InputError` for what the loop cannot run."""
        self._model = read_decoder(policy)
        self._tokens = Tokens(policy)

    def respond(
        self,
        prompts: Sequence[str],
        keys: Sequence[tuple[int, int]],
        *,
        sampling: Sampling,
        seed: int,
    ) -> list[Response]:
        """Draw one response a prompt; keys as in `Engine`."""
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
        """Cut the rows into the batches of the decode loop."""
        rows = [self._tokens.prompt(prompt) for prompt in prompts]
        return list(decode.batches(rows, self._batch_size))

    def loglikelihoods(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """Compute log-likelihoods (nats), as in `Engine`."""
        reader = LoopReader(self._model)
        return of_choices(reader, self._tokens, prompts, continuations, self._batch_size)


class LoopReader:
    """The decode loop's model as what reads contexts and continuations (`scoring.Reader`)."""

    def __init__(self, model: decode.Decoder) -> None:
        self._model = model

    def read(self, contexts: Sequence[Sequence[int]]) -> tuple[Tensor, ContextState]:
        """Return (logits (B, V) after each context, keys and values with their padding)."""
        ids_B_T, padding_B = decode.padded(contexts)
        rows, length = ids_B_T.shape
        cache = decode.new_cache(self._model, rows, length)
        cos_sin = decode.rotary(self._model, length)
        hidden_B_T_E = decode.forward(self._model, ids_B_T, cache, 0, cos_sin, padding_B)
        return F.linear(hidden_B_T_E[:, -1], self._model.head_V_E), (cache, length, padding_B)

    def read_on(self, state: ContextState, contexts_B: Tensor, ids_B_C: Tensor) -> Tensor:
        """Return logits (B, C, V) after each token that follows the contexts of these numbers."""
        cache, start, padding_B = state
        longest = start + ids_B_C.shape[1]
        hidden_B_C_E = decode.forward(
            self._model,
            ids_B_C,
            decode.taken(cache, contexts_B, start, longest),
            start,
            decode.rotary(self._model, longest),
            None if padding_B is None else padding_B[contexts_B],
        )
        return F.linear(hidden_B_C_E, self._model.head_V_E)
