"""vLLM in process as an engine: real models on GPUs, as many as the job was given.

vLLM is handed token ids and hands token ids back (`tokens`), so its own tokenizer, chat template
and generation defaults play no part. It computes in the data type that the weights are stored in,
and without a GPU in single precision.
A job has one vLLM: the next checkpoint takes the place of the weights in it, or, for models whose
output layer is the embedding's weights, vLLM is stopped and started anew within the same job.
"""

import logging
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.errors import InputError
from online_il.generation.response import Response
from online_il.generation.tokens import Tokens
from online_il.models import model_config
from online_il.program.environment import VLLM

# A list of this many ids at most may be asked for at one place (vllm.sampling_params).
MAX_CHOICES = 128
PAUSE_SECONDS, SETTLING_SECONDS = 1.0, 60.0
"""Between two looks at a GPU's memory, and the longest that it may take to settle."""
UNIT_BATCHES = 8
"""Full batches of a unit that is kept at once."""


class VllmEngine:
    """vLLM: continuous batches, shared prefixes, one worker a GPU."""

    def __init__(self, settings: Generation) -> None:
        for name, value in VLLM.items():
            os.environ.setdefault(name, value)
        try:
            import vllm
        except ModuleNotFoundError as error:
            if error.name and error.name.partition(".")[0] != "vllm":
                raise
            raise InputError(
                "generation.engine is vllm, which is not installed; install with "
                "make setup-gpu, or set generation.engine to transformers"
            ) from None
        # It tries the chat template of a tokenizer that it was told not to load.
        logging.getLogger("vllm.renderers.base").setLevel(logging.ERROR)
        self._vllm: Any = vllm
        self._settings = settings
        self._llm: Any = None
        self._shape: dict[str, object] = {}

    def load(self, policy: Path) -> None:
        """Start vLLM with the policy, or put its weights in the place of those that it holds."""
        self._tokens = Tokens(policy)
        shape = model_config(policy)
        # Not where the output layer is the embedding's weights: on a CPU, vLLM 0.31 then keeps the
        # output layer's copy of the weights before (tests/vllm), and starting anew costs a minute.
        reloads = shape == self._shape and not shape.get("tie_word_embeddings", True)
        if self._llm is not None and reloads:
            self._llm.collective_rpc("reload_weights", kwargs={"weights_path": str(policy)})
            # The cache of prefixes was computed with the weights before.
            self._llm.reset_prefix_cache()
            return
        self.close()
        wait_for_memory()
        try:
            self._llm = self._start(policy, shape)
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"{policy}: vLLM cannot run it: {str(error).strip()}; what it says above tells "
                "more, and generation.memory_share sets what it takes of a GPU's memory"
            ) from None
        self._shape = shape

    def _start(self, policy: Path, shape: dict[str, object]) -> Any:
        return self._vllm.LLM(
            model=str(policy),
            skip_tokenizer_init=True,
            generation_config="vllm",
            load_format="safetensors",
            # Its "auto" would compute in half precision what is stored in single.
            dtype=shape.get("dtype") or shape.get("torch_dtype") or "auto"
            if visible_gpus()
            else "float32",
            trust_remote_code=False,
            tensor_parallel_size=visible_gpus() or 1,
            max_num_seqs=self._settings.batch_size,
            max_model_len=-1,  # As long as the model and the memory allow.
            gpu_memory_utilization=self._settings.memory_share,
            enable_prefix_caching=True,
            max_logprobs=MAX_CHOICES,
            seed=0,  # Every request brings its own.
        )

    def close(self) -> None:
        """Stop vLLM and give its memory back."""
        if self._llm is not None:
            self._llm.llm_engine.engine_core.shutdown()
            self._llm = None

    def respond(
        self,
        prompts: Sequence[str],
        keys: Sequence[tuple[int, int]],
        *,
        sampling: Sampling,
        seed: int,
    ) -> list[Response]:
        """Draw one response a prompt; keys as in `Engine`."""
        ends = self._tokens.ends
        rows = [self._tokens.prompt(prompt) for prompt in prompts]
        self._check_length(rows, sampling.max_new_tokens)
        # A greedy request may not have several responses.
        groups = list(requests(keys, rows, most=1 if sampling.temperature == 0.0 else len(keys)))
        parameters = [
            self._vllm.SamplingParams(
                n=len(group),
                seed=seed_of(seed, keys[group[0]]),
                temperature=sampling.temperature,
                top_k=sampling.top_k,
                top_p=sampling.top_p,
                max_tokens=sampling.max_new_tokens,
                stop_token_ids=ends,
                ignore_eos=True,  # All the ends stand in stop_token_ids.
                detokenize=False,
            )
            for group in groups
        ]
        outputs = self._generate([rows[group[0]] for group in groups], parameters)
        responses: list[Response | None] = [None] * len(keys)
        for group, output in zip(groups, outputs, strict=True):
            for drawn in output.outputs:
                responses[group[drawn.index]] = self._tokens.response(drawn.token_ids)
        complete = [response for response in responses if response is not None]
        if len(complete) != len(keys):
            raise InputError(f"vLLM gave {len(complete)} responses to {len(keys)} prompts")
        return complete

    def units(self, prompts: Sequence[str], keys: Sequence[tuple[int, int]]) -> list[list[int]]:
        """Keep prompts together, many batches at once: a unit waits for its longest response."""
        of_prompt: dict[int, list[int]] = {}
        for row in sorted(range(len(keys)), key=lambda row: keys[row]):
            of_prompt.setdefault(keys[row][0], []).append(row)
        units: list[list[int]] = []
        for rows in of_prompt.values():
            if not units or len(units[-1]) >= UNIT_BATCHES * self._settings.batch_size:
                units.append([])
            units[-1] += rows
        return units

    def loglikelihoods(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """Compute log-likelihoods (nats), as in `Engine`."""
        scored = [
            [self._tokens.scored(prompt, continuation) for continuation in choices]
            for prompt, choices in zip(prompts, continuations, strict=True)
        ]
        self._check_length([[*ids, *more] for rows in scored for ids, more in rows], 1)
        scores: list[list[float]] = [[0.0] * len(rows) for rows in scored]
        # Choices of one token, as MMLU's letters are, stand at one place: one request for all of
        # them, which reads a prefix that it shares with other prompts from the cache.
        short = [
            p
            for p, rows in enumerate(scored)
            if rows
            and len(rows) <= MAX_CHOICES
            and all(len(more) == 1 and ids == rows[0][0] for ids, more in rows)
        ]
        letters = [[more[0] for _, more in scored[p]] for p in short]
        outputs = self._generate(
            [scored[p][0][0] for p in short],
            [
                self._vllm.SamplingParams(
                    temperature=0.0, max_tokens=1, logprob_token_ids=ids, detokenize=False
                )
                for ids in letters
            ],
        )
        for p, ids, output in zip(short, letters, outputs, strict=True):
            logp = output.outputs[0].logprobs[0]
            scores[p] = [logp[token].logprob for token in ids]
        # Longer ones are scored as the end of a prompt.
        rest = set(range(len(scored))) - set(short)
        places = [(p, c) for p in sorted(rest) for c in range(len(scored[p]))]
        asked = self._vllm.SamplingParams(
            temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False
        )
        outputs = self._generate(
            [[*scored[p][c][0], *scored[p][c][1]] for p, c in places], [asked] * len(places)
        )
        for (p, c), output in zip(places, outputs, strict=True):
            ids, more = scored[p][c]
            at = zip(output.prompt_logprobs[len(ids) :], more, strict=True)
            scores[p][c] = sum(logp[token].logprob for logp, token in at)
        return scores

    def _generate(self, rows: Sequence[Sequence[int]], parameters: Sequence[Any]) -> list[Any]:
        if not rows:
            return []
        prompts = [{"prompt_token_ids": list(ids)} for ids in rows]
        return self._llm.generate(prompts, list(parameters), use_tqdm=False)  # type: ignore[no-any-return]

    def _check_length(self, rows: Sequence[Sequence[int]], more: int) -> None:
        longest, limit = max(map(len, rows), default=0), self._llm.model_config.max_model_len
        if longest + more > limit:
            raise InputError(
                f"{self._tokens.policy}: a prompt of {longest} tokens and {more} new ones are more "
                f"than the {limit} that the model and the memory allow; lower max_new_tokens, "
                "leave out long prompts, or give the job more memory"
            )


def requests(
    keys: Sequence[tuple[int, int]], prompts: Sequence[Sequence[int]], most: int
) -> Iterator[list[int]]:
    """Split rows by request: one prompt, consecutive sample indices, at most `most`."""
    group: list[int] = []
    for row in sorted(range(len(keys)), key=lambda row: keys[row]):
        last = group[-1] if group else None
        if last is not None and (
            len(group) == most
            or keys[row] != (keys[last][0], keys[last][1] + 1)
            or prompts[row] != prompts[last]
        ):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def seed_of(seed: int, key: tuple[int, int]) -> int:
    """Derive a row's seed. Sample j+1 of a prompt has that of sample j plus 1.

    vLLM seeds the samples of one request so; hence a row's seed follows from its key alone.
    """
    prompt, index = key
    first = int(np.random.SeedSequence([seed, prompt]).generate_state(1, np.uint64)[0])
    return (first >> 2) + index


def wait_for_memory() -> None:
    """Wait until the memory of the GPUs that the job may use no longer changes.

    A process that has ended gives its memory back bit by bit, and vLLM stops where more is free
    after it has measured what it needs than was before.
    """
    before, used = None, used_memory()
    until = time.monotonic() + SETTLING_SECONDS
    while used and used != before and time.monotonic() < until:
        time.sleep(PAUSE_SECONDS)
        before, used = used, used_memory()


def used_memory() -> list[str]:
    """Read the memory in use on each GPU that the job may use, MiB; nothing without NVIDIA's."""
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
    command += [f"--id={gpus}"] if gpus else []
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SETTLING_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split() if done.returncode == 0 else []


def visible_gpus() -> int:
    """Count the GPUs that the job may use."""
    import torch

    return torch.cuda.device_count()
