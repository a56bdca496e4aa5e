"""How noisy is the gradient of `level: response`, and which baseline is the least noisy?

    PYTHONPATH=workflow OMP_NUM_THREADS=1 python benchmarks/response_level.py --updates 200

A small language with two habits: answer at once, or try digits until one is ok (4 to 60 tokens). The
student was taught both habits half and half, the expert answers at once 15 times of 16; both are
transformers of hidden size 32. All baselines see the same responses: updates of 64, the student as
it is. For each: the variance of the gradient (the trace of its covariance, local term included),
as a ratio to the leave-one-out mean at each position over 8 responses a prompt, and how far the
mean gradient is from an unbiased one's in units of its standard error: about 1 without bias.
"""

import argparse
import random
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from online_il.config.sampling import Sampling
from online_il.config.training import Architecture
from online_il.generation import decode
from online_il.models import new_model, word_tokenizer
from online_il.training.imitation import cost_to_go, leave_one_out

WORDS = ("<pad>", "<bos>", "<eos>", *(str(digit) for digit in range(10)), "try", "no", "ok", "=")
SHAPE = Architecture(hidden_size=32, intermediate_size=64, layers=2, heads=2, head_dim=16)
LONGEST, PER_UPDATE = 120, 64
SMOOTHING = 0.001  # As of the solver; without it a few tokens that the expert never says are all.
ID = {word: index for index, word in enumerate(WORDS)}


def response(numbers: list[int], direct: bool, rng: random.Random) -> list[str]:
    """A response to two digits: their sum's last digit, at once or after trying some."""
    answer = str(sum(numbers) % 10)
    words: list[str] = []
    while not direct:
        guess = rng.randrange(10) if rng.random() < 0.97 else int(answer)
        words += ["try", str(guess), "ok" if str(guess) == answer else "no"]
        if str(guess) == answer or len(words) > LONGEST - 6:
            break
    return [*words, "=", answer, "<eos>"]


def taught(direct: float, seed: int, updates: int) -> Any:
    """A transformer that has seen so many batches of the language, `direct` of it at once."""
    rng = random.Random(seed)
    model = new_model(SHAPE, word_tokenizer(WORDS), max_length=LONGEST + 8, seed=seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(updates):
        rows = []
        for _ in range(64):
            numbers = [rng.randrange(10), rng.randrange(10)]
            said = response(numbers, rng.random() < direct, rng)
            rows.append([ID[w] for w in ("<bos>", *map(str, numbers), *said)])
        ids_B_T = torch.nn.utils.rnn.pad_sequence([torch.tensor(r) for r in rows], True)
        labels_B_T = ids_B_T.masked_fill(ids_B_T == 0, -100)
        labels_B_T[:, :3] = -100
        loss = model(ids_B_T, labels=labels_B_T).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def fitted(states_B_C_H: Tensor, after_B_C: Tensor, mask_B_C: Tensor, per_prompt: int) -> Tensor:
    """The cost to go as a linear function of the student's state, of other prompts' responses.

    Ridge regression in two folds of prompts: a fold is predicted from the other, so that no
    response decides its own baseline. The leave-one-out mean is one of the features.
    """
    n_rows, width, _ = states_B_C_H.shape
    others_B_C = leave_one_out(after_B_C, per_prompt)
    ones_B_C = torch.ones_like(after_B_C)
    x_B_C_F = torch.cat([states_B_C_H, others_B_C[..., None], ones_B_C[..., None]], dim=-1)
    fold_B = torch.arange(n_rows) // per_prompt % 2
    baseline_B_C = torch.zeros(n_rows, width)
    for fold in (0, 1):
        known_B_C = mask_B_C & (fold_B != fold)[:, None]
        x_N_F = x_B_C_F[known_B_C].double()
        gram_F_F = x_N_F.T @ x_N_F + torch.eye(x_N_F.shape[1])
        weights_F = torch.linalg.solve(gram_F_F, x_N_F.T @ after_B_C[known_B_C].double())
        baseline_B_C[fold_B == fold] = (x_B_C_F[fold_B == fold].double() @ weights_F).float()
    return baseline_B_C


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
    "mean of the update": (
        8,
        less(lambda after, states, mask: leave_one_out(after, after.shape[0])),
    ),
    "leave-one-out, 4 a prompt": (4, less(lambda after, states, mask: leave_one_out(after, 4))),
    REFERENCE: (8, less(lambda after, states, mask: leave_one_out(after, 8))),
    "leave-one-out, 16 a prompt": (16, less(lambda after, states, mask: leave_one_out(after, 16))),
    "leave-one-out, 32 a prompt": (32, less(lambda after, states, mask: leave_one_out(after, 32))),
    "fitted, 2 a prompt": (2, less(lambda after, states, mask: fitted(states, after, mask, 2))),
    "fitted, 4 a prompt": (4, less(lambda after, states, mask: fitted(states, after, mask, 4))),
    "fitted, 8 a prompt": (8, less(lambda after, states, mask: fitted(states, after, mask, 8))),
    "normalised by prompt": (8, normalised),
    "discount 0.98": (8, discounted(0.98)),
    "discount 0.9": (8, discounted(0.9)),
}


def gradients(student: Any, expert: Any, rows: list[list[int]], arms: list[str]) -> Tensor:
    """The gradients (A + 1, W) of an update's responses (each after a prompt of three tokens).

    First TRL's term, then each arm's second term by itself.
    """
    ids_B_T = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], True)
    mask_B_C = ids_B_T[:, 3:] != 0
    out = student(ids_B_T[:, :-1], output_hidden_states=True)
    logp_B_C_V = out.logits[:, 2:].log_softmax(-1)
    with torch.no_grad():
        q_B_C_V = expert(ids_B_T[:, :-1]).logits[:, 2:].softmax(-1)
    logq_B_C_V = ((1 - SMOOTHING) * q_B_C_V + SMOOTHING / len(WORDS)).log()
    costs_B_C = (logp_B_C_V.exp() * (logp_B_C_V - logq_B_C_V)).sum(-1) * mask_B_C
    logp_B_C = logp_B_C_V.gather(-1, ids_B_T[:, 3:, None])[..., 0]
    states_B_C_H = out.hidden_states[-1][:, 2:].detach()
    parameters = list(student.parameters())
    losses = [costs_B_C]
    for arm in arms:
        advantage_B_C = ARMS[arm][1](costs_B_C.detach(), states_B_C_H, mask_B_C)
        losses.append(logp_B_C * advantage_B_C * mask_B_C)
    found = []
    for loss_B_C in losses:
        loss = loss_B_C.sum() / len(rows)
        parts = torch.autograd.grad(loss, parameters, retain_graph=True)
        found.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(found)


def sampled(student: Any, updates: int, per_prompt: int, seed: int) -> list[list[list[int]]]:
    """Updates of 64 responses, `per_prompt` neighbours to one prompt, prompts before them."""
    rng = random.Random(seed)
    n = updates * PER_UPDATE // per_prompt
    prompts = [[1, 3 + rng.randrange(10), 3 + rng.randrange(10)] for _ in range(n)]
    asked = [prompt for prompt in prompts for _ in range(per_prompt)]
    responses = decode.generate(
        decode.decoder(student.state_dict(), student.config.to_dict()),
        asked,
        [(row, per_prompt) for row in range(len(asked))],
        sampling=Sampling(temperature=1.0, max_new_tokens=LONGEST),
        seed=seed,
        eos_token_id=2,
    )
    whole = [prompt + said for prompt, said in zip(asked, responses, strict=True)]
    return [whole[u * PER_UPDATE : (u + 1) * PER_UPDATE] for u in range(updates)]


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--updates", type=int, default=200, help="updates of 64 responses")
    arguments.add_argument("--seed", type=int, default=0, help="seed of models and samples")
    options = arguments.parse_args()
    student, expert = taught(0.2, options.seed, 250), taught(0.5, options.seed + 1, 250)
    first: dict[str, Tensor] = {}
    second: dict[str, Tensor] = {}
    for per_prompt in sorted({n for n, _ in ARMS.values()}):
        arms = [name for name, (n, _) in ARMS.items() if n == per_prompt]
        updates = sampled(student, options.updates, per_prompt, options.seed)
        made_U_A_W = torch.stack([gradients(student, expert, rows, arms) for rows in updates])
        first |= dict.fromkeys(arms, made_U_A_W[:, 0])
        second |= {name: made_U_A_W[:, place + 1] for place, name in enumerate(arms)}
        lengths = torch.tensor([len(row) - 3.0 for rows in updates for row in rows])
        print(f"{per_prompt} a prompt: {lengths.mean():.1f} tokens, ", end="")
        print(f"{(lengths < 5).float().mean():.2f} at once")
    table = Table("baseline", "variance", "of the second term", "mean off by")
    reference_U_W = first[REFERENCE] + second[REFERENCE]
    for name in ARMS:
        made_U_W = first[name] + second[name]
        # The same responses: the difference alone is noisy.
        paired = ARMS[name][0] == ARMS[REFERENCE][0]
        noise = (
            (made_U_W - reference_U_W).var(0) if paired else made_U_W.var(0) + reference_U_W.var(0)
        )
        off = (made_U_W - reference_U_W).mean(0).norm() / (noise.sum() / options.updates).sqrt()
        table.add_row(
            name,
            f"{made_U_W.var(0).sum() / reference_U_W.var(0).sum():.2f}",
            f"{second[name].var(0).sum() / second[REFERENCE].var(0).sum():.2f}",
            f"{off:.1f}",
        )
    table.add_row(
        "tokens alone", f"{first[REFERENCE].var(0).sum() / reference_U_W.var(0).sum():.2f}"
    )
    Console(width=100).print(table)
    means = [first[REFERENCE].mean(0), second["fitted, 8 a prompt"].mean(0)]
    cosine = torch.nn.functional.cosine_similarity(*means, dim=0)
    print(
        f"mean gradient: first term {means[0].norm():.3f}, second {means[1].norm():.3f}, ", end=""
    )
    print(f"cosine {cosine:.2f}")


if __name__ == "__main__":
    main()
