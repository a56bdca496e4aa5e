"""Checks whether models and data sets are here and fit each other and their prompts.

Only the small files of a model are read, never its weights.
"""

import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from online_il import hub
from online_il.config.bases import FurtherModel, FurtherPackage, PackageBase, Pretrained
from online_il.config.experts import ModelExpert, PackageExpert
from online_il.config.hub import DataSet, Package, Tokenizer
from online_il.config.knowledge import Benchmarked
from online_il.config.plan import ModelShape
from online_il.config.policies import adapter_of, learns_from_samples, prefixes_of
from online_il.config.random import RandomModel
from online_il.config.study import Study
from online_il.config.tasks import Task
from online_il.cost.shape import FAMILIES, json_of, matrices, of_model
from online_il.ends import end_ids, trained_end
from online_il.errors import DOWNLOAD, InputError
from online_il.layout import PARTS
from online_il.methods import METHODS
from online_il.models import CHAT, WEIGHTS
from online_il.packaged import wheels
from online_il.preflight.pairs import ONE_TOKENIZER, differences, small_files
from online_il.preflight.report import Report
from online_il.tasks import beside_data
from online_il.vocabulary import CUT_STUDENT, TEMPLATE_REMEDY, Difference

OF_FILES = (OSError, ValueError, LookupError, TypeError, AttributeError)
OF_ARCHIVES = (RuntimeError, zlib.error, zipfile.BadZipFile)
"""The errors of reading files that are not what their names say."""
GATED = ("meta-llama/",)
"""Owners whose models the hub gives to those alone who accepted their terms."""
Taken = Pretrained | PackageBase | FurtherModel | FurtherPackage | ModelExpert | PackageExpert
"""A base or an expert that is a model of the hub, of a folder or of a package."""


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
            elif isinstance(source, Package) and not wheels.model_place(source).is_dir():
                _check_wheel(task, source, report)
            else:
                folder, whole = hub.model_place(source), True
                for fault in hub.model_faults(source, folder):
                    report.problem(f"{task.name}, {name_of(source)}", *fault)
                    whole = False
                if whole:
                    folders[name_of(source)] = folder
        except (InputError, *OF_FILES, *OF_ARCHIVES) as error:
            reason = str(error) if isinstance(error, InputError) else f"damaged ({error!r:.80})"
            known = reason.partition("; ")
            message = known[0].removeprefix(f"model {name_of(source)}: ")
            message = message.removeprefix(f"data set {name_of(source)}: ")
            message = message.removeprefix(f"package {name_of(source)}: ")
            remedy = known[2] or DOWNLOAD
            of_hub = not isinstance(source, Package) and source.folder is None
            if of_hub and source.short.startswith(GATED):
                remedy += "; it is gated: accept its terms on the hub"
                if not os.environ.get("HF_TOKEN"):
                    remedy += " and set HF_TOKEN for the download, which is not set"
            report.problem(f"{task.name}, {name_of(source)}", message, remedy)
    if isinstance(task.data, Benchmarked):
        try:
            beside_data.check(task.data)
        except InputError as error:
            report.problem(f"{task.name}, data", *str(error).split("; ", 1))
    return folders


def _check_wheel(task: Task, package: Package, report: Report) -> None:
    """Check the wheel of a package that is not written out yet, where it is here."""
    wheel = wheels.wheel_at_hand(package)
    if wheel is not None:
        wheels.check_file(package, wheel)
    else:
        report.notes.append(
            f"{task.name}, {package.called}: not here yet; it is fetched with pip as the first "
            "job, and its files are looked at then"
        )


def name_of(source: hub.Source) -> str:
    """Name a model or data set with its revision."""
    return source.called


def check_tokenizers(task: Task, folders: dict[str, Path], report: Report, engine: str) -> None:
    """Check that student and expert of every distillation read and write the same tokens.

    So must all policies of a mixture. A run has the tokenizer of the base that it goes back to.
    """
    for run in task.runs:
        if METHODS[run.method].learns_from != "probabilities" or task.base is None:
            continue
        where, student = f"{task.name}/{run.name}", task.named_bases[task.base_of(run.name)]
        mixed = run.expert in {mixture.name for mixture in task.mixtures}
        for expert in task.models_behind(run.expert or ""):
            pair = ("the student", student, "its expert", expert)
            for found in _between(*pair, folders, task, one_width=mixed):
                report.problem(where, *found)
            widths = [getattr(shape_of(one, None), "vocabulary", 0) for one in (student, expert)]
            writes = engine == "vllm" and prefixes_of(task.settings_of(run)) == "own"
            if writes and not mixed and widths[0] > widths[1] > 0:
                report.problem(where, *CUT_STUDENT)
    for mixture in task.mixtures:
        first, *others = task.models_behind(mixture.name)
        for other in others:
            pair = ("one of its parts", first, "another", other)
            for found in _between(*pair, folders, task, one_width=True):
                remedy = _ONE_VOCABULARY if found.remedy == ONE_TOKENIZER else found.remedy
                report.problem(f"{task.name}/{mixture.name}", found.what, remedy)


_ONE_VOCABULARY = "a mixture adds probabilities token id by token id: mix models of one tokenizer"


def _between(
    one: str,
    first: Any,
    other: str,
    second: Any,
    folders: dict[str, Path],
    task: Task,
    *,
    one_width: bool,
) -> Iterator[Difference]:
    """Tell, for two models by what each is, what keeps their probabilities from being compared."""
    templates = None if task.data.kind == "miniature" else (_template(first), _template(second))
    if first.kind == second.kind and not isinstance(first, Taken):
        # Made by one code; a template of the config's own may still be in its place.
        if templates and templates[0] != templates[1]:
            yield Difference(f"{one} and {other} have different chat templates", TEMPLATE_REMEDY)
        return
    with TemporaryDirectory() as made:
        known = [
            folders.get(name_of(model)) if isinstance(model, Taken) else small_files(model, made)
            for model in (first, second)
        ]
        if known[0] is None or known[1] is None:
            return  # `check_files` names it.
        pair = [name + _called(model) for name, model in ((one, first), (other, second))]
        for found in differences(known[0], known[1], templates, one_width):
            yield found._replace(what=f"{pair[0]} and {pair[1]} {found.what}")


def _called(model: Any) -> str:
    """Name a model beside what it is to a run; nothing for one that is made here."""
    return f" {model.short}" if isinstance(model, Taken) else ""


def _template(model: Any) -> str | None:
    """Read the chat template that a model is given; None where it keeps its own."""
    path = Path(getattr(model, "chat_template", None) or "")
    if path.is_file():
        return path.read_text(encoding="utf-8")
    return CHAT if isinstance(model, RandomModel) else None


def check_ends(task: Task, folders: dict[str, Path], report: Report) -> None:
    """Check that a response ends with the same tokens in training, sampling and evaluation."""
    for model, folder in _models(task, folders):
        where = f"{task.name}, {model.short}"
        path = Path(model.chat_template) if model.chat_template else None
        try:
            end_ids(folder)
            if task.data.kind != "miniature" and not (path and not path.is_file()):
                template = path.read_text(encoding="utf-8") if path else None
                trained_end(folder, conversation=True, template=template)
        except InputError as error:
            message, _, remedy = str(error).removeprefix(f"{folder}: ").rpartition("; ")
            report.problem(where, message, remedy)


def _models(task: Task, folders: dict[str, Path]) -> Iterator[tuple[Taken, Path]]:
    """List the models that are not made here and whose responses a task trains or samples."""
    for model in [*task.named_bases.values(), *task.experts]:
        if isinstance(model, Taken) and name_of(model) in folders:
            yield model, folders[name_of(model)]


def check_weights(task: Task, folders: dict[str, Path], report: Report) -> None:
    """Check that transformers has a model's type, and that weights and config are of one model.

    Takes a model whose config.json cannot be read as numbers out of `folders`.
    """
    for model, folder in list(_models(task, folders)):
        where, config = f"{task.name}, {model.short}", json_of(folder / "config.json")
        kind = config.get("model_type")
        of_family = isinstance(kind, str) and kind in FAMILIES
        if not _is_known(kind):
            report.problem(
                where,
                f"config.json: model_type: {kind!r} is no language model that transformers has",
                "name another model, or correct it where this one is known by another type",
            )
        wrong = [
            f"{key}: {config.get(key)!r}"
            for key in _NUMBERS
            if (key in config or of_family) and not _is_count(config.get(key))
        ]
        ropes = [f"{key}: {config[key]!r:.40}" for key in _ROPES if _is_odd(config.get(key))]
        for found, why in ((wrong, "no number of at least 1"), (ropes, "no object of JSON")):
            if found:
                report.problem(
                    where,
                    f"config.json: {', '.join(found)}: {why}",
                    "copy the whole model again, or correct it",
                )
                folders.pop(name_of(model), None)
        for reason in [] if wrong or ropes else _other_weights(folder, config):
            report.problem(where, reason, "take config.json and weights of one model")


_NUMBERS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
)
"""Keys of a config.json; transformers puts numbers of its own in the place of those that lack."""


_ROPES = ("rope_parameters", "rope_scaling")


def _is_odd(rope: object) -> bool:
    return rope is not None and not isinstance(rope, dict)


def _is_known(kind: object) -> bool:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return isinstance(kind, str) and kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _other_weights(folder: Path, config: dict[str, Any]) -> Iterator[str]:
    """Tell where the headers of a model's weights and its config differ: embedding and layers.

    transformers fills up missing layers with random numbers, and warns.
    """
    from safetensors import SafetensorError, safe_open

    layers = set()
    for path in sorted(folder.glob(PARTS)):
        try:
            with safe_open(path, framework="np") as tensors:
                shapes = {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118
        except (SafetensorError, OSError):
            return  # `check_files` looks at what can be read.
        layers |= {int(found[1]) for name in shapes if (found := _LAYER.search(name))}
        expected = [config.get(key) for key in ("vocab_size", "hidden_size")]
        for name, shape in shapes.items():
            if name.endswith("embed_tokens.weight") and None not in expected and shape != expected:
                yield (
                    f"{path.name}: {name} is {' by '.join(map(str, shape))}, and config.json has "
                    f"vocab_size {expected[0]} and hidden_size {expected[1]}"
                )
    named = config.get("num_hidden_layers")
    if layers and isinstance(named, int) and len(layers) < named:
        yield f"its weights have {len(layers)} layers, and config.json: num_hidden_layers: {named}"


_LAYER = re.compile(r"\blayers\.(\d+)\.", re.ASCII)


def check_engine(study: Study, task: Task, folders: dict[str, Path], report: Report) -> None:
    """Check that the decode loop can run every model of a task."""
    if study.generation.engine != "loop":
        return
    from online_il.generation.decode import rotary_settings

    for model, folder in _models(task, folders):
        where = f"{task.name}, {model.short}"
        if not (folder / WEIGHTS).is_file():
            report.problem(
                where,
                "its weights lie in several parts, and generation.engine is loop, which reads one "
                f"file, {WEIGHTS}",
                "set generation.engine to transformers or vllm, or `folder` to a copy saved whole",
            )
        config = json_of(folder / "config.json")
        if not _is_known(config.get("model_type")):
            continue  # No engine has it: `check_weights` says so.
        try:
            rotary_settings(config)
        except ValueError as error:
            message, _, remedy = str(error).rpartition("; ")
            report.problem(where, message, remedy)


class Generated(NamedTuple):
    """The longest sequence that a job generates."""

    job: str
    """`evaluate`, `sample`, a method, or the name of an expert that is compared."""
    model: object
    length: int
    """Tokens of the prompt and the response."""


def generated(study: Study, task: Task) -> Iterator[Generated]:
    """List what a task's jobs generate; prompts are as long as the plan has them."""
    prompt = study.plan.tokens[task.name].prompt_tokens if study.plan else 0
    for base in task.named_bases.values():
        yield Generated("evaluate", base, prompt + task.evaluation.policy.max_new_tokens)
    if task.base is not None:
        longest: dict[tuple[str, str], int] = {}
        for run in task.runs:
            if METHODS[run.method].on_policy:
                settings, at = task.settings_of(run), (run.method, task.base_of(run.name))
                length = (settings.max_prompt_tokens or prompt) + settings.max_new_tokens
                longest[at] = max(length, longest.get(at, 0))
        for (method, name), length in sorted(longest.items()):
            yield Generated(method, task.named_bases[name], length)
    sampled = {run.expert for run in task.runs if learns_from_samples(task, run)}
    for expert in task.experts:
        if isinstance(expert, ModelExpert | PackageExpert) and expert.name in sampled:
            yield Generated("sample", expert, prompt + task.evaluation.policy.max_new_tokens)
    for pair in study.discrepancy.models if study.discrepancy else []:
        for expert in task.experts:
            if pair.task == task.name and expert.name in (pair.expert, pair.student):
                yield Generated(expert.name, expert, prompt + pair.sampling.max_new_tokens)


def check_context(study: Study, task: Task, report: Report) -> None:
    """Check that no sequence is longer than the model has positions for."""
    asked = []
    for job, model, longest in generated(study, task):
        if job in ("evaluate", "sample"):
            key = "evaluation.policy"
        else:
            key = f"methods.{job}" if job in METHODS else "discrepancy"
        asked.append((model, f"{key}: prompt and max_new_tokens", longest))
        if job in METHODS and METHODS[job].learns_from == "probabilities":
            read = [run.expert or "" for run in task.runs if run.method == job]
            teachers = [one for name in read for one in task.models_behind(name)]
            asked += [(one, f"{key}: prompt and max_new_tokens", longest) for one in teachers]
    if task.finetuning:
        asked.append((task.base, "base.finetuning.max_length", task.finetuning.max_length))
    for model, key, longest in asked:
        shape = shape_of(model, study)
        if shape is not None and longest > shape.positions:
            report.problem(
                f"{task.name}, {key}",
                f"{longest:,} tokens, and {getattr(model, 'short', 'the model')} has positions for "
                f"{shape.positions:,}",
                "lower one of the lengths",
            )


def check_adapters(study: Study, task: Task, report: Report) -> None:
    """Check that the models of a task have the matrices that adapters are laid over."""
    for run in task.runs:
        lora = adapter_of(task.settings_of(run))
        shape = shape_of(task.named_bases[task.base_of(run.name)], study)
        if lora is None or shape is None or lora.target_modules == "all-linear":
            continue
        known = matrices(shape)
        for name in lora.target_modules:
            if name not in known:
                report.problem(
                    f"{task.name}/{run.name}, lora.target_modules",
                    f"the model has no matrix {name!r}",
                    f"there are: {', '.join(known)}",
                )


def shape_of(model: object, study: Study | None) -> ModelShape | None:
    """Find the shape of a model; None where it has none or nothing tells it."""
    try:
        return of_model(model, study.plan if study else None)
    except InputError:
        return None
