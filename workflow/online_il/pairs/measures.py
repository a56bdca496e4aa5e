"""What is measured between a student, its expert and the base, for one seed.

KLs are over whole responses, in nats a response, cut at the longest length that was sampled.
Estimates come from next-token KLs summed over each response, which vary less than log-ratios of
responses; those are beside them, for they need no more than what was sampled (experts.divergence).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from online_il.experts.divergence import Compared, compared, log_ratio_kl, token_kl
from online_il.experts.divergence import log_ratio_quantiles as quantiles_of
from online_il.experts.policy import Ids, Policy, batch_of, token_logp
from online_il.generation.decode import batches
from online_il.pairs.alignment import align, clipped_density
from online_il.pairs.answers import Answers, Array, by_prompt
from online_il.statistics.errors import clustered_stderr

NATS, REWARD, SHARE = "nats a response", "reward", "share"


class Measure(NamedTuple):
    """A number with its unit; what cannot be measured is nan, and the note says why."""

    measure: str
    unit: str
    estimate: float
    stderr: float = math.nan
    note: str = ""


def log_density(
    policy: Policy, prompts: Sequence[Ids], responses: Sequence[Ids], batch_size: int
) -> Array:
    """Log-probability (N,) of each whole response under a policy, nats."""
    found = np.empty(len(prompts))
    for rows in batches(responses, batch_size):
        batch = batch_of([prompts[row] for row in rows], [responses[row] for row in rows])
        found[rows] = token_logp(policy.logp(batch), batch).sum(-1).cpu()
    return found


def kl_measures(own: str, other: str, pair: Compared, answers: Answers) -> list[Measure]:
    """KL(own || other) by next-token KLs and by log-ratios, over responses of `own`."""
    impossible = int(np.isneginf(pair.log_other_N).sum())
    never = f"{impossible} of {len(pair.log_other_N)} responses have no probability under {other}"
    found = []
    for name, estimate in (
        (f"kl_{own}_{other}", token_kl(pair, answers.prompt_N)),
        (f"kl_{own}_{other}_by_ratios", log_ratio_kl(pair, answers.prompt_N)),
    ):
        note = ""
        if math.isinf(estimate.mean):
            note = never if impossible else f"infinite: {other} lacks tokens that {own} may draw"
        found.append(Measure(name, NATS, *estimate, note))
    return found


def quantile_measures(
    own: str, other: str, pair: Compared, levels: Sequence[float]
) -> list[Measure]:
    """Quantiles of log own / other over responses of `own`: what a coverage coefficient bounds."""
    values = quantiles_of(pair, levels)
    return [
        Measure(f"log_{own}_{other}_q{level:g}", NATS, float(value))
        for level, value in zip(levels, values, strict=True)
    ]


def learnable_measure(pair: Compared, expert: Answers) -> list[Measure]:
    """What of KL(expert || student) is paid on the responses of a mixture's learnable part.

    w E[log expert / student] over that part's own responses; below 0 where the student gives them
    more than the expert does.
    """
    if expert.share_learnable_N is None or np.isneginf(pair.log_other_N).any():
        return []
    paid_N = expert.share_learnable_N * (pair.log_own_N - pair.log_other_N)
    stderr = clustered_stderr(paid_N, expert.prompt_N)
    return [Measure("kl_expert_student_learnable", NATS, float(paid_N.mean()), stderr)]


def difference(measure: str, unit: str, better_N: Array, worse_N: Array) -> Measure:
    """Mean of paired differences over prompts; both are a value a prompt."""
    lost_N = better_N - worse_N
    stderr = float(lost_N.std(ddof=1)) / math.sqrt(len(lost_N)) if len(lost_N) > 1 else math.nan
    return Measure(measure, unit, float(lost_N.mean()), stderr)


def alignment_measures(
    names: Sequence[str],
    answered: Sequence[Answers],
    log_density_K_N: Array,
    student: int,
    clip: float,
) -> list[Measure]:
    """Assumption 1 and Theorem 2 for f = log and for a clipped density.

    `names` are those of the K policies that stand for the student's class, `log_density_K_N` the
    expert's log-probabilities of their responses, `student` its number among them.
    """
    reward_K_X_S = np.stack([by_prompt(one.reward_N, one.prompt_N) for one in answered])
    prompt_N = answered[0].prompt_N
    found = []
    for f, unit, signal_K_N in (
        ("log", "nats", log_density_K_N),
        ("density", "clipped density", clipped_density(log_density_K_N, clip)),
    ):
        impossible = int(np.isneginf(signal_K_N).sum())
        if impossible:
            note = f"f is minus infinity for {impossible} of {signal_K_N.size} responses"
            found.append(Measure(f"alpha_{f}", f"{unit} a unit of reward", math.nan, note=note))
            continue
        signal_K_X_S = np.stack([by_prompt(signal_N, prompt_N) for signal_N in signal_K_N])
        one = align(reward_K_X_S, signal_K_X_S, student)
        found += [
            Measure(f"alpha_{f}", f"{unit} a unit of reward", one.alpha, one.alpha_stderr),
            Measure(f"explained_{f}", SHARE, one.explained),
            Measure(f"residual_{f}", unit, one.residual),
            Measure(f"epsilon_{f}", unit, one.epsilon),
            Measure(f"delta_{f}", unit, one.delta),
            Measure(f"bound_{f}", REWARD, one.bound, note=one.verdict),
            # pi* differs between shapes of the signal only among policies of equal reward.
            Measure(f"loss_{f}", REWARD, one.loss, one.loss_stderr, f"to {names[one.best]}"),
        ]
    return found


class Opened(NamedTuple):
    """A policy with what it answered at the step that is measured."""

    policy: Policy
    answers: Answers


def measures_of_seed(
    student: Opened,
    expert: Opened,
    base: Opened,
    family: Sequence[tuple[str, Answers]],
    prompts: dict[str, Ids],
    log_coverage: float | None,
    quantiles: Sequence[float],
    density_clip: float,
    batch_size: int,
) -> list[Measure]:
    """Measure one student of one seed.

    `family` are the policies that stand for the student's class with what they answered, the
    student the first of them; `prompts` the token ids of each prompt by name. `log_coverage` is
    log C of the expert where that is known, `density_clip` is in nats (`clipped_density`).
    """

    def against(one: Opened, other: Opened) -> Compared:
        asked = [prompts[name] for name in one.answers.prompt_N]
        return compared(one.policy, other.policy, asked, one.answers.responses, batch_size)

    reverse, forward = against(student, expert), against(expert, student)
    to_base, from_base = against(student, base), against(base, student)
    found = [
        *kl_measures("student", "expert", reverse, student.answers),
        *kl_measures("expert", "student", forward, expert.answers),
        *learnable_measure(forward, expert.answers),
        *quantile_measures("student", "expert", reverse, quantiles),
        *quantile_measures("student", "base", to_base, quantiles),
        *kl_measures("student", "base", to_base, student.answers),
        *kl_measures("base", "student", from_base, base.answers),
    ]
    if log_coverage is not None:
        found.append(Measure("log_coverage", NATS, log_coverage, note="known, not estimated"))
    log_density_K_N = np.stack(
        [
            log_density(
                expert.policy, [prompts[n] for n in one.prompt_N], one.responses, batch_size
            )
            for _, one in family
        ]
    )
    names, answered = zip(*family, strict=True)
    found += alignment_measures(names, answered, log_density_K_N, 0, density_clip)
    own, theirs = (
        by_prompt(one.reward_N, one.prompt_N).mean(-1) for one in (student.answers, expert.answers)
    )
    return [*found, difference("loss_to_expert", REWARD, theirs, own)]
