"""Checks whether models and data sets are here and fit each other and their prompts.

Only the small files of a model are read, never its weights.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from online_il import hub
from online_il.config.bases import Pretrained
from online_il.config.experts import ModelExpert
from online_il.config.hub import DataSet, Model, Tokenizer
from online_il.config.mixture import LARGEST_VOCABULARY
from online_il.config.plan import ModelShape
from online_il.config.study import Study
from online_il.config.tasks import Task
from online_il.cost.shape import json_of, of_model
from online_il.ends import end_ids, tokens_by_id, trained_end
from online_il.errors import DOWNLOAD, InputError
from online_il.methods import METHODS
from online_il.models import WEIGHTS
from online_il.preflight.report import Report

GATED = ("meta-llama/",)
"""Owners whose models the hub gives to those alone who accepted their terms."""


def check_files(study: Study, task: Task, report: Report) -> dict[str, Path]:
    """Check that every model and data set is here; return the folders of the models that are."""
    pairs = study.discrepancy.models if study.discrepancy else []
    sources = hub.named_in(task)
    sources += [pair.tokenizer for pair in pairs if pair.task == task.name and pair.tokenizer]
    folders: dict[str, Path] = {}
    for source in sources:
        try:
            if isinstance(source, DataSet):
                hub.files(source)
            elif isinstance(source, Tokenizer):
                hub.tokenizer_folder(source)
            else:
                folders[name_of(source)] = hub.model_folder(source)
        except (InputError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            reason = str(error) if isinstance(error, InputError) else f"damaged ({error!r:.80})"
            known = reason.partition("; ")
            message = known[0].removeprefix(f"model {name_of(source)}: ")
            message = message.removeprefix(f"data set {name_of(source)}: ")
            remedy = known[2] or DOWNLOAD
            if source.folder is None and source.repo.startswith(GATED):
                remedy += "; it is gated: accept its terms on the hub"
                if not os.environ.get("HF_TOKEN"):
                    remedy += " and set HF_TOKEN for the download, which is not set"
            report.problem(f"{task.name}, {name_of(source)}", message, remedy)
    return folders


def name_of(source: Model | DataSet) -> str:
    """Name a model or data set with its revision."""
    return f"{source.repo}@{source.revision}"


def check_tokenizers(task: Task, folders: dict[str, Path], report: Report) -> None:
    """Check that student and expert of every distillation read and write the same tokens.

    So must all policies of a mixture. A run has the tokenizer of the base that it goes back to.
    """
    for run in task.runs:
        if METHODS[run.method].learns_from != "probabilities" or task.base is None:
            continue
        where, student = f"{task.name}/{run.name}", task.named_bases[task.base_of(run.name)]
        for expert in task.models_behind(run.expert or ""):
            for difference in _between("the student", student, "its expert", expert, folders):
                report.problem(where, difference, _ONE_TOKENIZER)
        mixed = run.expert in {mixture.name for mixture in task.mixtures}
        width = getattr(shape_of(student, None), "vocabulary", 0)
        if mixed and width > LARGEST_VOCABULARY:
            report.problem(
                where,
                f"a mixture of at most {LARGEST_VOCABULARY:,} tokens can be distilled, and the "
                f"student has {width:,}",
                "imitate one of its parts, or use sft",
            )
    for mixture in task.mixtures:
        first, *others = task.models_behind(mixture.name)
        for other in others:
            for difference in _between("one of its parts", first, "another", other, folders):
                report.problem(f"{task.name}/{mixture.name}", difference, _ONE_VOCABULARY)


_ONE_TOKENIZER = (
    "distill compares probabilities token id by token id: choose an expert with the student's "
    "tokenizer and width, or use sft"
)
_ONE_VOCABULARY = "a mixture adds probabilities token id by token id: mix models of one tokenizer"


def _between(
    one: str, first: Any, other: str, second: Any, folders: dict[str, Path]
) -> Iterator[str]:
    """Tell, for two models by what each is, where their tokens differ."""
    if not (isinstance(first, Model) and isinstance(second, Model)):
        if first.kind != second.kind:
            yield (
                f"{one} is of kind {first.kind} and {other} of kind {second.kind}, so that their "
                "tokenizers differ"
            )
        return
    known = [folders.get(name_of(model)) for model in (first, second)]
    if known[0] is not None and known[1] is not None:
        for difference in _differences(known[0], known[1]):
            yield f"{one} {first.repo} and {other} {second.repo} {difference}"


def _differences(student: Path, expert: Path) -> list[str]:
    """List what keeps two models from being distilled into each other."""
    found = []
    tokens = [tokens_by_id(folder) for folder in (student, expert)]
    if tokens[0] is None or tokens[1] is None:
        lacking = student if tokens[0] is None else expert
        return [f"cannot be compared: no usable tokenizer.json in {lacking}"]
    if tokens[0] != tokens[1]:
        ids = sorted(set(tokens[0]) | set(tokens[1]))
        first = next(i for i in ids if tokens[0].get(i) != tokens[1].get(i))
        here, there = (known.get(first, "no token") for known in tokens if known is not None)
        found.append(
            f"have different tokenizers, {len(tokens[0]):,} and {len(tokens[1]):,} tokens: id "
            f"{first} is {here!r} and {there!r}"
        )
    elif _rules(student) != _rules(expert):
        found.append("have the same tokens and cut text into them by different rules")
    widths = [json_of(folder / "config.json").get("vocab_size") for folder in (student, expert)]
    if widths[0] != widths[1]:
        found.append(f"have logits {widths[0]} and {widths[1]} wide")
    return found


def _rules(folder: Path) -> list[Any]:
    """Read how a tokenizer cuts text: all but its tokens and what only concerns batches."""
    content = json_of(folder / "tokenizer.json")
    rules = [content.get(key) for key in ("normalizer", "pre_tokenizer")]
    merges = content["model"].get("merges") or []
    return [*rules, [m.split(" ") if isinstance(m, str) else m for m in merges]]


def check_templates(task: Task, folders: dict[str, Path], report: Report) -> None:
    """Check that models whose prompts are conversations have a chat template, or are given one."""
    if task.data.kind == "miniature":
        return
    for model in [task.base, *task.experts]:
        template = getattr(model, "chat_template", None)
        where = f"{task.name}, {getattr(model, 'repo', getattr(model, 'kind', ''))}"
        if template is not None:
            if not Path(template).is_file():
                message = f"chat_template: there is no file {template}"
                report.problem(where, message, "correct the path, relative to where you start")
            continue
        folder = folders.get(name_of(model)) if isinstance(model, Model) else None
        if folder is None or (folder / "chat_template.jinja").is_file():
            continue
        if not json_of(folder / "tokenizer_config.json").get("chat_template"):
            report.problem(
                where,
                "the prompts are conversations, and this model has no chat template",
                "set its chat_template, to config/chat.jinja for example",
            )


def check_ends(task: Task, folders: dict[str, Path], report: Report) -> None:
    """Check that a response ends with the same tokens in training, sampling and evaluation."""
    for model, folder in _models(task, folders):
        where = f"{task.name}, {model.repo}"
        path = Path(model.chat_template) if model.chat_template else None
        try:
            end_ids(folder)
            if task.data.kind != "miniature" and not (path and not path.is_file()):
                template = path.read_text(encoding="utf-8") if path else None
                trained_end(folder, conversation=True, template=template)
        except InputError as error:
            message, _, remedy = str(error).removeprefix(f"{folder}: ").rpartition("; ")
            report.problem(where, message, remedy)


def _models(
    task: Task, folders: dict[str, Path]
) -> Iterator[tuple[Pretrained | ModelExpert, Path]]:
    """List the models of the hub whose responses a task trains or samples, and their folders."""
    for model in [task.base, *task.experts]:
        if isinstance(model, Pretrained | ModelExpert) and name_of(model) in folders:
            yield model, folders[name_of(model)]


def check_engine(study: Study, task: Task, folders: dict[str, Path], report: Report) -> None:
    """Check that the decode loop can run every model of a task."""
    if study.generation.engine != "loop":
        return
    from online_il.generation.decode import rotary_settings

    for model, folder in _models(task, folders):
        where = f"{task.name}, {model.repo}"
        if not (folder / WEIGHTS).is_file():
            report.problem(
                where,
                "its weights lie in several parts, and generation.engine is loop, which reads one "
                f"file, {WEIGHTS}",
                "set generation.engine to transformers or vllm, or `folder` to a copy saved whole",
            )
        try:
            rotary_settings(json_of(folder / "config.json"))
        except ValueError as error:
            message, _, remedy = str(error).rpartition("; ")
            report.problem(where, message, remedy)


class Generated(NamedTuple):
    """The longest sequence that a job generates."""

    job: str
    """`evaluate`, a method, or the name of an expert that is sampled."""
    model: object
    length: int
    """Tokens of the prompt and the response."""


def generated(study: Study, task: Task) -> Iterator[Generated]:
    """List what a task's jobs generate; prompts are as long as the plan has them."""
    prompt = study.plan.tokens[task.name].prompt_tokens if study.plan else 0
    for base in task.named_bases.values():
        yield Generated("evaluate", base, prompt + task.evaluation.policy.max_new_tokens)
    if task.base is not None:
        for method, name in sorted({(run.method, task.base_of(run.name)) for run in task.runs}):
            settings = getattr(task.methods, method)
            if METHODS[method].on_policy:
                longest = (settings.max_prompt_tokens or prompt) + settings.max_new_tokens
                yield Generated(method, task.named_bases[name], longest)
    for pair in study.discrepancy.models if study.discrepancy else []:
        for expert in task.experts:
            if pair.task == task.name and expert.name in (pair.expert, pair.student):
                yield Generated(expert.name, expert, prompt + pair.sampling.max_new_tokens)


def check_context(study: Study, task: Task, report: Report) -> None:
    """Check that no sequence is longer than the model has positions for."""
    asked = []
    for job, model, longest in generated(study, task):
        if job == "evaluate":
            key = "evaluation.policy"
        else:
            key = f"methods.{job}" if job in METHODS else "discrepancy"
        asked.append((model, f"{key}: prompt and max_new_tokens", longest))
    if task.finetuning:
        asked.append((task.base, "base.finetuning.max_length", task.finetuning.max_length))
    for model, key, longest in asked:
        shape = shape_of(model, study)
        if shape is not None and longest > shape.positions:
            report.problem(
                f"{task.name}, {key}",
                f"{longest:,} tokens, and {getattr(model, 'repo', 'the model')} has positions for "
                f"{shape.positions:,}",
                "lower one of the lengths",
            )


def shape_of(model: object, study: Study | None) -> ModelShape | None:
    """Find the shape of a model; None where it has none or nothing tells it."""
    try:
        return of_model(model, study.plan if study else None)
    except InputError:
        return None
