"""A mixture of policies over whole responses, with exact next-token probabilities.

pi(y | x) = sum_k w_k pi_k(y | x): a response is written by one part from its first token to its
last. Its next-token probabilities are the parts', weighted by the posterior of the parts given the
prefix,

    pi(v | x, y_<t) = sum_k p(k | x, y_<t) pi_k(v | x, y_<t),
    p(k | x, y_<t) proportional to w_k pi_k(y_<t | x),

all in log space. The parts are policies with weights of their own; nothing is estimated.

Letters in the names: K parts, and those of `experts.policy`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from online_il.config.mixture import TOLERANCE
from online_il.errors import InputError
from online_il.experts.policy import Batch, Ids, Key, Policy, own_numbers, token_logp
from online_il.experts.solver import Solver

PART_STREAM = 1
"""Names the random number that chooses a response's part."""


class Part(NamedTuple):
    """One policy of a mixture."""

    name: str
    policy: Policy
    weight: float
    learnable: bool
    """Whether the student's class can represent it."""


class Mixture:
    """A `Policy` that is a mixture of others.

    Raises `InputError` for no part, for weights that are not above zero or do not sum to one, and
    for parts of different vocabularies' widths.
    """

    def __init__(self, name: str, parts: Sequence[Part]) -> None:
        if not parts:
            raise InputError(f"the mixture {name} has no part; give it one or more")
        for part in parts:
            if not part.weight > 0:
                raise InputError(
                    f"the mixture {name}: the weight of {part.name} is {part.weight:g}; give it "
                    "one above 0, or leave the part out"
                )
        total = math.fsum(part.weight for part in parts)
        if not abs(total - 1) <= TOLERANCE:
            weights = " + ".join(f"{part.weight:g}" for part in parts)
            raise InputError(
                f"the mixture {name}: its weights sum to {total:.9g} ({weights}); let them sum to 1"
            )
        for part in parts:
            if part.policy.width != parts[0].policy.width:
                raise InputError(
                    f"the mixture {name}: the logits of {parts[0].name} are "
                    f"{parts[0].policy.width} wide and those of {part.name} "
                    f"{part.policy.width}; mix policies of one vocabulary"
                )
        self.name, self.parts = name, tuple(parts)
        self.width = parts[0].policy.width
        self._weight_K = torch.tensor([part.weight / total for part in parts], dtype=torch.double)

    @property
    def coverage(self) -> float:
        """C = sup pi*(y | x) / pi(y | x) (paper, Section 3.2) for pi* a learnable part.

        One over the largest weight of a learnable part; infinite without any. It is exact where the
        other parts give some of that part's responses nothing, and else an upper bound.
        """
        learnable = [part.weight for part in self.parts if part.learnable]
        return 1 / max(learnable) if learnable else math.inf

    def logp(self, batch: Batch) -> Tensor:
        """Log-probabilities (B, C, V) of every next token, as in `Policy`.

        A prefix that no part can write has no posterior: there the weights stand for it.
        """
        logps = self._parts_logp(batch)
        posterior_K_B_C1 = self._posterior(logps, batch)
        mixed_B_C_V: Tensor | None = None
        for posterior_B_C1, logp_B_C_V in zip(posterior_K_B_C1, logps, strict=True):
            term_B_C_V = logp_B_C_V + posterior_B_C1[:, :-1, None].to(logp_B_C_V.dtype)
            mixed_B_C_V = (
                term_B_C_V if mixed_B_C_V is None else torch.logaddexp(mixed_B_C_V, term_B_C_V)
            )
        assert mixed_B_C_V is not None
        return mixed_B_C_V

    def shares(self, batch: Batch) -> Tensor:
        """Posterior (B, K) of the parts given each whole response; a row sums to one."""
        return self._posterior(self._parts_logp(batch), batch)[..., -1].exp().T

    def respond(
        self, contexts: Sequence[Ids], keys: Sequence[Key], *, max_new_tokens: int, seed: int
    ) -> list[list[int]]:
        """Draw responses, as in `Policy`: each from one part, chosen by the weights.

        So a context is a prompt without a response's beginning, for which the posterior would
        choose. A part's rows are those that it would draw by itself with this seed.
        """
        bounds_K = self._weight_K.cumsum(0)
        drawn = [own_numbers(seed, key, PART_STREAM).random() for key in keys]
        last = len(self.parts) - 1
        chosen = [
            min(place, last)
            for place in torch.searchsorted(
                bounds_K, torch.tensor(drawn, dtype=torch.double), right=True
            ).tolist()
        ]
        responses: list[list[int]] = [[] for _ in contexts]
        for number, part in enumerate(self.parts):
            rows = [row for row, choice in enumerate(chosen) if choice == number]
            if rows:
                own = part.policy.respond(
                    [contexts[row] for row in rows],
                    [keys[row] for row in rows],
                    max_new_tokens=max_new_tokens,
                    seed=seed,
                )
                for row, response in zip(rows, own, strict=True):
                    responses[row] = response
        return responses

    def _parts_logp(self, batch: Batch) -> list[Tensor]:
        """Log-probabilities (B, C, V) of each part; a policy that serves twice is asked once."""
        policies = [part.policy for part in self.parts]
        asked = [p.fallback if isinstance(p, Solver) else p for p in policies]
        known = {id(policy): policy.logp(batch) for policy in dict.fromkeys(asked)}
        return [
            policy.over(known[id(source)], batch)
            if isinstance(policy, Solver)
            else known[id(source)]
            for policy, source in zip(policies, asked, strict=True)
        ]

    def _posterior(self, logps: Sequence[Tensor], batch: Batch) -> Tensor:
        """Log-posterior (K, B, C + 1) of the parts before each token and after the last."""
        seen_K_B_C = torch.stack([token_logp(logp, batch) for logp in logps]).cumsum(-1)
        prior_K_1_1 = self._weight_K.log()[:, None, None].to(seen_K_B_C.device)
        nothing_K_B_1 = torch.zeros_like(seen_K_B_C[..., :1])
        joint_K_B_C1 = prior_K_1_1 + torch.cat((nothing_K_B_1, seen_K_B_C), dim=-1)
        total_B_C1 = joint_K_B_C1.logsumexp(0)
        # Where no part can write the prefix, minus infinity less minus infinity is no number.
        return torch.where(total_B_C1.isneginf(), prior_K_1_1, joint_K_B_C1 - total_B_C1)
