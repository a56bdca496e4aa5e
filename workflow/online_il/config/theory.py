"""Settings of the theory's experiments: instances and sweeps, no training."""

from collections.abc import Iterator

from pydantic import Field

from online_il.config.partial import if_known
from online_il.config.problem import Problem
from online_il.config.settings import Settings

Vector = list[float]


class Panel(Settings):
    """One panel of Figure 4: an expert, a class of students; the reward is 1 where y >= 0."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Name of the panel's table.")
    title: str = Field(description="What the panel says above itself.")
    expert_mean: list[Vector] = Field(min_length=1, description="Means of the expert's Gaussians.")
    expert_weight: list[float] | None = Field(None, description="Their weights; equal if left out.")
    class_direction: list[Vector] = Field(
        min_length=1, description="Directions of the class of students, through the origin."
    )


class OfflineBound(Settings):
    """Theorem 1's instance; the first value of each list is the centre of the sweeps."""

    contexts: list[int] = Field(min_length=1, description="l; the class has 2^l policies.")
    coverage: list[float] = Field(min_length=1, description="C, the expert's coverage.")
    samples: list[int] = Field(min_length=1, description="N.")
    replicates: int = Field(gt=1, description="Data sets an instance.")
    seed: int = Field(ge=0, description="Seed of the data sets.")
    log_floor: float = Field(gt=0, lt=1, description="Where the logarithm of a density is clipped.")


class Alignment(Settings):
    """Theorem 2 on three finite classes."""

    epsilon: list[float] = Field(min_length=1, description="Suboptimality of the objective.")
    students: int = Field(gt=1, description="Students of a Gaussian class.")
    reach: float = Field(gt=0, description="Their means reach this far from the origin.")
    cells: int = Field(gt=2, description="Cells an axis of the plane of actions.")
    contexts: int = Field(gt=1, le=12, description="l of the hard instance.")
    coverage: float = Field(ge=1, description="C of the hard instance.")
    samples: int = Field(gt=0, description="N of the hard instance, which sets zeta = C / N.")


class Pessimism(Settings):
    """Theorem 5's second instance."""

    samples: list[int] = Field(min_length=1, description="N.")
    beta: list[float] = Field(min_length=1, description="Pessimism; 0 is none.")
    rare: int = Field(gt=0, description="Actions that the base covers badly.")
    coverage: float = Field(ge=1, description="C^e of the good action.")
    signal_bad: float = Field(ge=0, lt=1, description="Signal of the bad actions; the good has 1.")
    replicates: int = Field(gt=1, description="Data sets an N.")
    seed: int = Field(ge=0, description="Seed of the data sets.")


class Horizon(Settings):
    """The tabular MDP of horizon H."""

    horizons: list[int] = Field(min_length=1, description="H.")
    contexts: int = Field(gt=0, description="Contexts on the path.")
    coverage: float = Field(ge=1, description="C of the misspecified case.")
    labels: int = Field(gt=0, description="Labels of the realizable case, whatever H is.")
    replicates: int = Field(gt=1, description="Learners a point.")
    seed: int = Field(ge=0, description="Seed.")


class Theory(Settings):
    """The paper's theory as experiments."""

    gaussian: list[Panel] = Field(min_length=1, description="The panels of Figure 4.")
    offline_bound: OfflineBound = Field(description="Theorem 1.")
    alignment: Alignment = Field(description="Theorem 2.")
    pessimism: Pessimism = Field(description="Theorem 5.")
    horizon: Horizon = Field(description="Horizon against misspecification (beyond the paper).")

    def problems(self) -> Iterator[Problem]:
        names = [if_known(panel, "name") for panel in self.gaussian]
        for index, name in enumerate(names):
            if name is not None and name in names[:index]:
                keys = ("gaussian", index, "name")
                yield Problem(keys, name, "two panels have this name", "rename one")
