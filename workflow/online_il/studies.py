"""Loading a study with the checks that its tasks' and its theory's own code has of their settings.

The config knows neither, and a job that gets its settings from such a study checks no more.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from online_il.config import study, theory
from online_il.config.checking import Checks
from online_il.config.miniature import EnglishData, MiniatureData
from online_il.config.partial import if_known, readable, spared
from online_il.config.problem import ABSENT, Problem
from online_il.config.tasks import Task
from online_il.errors import InputError, ParameterError
from online_il.tasks import further_data, miniature_data


def taken_out(overrides: dict[str, Any], word: str) -> bool:
    """Take a word for one start, true or false, out of what the command line lays over a config.

    Raises `InputError` for anything else, such as `yes`.
    """
    value = str(overrides.pop(word, "false"))
    if value.lower() not in ("true", "false"):
        raise InputError(f"--config {word}={value}: write {word}=true, or leave it out")
    return value.lower() == "true"


def load_study(path: Path, overrides: Mapping[str, Any] | None = None) -> study.Study:
    """Load the study in a YAML file. Raises `ConfigError` naming everything that is wrong."""
    return study.load(path, overrides, CHECKS)


def _panel(settings: theory.Panel) -> Iterator[Problem]:
    from online_il.theory.gaussian import problem

    # Numbers all: what is refused must not come so far.
    weights = settings.expert_weight and [*map(float, settings.expert_weight)]
    means = [[*map(float, mean)] for mean in settings.expert_mean]
    directions = [[*map(float, direction)] for direction in settings.class_direction]
    if found := list(_parameter_problems(lambda: problem(means, weights, directions))):
        yield from found
    elif len(means[0]) != 2:
        message = "a panel of the figure has two dimensions"
        yield Problem(("expert_mean",), settings.expert_mean, message, "give each mean two numbers")


def _offline_bound(settings: theory.OfflineBound) -> Iterator[Problem]:
    from online_il.theory.theorem1 import HardInstance, check

    # Each number has a range of its own; replicates and log_floor have theirs in the class.
    for key in ("contexts", "coverage", "samples"):
        for _, value in readable(if_known(settings, key) or []):
            instance = HardInstance(1, 1, 1)._replace(**{key: value})
            yield from _parameter_problems(partial(check, instance, 2, 0.5))


def _pessimism(settings: theory.Pessimism) -> Iterator[Problem]:
    from online_il.theory.theorem5 import BanditInstance, check

    right = BanditInstance(1, 1, 0)
    yield from _parameter_problems(lambda: check(right, settings.samples, [], 2))
    yield from _parameter_problems(lambda: check(right, [], settings.beta, 2))
    yield from _parameter_problems(
        lambda: check(
            BanditInstance(settings.rare, settings.coverage, settings.signal_bad), [], [], 2
        )
    )


def _task(settings: Task) -> Iterator[Problem]:
    yield from miniature_data.length_problems(settings)
    yield from further_data.further_problems(settings)


@spared
def _parameter_problems(check: Callable[[], object]) -> Iterator[Problem]:
    try:
        check()
    except ParameterError as error:
        yield Problem((), ABSENT, str(error), "correct this value")


CHECKS: Checks = {
    MiniatureData: miniature_data.data_problems,
    EnglishData: miniature_data.data_problems,
    Task: _task,
    theory.Panel: _panel,
    theory.OfflineBound: _offline_bound,
    theory.Pessimism: _pessimism,
}
