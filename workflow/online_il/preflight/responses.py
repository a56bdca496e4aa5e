"""Checks files of responses that are experts, row by row, before anything is trained on them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from online_il.config.experts import FileExpert
from online_il.config.tasks import Task
from online_il.errors import InputError
from online_il.experts.file import answers
from online_il.preflight.report import Report
from online_il.tasks import beside_data, countdown_hub, english_prompts, gsm8k, problems
from online_il.tasks.countdown_prompts import compact_prompt
from online_il.tasks.miniature_splits import splits
from online_il.tasks.prompt import Converted

HUB: dict[str, Callable[[Any], Converted]] = {
    "countdown": countdown_hub.prompts,
    "english": english_prompts.prompts,
    "gsm8k": gsm8k.prompts,
    "deepscaler": problems.deepscaler,
    "aime": problems.aime,
}


def check_responses(task: Task, report: Report) -> None:
    """Check that each row of a file that is an expert answers a training prompt of its task."""
    imitated = {run.expert: run for run in task.runs}
    files = [one for one in task.experts if isinstance(one, FileExpert) and one.name in imitated]
    prompts = prompts_of(task) if files else None
    for expert in files:
        where = f"{task.name}/{expert.name}, path"
        if not Path(expert.path).is_file():
            message = f"there is no file {expert.path}"
            report.problem(where, message, "correct the path, relative to where you start")
        elif prompts is not None:
            try:
                found = answers(Path(expert.path), prompts)
            except InputError as error:
                report.problem(where, str(error), "mend or remove these rows")
                continue
            report.notes.append(f"{task.name}/{expert.name}: {len(found)} responses, all read")
            _check_counts(task, expert, len(found), report)


def _check_counts(task: Task, expert: FileExpert, count: int, report: Report) -> None:
    for run in task.runs:
        if run.expert == expert.name and (run.demonstrations or 0) > count:
            report.problem(
                f"{task.name}/{run.name}, demonstrations",
                f"{run.demonstrations} are asked for, and {expert.path} has {count}",
                "lower it, or leave it out for all",
            )


def prompts_of(task: Task) -> pd.DataFrame | None:
    """Make a task's prompts (prompt_id, split, text) as its job does; None where data lack."""
    if task.data.kind == "miniature":
        return pd.DataFrame(
            [
                {"prompt_id": f"{split}-{index:05d}", "split": split, "text": compact_prompt(*one)}
                for split, instances in splits(task.data).items()
                for index, one in enumerate(instances)
            ]
        )
    try:
        made = HUB[task.data.kind](task.data).prompts
    except (InputError, OSError):
        return None  # `check_files` names what is missing.
    return pd.DataFrame(beside_data.numbered(task.name, made))
