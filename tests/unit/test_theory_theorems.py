"""Theorems 1, 2 and 5 and the horizon: brute force, closed forms and Monte Carlo."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import warm

from online_il.theory import gaussian, horizon, theorem1, theorem2, theorem5
from online_il.theory.theorem1 import HardInstance

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
FLOOR = 1e-6


def run(name: str, *options: str):
    return warm.run(SCRIPTS / f"theory_{name}.py", *options)


# ---- Theorem 1 ----

# Worked out independently of this code; the last column is an estimate, hence its width.
TABLE = [
    ((8, 1, 400), 0.014, 0.0032, 0.0032, 0.0063, 0.0063),
    ((8, 4, 400), 0.055, 0.0129, 6.3e-4, 0.0092, 0.0158),
    ((8, 16, 400), 0.222, 0.0514, 1.1e-8, 6.5e-4, 0.0063),
    ((64, 16, 4000), 0.177, 0.0464, 1.4e-8, 6.1e-4, 0.0061),
    ((8, 64, 4000), 0.089, 0.0206, 5e-30, 0.0, 4e-5),
]


@pytest.mark.parametrize(("instance", "rate", "offline", "on_policy", "density", "log"), TABLE)
def test_the_table_of_theorem_1(instance, rate, offline, on_policy, density, log):
    instance = HardInstance(*instance)
    found = theorem1.estimate(instance, replicates=40_000, seed=3, log_floor=FLOOR)
    assert instance.rate == pytest.approx(rate, abs=5e-4)
    assert found["offline"].exact == pytest.approx(offline, abs=6e-5)
    assert found["on_policy"].exact == pytest.approx(on_policy, rel=0.08)
    assert found["ipw_density"].exact == pytest.approx(density, abs=6e-5)
    assert found["ipw_log"].exact == pytest.approx(log, rel=0.06, abs=2e-5)
    for risk in found.values():
        # Four standard errors; where no replicate saw an event, its chance must be tiny.
        assert abs(risk.estimate - risk.exact) <= 4 * risk.stderr + 1e-5


def placed(instance: HardInstance):
    """Contexts with their masses, the dummy one last where l = 1."""
    mass = theorem1.masses(instance)
    return mass, [*mass, 1 - mass.sum()] if instance.contexts == 1 else list(mass)


def brute_force(instance: HardInstance, kind: str) -> float:
    """Expected risk by enumerating hidden actions, data sets and all 2^l policies.

    Actions: 0 the expert's favourite, 1 and 2 the students'. Ties are averaged.
    """
    mass, contexts = placed(instance)
    count, shown = instance.contexts, 1 / instance.coverage
    policies = list(itertools.product((1, 2), repeat=count))
    total = 0.0

    def expert(s, x, y):
        if x == count:  # The dummy context.
            return float(y == 0)
        return 1 - shown if y == 0 else shown * (y == s[x])

    def draw(s, x, y):
        return expert(s, x, y) if kind == "offline" else 1 / 3

    for data in itertools.product(
        itertools.product(range(len(contexts)), range(3)), repeat=instance.samples
    ):
        joint, losses = [], []
        for s in policies:
            joint.append(math.prod(contexts[x] * draw(s, x, y) for x, y in data) / len(policies))
            losses.append(
                [sum(m for m, a, b in zip(mass, p, s, strict=True) if a != b) for p in policies]
            )
        if kind == "offline":
            total += min(np.array(joint) @ np.array(losses))
            continue
        for s, chance, loss in zip(policies, joint, losses, strict=True):
            signal = {
                "ipw_density": lambda p: p,
                "ipw_log": lambda p: math.log(max(p, FLOOR)),
                "ipw_log_shifted": lambda p: math.log(max(p, FLOOR)) - math.log(FLOOR),
            }[kind]
            scores, regularizers = [], []
            for p in policies:
                own = [1.0 if x == count or p[x] == y else 0.0 for x, y in data]
                values = [0.0 if x == count else signal(expert(s, x, y)) for x, y in data]
                scores.append(3 * sum(o * v for o, v in zip(own, values, strict=True)))
                regularizers.append(3.0)
            assert len(set(regularizers)) == 1
            best = [i for i, score in enumerate(scores) if score >= max(scores) - 1e-9]
            total += chance * float(np.mean([loss[i] for i in best]))
    return total


@pytest.mark.parametrize("kind", ["offline", "ipw_density", "ipw_log_shifted", "ipw_log"])
@pytest.mark.parametrize("instance", [HardInstance(2, 2.0, 3), HardInstance(1, 1.5, 3)])
def test_the_closed_forms_are_those_of_brute_force(kind, instance):
    exact = theorem1.exact_risk(kind, instance, log_floor=FLOOR)
    assert exact == pytest.approx(brute_force(instance, kind), abs=1e-9)
    if kind == "offline":
        assert theorem1.exact_risk("sft", instance, log_floor=FLOOR) == exact


def test_the_on_policy_learner_errs_only_where_it_was_never():
    instance = HardInstance(3, 2.0, 4)
    mass = theorem1.masses(instance)
    expected = sum(
        math.prod(mass[x] for x in seen) * 0.5 * sum(m for i, m in enumerate(mass) if i not in seen)
        for seen in itertools.product(range(3), repeat=4)
    )
    assert theorem1.exact_risk("on_policy", instance, log_floor=FLOOR) == pytest.approx(expected)


def test_light_contexts_never_weigh_more_than_all():
    assert theorem1.light_mass(HardInstance(9, 64, 100)) == 1 / 8
    assert theorem1.masses(HardInstance(9, 64, 100))[-1] == pytest.approx(0)
    assert theorem1.masses(HardInstance(1, 4, 100)).tolist() == [0.04]


def test_the_ratio_of_many_contexts_tends_to_its_limit():
    instance = HardInstance(512, 16, 100_000)
    ratio = theorem1.exact_risk("offline", instance, log_floor=FLOOR) / instance.rate
    assert ratio == pytest.approx(1 / (2 * math.e * math.log(2)), rel=0.01)


def test_the_program_of_theorem_1(tmp_path):
    out = tmp_path / "table.parquet"
    options = [
        "--contexts",
        "8",
        "--coverage",
        "16",
        "--samples",
        "400",
        "--replicates",
        "20000",
        "--seed",
        "1",
    ]
    done = run("theorem1", *options, "--out", str(out))
    assert done.returncode == 0, done.stderr
    headline = json.loads(done.stdout.splitlines()[-1])
    for name in ("offline", "on_policy", "ipw_density", "ipw_log"):
        gap = abs(headline[f"risk_{name}"] - headline[f"risk_{name}_exact"])
        assert gap <= 4 * headline[f"risk_{name}_stderr"] + 1e-5
    assert headline["rate"] == pytest.approx(0.2218, abs=1e-4)
    # Swept one at a time, the centre in every sweep of more than one value.
    options = [
        "--contexts",
        "3",
        "2",
        "--coverage",
        "2",
        "--samples",
        "40",
        "20",
        "80",
        "--replicates",
        "50",
    ]
    assert run("theorem1", *options, "--out", str(out)).returncode == 0
    rows = pd.read_parquet(out)
    counts = rows[rows["learner"] == "offline"].groupby("sweep").size().to_dict()
    assert counts == {"centre": 1, "contexts": 2, "samples": 3}


@pytest.mark.parametrize(
    ("name", "options", "named"),
    [
        ("theorem1", "--contexts 8 --coverage 0.5 --samples 400", "coverage"),
        ("theorem1", "--contexts 8 --coverage nan --samples 400", "coverage"),
        ("theorem1", "--contexts 8 --coverage 16 --samples 0", "samples"),
        ("theorem1", "--contexts 0 --coverage 16 --samples 9", "contexts"),
        ("theorem1", "--contexts 8 --coverage 16 --samples 400 --zeta 0.2", "zeta"),
        ("theorem1", "--contexts 8 --coverage 16 --samples 400 --zeta 0", "zeta"),
        ("theorem1", "--contexts 8 --coverage 16 --samples 400 --log-floor 1", "log-floor"),
        ("theorem1", "--contexts 8 --coverage 16 --samples many", "samples"),
        ("theorem2", "--epsilon -1", "epsilon"),
        ("theorem2", "--epsilon 0.1 --coverage 0.5", "coverage"),
        ("theorem5", "--samples 10 --beta -1", "beta"),
        ("theorem5", "--samples 10 --beta 0 --coverage 2", "coverage"),
        ("theorem5", "--samples 10 --beta 0 --signal-bad 1", "signal-bad"),
        ("horizon", "--horizons 0", "horizons"),
        ("horizon", "--horizons 4 --coverage 0.9", "coverage"),
    ],
)
def test_a_wrong_parameter_is_named_in_one_line(tmp_path, name, options, named):
    out = tmp_path / "table.parquet"
    done = run(name, *options.split(), "--out", str(out))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and f"--{named}" in done.stderr
    assert not out.exists() and not done.stdout


# ---- Theorem 2 ----


def random_class(rng) -> theorem2.FiniteClass:
    k, x, y = rng.integers(2, 9), rng.integers(1, 4), rng.integers(2, 5)
    policies = rng.dirichlet(np.full(y, 0.5), size=(k, x))
    if rng.random() < 0.5:  # Deterministic students.
        policies = np.eye(y)[rng.integers(0, y, (k, x))]
    reward = rng.random((x, y)) if rng.random() < 0.5 else rng.integers(0, 2, (x, y)).astype(float)
    expert = rng.dirichlet(np.full(y, 0.7), size=x)
    signal = np.log(np.maximum(expert, 1e-6)) if rng.random() < 0.5 else expert
    return theorem2.FiniteClass(policies, rng.dirichlet(np.ones(x)), reward, signal)


@pytest.mark.parametrize("seed", range(4))
def test_the_bound_holds_on_every_random_instance(seed):
    rng = np.random.default_rng(seed)
    held = useful = 0
    for _ in range(1000):
        bandit = random_class(rng)
        best = theorem2.best_fit(bandit)
        epsilon = float(rng.choice([0.0, 0.01, 0.1, 1.0]))
        worst = theorem2.worst_risk(bandit, epsilon)
        for alpha in (best.alpha, 0.1, 10.0):
            fit = theorem2.with_alpha(bandit, best, alpha)
            bound = theorem2.bound(bandit, fit, epsilon)
            assert worst <= bound + 1e-9
            useful += bound < 1
        held += best.alpha > 0
    # The check is not one of infinities.
    assert held > 300 and useful > 300


def test_delta_and_worst_risk_by_hand():
    # Two students, one good: the signal prefers the bad one by 0.2.
    policies = np.eye(2)[[[0], [1]]]
    bandit = theorem2.FiniteClass(
        policies, np.ones(1), np.array([[1.0, 0.0]]), np.array([[0.3, 0.5]])
    )
    fit = theorem2.best_fit(bandit)
    assert fit.alpha == pytest.approx(-0.2)
    assert theorem2.bound(bandit, fit, 0.1) == math.inf
    assert theorem2.worst_risk(bandit, 0.1) == 1.0
    chosen = theorem2.with_alpha(bandit, fit, 0.5)
    # E h - E_{pi*} h of the bad student: (0.5 - 0) - (0.3 - 0.5) = 0.7.
    assert theorem2.delta(bandit, chosen, 0.1) == pytest.approx(0.7)
    assert theorem2.bound(bandit, chosen, 0.1) == pytest.approx((0.1 + 0.7) / 0.5)
    # Where the signal prefers the good one by more than epsilon, only it is left.
    turned = bandit._replace(signal_X_Y=np.array([[0.5, 0.3]]))
    fit = theorem2.best_fit(turned)
    assert fit.alpha == pytest.approx(0.2)
    assert theorem2.delta(turned, fit, 0.1) == pytest.approx(0.0)
    assert theorem2.worst_risk(turned, 0.1) == 0.0
    assert theorem2.worst_risk(turned, 0.2) == 1.0


def test_the_fit_leaves_a_residual_without_reward():
    bandit = random_class(np.random.default_rng(5))
    fit = theorem2.best_fit(bandit)
    visits = bandit.contexts_X[:, None] * bandit.policies_K_X_Y.mean(0)
    assert (visits * fit.h_X_Y).sum(1) == pytest.approx(np.zeros(len(visits)), abs=1e-12)
    assert (visits * fit.h_X_Y * bandit.reward_X_Y).sum() == pytest.approx(0, abs=1e-12)


def test_the_hard_class_is_aligned_exactly():
    instance = HardInstance(4, 8.0, 100)
    bandit = theorem2.hard_class(instance)
    fit = theorem2.best_fit(bandit)
    assert fit.alpha == pytest.approx(1 / 8)
    assert theorem2.delta(bandit, fit, 0.01) == pytest.approx(0.0, abs=1e-12)
    assert theorem2.bound(bandit, fit, 0.01) == pytest.approx(0.08)
    assert theorem2.worst_risk(bandit, 0.01) <= 0.08


def test_the_gaussian_class_has_the_values_of_its_gaussians():
    problem = gaussian.problem([[-2.0, 2.0]], None, [[0.0, 1.0]])
    bandit = theorem2.gaussian_class(problem, students=9, reach=4, cells=101)
    values = theorem2.objective(bandit, bandit.reward_X_Y)
    exact = [gaussian.value(problem, np.array([0.0, y])) for y in np.linspace(-4, 4, 9)]
    assert values == pytest.approx(exact, abs=0.04)
    # J_on orders the students as reverse KL does.
    best = theorem2.objective(bandit, bandit.signal_X_Y).argmax()
    assert np.linspace(-4, 4, 9)[best] == 2


# ---- Theorem 5 ----


def test_pessimism_by_brute_force():
    instance = theorem5.BanditInstance(rare=2, coverage=10.0)
    samples, betas = 3, [0.0, 0.05, 5.0]
    base, signal = instance.base_A, instance.signal_A
    expected = np.zeros(len(betas))
    for data in itertools.product(range(len(base)), repeat=samples):
        chance = math.prod(base[y] for y in data)
        estimates = np.array(
            [sum(signal[y] / base[a] for y in data if y == a) / samples for a in (1, 2, 3, 4)]
        )
        for index, beta in enumerate(betas):
            scores = estimates - beta / base[1:]
            best = scores >= scores.max() - 1e-7
            expected[index] += chance * (1 - best[0] / best.sum())
    found, cloned = theorem5.risks(instance, samples, betas, replicates=60_000, seed=2)
    for risk, exact in zip(found, expected, strict=True):
        assert abs(risk.estimate - exact) <= 4 * risk.stderr + 1e-4
    exact = 0.0
    for data in itertools.product(range(len(base)), repeat=samples):
        chance = math.prod(instance.expert_A[y] for y in data)
        counts = np.array([data.count(a) for a in (1, 2, 3, 4)])
        best = counts == counts.max()
        exact += chance * (1 - best[0] / best.sum())
    assert abs(cloned.estimate - exact) <= 4 * cloned.stderr


def test_the_second_instance_is_one_of_distributions_and_aligned():
    instance = theorem5.BanditInstance(rare=64, coverage=1000.0)
    assert instance.base_A.sum() == pytest.approx(1) == instance.expert_A.sum()
    assert instance.coverage_class == pytest.approx(256)
    assert instance.coverage_best == pytest.approx(8)
    bandit = theorem2.FiniteClass(
        np.eye(67)[1:, None],
        np.ones(1),
        (np.arange(67) < 2)[None].astype(float),
        instance.signal_A[None],
    )
    fit = theorem2.best_fit(bandit)
    assert fit.alpha == pytest.approx(instance.alpha)
    assert theorem2.delta(bandit, fit, 0.4) == pytest.approx(0, abs=1e-9)


def test_some_pessimism_beats_none_and_too_much():
    instance = theorem5.BanditInstance(rare=64, coverage=1000.0)
    (none, some, much), cloned = theorem5.risks(
        instance, 512, [0.0, 0.02, 0.3], replicates=2000, seed=1
    )
    assert some.estimate < 0.05 < min(none.estimate, much.estimate, cloned.estimate)


# ---- horizon ----


def test_the_value_of_a_policy_is_that_of_its_markov_chain():
    for error, recovers in ((0.1, True), (0.1, False), (0.0, False), (1.0, True)):
        chain = np.array([[1 - error, error], [float(recovers), 1 - float(recovers)]])
        state, total = np.array([1.0, 0.0]), 0.0
        for _ in range(7):
            total += state[0] * (1 - error)
            state = state @ chain
        found = horizon.mean_reward(np.array([error]), np.array([recovers]), 7)
        assert found[0] == pytest.approx(total / 7)


@pytest.mark.parametrize("coverage", [1.0, 4.0])
def test_cloning_has_its_exact_error_a_step_at_every_horizon(coverage):
    instance = horizon.PathInstance(8, coverage, 12)
    # A context without a label in 12 is settled by a coin.
    exact = 0.5 * (1 - 1 / (8 * coverage)) ** 12
    for steps in (1, 16):
        found = horizon.risk("behaviour_cloning", instance, steps, replicates=20_000, seed=1)
        assert found.step_error == pytest.approx(exact, abs=0.005)
        if steps == 1:
            assert found.risk == pytest.approx(found.step_error)


def test_accumulation_needs_a_horizon_and_misspecification_does_not():
    def risk(learner, coverage, labels, steps):
        instance = horizon.PathInstance(16, coverage, labels)
        return horizon.risk(learner, instance, steps, replicates=2000, seed=1).risk

    same = [risk(learner, 1.0, 64, 1) for learner in horizon.LEARNERS]
    assert max(same) - min(same) < 0.003
    assert risk("behaviour_cloning", 1.0, 64, 64) > 1.5 * risk("dagger", 1.0, 64, 64)
    # Labels on own states do not cure misspecification at H = 1, and the density does.
    assert risk("dagger", 16.0, 1000, 1) == pytest.approx(
        risk("behaviour_cloning", 16.0, 1000, 1), abs=0.004
    )
    assert risk("reverse_kl", 16.0, 1000, 1) == 0.0
