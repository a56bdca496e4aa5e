"""A mixture as its settings describe it, as a policy in a folder, and as what draws responses."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from online_il.config.generation import Generation
from online_il.config.mixture import MixtureExpert
from online_il.config.sampling import Sampling
from online_il.ends import chat_template
from online_il.errors import InputError
from online_il.experts.divergence import shares_of
from online_il.experts.mixture import Mixture, Part
from online_il.experts.model import open_model
from online_il.experts.policy import Policy
from online_il.experts.solver import Answers, Solver, in_english, in_words
from online_il.files import write_json
from online_il.generation.engines import Engine, open_engine
from online_il.generation.response import Response
from online_il.generation.tokens import Tokens
from online_il.layout import MIXTURE, PARTS, parts_of
from online_il.models import is_mixture, link, link_tree


def open_mixture(
    settings: MixtureExpert, policies: Mapping[str, Path], generation: Generation
) -> Mixture:
    """Open a mixture; `policies` are the folders of its runs and models by name.

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
                answers_in(tokens),
                tokens.ends,
                smoothing=settings.smoothing,
                fallback=known[settings.fallback],
            )
        parts.append(Part(name, policy, weight, name == settings.learnable))
    return Mixture(settings.name, parts)


def answers_in(tokens: Tokens) -> Answers:
    """The solver's answers as policies of these tokens are asked: in words, or in a chat."""
    if chat_template(tokens.policy) is None:
        return in_words(tokens.vocabulary(), tokens.ends)
    return in_english(tokens)


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


def publish_mixture(settings: MixtureExpert, policies: Mapping[str, Path], folder: Path) -> None:
    """Write a mixture as a policy in a folder: its settings, links to its policies, their tokens.

    Raises `InputError` for policies whose token ids or ends differ.
    """
    _check_vocabularies(policies)
    shutil.rmtree(folder, ignore_errors=True)
    for name, policy in policies.items():
        link_tree(policy, folder / "parts" / name)
    # Prompts are encoded, and ends found, as for any policy.
    for path in next(iter(policies.values())).iterdir():
        if path.is_file() and not path.match(PARTS):
            link(str(path), str(folder / path.name))
    write_json(settings, folder / MIXTURE)


def opened_mixture(folder: Path, generation: Generation) -> Mixture:
    """Open the mixture that was published in a folder."""
    settings = MixtureExpert.model_validate_json((folder / MIXTURE).read_bytes())
    return open_mixture(settings, parts_of(folder), generation)


def engine_for(policy: Path, settings: Generation) -> Engine:
    """Open the engine that draws the responses of the policy in a folder; it is not loaded yet."""
    return MixtureEngine(settings) if is_mixture(policy) else open_engine(settings)


class Shares:
    """Tells whose a response is: the shares (posterior) that a mixture's parts have in it."""

    def __init__(self, folder: Path, settings: Generation) -> None:
        self._mixture, self._tokens = opened_mixture(folder, settings), Tokens(folder)
        self._batch_size = settings.batch_size

    def add(self, rows: list[dict[str, Any]], prompts: pd.DataFrame) -> None:
        """Add `share_learnable` and `direct` to rows of samples of some prompts.

        They are the shares of the learnable part and of the solver, 0 where there is none.
        """
        texts = prompts.set_index("prompt_id")["text"]
        ids = {name: self._tokens.prompt(texts[name]) for name in {r["prompt_id"] for r in rows}}
        shares_N_K = shares_of(
            self._mixture,
            [ids[row["prompt_id"]] for row in rows],
            [row["token_ids"] for row in rows],
            self._batch_size,
        )
        parts = self._mixture.parts
        learnable_K = np.array([part.learnable for part in parts])
        solver_K = np.array([isinstance(part.policy, Solver) for part in parts])
        # Sums of shares may be above one by a rounding.
        of_learnable_N = (shares_N_K @ learnable_K).clip(0, 1)
        of_solver_N = (shares_N_K @ solver_K).clip(0, 1)
        for row, learnable, direct in zip(rows, of_learnable_N, of_solver_N, strict=True):
            row |= {"share_learnable": float(learnable), "direct": float(direct)}


class MixtureEngine:
    """Draws the responses of mixtures as a generation engine draws a policy's."""

    def __init__(self, settings: Generation) -> None:
        self._settings = settings

    def load(self, policy: Path) -> None:
        """Take the mixture in a folder, in the place of the one before."""
        self._mixture = opened_mixture(policy, self._settings)
        self._tokens = Tokens(policy)

    def respond(
        self,
        prompts: Sequence[str],
        keys: Sequence[tuple[int, int]],
        *,
        sampling: Sampling,
        seed: int,
    ) -> list[Response]:
        """Draw one response a prompt; keys as in `Engine`.

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
        """Cut the rows into batches in their order."""
        rows, size = list(range(len(prompts))), self._settings.batch_size
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def loglikelihoods(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """Raise `InputError`: the parts answer prompts, and no questions of choices."""
        raise InputError(
            f"the mixture {self._mixture.name} scores no choices; evaluate it on what is sampled"
        )
