"""Gaussian experts and students (the paper's Figure 4), in any dimension.

The expert is a mixture of unit-covariance Gaussians, a student N(mu, I) with mu in an affine
subspace, the reward the indicator of a half-space. The paper has one expert Gaussian, for which the
two KL projections coincide; a mixture separates them.

Letters in the names: K components of the expert, R directions of the class, D dimensions.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, optimize, stats
from scipy.special import logsumexp

from online_il.errors import ParameterError

Array = NDArray[np.float64]

NODES = 81
"""Gauss-Hermite nodes a dimension: the mixture's log density is smooth, so these suffice."""

MAX_RANK = 3
"""Largest rank of the expert's means around one of them; quadrature in more would be too large."""


class GaussianProblem(NamedTuple):
    """An expert, a class of students and a reward."""

    weights_K: Array
    means_K_D: Array
    point_D: Array
    """A point of the class's affine subspace."""
    directions_R_D: Array
    normal_D: Array
    """The reward is 1 where normal . y >= threshold."""
    threshold: float


def problem(
    means: list[list[float]],
    weights: list[float] | None,
    directions: list[list[float]],
    point: list[float] | None = None,
    normal: list[float] | None = None,
    threshold: float = 0.0,
) -> GaussianProblem:
    """Check the parameters of a problem and build it.

    The class passes through `point` (default: the origin); the reward's normal is the last axis
    unless given. Raises `ParameterError` naming the parameter.
    """
    dimension = len(means[0])
    given = {
        "expert_mean": means,
        "class_direction": directions,
        "class_point": [point] if point else [],
        "reward_normal": [normal] if normal else [],
    }
    for name, vectors in given.items():
        for vector in vectors:
            shown = " ".join(f"{value:g}" for value in vector)
            if len(vector) != dimension:
                raise ParameterError(
                    f"`{name}` {shown}: has {len(vector)} coordinates, and the first "
                    f"`expert_mean` has {dimension}; all must have as many"
                )
            if not np.isfinite(vector).all():
                raise ParameterError(f"`{name}` {shown}: every coordinate must be a finite number")
    if not math.isfinite(threshold):
        raise ParameterError(f"`reward_threshold` {threshold:g}: must be a finite number")
    shares = [1 / len(means)] * len(means) if weights is None else weights
    if len(shares) != len(means):
        raise ParameterError(
            f"`expert_weight` is given {len(shares)} times and `expert_mean` {len(means)} times; "
            "give one weight for each mean"
        )
    if min(shares) < 0 or not abs(sum(shares) - 1) < 1e-9:
        listed = " ".join(f"{share:g}" for share in shares)
        raise ParameterError(
            f"`expert_weight` {listed}: weights must not be negative and must sum to 1, "
            f"and these sum to {sum(shares):g}"
        )
    basis = np.array(directions, dtype=float).reshape(-1, dimension)
    if any(not np.any(direction) for direction in basis):
        raise ParameterError("`class_direction` of length 0: some coordinate must differ from 0")
    if np.linalg.matrix_rank(basis) < len(basis):
        raise ParameterError(
            "`class_direction`: the directions depend on each other; leave one of them out"
        )
    axis = np.eye(dimension)[-1] if normal is None else np.array(normal, dtype=float)
    if not np.any(axis):
        raise ParameterError("`reward_normal` of length 0: some coordinate must differ from 0")
    centres = np.array(means, dtype=float)
    if np.linalg.matrix_rank(centres[1:] - centres[0]) > MAX_RANK:
        raise ParameterError(
            f"`expert_mean`: the means span more than {MAX_RANK} dimensions around the first; "
            "give fewer, or means in a common subspace"
        )
    start = np.zeros(dimension) if point is None else np.array(point, dtype=float)
    return GaussianProblem(np.array(shares, dtype=float), centres, start, basis, axis, threshold)


# ---- values and distances ----


def value(problem: GaussianProblem, mean_D: Array) -> float:
    """Compute V of the student N(mean, I): the Gaussian mass of the half-space."""
    length = float(np.linalg.norm(problem.normal_D))
    return float(stats.norm.cdf((problem.normal_D @ mean_D - problem.threshold) / length))


def value_expert(problem: GaussianProblem) -> float:
    """Compute V of the expert: the weighted mean of its components' values."""
    values = [value(problem, mean_D) for mean_D in problem.means_K_D]
    return float(problem.weights_K @ values)


def log_density(problem: GaussianProblem, points_N_D: Array) -> Array:
    """Compute the expert's log density at each point, nats."""
    distances_N_K = ((points_N_D[:, None] - problem.means_K_D) ** 2).sum(-1)
    constant = problem.means_K_D.shape[1] / 2 * math.log(2 * math.pi)
    with np.errstate(divide="ignore"):
        logits_N_K = np.log(problem.weights_K) - distances_N_K / 2
    return np.asarray(logsumexp(logits_N_K, axis=1)) - constant


def reverse_kl(problem: GaussianProblem, mean_D: Array) -> float:
    """Integrate KL(N(mean, I) || expert), nats, by Gauss-Hermite quadrature.

    Along the directions in which the expert's means do not differ, expert and student are the same
    up to a shift, so the quadrature runs over the others alone.
    """
    basis_S_D = _orthonormal(problem.means_K_D[1:] - problem.means_K_D[0])
    nodes, node_weights = np.polynomial.hermite_e.hermegauss(NODES)
    rank = len(basis_S_D)
    points = np.array(list(itertools.product(nodes, repeat=rank)), dtype=float)
    points = points.reshape(NODES**rank, rank)
    shares = np.array(
        [math.prod(row) for row in itertools.product(node_weights, repeat=rank)], dtype=float
    )
    shares = shares / shares.sum()
    centred_D = mean_D - problem.means_K_D[0]
    inside_S = basis_S_D @ centred_D
    outside = float(centred_D @ centred_D - inside_S @ inside_S)
    components_K_S = (problem.means_K_D - problem.means_K_D[0]) @ basis_S_D.T
    distances = ((points[:, None] + inside_S - components_K_S) ** 2).sum(-1)
    with np.errstate(divide="ignore"):
        log_expert = logsumexp(np.log(problem.weights_K) - distances / 2, axis=1)
    return float(shares @ (-(points**2).sum(-1) / 2 - log_expert)) + outside / 2


def forward_kl(problem: GaussianProblem, mean_D: Array) -> float:
    """Compute KL(expert || N(mean, I)), nats: cross-entropy less entropy of the expert.

    The entropy of the mixture is a weighted sum of `reverse_kl` of its own components.
    """
    divergence = 0.0
    for weight, component_D in zip(problem.weights_K, problem.means_K_D, strict=True):
        # E log(expert / component) + E log(component / student), both under the component.
        gap_D = component_D - mean_D
        divergence += float(weight) * (-reverse_kl(problem, component_D) + float(gap_D @ gap_D) / 2)
    return divergence


def total_variation(problem: GaussianProblem, mean_D: Array) -> float:
    """Integrate TV between the expert and N(mean, I), absolute error below 1e-4.

    The likelihood ratio depends on the span of the means' differences alone; in one dimension it is
    integrated adaptively, in more on a grid.
    """
    basis_S_D = _orthonormal(problem.means_K_D - mean_D)
    centres_K_S = (problem.means_K_D - mean_D) @ basis_S_D.T
    rank = len(basis_S_D)
    if rank == 0:
        return 0.0

    def gap(points: Array) -> Array:
        distances = ((points[..., None, :] - centres_K_S) ** 2).sum(-1)
        expert = (problem.weights_K * np.exp(-distances / 2)).sum(-1)
        return np.abs(expert - np.exp(-(points**2).sum(-1) / 2)) / (2 * math.pi) ** (rank / 2)

    low = min(0.0, centres_K_S.min()) - 9
    high = max(0.0, centres_K_S.max()) + 9
    if rank == 1:
        places = sorted({0.0, *centres_K_S[:, 0].tolist()})
        integral, _ = integrate.quad(
            lambda y: float(gap(np.array([y]))), low, high, points=places, limit=400
        )
        return float(integral) / 2
    axis = np.linspace(low, high, 1201 if rank == 2 else 161)
    cell = (axis[1] - axis[0]) ** rank
    if rank > 3:
        raise ParameterError("`expert_mean`: total variation needs at most three dimensions")
    total = 0.0
    for first in axis:  # Plane by plane, so that a cube of points is never in memory at once.
        rest = np.stack(np.meshgrid(*[axis] * (rank - 1), indexing="ij"), -1).reshape(-1, rank - 1)
        points = np.column_stack([np.full(len(rest), first), rest])
        total += float(gap(points).sum())
    return total * cell / 2


def _orthonormal(vectors_N_D: Array) -> Array:
    """Make an orthonormal basis (S, D) of the span of the rows."""
    if not len(vectors_N_D):
        return np.zeros((0, vectors_N_D.shape[1]))
    _, sizes, rows = np.linalg.svd(np.atleast_2d(vectors_N_D), full_matrices=False)
    return np.asarray(rows[sizes > 1e-12 * max(1.0, float(sizes.max(initial=0.0)))])


# ---- projections ----


def project(problem: GaussianProblem, point_D: Array) -> Array:
    """Project a point orthogonally onto the class's affine subspace."""
    coordinates, *_ = np.linalg.lstsq(
        problem.directions_R_D.T, point_D - problem.point_D, rcond=None
    )
    return np.asarray(problem.point_D + coordinates @ problem.directions_R_D)


def forward_projection(problem: GaussianProblem) -> Array:
    """Find argmin over the class of KL(expert || N(mu, I)), in closed form.

    It is E|y - mu|^2 / 2 up to a constant, so the projection of the expert's mean.
    """
    return project(problem, problem.weights_K @ problem.means_K_D)


def reverse_projection(problem: GaussianProblem) -> Array | None:
    """Find argmin over the class of KL(N(mu, I) || expert), in closed form for a single Gaussian.

    None for a mixture, which has no closed form.
    """
    distinct = np.unique(problem.means_K_D[problem.weights_K > 0], axis=0)
    return project(problem, distinct[0]) if len(distinct) == 1 else None


def forward_projection_by_optimisation(problem: GaussianProblem) -> Array:
    """Find `forward_projection` by minimising the cross-entropy numerically."""

    def loss(mean_D: Array) -> float:
        return float(problem.weights_K @ ((problem.means_K_D - mean_D) ** 2).sum(-1)) / 2

    return _minimise(problem, loss)


def reverse_projection_by_optimisation(problem: GaussianProblem) -> Array:
    """Find `reverse_projection` by minimising `reverse_kl` from every component's place."""
    return _minimise(problem, lambda mean_D: reverse_kl(problem, mean_D))


def _minimise(problem: GaussianProblem, loss: "optimize._ObjectiveFunction") -> Array:
    """Find the best of the local minima from the components and from their mean.

    The losses are quadratic plus something smooth, whose local minima lie near components.
    """
    basis_R_D = _orthonormal(problem.directions_R_D)
    starts = [*problem.means_K_D, problem.weights_K @ problem.means_K_D]
    found = [
        optimize.minimize(
            lambda at: loss(problem.point_D + at @ basis_R_D),
            basis_R_D @ (start_D - problem.point_D),
            method="BFGS",
            options={"gtol": 1e-9},
        )
        for start_D in starts
    ]
    best = min(found, key=lambda result: float(result.fun))
    return np.asarray(problem.point_D + best.x @ basis_R_D)
