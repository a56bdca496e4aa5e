"""`generate` of transformers as an engine: any model, on a GPU where there is one.

`generate` draws all rows of a batch from one stream. Here a row draws from its own seed, as in the
decode loop: a logits processor chooses the row's token and leaves no other.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import LogitsProcessor

from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.generation import decode
from online_il.generation.response import Response
from online_il.generation.scoring import of_choices
from online_il.generation.tokens import Tokens


class TransformersEngine:
    """Batches padded on the left."""

    def __init__(self, settings: Generation) -> None:
        self._batch_size = settings.batch_size
        self._device = "cuda" if torch.cuda.is_available() else "cpu"

    def load(self, policy: Path) -> None:
        """Read the policy in a folder."""
        from transformers import GenerationConfig

        from online_il.models import inference_dtype, load_model

        self._tokens = Tokens(policy)
        dtype = inference_dtype(self._device == "cuda")
        self._model = load_model(policy, dtype).to(self._device).eval()
        # `generate` takes from it what our own config leaves open: Qwen2.5's repetition penalty.
        self._model.generation_config = GenerationConfig()

    def respond(
        self,
        prompts: Sequence[str],
        keys: Sequence[tuple[int, int]],
        *,
        sampling: Sampling,
        seed: int,
    ) -> list[Response]:
        """Draw one response a prompt; keys as in `Engine`."""
        responses = []
        for rows in self.units(prompts, keys):
            drawn = generate(
                self._model,
                [self._tokens.prompt(prompts[row]) for row in rows],
                [keys[row] for row in rows],
                sampling=sampling,
                seed=seed,
                ends=self._tokens.ends,
            )
            responses += [self._tokens.response(ids) for ids in drawn]
        return responses

    def units(self, prompts: Sequence[str], keys: Sequence[tuple[int, int]]) -> list[list[int]]:
        """Cut the rows into batches of consecutive ones."""
        rows = list(range(len(prompts)))
        return [rows[i : i + self._batch_size] for i in range(0, len(rows), self._batch_size)]

    def loglikelihoods(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """Compute log-likelihoods (nats), as in `Engine`."""
        return of_choices(self, self._tokens, prompts, continuations, self._batch_size)

    def read(self, contexts: Sequence[Sequence[int]]) -> tuple[Tensor, tuple[Any, Tensor]]:
        """Return (logits (B, V) after each context, the model's cache and mask), as in `Reader`."""
        ids_B_T, mask_B_T = padded(contexts, self._device)
        out = self._model(
            input_ids=ids_B_T,
            attention_mask=mask_B_T,
            position_ids=(mask_B_T.cumsum(-1) - 1).clamp(min=0),
            logits_to_keep=1,
            use_cache=True,
        )
        return out.logits[:, -1], (out.past_key_values, mask_B_T)

    def read_on(self, state: tuple[Any, Tensor], contexts_B: Tensor, ids_B_C: Tensor) -> Tensor:
        """Return logits (B, C, V) after each token that follows the contexts of these numbers."""
        cache, mask_B_T = state
        contexts_B = contexts_B.to(self._device)
        ids_B_C = ids_B_C.to(self._device)
        # Reading on writes into the cache, and other continuations need it, too. What it holds is
        # never changed in place: selecting and reading on make tensors of their own.
        cache = copy.copy(cache)
        cache.layers = [copy.copy(layer) for layer in cache.layers]
        cache.batch_select_indices(contexts_B)
        mask_B_S = torch.cat((mask_B_T[contexts_B], torch.ones_like(ids_B_C)), dim=1)
        return self._model(  # type: ignore[no-any-return]
            input_ids=ids_B_C,
            attention_mask=mask_B_S,
            position_ids=(mask_B_S.cumsum(-1) - 1)[:, -ids_B_C.shape[1] :],
            past_key_values=cache,
            use_cache=True,
        ).logits


class Chosen(LogitsProcessor):
    """Leaves each row the one token that its own random numbers choose."""

    def __init__(self, sampling: Sampling, uniform_B_T: Tensor, prompt_length: int) -> None:
        self._sampling, self._uniform_B_T = sampling, uniform_B_T
        self._prompt_length = prompt_length

    def __call__(self, ids_B_T: Tensor, logits_B_V: Tensor) -> Tensor:
        """Return logits (B, V) that are 0 at the chosen token and minus infinity elsewhere."""
        uniform_B = self._uniform_B_T[:, ids_B_T.shape[1] - self._prompt_length]
        chosen_B = decode.choose(logits_B_V.float(), self._sampling, uniform_B)
        one_hot_B_V = torch.full_like(logits_B_V, -torch.inf)
        return one_hot_B_V.scatter(1, chosen_B[:, None], 0.0)


@torch.inference_mode()
def generate(
    model: Any,
    rows: Sequence[Sequence[int]],
    keys: Sequence[tuple[int, int]],
    *,
    sampling: Sampling,
    seed: int,
    ends: Sequence[int],
) -> list[list[int]]:
    """What follows each row of token ids, up to and including a token that ends a response.

    All rows share one batch; keys as in `Engine`.
    """
    from transformers import GenerationConfig, LogitsProcessorList

    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=sampling.max_new_tokens,
        eos_token_id=list(ends),
        pad_token_id=ends[0],
    )
    ids_B_T, mask_B_T = padded(rows, model.device)
    uniform_B_T = decode.uniforms(seed, keys, sampling.max_new_tokens).to(model.device)
    out_B_T = model.generate(
        input_ids=ids_B_T,
        attention_mask=mask_B_T,
        generation_config=config,
        logits_processor=LogitsProcessorList([Chosen(sampling, uniform_B_T, ids_B_T.shape[1])]),
    )
    responses = []
    for row in out_B_T[:, ids_B_T.shape[1] :].tolist():
        length = next((t + 1 for t, token in enumerate(row) if token in ends), len(row))
        responses.append(row[:length])
    return responses


def padded(rows: Sequence[Sequence[int]], device: str) -> tuple[Tensor, Tensor]:
    """(token ids, 1 where they are no padding), both (B, T), of rows that end together."""
    tensors = [torch.tensor(row) for row in rows]
    ids_B_T = pad_sequence(tensors, batch_first=True, padding_side="left")
    mask_B_T = pad_sequence(
        [torch.ones_like(row) for row in tensors], batch_first=True, padding_side="left"
    )
    return ids_B_T.to(device), mask_B_T.to(device)
