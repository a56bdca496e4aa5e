"""The generation engines behind one protocol: load a policy, draw responses, score continuations.

`loop` is our decode loop (CPU, small models), `transformers` is `generate` (any model), `vllm` is
vLLM (GPUs). All read the same token ids (`tokens`) and end a response at the same tokens.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.generation.response import Response


class Engine(Protocol):
    """Draws responses from policies; a job opens one engine and loads its policies one by one."""

    def load(self, policy: Path) -> None:
        """Take the policy in a folder, in the place of the one before.

        Raises `InputError` for one that the engine cannot run.
        """

    def respond(
        self,
        prompts: Sequence[str],
        keys: Sequence[tuple[int, int]],
        *,
        sampling: Sampling,
        seed: int,
    ) -> list[Response]:
        """Draw one response a prompt; `keys[i]` = (prompt number, sample index) of row i.

        Seed and key name the random numbers of a row.
        """

    def units(self, prompts: Sequence[str], keys: Sequence[tuple[int, int]]) -> list[list[int]]:
        """Cut the rows, as their numbers, into what is generated together and kept at once."""

    def loglikelihoods(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """Compute the log-likelihood (nats) of every continuation, as MMLU is scored.

        A continuation brings the space before it, as lm-evaluation-harness has it: " A".
        """


def open_engine(settings: Generation) -> Engine:
    """Open the engine that the settings name. Raises `InputError` if it is not installed."""
    if settings.engine == "loop":
        from online_il.generation.loop_engine import LoopEngine

        return LoopEngine(settings)
    if settings.engine == "transformers":
        from online_il.generation.transformers_engine import TransformersEngine

        return TransformersEngine(settings)
    from online_il.generation.vllm_engine import VllmEngine

    return VllmEngine(settings)
