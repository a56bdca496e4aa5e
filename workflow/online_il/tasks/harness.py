"""GSM8K's metric by lm-evaluation-harness's own task definition.

What the harness decides (filters, metric) is read from the definition that the pinned package
ships. A response or a number past a bound, which the harness has not, is wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

MAX_CHARS = 1_000_000
"""Longest response to GSM8K whose number is looked for."""
MAX_NUMBER_CHARS = 100
"""Longest number; the harness's patterns take quadratic time on longer ones."""
_NO_MATCH = "[invalid]"  # The harness's filters return this where they find nothing.


class Gsm8kGrade(NamedTuple):
    """The harness's grade of one response."""

    strict: bool
    """The number after the first `####` is right."""
    flexible: bool
    """The last number is right."""
    formatted: bool
    """There is a number after `####`."""


def revision(commit: str) -> str:
    """Name the version of rows that the harness turns into prompts or grades."""
    return f"{commit}, lm-eval {version('lm_eval')}"


def definition(name: str) -> dict[str, Any]:
    """Read a task of the harness's package. Raises `FileNotFoundError` for none."""
    from lm_eval import tasks
    from lm_eval.tasks._yaml_loader import load_yaml

    return load_yaml(Path(tasks.__file__).parent / name)  # type: ignore[no-any-return]


@cache
def _gsm8k() -> tuple[dict[str, Callable[[str], str]], Callable[[str, str], bool]]:
    """Return (extraction by filter name, whether an extracted answer matches the reference)."""
    from lm_eval.api.registry import get_filter, get_metric

    config = definition("gsm8k/gsm8k.yaml")

    def extraction(filters: Sequence[Mapping[str, Any]]) -> Callable[[str], str]:
        # The second filter, take_first, picks among several responses to one question.
        first, rest = filters[0], [one["function"] for one in filters[1:]]
        if rest != ["take_first"]:
            raise RuntimeError("lm-eval's gsm8k has unknown filters; install the pinned version")
        built = get_filter(first["function"])(**{k: v for k, v in first.items() if k != "function"})
        return lambda text: str(next(iter(built.apply([[text]], [{}])))[0])

    (settings,) = config["metric_list"]
    metric = get_metric(settings["metric"])
    options = {
        key: value
        for key, value in settings.items()
        if key not in ("metric", "aggregation", "higher_is_better")
    }

    def matches(number: str, reference: str) -> bool:
        result = metric(predictions=[number], references=[reference], **options)
        return bool(result[settings["metric"]] == 1.0)

    filters = {one["name"]: extraction(one["filter"]) for one in config["filter_list"]}
    return filters, matches


def gsm8k_grade(response: str, reference: str) -> Gsm8kGrade:
    """Grade a response to GSM8K as the harness; `reference` is the number. Never raises."""
    if len(response) > MAX_CHARS:
        return Gsm8kGrade(False, False, False)
    filters, matches = _gsm8k()
    strict, flexible = (filters[name](response) for name in ("strict-match", "flexible-extract"))

    def right(number: str) -> bool:
        return len(number) <= MAX_NUMBER_CHARS and matches(number, reference)

    return Gsm8kGrade(right(strict), right(flexible), strict != _NO_MATCH)
