"""Seams of TRL's on-policy trainers: prompts, what generates, and how micro-batches are cut.

All leave the objective as it is. Generation: with the `loop` engine, rollouts come from our
decode loop instead of `transformers`' generate. Grouping: the responses of one update are sorted
by length before they are cut into micro-batches, and each micro-batch is trimmed to its longest
response. An update's set of responses, and so its gradient, stays the same up to rounding
(tests/unit/test_training.py); only the padding goes. TRL averages GRPO's entropy bonus within a
micro-batch, so that small term alone is weighted a little differently.
"""

from typing import Any

import torch
from accelerate.utils import is_peft_model
from torch import Tensor
from transformers import PreTrainedModel

from online_il.chat import prompt_ids
from online_il.config.generation import COLOCATED_SHARE, Generation
from online_il.config.sampling import Sampling
from online_il.errors import InputError
from online_il.generation import decode
from online_il.training.adapters import named_weights

Batch = dict[str, Any]


def group_by_length(batches: list[Batch], per_update: int) -> list[Batch]:
    """Re-cut micro-batches of equal width so that each holds responses of similar length.

    `batches` are TRL's micro-batches in order, `per_update` of them an optimizer update. Responses
    never move between updates.
    """
    grouped: list[Batch] = []
    for start in range(0, len(batches), per_update):
        window = batches[start : start + per_update]
        merged = {key: _merge([batch[key] for batch in window]) for key in window[0]}
        grouped += [batch for _, batch in cut_by_length(merged, len(window))]
    return grouped


def cut_by_length(batch: Batch, pieces: int) -> list[tuple[Tensor, Batch]]:
    """Cut a batch into pieces of rows of similar length, each with the numbers of its rows."""
    order = batch["completion_mask"].sum(-1).argsort(stable=True)
    return [
        (rows, _trim({key: _rows(value, rows) for key, value in batch.items()}))
        for rows in order.chunk(pieces)
    ]


def _merge(values: list[Any]) -> Any:
    if isinstance(values[0], Tensor) and values[0].ndim > 0:
        return torch.cat(values)
    return values[0]


def _rows(value: Any, rows: Tensor) -> Any:
    return value[rows] if isinstance(value, Tensor) and value.ndim > 0 else value


def _trim(batch: Batch) -> Batch:
    """Cut a micro-batch to its longest prompt (padded left) and response (padded right)."""
    width = batch["completion_mask"].shape[1]
    longest = int(batch["completion_mask"].sum(-1).max())
    longest_prompt = int(batch["prompt_mask"].sum(-1).max())
    trimmed = {}
    for key, value in batch.items():
        if key.startswith("prompt_"):
            value = value[:, -longest_prompt:]
        elif isinstance(value, Tensor) and value.ndim == 2 and value.shape[1] == width:
            value = value[:, :longest]
        trimmed[key] = value
    return trimmed


def check_engine(generation: Generation, hardware: str) -> None:
    """Raises `InputError` for the decode loop on a GPU, where it does not run."""
    if generation.engine == "loop" and hardware == "gpu":
        raise InputError(
            "generation.engine is loop, which runs on CPUs alone, and hardware is gpu; set "
            "generation.engine to transformers or vllm, or hardware to cpu"
        )


def shared(generation: Generation, share: float | None) -> Generation:
    """Give the settings with vLLM's share of a GPU's memory, where they leave it to the job."""
    if generation.colocated_share is not None or share is None:
        return generation
    return generation.model_copy(update={"colocated_share": share})


def end_at_all_ends(made: Any, model: PreTrainedModel) -> None:
    """Let vLLM end rollouts at every end of the model (`load_model`), in TRL's configuration.

    By itself it knows the tokenizer's and those of the generation config, but not the config's.
    """
    ends = model.generation_config.eos_token_id
    made.generation_kwargs = {"stop_token_ids": [ends] if isinstance(ends, int) else ends}


def colocated(
    generation: Generation, max_prompt_tokens: int | None, max_new_tokens: int
) -> dict[str, Any]:
    """Set what generates for TRL: vLLM in the trainer's own process, or not vLLM."""
    if generation.engine != "vllm":
        return {"use_vllm": False}
    return {
        "use_vllm": True,
        "vllm_mode": "colocate",
        "vllm_gpu_memory_utilization": generation.colocated_share or COLOCATED_SHARE,
        "vllm_max_model_length": max_prompt_tokens and max_prompt_tokens + max_new_tokens,
        "vllm_tensor_parallel_size": 1,
        "vllm_enable_sleep_mode": generation.during_updates == "asleep",
    }


class PromptTokens:
    """Mixin for `GRPOTrainer` and `DistillationTrainer`: prompts as every engine tokenizes them."""

    def _tokenize_prompts(self, prompts: list[str]) -> Any:
        return prompt_ids(self.processing_class, prompts), None, {}  # type: ignore[attr-defined]


class LengthGrouping:
    """Mixin for `GRPOTrainer` and `DistillationTrainer`: micro-batches grouped by length."""

    _buffered_inputs: Any

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        before = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)  # type: ignore[misc]
        if self._buffered_inputs is before:
            return inputs
        self._buffered_inputs = group_by_length(
            self._buffered_inputs,
            self.args.gradient_accumulation_steps,  # type: ignore[attr-defined]
        )
        return self._buffered_inputs[self._step % len(self._buffered_inputs)]  # type: ignore[attr-defined]


class LoopGeneration:
    """Mixin for `GRPOTrainer` and `DistillationTrainer`: rollouts from our decode loop."""

    at_once = 256
    """Responses decoded side by side: `generation.batch_size`."""

    def _generate_single_turn(self, prompt_ids: list[list[int]], *_: Any, **__: Any) -> Any:
        model = self.accelerator.unwrap_model(self.model)  # type: ignore[attr-defined]
        model = model.get_base_model() if is_peft_model(model) else model
        sampling = Sampling(
            temperature=self.temperature,  # type: ignore[attr-defined]
            top_k=self.top_k,  # type: ignore[attr-defined]
            top_p=self.top_p,  # type: ignore[attr-defined]
            max_new_tokens=self.max_completion_length,  # type: ignore[attr-defined]
        )
        step = self.state.global_step  # type: ignore[attr-defined]
        # Each process has its part of the rows, in order; no two rows may draw the same numbers.
        first = self.accelerator.process_index * len(prompt_ids)  # type: ignore[attr-defined]
        responses = decode.generate(
            decode.decoder(dict(named_weights(model)), model.config.to_dict()),
            prompt_ids,
            [(step, first + row) for row in range(len(prompt_ids))],
            sampling=sampling,
            seed=self.args.seed,  # type: ignore[attr-defined]
            eos_token_id=self.eos_token_ids,  # type: ignore[attr-defined]
            batch_size=self.at_once,
        )
        # GRPO's method also returns log-probabilities, which it uses with vLLM alone.
        return (responses, None) if hasattr(self, "num_generations") else responses


class SortedScoring:
    """Mixin for `GRPOTrainer`: old and reference log-probabilities without the padding.

    TRL scores a whole rollout batch in chunks as wide as its longest response. Here the chunks are
    sorted by length and trimmed; positions beyond a response's end, which no loss reads, are zero.
    """

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        **options: Any,
    ) -> Any:
        score = super()._get_per_token_logps_and_entropies  # type: ignore[misc]
        if batch_size is None or options.get("compute_entropy"):
            return score(
                model, input_ids, attention_mask, logits_to_keep, batch_size=batch_size, **options
            )
        logps_B_C = torch.zeros(input_ids.shape[0], logits_to_keep, device=input_ids.device)
        lengths_B = attention_mask[:, -logits_to_keep:].sum(-1)
        for rows in lengths_B.argsort().split(batch_size):
            most = max(1, int(lengths_B[rows].max()))
            width = input_ids.shape[1] - logits_to_keep + most
            logps, _, _ = score(model, input_ids[rows, :width], attention_mask[rows, :width], most)
            logps_B_C[rows, :most] = logps
        return logps_B_C, None, None
