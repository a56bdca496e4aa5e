"""The gradient of whole responses against the gradient of the sequences' KL, written out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from imitation_language import (
    PREFIXES,
    RESPONSES,
    STEPS,
    log_probability,
    sequence_kl,
    states,
    table,
)

from online_il.config.distill import Distill
from online_il.config.imitation import misfit
from online_il.training import imitation
from online_il.training.imitation import cost_to_go, given_divergence, usual_cost


def test_the_language_is_one_distribution():
    assert len(RESPONSES) == 15 and len(PREFIXES) == 7
    total = sum(log_probability(table(3), y).exp() for y in RESPONSES)
    assert total.item() == pytest.approx(1, abs=1e-12)


numbers = st.floats(0, 10, allow_nan=False, width=32)


@st.composite
def updates(draw) -> tuple[list[list[float]], int]:
    """The costs of an update's responses token by token, and how many answer one prompt."""
    prompts, per_prompt = draw(st.integers(1, 3)), draw(st.integers(2, 4))
    response = st.lists(numbers, min_size=1, max_size=5)
    n_rows = prompts * per_prompt
    return draw(st.lists(response, min_size=n_rows, max_size=n_rows)), per_prompt


def plain_usual(after: list[list[float]], per_prompt: int, i: int, t: int) -> float:
    """The baseline of response i at position t, with loops."""
    near = [
        row[t]
        for j, row in enumerate(after)
        if j != i and j // per_prompt == i // per_prompt and len(row) > t
    ]
    far = [
        row[t] for j, row in enumerate(after) if j // per_prompt != i // per_prompt and len(row) > t
    ]
    weight = min(4, len(far))
    if not near and not far:
        return 0.0
    mean = sum(far) / len(far) if far else 0.0
    return (sum(near) + weight * mean) / (len(near) + weight)


@given(updates())
def test_costs_to_go_and_their_baseline_are_those_of_loops(update):
    rows, per_prompt = update
    width = max(map(len, rows))
    after = [[sum(row[t + 1 :]) for t in range(len(row))] for row in rows]
    costs_B_C = torch.tensor([row + [0.0] * (width - len(row)) for row in rows]).double()
    mask_B_C = torch.arange(width) < torch.tensor([[len(row)] for row in rows])
    after_B_C = cost_to_go(costs_B_C)
    totals_2_C = torch.stack([(after_B_C * mask_B_C).sum(0), mask_B_C.sum(0)])
    usual_B_C = usual_cost(after_B_C, mask_B_C, per_prompt, totals_2_C)
    for i, row in enumerate(after):
        assert after_B_C[i, : len(row)].tolist() == pytest.approx(row, abs=1e-9)
        expected = [plain_usual(after, per_prompt, i, t) for t in range(len(row))]
        assert usual_B_C[i, : len(row)].tolist() == pytest.approx(expected, abs=1e-6)


def padded_costs(student_S_V: torch.Tensor, expert_S_V: torch.Tensor) -> torch.Tensor:
    """k_t (Y, C) of every response, with its gradient."""
    logp_S_V, logq_S_V = student_S_V.log_softmax(-1), expert_S_V.log_softmax(-1)
    kl_S = (logp_S_V.exp() * (logp_S_V - logq_S_V)).sum(-1)
    rows = [torch.nn.functional.pad(kl_S[states(y)], (0, STEPS - len(y))) for y in RESPONSES]
    return torch.stack(rows)


def padded_logps(student_S_V: torch.Tensor) -> torch.Tensor:
    """log pi(y_t) (Y, C) of every response, with its gradient."""
    logp_S_V = student_S_V.log_softmax(-1)
    rows = [logp_S_V[states(y), list(y)] for y in RESPONSES]
    return torch.stack([torch.nn.functional.pad(r, (0, STEPS - len(r))) for r in rows])


@pytest.mark.parametrize("seed", range(3))
def test_all_pairs_of_responses_weighted_by_their_probability_give_the_gradient(seed):
    student_S_V, expert_S_V = table(seed).requires_grad_(), table(seed + 10)
    (exact,) = torch.autograd.grad(sequence_kl(student_S_V, expert_S_V), student_S_V)
    costs_Y_C, logps_Y_C = padded_costs(student_S_V, expert_S_V), padded_logps(student_S_V)
    after_Y_C = cost_to_go(costs_Y_C.detach())
    weights_Y = logps_Y_C.sum(-1).exp().detach()
    total = torch.zeros(())
    for one in range(len(RESPONSES)):
        for two in range(len(RESPONSES)):
            pair = [one, two]
            after_2_C, mask_2_C = after_Y_C[pair], logps_Y_C[pair] != 0
            totals_2_C = torch.stack([after_2_C.sum(0), mask_2_C.sum(0)])
            ahead = after_2_C - usual_cost(after_2_C, mask_2_C, 2, totals_2_C)
            loss = (costs_Y_C[pair] + logps_Y_C[pair] * ahead).sum() / 2
            total = total + weights_Y[one] * weights_Y[two] * loss
    (found,) = torch.autograd.grad(total, student_S_V, retain_graph=True)
    torch.testing.assert_close(found, exact, atol=1e-10, rtol=1e-8)
    # The first term alone, which is TRL's loss, is something else.
    (local,) = torch.autograd.grad((weights_Y[:, None] * costs_Y_C).sum(), student_S_V)
    assert (local - exact).abs().max() > 0.05


def test_the_exact_gradient_is_that_of_finite_differences():
    student_S_V, expert_S_V = table(1).requires_grad_(), table(11)
    (exact,) = torch.autograd.grad(sequence_kl(student_S_V, expert_S_V), student_S_V)
    step = 1e-6
    for state, token in ((0, 0), (0, 2), (2, 1), (6, 2)):
        values = []
        for sign in (1, -1):
            moved = student_S_V.detach().clone()
            moved[state, token] += sign * step
            values.append(sequence_kl(moved, expert_S_V).item())
        assert exact[state, token].item() == pytest.approx(
            (values[0] - values[1]) / (2 * step), abs=1e-8
        )


# ---- settings ----

PLAIN = {
    "divergence": "reverse",
    "prefixes": "own",
    "level": "token",
    "responses_per_prompt": 1,
    "batch_size": 8,
}
REFUSED = [
    ("prefixes", {"prefixes": "expert", "divergence": "log-density", "level": "response"}),
    ("prefixes", {"prefixes": "expert", "divergence": "constant"}),
    ("level", {"prefixes": "expert", "level": "response", "responses_per_prompt": 2}),
    ("level", {"divergence": "forward", "level": "response", "responses_per_prompt": 2}),
    ("level", {"divergence": "constant", "level": "response", "responses_per_prompt": 2}),
    ("level", {"divergence": "log-density"}),
    ("responses_per_prompt", {"level": "response"}),
    ("responses_per_prompt", {"prefixes": "expert", "responses_per_prompt": 2}),
    ("responses_per_prompt", {"level": "response", "responses_per_prompt": 3}),
    ("responses_per_prompt", {"responses_per_prompt": 16}),
]
WAYS = [
    {},
    {"divergence": "forward"},
    {"prefixes": "expert"},
    {"prefixes": "expert", "divergence": "forward"},
    {"level": "response", "responses_per_prompt": 2},
    {"level": "response", "responses_per_prompt": 8, "divergence": "log-density"},
    {"divergence": "constant"},
    {"responses_per_prompt": 4},
]


def settings(**changes) -> Distill:
    return Distill(
        micro_batch_size=2,
        temperature=1.0,
        max_new_tokens=4,
        max_grad_norm=1.0,
        checkpoints=[1],
        **PLAIN | changes,
    )


@pytest.mark.parametrize("key, changes", REFUSED)
def test_settings_that_do_not_go_together_are_refused_with_a_remedy(key, changes):
    found = misfit(**PLAIN | changes)
    assert found is not None and found.key == key and found.remedy
    [problem] = settings(**changes).problems()
    assert problem.keys == (key,) and problem.remedy == found.remedy


@pytest.mark.parametrize("changes", WAYS)
def test_ways_to_imitate_are_accepted(changes):
    assert not list(settings(**changes).problems())


def test_the_defaults_are_distillation_as_everyone_runs_it():
    named = {"divergence", "prefixes", "level", "responses_per_prompt"}
    plain = Distill(
        **{key: value for key, value in settings().model_dump().items() if key not in named}
    )
    assert {key: getattr(plain, key) for key in named} == {k: PLAIN[k] for k in named}


# ---- an expert that gives log-probabilities ----


@pytest.mark.parametrize("beta", [0.0, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_given_probabilities_are_compared_as_a_plain_kl(beta, temperature, monkeypatch):
    """Seven positions in pieces of three: values and gradients, head's and states'."""
    monkeypatch.setattr(imitation, "ROWS_AT_ONCE", 3)
    generator = torch.Generator().manual_seed(1)
    head = torch.nn.Linear(5, 11, bias=True)
    hidden = torch.randn(7, 5, generator=generator, requires_grad=True)
    given = torch.randn(7, 11, generator=generator).log_softmax(-1)
    kl_N, entropy_N = given_divergence(hidden, head, given, beta, temperature)
    leaves = [hidden, head.weight, head.bias]
    ours_gradient = torch.autograd.grad((kl_N * torch.arange(1, 8)).sum(), leaves)
    ours = torch.distributions.Categorical(logits=head(hidden) / temperature)
    theirs = torch.distributions.Categorical(logits=given / temperature)
    pair = (ours, theirs) if beta else (theirs, ours)
    expected = torch.distributions.kl_divergence(*pair)
    torch.testing.assert_close(kl_N, expected)
    torch.testing.assert_close(entropy_N, ours.entropy().detach())
    expected_gradient = torch.autograd.grad((expected * torch.arange(1, 8)).sum(), leaves)
    for found, wanted in zip(ours_gradient, expected_gradient, strict=True):
        torch.testing.assert_close(found, wanted)
    assert not entropy_N.requires_grad


def test_given_probabilities_are_compared_in_single_precision_under_autocast():
    head = torch.nn.Linear(64, 300, bias=False)
    hidden, given = torch.randn(4, 64), torch.randn(4, 300).log_softmax(-1)
    exact, _ = given_divergence(hidden, head, given, 1.0, 1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, _ = given_divergence(hidden, head, given, 1.0, 1.0)
    assert torch.equal(exact, found)
