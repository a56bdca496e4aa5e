"""Loading a study with the checks that its tasks' and its theory's own code has of their settings.

The config knows neither, and a job that gets its settings from such a study checks no more.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from online_il.config import study, theory
from online_il.config.checking import Checks
from online_il.config.miniature import MiniatureData
from online_il.config.problem import ABSENT, Problem
from online_il.config.tasks import Task
from online_il.errors import ParameterError
from online_il.tasks import miniature_data


def load_study(path: Path, overrides: Mapping[str, Any] | None = None) -> study.Study:
    """Load the study in a YAML file. Raises `ConfigError` naming everything that is wrong."""
    return study.load(path, overrides, CHECKS)


def _panel(settings: theory.Panel) -> Iterator[Problem]:
    from online_il.theory.gaussian import problem

    try:
        problem(settings.expert_mean, settings.expert_weight, settings.class_direction)
    except ParameterError as error:
        yield _refused(error)
        return
    if len(settings.expert_mean[0]) != 2:
        message = "a panel of the figure has two dimensions"
        yield Problem(("expert_mean",), settings.expert_mean, message, "give each mean two numbers")


def _offline_bound(settings: theory.OfflineBound) -> Iterator[Problem]:
    from online_il.theory.theorem1 import HardInstance, check

    centre = HardInstance(settings.contexts[0], settings.coverage[0], settings.samples[0])
    swept = [centre._replace(contexts=value) for value in settings.contexts]
    swept += [centre._replace(coverage=value) for value in settings.coverage]
    swept += [centre._replace(samples=value) for value in settings.samples]
    try:
        for instance in swept:
            check(instance, settings.replicates, settings.log_floor)
    except ParameterError as error:
        yield _refused(error)


def _pessimism(settings: theory.Pessimism) -> Iterator[Problem]:
    from online_il.theory.theorem5 import BanditInstance, check

    instance = BanditInstance(settings.rare, settings.coverage, settings.signal_bad)
    try:
        check(instance, settings.samples, settings.beta, settings.replicates)
    except ParameterError as error:
        yield _refused(error)


def _refused(error: ParameterError) -> Problem:
    return Problem((), ABSENT, str(error), "correct this value")


CHECKS: Checks = {
    MiniatureData: miniature_data.data_problems,
    Task: miniature_data.length_problems,
    theory.Panel: _panel,
    theory.OfflineBound: _offline_bound,
    theory.Pessimism: _pessimism,
}
