"""What a task has from its study: settings that are laid over the study's.

What is told of inherited settings is told once, of the study's own key.
"""

from collections.abc import Iterator
from typing import Any

from online_il.config.problem import ABSENT, Keys, Problem, value_at

INHERITED = ("methods", "evaluation", "resources")
"""Parts of a task that are laid over the study's, key by key."""


def inherited(raw: dict[str, Any]) -> dict[str, Any]:
    """Give each task all settings: its own laid over the study's, key by key."""
    tasks = raw.get("tasks")
    if not isinstance(tasks, list):
        return raw
    return raw | {
        "tasks": [
            task | {part: _laid_over(raw.get(part, {}), task.get(part)) for part in INHERITED}
            if isinstance(task, dict)
            else task
            for task in tasks
        ]
    }


def _laid_over(below: Any, above: Any) -> Any:
    """Lay a task's part over the study's, which stands where the task has none, or null."""
    return below if above is None else _merged(below, above)


def _merged(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: _merged(below.get(key), value) for key, value in above.items()}


def _shared(keys: Keys, raw: dict[str, Any]) -> Keys:
    """Find the study's keys behind a task's inherited ones; none where the task has its own."""
    inherits = len(keys) > 2 and keys[0] == "tasks" and keys[2] in INHERITED
    return keys[2:] if inherits and value_at(raw, *keys) is ABSENT else ()


def own(refused: list[Problem], raw: dict[str, Any]) -> Iterator[Problem]:
    """Leave out of what the classes refuse what a task only has from the study."""
    places = {problem.keys for problem in refused}
    for problem in refused:
        shared = _shared(problem.keys, raw)
        if not any(shared[:length] in places for length in range(1, len(shared) + 1)):
            yield problem


def told_once(problems: list[Problem], raw: dict[str, Any]) -> list[Problem]:
    """Tell contradictions in what tasks have from the study once, of the study."""
    once: list[Problem] = []
    for problem in problems:
        keys = problem.keys
        if _shared(keys, raw) and value_at(raw, *keys[:4]) is ABSENT:
            problem = problem._replace(keys=keys[2:])
        elif _shared(keys, raw) and problem._replace(keys=keys[2:]) in problems:
            continue
        if problem not in once:
            once.append(problem)
    return once
