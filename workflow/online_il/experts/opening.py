"""A mixture as its settings describe it, and as what draws responses from it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from online_il.config.generation import Generation
from online_il.config.mixture import MixtureExpert
from online_il.config.sampling import Sampling
from online_il.errors import InputError
from online_il.experts.mixture import Mixture, Part
from online_il.experts.model import open_model
from online_il.experts.policy import Policy
from online_il.experts.solver import Solver
from online_il.generation.response import Response
from online_il.generation.tokens import Tokens


def open_mixture(
    settings: MixtureExpert, policies: Mapping[str, Path], generation: Generation
) -> Mixture:
    """The mixture of these settings; `policies` are the folders of its runs and models by name.

    The part without a folder is the solver. Raises `InputError` for parts whose token ids or ends
    differ.
    """
    _check_vocabularies(policies)
    known: dict[str, Policy] = {
        name: open_model(folder, generation, settings.temperature)
        for name, folder in policies.items()
    }
    tokens = Tokens(next(iter(policies.values())))
    parts = []
    for name, weight in settings.parts.items():
        if name in known:
            policy = known[name]
        else:
            assert settings.fallback is not None, "the checks ask for one beside the solver"
            policy = Solver(
                tokens.vocabulary(),
                tokens.ends,
                smoothing=settings.smoothing,
                fallback=known[settings.fallback],
            )
        parts.append(Part(name, policy, weight, name == settings.learnable))
    return Mixture(settings.name, parts)


def _check_vocabularies(policies: Mapping[str, Path]) -> None:
    """Parts are mixed token id by token id, so the ids must mean the same."""
    (first, folder), *others = policies.items()
    own = Tokens(folder)
    for name, other in others:
        theirs = Tokens(other)
        for what, ours, found in (
            ("tokenizers", own.vocabulary(), theirs.vocabulary()),
            ("ends of a response", set(own.ends), set(theirs.ends)),
        ):
            if ours != found:
                raise InputError(
                    f"{folder} ({first}) and {other} ({name}): their {what} differ; mix policies "
                    "of one vocabulary"
                )


class MixtureEngine:
    """Draws the responses of a mixture where a generation engine draws a policy's."""

    def __init__(self, mixture: Mixture, folder: Path, batch_size: int) -> None:
        """`folder` is that of any of its policies, for their tokens are the same."""
        self._mixture, self._tokens, self._batch_size = mixture, Tokens(folder), batch_size

    def respond(
        self,
        prompts: Sequence[str],
        keys: Sequence[tuple[int, int]],
        *,
        sampling: Sampling,
        seed: int,
    ) -> list[Response]:
        """One response a prompt; keys as in `Engine`.

        Raises `InputError` for any sampling but plain one: what top-k or a temperature would make
        of a mixture's tokens is no mixture of what they make of its parts.
        """
        if (sampling.temperature, sampling.top_k, sampling.top_p) != (1.0, 0, 1.0):
            raise InputError(
                f"the mixture {self._mixture.name} is sampled as it is: set temperature to 1, "
                "top_k to 0 and top_p to 1 for it; its own `temperature` is that of its parts"
            )
        drawn = self._mixture.respond(
            [self._tokens.prompt(prompt) for prompt in prompts],
            keys,
            max_new_tokens=sampling.max_new_tokens,
            seed=seed,
        )
        return [self._tokens.response(ids) for ids in drawn]

    def units(self, prompts: Sequence[str], keys: Sequence[tuple[int, int]]) -> list[list[int]]:
        """Batches of consecutive rows."""
        rows = list(range(len(prompts)))
        return [rows[i : i + self._batch_size] for i in range(0, len(rows), self._batch_size)]
