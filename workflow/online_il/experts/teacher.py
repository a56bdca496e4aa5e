"""A policy as the `teacher_model` of TRL's `DistillationTrainer`.

TRL 1.16 never asks a teacher for logits: it takes the hidden states of the teacher's `base_model`
and projects them with its output embeddings, a piece of the vocabulary at a time. Here the "hidden
states" are the policy's log-probabilities and the projection is the identity, so that what TRL
compares with the student is the policy exactly. The identity has V * V numbers: for vocabularies
of a few thousand tokens, such as the miniature's, that costs nothing. Policies of larger ones have
none, and our own loss compares their log-probabilities (`online_il.training.imitation`). So it does
where training computes in bfloat16, to which TRL would round them: 5.54 nats are then 5.53 or 5.56.
"""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig

from online_il.config.mixture import LARGEST_VOCABULARY
from online_il.errors import InputError
from online_il.experts.policy import Batch, Policy


class Teacher(nn.Module):
    """A `Policy` without weights of its own to train, in the shape that TRL asks of a model.

    `single` says whether training computes in single precision.
    """

    def __init__(self, policy: Policy, *, single: bool = True) -> None:
        super().__init__()
        self.config = PretrainedConfig(vocab_size=policy.width)
        self._policy = policy
        self._identity: nn.Linear | None = None
        if single and policy.width <= LARGEST_VOCABULARY:
            self._identity = nn.Linear(policy.width, policy.width, bias=False)
            self._identity.weight = nn.Parameter(torch.eye(policy.width), requires_grad=False)

    @property
    def base_model(self) -> Any:
        """What TRL calls for hidden states: here for log-probabilities."""
        return self._states

    def get_output_embeddings(self) -> nn.Linear | None:
        """The identity, which leaves log-probabilities as they are; None for a large vocabulary."""
        return self._identity

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, logits_to_keep: int, **options: Any
    ) -> SimpleNamespace:
        """Give `logits`: log-probabilities (B, K, V) at the last `logits_to_keep` positions."""
        states = self._states(input_ids, attention_mask, logits_to_keep, **options)
        return SimpleNamespace(logits=states.last_hidden_state)

    @torch.no_grad()
    def _states(
        self, input_ids: Tensor, attention_mask: Tensor, logits_to_keep: int, **_: Any
    ) -> SimpleNamespace:
        """Log-probabilities (B, K, V) at the last K positions, the first K - 1 of them in use.

        As for any language model the row at a position is about the token after it. After the last
        token nothing is asked: zeros stand there.
        """
        start = input_ids.shape[1] - logits_to_keep + 1
        batch = Batch(
            input_ids[:, :start],
            attention_mask[:, :start],
            input_ids[:, start:],
            attention_mask[:, start:],
        )
        # The student's arithmetic is not the expert's, whose probabilities are added up here.
        with torch.autocast("cpu", enabled=False):
            logp_B_C_V = self._policy.logp(batch)
        if not logp_B_C_V.isfinite().all():
            raise InputError(
                "the expert gives some token no probability, and a divergence from it is "
                "infinite; imitate an expert whose probabilities are all above zero"
            )
        last_B_1_V = torch.zeros_like(logp_B_C_V[:, :1])
        return SimpleNamespace(last_hidden_state=torch.cat((logp_B_C_V, last_B_1_V), dim=1))
