"""How noisy is the gradient of `level: response`, and which baseline is the least noisy?

    PYTHONPATH=workflow OMP_NUM_THREADS=1 python benchmarks/response_level.py --updates 32

The base of `make mini` is given two habits by SFT on its own responses and on the solver's, which
answers at once: half and half for the student, 15 of 16 for the expert, whose probabilities are
smoothed by 0.001. The student stays as it is; every baseline sees updates of 64 responses. For each
the variance of the gradient (the trace of its covariance, mean over tokens, TRL's term included),
as a ratio to the leave-one-out mean at each position over 8 responses a prompt; that of the second
term by itself; the size of a jackknife's standard error of the first ratio; and how far the mean
gradient is from that baseline's in units of its standard error: about 1 without bias.
"""

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from online_il.config.sampling import Sampling
from online_il.generation import decode
from online_il.models import load_model, load_tokenizer
from online_il.records import Prompts, read_table
from online_il.tasks import miniature
from online_il.tasks.countdown import Instance
from online_il.training.imitation import cost_to_go, usual_cost

MINI = Path(__file__).resolve().parents[1] / "results" / "mini"
PER_UPDATE, LONGEST, SMOOTHING = 64, 200, 0.001
Rows = list[tuple[list[int], list[int]]]


def padded(rows: Rows) -> tuple[Tensor, Tensor, int]:
    """Token ids (B, T), which of the responses' (B, C) are real, and the prompts' one length."""
    (start,) = {len(prompt) for prompt, _ in rows}
    ids = [torch.tensor(prompt + response) for prompt, response in rows]
    lengths_B = torch.tensor([len(response) for _, response in rows])
    ids_B_T = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
    return ids_B_T, torch.arange(ids_B_T.shape[1] - start) < lengths_B[:, None], start


def taught(base: Path, own: Rows, solved: Rows, share: float, seed: int) -> Any:
    """The base after 60 updates of SFT on 64 responses each, so many of them the solver's."""
    rng, model = random.Random(seed), load_model(base)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.0)
    for _ in range(60):
        rows = [rng.choice(solved if rng.random() < share else own) for _ in range(PER_UPDATE)]
        ids_B_T, mask_B_C, start = padded(rows)
        logps_B_C = model(ids_B_T[:, :-1]).logits[:, start - 1 :].log_softmax(-1)
        logps_B_C = logps_B_C.gather(-1, ids_B_T[:, start:, None])[..., 0]
        optimizer.zero_grad()
        (-logps_B_C[mask_B_C].mean()).backward()
        optimizer.step()
    return model.eval()


def sampled(model: Any, prompts: list[list[int]], per_prompt: int, seed: int) -> Rows:
    """Responses, `per_prompt` neighbours to each prompt."""
    asked = [prompt for prompt in prompts for _ in range(per_prompt)]
    responses = decode.generate(
        decode.decoder(model.state_dict(), model.config.to_dict()),
        asked,
        [(row, per_prompt) for row in range(len(asked))],
        sampling=Sampling(temperature=1.0, max_new_tokens=LONGEST),
        seed=seed,
        eos_token_id=model.config.eos_token_id,
    )
    return list(zip(asked, responses, strict=True))


def leave_one_out(values_B_C: Tensor, per_prompt: int) -> Tensor:
    """The mean over the other responses to a prompt; one that has ended counts with its zero."""
    groups_P_R_C = values_B_C.unflatten(0, (-1, per_prompt))
    others_P_R_C = groups_P_R_C.sum(1, keepdim=True) - groups_P_R_C
    return (others_P_R_C / (per_prompt - 1)).flatten(0, 1)


class Fit:
    """The cost to go beyond the leave-one-out mean, as a linear function of the student's state.

    Ridge regression on responses that are not those it is asked about: of the update's other half
    of prompts, or of all earlier updates (`earlier`; the student stands still here, so no training
    could fit better). Either leaves the mean of the gradient as it is.
    """

    def __init__(self, per_prompt: int, earlier: bool) -> None:
        self.per_prompt, self.earlier = per_prompt, earlier
        self.seen: list[tuple[Tensor, Tensor]] = []

    def __call__(self, after_B_C: Tensor, states_B_C_H: Tensor, mask_B_C: Tensor) -> Tensor:
        others_B_C = leave_one_out(after_B_C, self.per_prompt)
        beyond_B_C = after_B_C - others_B_C
        fold_B = torch.arange(len(after_B_C)) // self.per_prompt % 2
        x_B_C_F = torch.cat([states_B_C_H, torch.ones_like(after_B_C)[..., None]], -1).double()
        sums = []
        for fold in (0, 1):
            known_B_C = mask_B_C & (fold_B == fold)[:, None]
            x_N_F, beyond_N = x_B_C_F[known_B_C], beyond_B_C[known_B_C].double()
            sums.append((x_N_F.T @ x_N_F, x_N_F.T @ beyond_N))
        baseline_B_C = others_B_C.clone()
        for fold in (0, 1):
            known = self.seen if self.earlier else [sums[1 - fold]]
            if known:
                gram_F_F = sum(gram for gram, _ in known)
                ridge_F_F = 0.1 * gram_F_F.diagonal().mean() * torch.eye(len(gram_F_F))
                weights_F = torch.linalg.solve(gram_F_F + ridge_F_F, sum(xy for _, xy in known))
                rows_B = fold_B == fold
                baseline_B_C[rows_B] += (x_B_C_F[rows_B] @ weights_F).float()
        self.seen += sums
        return baseline_B_C


def others(per_prompt: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Leave-one-out as a baseline."""
    return lambda after_B_C, states_B_C_H, mask_B_C: leave_one_out(after_B_C, per_prompt)


def usual(per_prompt: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The baseline that training uses."""

    def baseline(after_B_C: Tensor, states_B_C_H: Tensor, mask_B_C: Tensor) -> Tensor:
        totals_2_C = torch.stack([(after_B_C * mask_B_C).sum(0), mask_B_C.float().sum(0)])
        return usual_cost(after_B_C, mask_B_C, per_prompt, totals_2_C)

    return baseline


Advantage = Callable[[Tensor, Tensor, Tensor], Tensor]


def less(baseline: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Advantage:
    """The cost to go less a baseline of (costs to go, states, mask)."""

    def advantage(costs_B_C: Tensor, states_B_C_H: Tensor, mask_B_C: Tensor) -> Tensor:
        after_B_C = cost_to_go(costs_B_C)
        return after_B_C - baseline(after_B_C, states_B_C_H, mask_B_C)

    return advantage


def normalised(costs_B_C: Tensor, states_B_C_H: Tensor, mask_B_C: Tensor) -> Tensor:
    """Leave-one-out, over the standard deviation of each prompt's costs (times their mean)."""
    spread_P = costs_B_C.sum(-1).view(-1, 8).std(1)
    after_B_C = cost_to_go(costs_B_C)
    scale_P = spread_P.mean() / (spread_P + 1e-4)
    return (after_B_C - leave_one_out(after_B_C, 8)) * scale_P.repeat_interleave(8)[:, None]


def discounted(gamma: float) -> Advantage:
    """Leave-one-out of costs that count less the later they come."""

    def advantage(costs_B_C: Tensor, states_B_C_H: Tensor, mask_B_C: Tensor) -> Tensor:
        after_B_C = torch.zeros_like(costs_B_C)
        for t in range(costs_B_C.shape[1] - 2, -1, -1):
            after_B_C[:, t] = costs_B_C[:, t + 1] + gamma * after_B_C[:, t + 1]
        return after_B_C - leave_one_out(after_B_C, 8)

    return advantage


REFERENCE = "leave-one-out, 8 a prompt"
ARMS: dict[str, tuple[int, Advantage]] = {
    "no baseline": (8, less(lambda after, states, mask: torch.zeros_like(after))),
    REFERENCE: (8, less(others(8))),
    "training's, 8 a prompt": (8, less(usual(8))),
    "fitted to other prompts, 8 a prompt": (8, less(Fit(8, earlier=False))),
    "fitted to earlier updates, 8 a prompt": (8, less(Fit(8, earlier=True))),
    "normalised by prompt": (8, normalised),
    "discount 0.98": (8, discounted(0.98)),
    "discount 0.9": (8, discounted(0.9)),
    "leave-one-out, 2 a prompt": (2, less(others(2))),
    "training's, 2 a prompt": (2, less(usual(2))),
    "leave-one-out, 4 a prompt": (4, less(others(4))),
    "training's, 4 a prompt": (4, less(usual(4))),
    "leave-one-out, 16 a prompt": (16, less(others(16))),
    "training's, 16 a prompt": (16, less(usual(16))),
}


def gradients(student: Any, expert: Any, rows: Rows, arms: list[str]) -> Tensor:
    """The gradients (A + 1, W) of an update: TRL's term, then each arm's second term by itself."""
    ids_B_T, mask_B_C, start = padded(rows)
    out = student(ids_B_T[:, :-1], output_hidden_states=True)
    logp_B_C_V = out.logits[:, start - 1 :].log_softmax(-1)
    with torch.no_grad():
        q_B_C_V = expert(ids_B_T[:, :-1]).logits[:, start - 1 :].softmax(-1)
    logq_B_C_V = ((1 - SMOOTHING) * q_B_C_V + SMOOTHING / q_B_C_V.shape[-1]).log()
    costs_B_C = (logp_B_C_V.exp() * (logp_B_C_V - logq_B_C_V)).sum(-1) * mask_B_C
    logp_B_C = logp_B_C_V.gather(-1, ids_B_T[:, start:, None])[..., 0]
    states_B_C_H = out.hidden_states[-1][:, start - 1 :].detach()
    losses = [costs_B_C]
    for arm in arms:
        advantage_B_C = ARMS[arm][1](costs_B_C.detach(), states_B_C_H, mask_B_C)
        losses.append(logp_B_C * advantage_B_C * mask_B_C)
    found, parameters = [], list(student.parameters())
    for loss_B_C in losses:
        parts = torch.autograd.grad(loss_B_C.sum() / mask_B_C.sum(), parameters, retain_graph=True)
        found.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(found)


def jackknife(made_U_W: Tensor, reference_U_W: Tensor) -> float:
    """Standard error of a ratio of variances, updates left out one at a time."""
    squares_2_U = torch.stack([(m - m.mean(0)).square().sum(-1) for m in (made_U_W, reference_U_W)])
    ratios_U = (squares_2_U[0].sum() - squares_2_U[0]) / (squares_2_U[1].sum() - squares_2_U[1])
    n = len(ratios_U)
    return float(((n - 1) * ratios_U.var(correction=0)).sqrt())


def main() -> None:
    found = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    base = MINI / "runs/countdown/base/seed1/checkpoints/step0"
    prompts = MINI / "data/countdown/prompts.parquet"
    found.add_argument("--base", type=Path, default=base, help="policy that searches")
    found.add_argument("--prompts", type=Path, default=prompts, help="table of prompts")
    found.add_argument("--updates", type=int, default=32, help="updates of 64 responses")
    found.add_argument("--seed", type=int, default=0, help="seed of teaching and samples")
    options = found.parse_args()
    rng = random.Random(options.seed)
    tokenizer, table = load_tokenizer(options.base), read_table(options.prompts, Prompts)
    table = table[table["split"] == "train"].sample(frac=1, random_state=options.seed)
    prompt_ids = tokenizer(list(table["text"]))["input_ids"]
    own = sampled(load_model(options.base).eval(), prompt_ids[:1024], 1, options.seed)
    solved = [
        (ids, tokenizer.encode(miniature.solver_response(rng, Instance(**json.loads(answer)))))
        for ids, answer in zip(prompt_ids[:1024], table["answer"], strict=False)
    ]
    student = taught(options.base, own, solved, 1 / 2, options.seed)
    expert = taught(options.base, own, solved, 15 / 16, options.seed + 1)
    first: dict[str, Tensor] = {}
    second: dict[str, Tensor] = {}
    for per_prompt in sorted({n for n, _ in ARMS.values()}):
        arms = [name for name, (n, _) in ARMS.items() if n == per_prompt]
        n_prompts = PER_UPDATE // per_prompt
        made = []
        for update in range(options.updates):
            asked = rng.sample(prompt_ids, n_prompts)
            rows = sampled(student, asked, per_prompt, options.seed + update)
            made.append(gradients(student, expert, rows, arms))
        made_U_A_W = torch.stack(made)
        first |= dict.fromkeys(arms, made_U_A_W[:, 0])
        second |= {name: made_U_A_W[:, place + 1] for place, name in enumerate(arms)}
    lengths = torch.tensor([float(len(response)) for _, response in rows])
    print(f"{lengths.mean():.0f} tokens a response, {(lengths < 20).float().mean():.2f} at once")
    shown = Table("baseline", "variance", "its error", "of the second term", "mean off by")
    reference_U_W = first[REFERENCE] + second[REFERENCE]
    for name in ARMS:
        made_U_W = first[name] + second[name]
        # The same responses: the difference alone is noisy.
        paired = ARMS[name][0] == ARMS[REFERENCE][0]
        noise = (
            (made_U_W - reference_U_W).var(0) if paired else made_U_W.var(0) + reference_U_W.var(0)
        )
        off = (made_U_W - reference_U_W).mean(0).norm() / (noise.sum() / options.updates).sqrt()
        shown.add_row(
            name,
            f"{made_U_W.var(0).sum() / reference_U_W.var(0).sum():.2f}",
            f"{jackknife(made_U_W, reference_U_W):.2f}",
            f"{second[name].var(0).sum() / second[REFERENCE].var(0).sum():.2f}",
            f"{off:.1f}",
        )
    shown.add_row(
        "tokens alone", f"{first[REFERENCE].var(0).sum() / reference_U_W.var(0).sum():.2f}"
    )
    Console(width=100).print(shown)
    means = [first[REFERENCE].mean(0), second[REFERENCE].mean(0)]
    cosine = torch.nn.functional.cosine_similarity(*means, dim=0)
    print(
        f"mean gradient: first term {means[0].norm():.3f}, second {means[1].norm():.3f}, ", end=""
    )
    print(f"cosine {cosine:.2f}")


if __name__ == "__main__":
    main()
