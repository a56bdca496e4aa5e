"""What TRL's `DistillationTrainer` lacks: the expert's prefixes, and the price of what comes later.

It also lacks experts that are no single model, which give log-probabilities and have no output
matrix to project hidden states with (`GivenProbabilities`).

TRL's loss is the mean, over the response tokens of an update, of the KL between the student's and
the expert's next-token distributions. Its gradient leaves out that a token decides which states
follow. With `level: response` the gradient is that of the sequences' KL (paper, Equation 5): with
k_t the KL at position t of a response y of the student pi,

    grad KL(pi || expert) = E_y [ sum_t grad k_t + sum_t grad log pi(y_t) sum_{t' > t} k_t' ].

TRL computes the first term and `WholeResponses` adds the second, each over the number of response
tokens of the update. The logged loss stays TRL's: the second term adds to the gradient alone.
"""

from typing import Any

import torch
import trl.trainer.utils
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from trl.kernels.chunked_divergence import ChunkedDivergenceFunction
from trl.kernels.chunked_logprob import ChunkedLogProbFunction

from online_il.config.imitation import Divergence
from online_il.errors import InputError
from online_il.training.rollouts import Batch, cut_by_length

# Settings of exotic heads, which change logits after the last product.
HEADS = (
    "logit_scale",
    "output_multiplier",
    "lm_head_multiplier",
    "logits_scaling",
    "final_logit_softcapping",
)

NEIGHBOURS = 4
"""As so many responses to its own prompt the update's other prompts count in a baseline."""


ROWS_AT_ONCE = 256
"""Positions whose probabilities of all tokens are compared at once with given ones."""


def cost_to_go(costs_B_C: Tensor) -> Tensor:
    """What a response (B, C) still costs after each of its tokens, that token's own left out.

    Positions beyond a response's end must cost nothing.
    """
    return costs_B_C.flip(-1).cumsum(-1).flip(-1) - costs_B_C


def usual_cost(after_B_C: Tensor, mask_B_C: Tensor, per_prompt: int, totals_2_C: Tensor) -> Tensor:
    """What other responses still cost after each position (B, C): the baseline of `after_B_C`.

    The mean over the same prompt's other responses that have a token there (`mask_B_C`), pulled
    towards that of the update's other prompts as by `NEIGHBOURS` responses more. The responses to a
    prompt are `per_prompt` neighbours; `totals_2_C` are the costs and the number of responses at
    each position, of the whole update. No response decides its own baseline, which so leaves the
    mean of the gradient as it is; benchmarks/response_level.py measures its variance.
    """
    groups_2_P_R_C = torch.stack([after_B_C * mask_B_C, mask_B_C.float()]).unflatten(
        1, (-1, per_prompt)
    )
    prompts_2_P_1_C = groups_2_P_R_C.sum(2, keepdim=True)
    cost_B_C, running_B_C = (prompts_2_P_1_C - groups_2_P_R_C).flatten(1, 2)
    far_2_P_1_C = totals_2_C[:, None, None] - prompts_2_P_1_C
    far_cost_B_C, far_running_B_C = far_2_P_1_C.expand_as(groups_2_P_R_C).flatten(1, 2)
    weight_B_C = far_running_B_C.clamp(max=NEIGHBOURS)
    cost_B_C = cost_B_C + weight_B_C * far_cost_B_C / far_running_B_C.clamp(min=1)
    return cost_B_C / (running_B_C + weight_B_C).clamp(min=1)


def whole(parameter: Tensor | None) -> Tensor | None:
    """A parameter that FSDP has spread over devices, in one piece."""
    if isinstance(parameter, torch.distributed.tensor.DTensor):
        return parameter.full_tensor()
    return parameter


def check_head(model: Any) -> None:
    """Raises `InputError` for a model whose logits are more than its head's product."""
    config = model.config.get_text_config()
    named = [name for name in HEADS if getattr(config, name, None) not in (None, 1, 1.0)]
    if named:
        raise InputError(
            f"{config.model_type}: its config has {named[0]}, which level response and divergences "
            "log-density and constant do not know; set divergence to reverse and level to token"
        )


def given_divergence(
    hidden_N_H: Tensor, head: torch.nn.Linear, logp_N_V: Tensor, beta: float, temperature: float
) -> tuple[Tensor, Tensor]:
    """KL to an expert's log-probabilities (N), nats, and the student's entropy (N).

    What `ChunkedDivergenceFunction` computes, with the probabilities of both held in full for
    `ROWS_AT_ONCE` positions. `beta` 0 is the forward KL, 1 the reverse one.
    """

    def compare(hidden_R_H: Tensor, theirs_R_V: Tensor) -> tuple[Tensor, Tensor]:
        # Single precision, as TRL has it: rounded logits would be another policy's.
        with torch.autocast(hidden_R_H.device.type, enabled=False):
            logits_R_V = F.linear(hidden_R_H.float(), weight_V_H, bias_V)
            ours_R_V = (logits_R_V / temperature).log_softmax(-1)
            theirs_R_V = (theirs_R_V.float() / temperature).log_softmax(-1)
            gap_R_V = ours_R_V - theirs_R_V
            weights_R_V = ours_R_V.exp() if beta else -theirs_R_V.exp()
            entropy_R = -(ours_R_V.detach().exp() * ours_R_V.detach()).sum(-1)
            return (weights_R_V * gap_R_V).sum(-1), entropy_R

    weight, bias = whole(head.weight), whole(head.bias)
    assert weight is not None
    weight_V_H, bias_V = weight.float(), None if bias is None else bias.float()
    pieces = [
        checkpoint(compare, hidden_R_H, theirs_R_V, use_reentrant=False)
        for hidden_R_H, theirs_R_V in zip(
            hidden_N_H.split(ROWS_AT_ONCE), logp_N_V.split(ROWS_AT_ONCE), strict=True
        )
    ]
    kl_N, entropy_N = map(torch.cat, zip(*pieces, strict=True))
    return kl_N, entropy_N


class GivenProbabilities:
    """Mixin for `DistillationTrainer`: an expert without an output matrix gives log-probabilities.

    What stands for its hidden states are they themselves (`online_il.experts.teacher`).
    """

    def _compute_loss(self, student: Any, inputs: Batch, n_tokens: Any) -> Any:
        teacher = self.accelerator.unwrap_model(self.teacher_model)  # type: ignore[attr-defined]
        if teacher.get_output_embeddings() is not None:
            return super()._compute_loss(student, inputs, n_tokens)  # type: ignore[misc]
        ours_B_C_H, theirs_B_C_V = self._both_states(student, teacher, inputs)
        mask_B_C = inputs["completion_mask"].bool()
        kl_N, entropy_N = given_divergence(
            ours_B_C_H[mask_B_C],
            student.get_output_embeddings(),
            theirs_B_C_V[mask_B_C],
            self.beta,  # type: ignore[attr-defined]
            self.temperature,  # type: ignore[attr-defined]
        )
        count = mask_B_C.sum()
        loss = kl_N.sum() / (count.clamp(min=1) if n_tokens is None else n_tokens)
        return loss, entropy_N.sum(), count

    def _both_states(self, student: Any, teacher: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """Hidden states (B, C, H) of the student and what the teacher has for them."""
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
        attended = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
        width = batch["completion_ids"].shape[1]
        ours_B_C_H = self._get_last_hidden_state(student, ids, attended, width)  # type: ignore[attr-defined]
        with torch.no_grad():
            theirs = self._forward_redirection(  # type: ignore[attr-defined]
                self.teacher_model,  # type: ignore[attr-defined]
                teacher,
                self._get_last_hidden_state,  # type: ignore[attr-defined]
                teacher,
                ids,
                attended,
                width,
            )
        return ours_B_C_H, theirs


class ExpertPrefixes:
    """Mixin for `DistillationTrainer`: responses are the expert's, column `response` of the rows.

    The loss compares the two next-token distributions on them, as on the student's own.
    """

    _demonstrations: list[list[int]]

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> Batch:
        self._demonstrations = [row["response"] for row in inputs]
        return super()._generate_and_score_completions(inputs)  # type: ignore[misc]

    def _generate_single_turn(self, *_: Any, **__: Any) -> list[list[int]]:
        return self._demonstrations


class WholeResponses:
    """Mixin for `DistillationTrainer`: a term sum_t grad log pi(y_t) A_t beside TRL's, or alone.

    By `divergence`: `reverse`, A_t is the KL still to come after token t less its baseline.
    `log-density` (Definition 3 with f = log): the student's entropy is added to each k_t, which
    leaves the expert's cross-entropy -E log expert(y). `constant`: A_t = 1 and nothing of TRL's
    loss, a control that knows no expert.
    """

    divergence: Divergence = "reverse"
    responses_per_prompt = 2

    _hidden_B_C_H: Tensor

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> Batch:
        batch: Batch = super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        batch["ahead"] = self._ahead(batch)
        return batch

    def _ahead(self, batch: Batch) -> Tensor:
        """A_t (B, C) of responses, those to one prompt being neighbours."""
        mask_B_C = batch["completion_mask"]
        if self.divergence == "constant":
            return mask_B_C.float()
        after_B_C = cost_to_go(self._costs(batch))
        # The processes' responses are not equally long.
        totals_2_L = after_B_C.new_zeros(2, self.max_completion_length)  # type: ignore[attr-defined]
        totals_2_L[0, : after_B_C.shape[1]] = (after_B_C * mask_B_C).sum(0)
        totals_2_L[1, : after_B_C.shape[1]] = mask_B_C.sum(0)
        totals_2_L = self.accelerator.reduce(totals_2_L, reduction="sum")  # type: ignore[attr-defined]
        totals_2_C = totals_2_L[:, : after_B_C.shape[1]]
        usual_B_C = usual_cost(after_B_C, mask_B_C, self.responses_per_prompt, totals_2_C)
        return (after_B_C - usual_B_C) * mask_B_C

    def _costs(self, batch: Batch) -> Tensor:
        """k_t (B, C) of all responses that wait for the update, in as many passes as its losses."""
        costs_B_C = torch.zeros_like(batch["completion_mask"], dtype=torch.float32)
        student = self.accelerator.unwrap_model(self.model)  # type: ignore[attr-defined]
        for rows, cut in cut_by_length(batch, self.args.gradient_accumulation_steps):  # type: ignore[attr-defined]
            with torch.no_grad(), self.compute_loss_context_manager():  # type: ignore[attr-defined]
                found = self._forward_redirection(  # type: ignore[attr-defined]
                    self.model_wrapped,  # type: ignore[attr-defined]
                    student,
                    self._costs_of,
                    student,
                    cut,
                )
            costs_B_C[rows, : found.shape[1]] = found
        return costs_B_C

    def _costs_of(self, student: Any, batch: Batch) -> Tensor:
        mask_B_C = batch["completion_mask"].bool()
        teacher = self.accelerator.unwrap_model(self.teacher_model)  # type: ignore[attr-defined]
        ours_B_C_H, theirs_B_C_H = self._both_states(student, teacher, batch)  # type: ignore[attr-defined]
        ours, theirs = student.get_output_embeddings(), teacher.get_output_embeddings()
        if theirs is None:
            kl_N, entropy_N = given_divergence(
                ours_B_C_H[mask_B_C],
                ours,
                theirs_B_C_H[mask_B_C],
                1.0,
                self.temperature,  # type: ignore[attr-defined]
            )
        else:
            kl_N, entropy_N = ChunkedDivergenceFunction.apply(
                ours_B_C_H[mask_B_C],
                whole(ours.weight),
                whole(ours.bias),
                theirs_B_C_H[mask_B_C],
                whole(theirs.weight),
                whole(theirs.bias),
                1.0,
                self.temperature,  # type: ignore[attr-defined]
            )
        costs_B_C = torch.zeros_like(mask_B_C, dtype=torch.float32)
        costs_B_C[mask_B_C] = kl_N + entropy_N if self.divergence == "log-density" else kl_N
        return costs_B_C

    def _get_last_hidden_state(self, *args: Any, **options: Any) -> Tensor:
        hidden_B_C_H: Tensor = super()._get_last_hidden_state(*args, **options)  # type: ignore[misc]
        if torch.is_grad_enabled():  # The student's; the expert is asked without gradients.
            self._hidden_B_C_H = hidden_B_C_H
        return hidden_B_C_H

    def _compute_loss(self, student: Any, inputs: Batch, n_tokens: Any) -> Any:
        loss, *logged = super()._compute_loss(student, inputs, n_tokens)  # type: ignore[misc]
        mask_B_C = inputs["completion_mask"].bool()
        head = student.get_output_embeddings()
        logps_N, entropy_N, *_ = ChunkedLogProbFunction.apply(
            self._hidden_B_C_H[mask_B_C],
            whole(head.weight),
            whole(head.bias),
            inputs["completion_ids"][mask_B_C],
            self.temperature,  # type: ignore[attr-defined]
            trl.trainer.utils._CHUNKED_LOGPROB_CHUNK_SIZE,
            None,
            1.0,
            ("entropy",),
        )
        term = (logps_N * inputs["ahead"][mask_B_C]).sum()
        if self.divergence == "log-density":
            term = term + entropy_N.sum()
        if self.divergence == "constant":
            loss = loss.detach()
        return loss + (term - term.detach()) / n_tokens, *logged
