"""Checks whether models have chat templates, and whether these write all of a task's prompts."""

from collections.abc import Iterator
from pathlib import Path

from online_il.chat import Messages, messages_of, swallowed
from online_il.config.hub import Model, Package
from online_il.config.tasks import Task
from online_il.ends import chat_template, special_tokens
from online_il.errors import InputError
from online_il.preflight.models import name_of
from online_il.preflight.report import Report
from online_il.tasks import english
from online_il.tasks.countdown import Instance
from online_il.tasks.countdown_prompts import chat_messages

REMEDY = "set its chat_template, to config/chat.jinja for example"


def prompts_of(task: Task) -> Messages:
    """Give a conversation of the form that a task's prompts have."""
    if task.data.kind == "countdown":
        return chat_messages([3, 4, 5], 17)
    if task.data.kind == "english":
        return messages_of(english.prompt(Instance((3, 4, 5), 17))) or []
    return [{"role": "user", "content": "How much is 3 + 4?"}]


def check_templates(task: Task, folders: dict[str, Path], report: Report) -> None:
    """Check that models whose prompts are conversations have a chat template, or are given one.

    It has to write every message, and to end a prompt with the beginning of the answer in it.
    """
    if task.data.kind == "miniature":
        return
    for model in [*task.named_bases.values(), *task.experts]:
        own = getattr(model, "chat_template", None)
        where = f"{task.name}, {getattr(model, 'short', getattr(model, 'kind', ''))}"
        if own is not None and not Path(own).is_file():
            message = f"chat_template: there is no file {own}"
            report.problem(where, message, "correct the path, relative to where you start")
            continue
        folder = folders.get(name_of(model)) if isinstance(model, Model | Package) else None
        if folder is None and own is None:
            continue
        for message in _faults(folder, own, prompts_of(task)):
            report.problem(where, message, REMEDY)


def _faults(folder: Path | None, own: str | None, messages: Messages) -> Iterator[str]:
    """Tell what is wrong with a model's template: the one in the file `own`, or in its folder."""
    try:
        special = special_tokens(folder) if folder else {}
        if own is None and folder is not None:
            template = chat_template(folder)
            name = "its chat template"
        else:
            template = Path(str(own)).read_text(encoding="utf-8")
            name = f"chat_template: {own}"
    except (InputError, OSError, UnicodeDecodeError):
        return  # `check_files` and `check_ends` name what is damaged.
    if not template:
        yield "the prompts are conversations, and this model has no chat template"
    elif reason := swallowed(template, special, messages):
        yield f"{name} {reason}"
