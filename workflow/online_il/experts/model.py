"""A run's checkpoint, a base or a model of the hub as a policy with next-token probabilities."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.ends import end_ids
from online_il.experts.policy import Batch, Ids, Key, Policy
from online_il.generation import decode
from online_il.generation.loop_engine import read_decoder


def open_model(folder: Path, settings: Generation, temperature: float = 1.0) -> Policy:
    """The model in a folder as a `Policy` that speaks at a temperature.

    With the `loop` engine it runs in our decode loop; with any other in `transformers`, for vLLM
    does not give the probabilities of a whole vocabulary. Raises `InputError` for a folder that the
    engine cannot run.
    """
    if settings.engine == "loop":
        return LoopPolicy(folder, settings.batch_size, temperature)
    return TransformersPolicy(folder, settings.batch_size, temperature)


class LoopPolicy:
    """A `Policy` in our decode loop: CPUs and small models."""

    def __init__(self, folder: Path, batch_size: int, temperature: float = 1.0) -> None:
        self._model = read_decoder(folder)
        self._ends = end_ids(folder)
        self._batch_size, self._temperature = batch_size, temperature
        self.width = len(self._model.head_V_E)

    @torch.no_grad()
    def logp(self, batch: Batch) -> Tensor:
        """Log-probabilities (B, C, V) of every next token, as in `Policy`."""
        ids_B_T = torch.cat((batch.prompt_ids_B_P, batch.response_ids_B_C), dim=1)[:, :-1]
        (rows, length), prompt = ids_B_T.shape, batch.prompt_ids_B_P.shape[1]
        padding_B = prompt - batch.prompt_mask_B_P.sum(-1)
        hidden_B_T_E = decode.forward(
            self._model,
            ids_B_T,
            decode.new_cache(self._model, rows, length),
            0,
            decode.rotary(self._model, length),
            padding_B if padding_B.any() else None,
        )
        logits_B_C_V = F.linear(hidden_B_T_E[:, prompt - 1 :], self._model.head_V_E)
        return (logits_B_C_V / self._temperature).log_softmax(-1)

    def respond(
        self, contexts: Sequence[Ids], keys: Sequence[Key], *, max_new_tokens: int, seed: int
    ) -> list[list[int]]:
        """Draw what follows each context, as in `Policy`."""
        return decode.generate(
            self._model,
            contexts,
            keys,
            sampling=Sampling(temperature=self._temperature, max_new_tokens=max_new_tokens),
            seed=seed,
            eos_token_id=self._ends,
            batch_size=self._batch_size,
        )


class TransformersPolicy:
    """A `Policy` in `transformers`: any model, on a GPU where there is one."""

    def __init__(self, folder: Path, batch_size: int, temperature: float = 1.0) -> None:
        from transformers import GenerationConfig

        from online_il.models import inference_dtype, load_model

        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = load_model(folder, inference_dtype(device == "cuda")).to(device).eval()
        # `generate` takes from it what our own config leaves open: Qwen2.5's repetition penalty.
        self._model.generation_config = GenerationConfig()
        self._ends = end_ids(folder)
        self._batch_size, self._temperature = batch_size, temperature
        self.width = int(self._model.config.vocab_size)

    @torch.no_grad()
    def logp(self, batch: Batch) -> Tensor:
        """Log-probabilities (B, C, V) of every next token, as in `Policy`; in single precision."""
        device = self._model.device
        ids_B_T = torch.cat((batch.prompt_ids_B_P, batch.response_ids_B_C), dim=1).to(device)
        mask_B_T = torch.cat((batch.prompt_mask_B_P, batch.response_mask_B_C), dim=1).to(device)
        out = self._model(
            input_ids=ids_B_T,
            attention_mask=mask_B_T,
            position_ids=(mask_B_T.cumsum(-1) - 1).clamp(min=0),
            logits_to_keep=batch.response_ids_B_C.shape[1] + 1,
            use_cache=False,
        )
        logits_B_C_V = out.logits[:, :-1].float()
        return (logits_B_C_V / self._temperature).log_softmax(-1)  # type: ignore[no-any-return]

    def respond(
        self, contexts: Sequence[Ids], keys: Sequence[Key], *, max_new_tokens: int, seed: int
    ) -> list[list[int]]:
        """Draw what follows each context, as in `Policy`."""
        from online_il.generation.transformers_engine import generate

        sampling = Sampling(temperature=self._temperature, max_new_tokens=max_new_tokens)
        responses: list[list[int]] = [[] for _ in contexts]
        for rows in decode.batches(contexts, self._batch_size):
            drawn = generate(
                self._model,
                [contexts[row] for row in rows],
                [keys[row] for row in rows],
                sampling=sampling,
                seed=seed,
                ends=self._ends,
            )
            for row, response in zip(rows, drawn, strict=True):
                responses[row] = response
        return responses
