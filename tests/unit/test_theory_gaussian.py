"""Gaussian projections: closed forms, SciPy integration and optimisation against one another."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import warm
from scipy import integrate, stats

from online_il.errors import ParameterError
from online_il.theory import gaussian

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "theory_gaussian.py"
PAPER = [[-2.0, 2.0]]
MIXTURE = [[0.0, 3.0], [0.0, -3.0]]
A, B = [[0.0, 1.0]], [[1.0, 1.0]]


def density(means, weights, y):
    parts = [w * stats.multivariate_normal(m).pdf(y) for w, m in zip(weights, means, strict=True)]
    return sum(parts)


@pytest.mark.parametrize(
    ("direction", "place", "value", "distance"),
    [(A, (0, 2), stats.norm.cdf(2), 0.683), (B, (0, 0), 0.5, 0.843)],
)
def test_figure_4_is_the_papers(direction, place, value, distance):
    problem = gaussian.problem(PAPER, None, direction)
    for found in (
        gaussian.reverse_projection(problem),
        gaussian.forward_projection(problem),
        gaussian.reverse_projection_by_optimisation(problem),
        gaussian.forward_projection_by_optimisation(problem),
    ):
        assert found == pytest.approx(place, abs=1e-5)
    mean = gaussian.reverse_projection(problem)
    assert gaussian.value(problem, mean) == pytest.approx(value, abs=1e-9)
    assert gaussian.total_variation(problem, mean) == pytest.approx(distance, abs=5e-4)


@pytest.mark.parametrize(
    ("weight", "expert", "reverse", "forward"),
    [(0.6, 0.600, 0.9986, 0.7257), (0.4, 0.400, 0.0014, 0.2743)],
)
def test_the_directions_part_on_a_mixture(weight, expert, reverse, forward):
    problem = gaussian.problem(MIXTURE, [weight, 1 - weight], A)
    assert gaussian.reverse_projection(problem) is None
    found = gaussian.reverse_projection_by_optimisation(problem)
    assert gaussian.value_expert(problem) == pytest.approx(expert, abs=5e-4)
    assert gaussian.value(problem, found) == pytest.approx(reverse, abs=5e-5)
    assert gaussian.value(problem, gaussian.forward_projection(problem)) == pytest.approx(
        forward, abs=5e-5
    )
    # Nothing on a fine grid of the class is better.
    grid = [np.array([0.0, y]) for y in np.linspace(-5, 5, 401)]
    best = min(grid, key=lambda mean: gaussian.reverse_kl(problem, mean))
    assert gaussian.reverse_kl(problem, found) <= gaussian.reverse_kl(problem, best) + 1e-9


def random_problem(seed: int, dimension: int, components: int):
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(components)).tolist()
    means = rng.normal(0, 2, (components, dimension)).tolist()
    return gaussian.problem(
        means, weights, [rng.normal(size=dimension).tolist()], rng.normal(size=dimension).tolist()
    ), rng.normal(0, 1, dimension)


@pytest.mark.parametrize("seed", range(4))
def test_divergences_and_distance_are_those_of_scipy_in_one_dimension(seed):
    problem, mean = random_problem(seed, 1, 2)
    expert = lambda y: density(problem.means_K_D, problem.weights_K, [y])  # noqa: E731
    student = stats.norm(mean[0]).pdf

    def integral(of):
        return integrate.quad(of, -14, 14, limit=500, points=[*problem.means_K_D[:, 0], mean[0]])[0]

    reverse = integral(lambda y: student(y) * math.log(student(y) / expert(y)))
    forward = integral(lambda y: expert(y) * math.log(expert(y) / student(y)))
    distance = integral(lambda y: abs(expert(y) - student(y))) / 2
    value = integral(lambda y: expert(y) * (y >= 0))
    assert gaussian.reverse_kl(problem, mean) == pytest.approx(reverse, abs=1e-6)
    assert gaussian.forward_kl(problem, mean) == pytest.approx(forward, abs=1e-6)
    assert gaussian.total_variation(problem, mean) == pytest.approx(distance, abs=1e-5)
    assert gaussian.value_expert(problem) == pytest.approx(value, abs=1e-4)


def test_divergences_are_those_of_a_sum_over_a_plane():
    problem, mean = random_problem(7, 2, 3)
    axis = np.linspace(-12, 12, 601)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1)
    expert = density(problem.means_K_D, problem.weights_K, points)
    student = stats.multivariate_normal(mean).pdf(points)
    cell = (axis[1] - axis[0]) ** 2
    seen = student > 1e-300
    reverse = (student[seen] * np.log(student[seen] / expert[seen])).sum() * cell
    assert gaussian.reverse_kl(problem, mean) == pytest.approx(reverse, abs=1e-5)
    distance = np.abs(expert - student).sum() * cell / 2
    assert gaussian.total_variation(problem, mean) == pytest.approx(distance, abs=2e-4)
    assert np.exp(gaussian.log_density(problem, points[200, ::100])) == pytest.approx(
        expert[200, ::100]
    )


@pytest.mark.parametrize("seed", range(6))
def test_closed_forms_and_optimisation_agree_in_any_dimension(seed):
    problem, _ = random_problem(seed, 4, 1)
    assert gaussian.reverse_projection_by_optimisation(problem) == pytest.approx(
        gaussian.reverse_projection(problem), abs=1e-4
    )
    mixture, _ = random_problem(seed, 4, 3)
    assert gaussian.forward_projection_by_optimisation(mixture) == pytest.approx(
        gaussian.forward_projection(mixture), abs=1e-4
    )
    # Orthogonal to the class.
    found = gaussian.forward_projection(mixture)
    gap = mixture.weights_K @ mixture.means_K_D - found
    assert mixture.directions_R_D @ gap == pytest.approx([0.0], abs=1e-9)


def test_the_value_of_a_half_space_is_that_of_its_distance():
    problem = gaussian.problem([[0.0, 0.0]], None, A, normal=[3.0, 4.0], threshold=10.0)
    assert gaussian.value(problem, np.zeros(2)) == pytest.approx(stats.norm.cdf(-2))


def test_the_program_prints_its_headline_and_writes_its_table(tmp_path):
    out = tmp_path / "table.parquet"
    options = ["--expert-mean", "-2", "2", "--class-direction", "0", "1", "--out"]
    done = warm.run(SCRIPT, *options, str(out))
    assert done.returncode == 0, done.stderr
    headline = json.loads(done.stdout.splitlines()[-1])
    assert headline["projection_reverse_kl"] == pytest.approx([0, 2])
    assert headline["projection_forward_kl"] == pytest.approx([0, 2])
    assert headline["value_reverse_kl"] == pytest.approx(0.97725, abs=1e-5)
    assert headline["tv_reverse_kl"] == pytest.approx(0.683, abs=5e-4)
    assert out.is_file()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (
            "--expert-mean 0 3 --expert-mean 0 -3 --expert-weight 0.6 --expert-weight 0.6",
            "expert-weight",
        ),
        (
            "--expert-mean 0 3 --expert-mean 0 -3 --expert-weight 1.5 --expert-weight -0.5",
            "expert-weight",
        ),
        ("--expert-mean 0 3 --expert-weight 0.5 --expert-weight 0.5", "expert-weight"),
        ("--expert-mean 0 3 --expert-mean 1", "expert-mean"),
        ("--expert-mean nan 3", "expert-mean"),
        ("--expert-mean 0 3 --class-point 1", "class-point"),
        ("--expert-mean 0 3 --class-direction 0 0", "class-direction"),
        ("--expert-mean 0 3 --class-direction 0 2", "class-direction"),
        ("--expert-mean 0 3 --class-direction 1 0 0", "class-direction"),
        ("--expert-mean 0 3 --reward-normal 0 0", "reward-normal"),
        ("--expert-mean a 3", "expert-mean"),
    ],
)
def test_a_wrong_parameter_is_named_in_one_line(tmp_path, options, named):
    out = tmp_path / "table.parquet"
    done = warm.run(SCRIPT, *options.split(), "--class-direction", "0", "1", "--out", str(out))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and f"--{named}" in done.stderr
    assert not out.exists() and not done.stdout


def test_means_that_span_too_much_are_refused():
    with pytest.raises(ParameterError, match="span"):
        gaussian.problem(np.eye(5).tolist(), None, [[1.0, 0, 0, 0, 0]])
