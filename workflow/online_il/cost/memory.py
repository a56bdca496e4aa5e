"""Estimates the memory that a job takes on each of its GPUs, in bytes.

Training, for a model of N parameters (B in a block, E in embedding and output) on g GPUs:

- states: 4·N weights + 4·N gradients + 8·N AdamW, in single precision, cut over the GPUs: 16·N/g.
- frozen: GRPO's reference, on one GPU in single precision, as the policy is loaded, 4·N; on
  several in bfloat16, cut over them, with two of its blocks and its E gathered,
  2·N/g + 2·(E + 2·B). The teacher of distillation, or each part of one that is a mixture, lies
  whole on every GPU, 2·N_teacher, as runs are saved. One larger than the student is cut as a
  reference is: more GPUs make room for it.
- vllm: its share of the GPU, `generation.colocated_share`, where it generates the rollouts; or
  what all the rest leaves of it, less a tenth (`share_left`); asleep where it gives that back
  while the weights are updated (`generation.during_updates`).
- working: copies in bfloat16. On one GPU autocast keeps one of all weights, 2·N; on several, FSDP
  gathers two blocks and E in turn with their gradients, 2·(E + 2·B) + 2·(E + B). The chunked losses
  gather the output matrix and its gradient in single precision, 8·V·h.
- activations, for t tokens a micro-batch: with gradient checkpointing the stream before each block,
  L·h·t numbers of 4 bytes (FSDP: 2), and all that one block keeps while it is computed again,
  t·(40·h + 8·(H + K)·d + 12·i) bytes.
- logits: never whole, tiles of 4,096 tokens by 32,768 words in single precision, two of them, and
  four where a teacher's stand beside them.
- update: AdamW's temporary numbers, 4·N/g, when working, activations and logits are gone.
- adapter: with n parameters in a low-rank adapter, on one GPU, the N weights are frozen and lie in
  bfloat16, 2·N, the reference among them; states are 2·N + 16·n, working 2·n, update 4·n, the
  stream 2 bytes a number, and one block keeps its inputs once more, 2·t·(inputs of the adapter).
- other: 2 GiB for CUDA, NCCL and what the allocator wastes.

The peak is states + frozen + vllm + other + max(working + activations + logits, update, asleep).
Every micro-batch is taken to be as long as it may be.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from online_il.config.lora import Lora
from online_il.config.plan import ModelShape
from online_il.cost.shape import (
    adapted,
    adapter_parameters,
    block_parameters,
    cache_bytes,
    embedding_parameters,
    parameters,
)

GIB = 2**30
TILE = (4_096, 32_768)  # Tokens and words of a tile (trl.kernels.chunked_divergence).
OTHER = 2 * GIB


def published_bytes(hardware: str) -> int:
    """Count the bytes a published parameter takes: bfloat16 from GPUs, else single precision."""
    return 2 if hardware == "gpu" else 4


class Memory(NamedTuple):
    """Bytes on each GPU of a training job."""

    states: float
    frozen: float
    vllm: float
    working: float
    activations: float
    logits: float
    update: float
    other: float = OTHER
    asleep: float = 0.0
    """What vLLM takes while it generates, and gives back for the updates."""

    @property
    def peak(self) -> float:
        """The most that is held at once."""
        passing = max(self.working + self.activations + self.logits, self.update, self.asleep)
        return self.states + self.frozen + self.vllm + self.other + passing

    def sentence(self) -> str:
        """List the parts in GiB, the largest first."""
        named = [(name, value / GIB) for name, value in self._asdict().items() if value]
        named.sort(key=lambda part: -part[1])
        return ", ".join(f"{name} {value:.1f}" for name, value in named)


def training(
    shape: ModelShape,
    *,
    gpus: int,
    sequences: int,
    length: int,
    reference: bool = False,
    teachers: Sequence[ModelShape] = (),
    vllm: float = 0.0,
    asleep: float = 0.0,
    lora: Lora | None = None,
) -> Memory:
    """Estimate a training job with micro-batches of `sequences` sequences of `length` tokens.

    `vllm` is what vLLM takes of each GPU all the time, `asleep` while it generates, bytes.
    """
    count, tokens = parameters(shape), sequences * length
    block, embedding = block_parameters(shape), embedding_parameters(shape)
    tile = 4 * min(TILE[0], tokens) * min(TILE[1], shape.vocabulary)
    heads = (shape.heads + shape.kv_heads) * shape.head_dim
    kept = 40 * shape.hidden + 8 * heads + 12 * shape.intermediate
    taught = sum(_teacher_bytes(teacher, shape, len(teachers) == 1, gpus) for teacher in teachers)
    logits = tile * (4 if teachers else 2)
    if lora is not None:
        trained = adapter_parameters(shape, lora)
        stream = 2 * shape.layers * shape.hidden
        again = 2 * sum(inputs for inputs, _ in adapted(shape, lora))
        return Memory(
            states=2 * count + 16 * trained,
            frozen=taught,
            vllm=vllm,
            working=2 * trained,
            activations=tokens * (stream + kept + again),
            logits=logits,
            update=4 * trained,
            asleep=asleep,
        )
    head = shape.vocabulary * shape.hidden
    copies = 2 * count if gpus == 1 else 2 * (embedding + 2 * block) + 2 * (embedding + block)
    stream = shape.layers * shape.hidden * (4 if gpus == 1 else 2)
    frozen = 0.0
    if reference:
        frozen = 4.0 * count if gpus == 1 else 2 * (count / gpus + embedding + 2 * block)
    return Memory(
        states=16 * count / gpus,
        frozen=frozen + taught,
        vllm=vllm,
        working=copies + 8 * head,
        activations=tokens * (stream + kept),
        logits=logits,
        update=4 * count / gpus,
        asleep=asleep,
    )


KEPT_FREE, SHARES = 0.1, (0.1, 0.85)
"""Of a GPU's memory: what nobody takes, for the estimate is one, and vLLM's least and most."""


def share_left(training: Memory, gpu_bytes: float) -> float:
    """Give the share of a GPU that a training (without vLLM) leaves vLLM, in whole hundredths."""
    left = 1 - KEPT_FREE - training.peak / gpu_bytes
    return math.floor(100 * min(max(left, SHARES[0]), SHARES[1])) / 100


def _teacher_bytes(teacher: ModelShape, student: ModelShape, alone: bool, gpus: int) -> float:
    """Count what a teacher, alone or a part of a mixture, takes of each GPU."""
    number = published_bytes("gpu")
    if gpus == 1 or not alone or parameters(teacher) <= parameters(student):
        return number * parameters(teacher)
    gathered = embedding_parameters(teacher) + 2 * block_parameters(teacher)
    return number * (parameters(teacher) / gpus + gathered)


def generation_least(shape: ModelShape, *, gpus: int, length: int) -> float:
    """Estimate the bytes of a GPU that an engine needs at least: weights and one longest sequence.

    Weights in bfloat16 and the cache of `length` tokens, cut over the GPUs, and 2 GiB for the rest.
    """
    return (2 * parameters(shape) + cache_bytes(shape) * length) / gpus + OTHER
