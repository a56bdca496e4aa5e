"""Models and data sets from the Hugging Face hub: read from the local copy, never over the network.

Each is pinned by its commit and read from its `folder`, or from the hub's cache, which `download`
fills on a machine with a network. A model may also be a folder alone, or lie in a Python package
(`packaged`). What is missing or not of the expected form is an `InputError`
that names it and the remedy.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as arrow
import pyarrow.parquet as parquet
from pydantic import BaseModel, ConfigDict, ValidationError

from online_il.config.hub import DataSet, Model, Package, Tokenizer
from online_il.config.settings import Settings
from online_il.errors import DOWNLOAD, InputError
from online_il.model_files import Fault, faults
from online_il.packaged import wheels
from online_il.program.exhausted import cause_of

MODEL_FILES = ["*.json", "*.safetensors", "*.model", "*.jinja", "merges.txt", "vocab.txt"]
"""Config, weights and tokenizer; never pickled weights (`*.bin`), for loading those runs code."""
TOKENIZER_FILES = ["tokenizer*", "*.jinja"]
_BATCH = 2_000
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.")


class HubRow(BaseModel):
    """Base of a data set's rows: the columns that are read, of exactly these types."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


R = TypeVar("R", bound=HubRow)


def rows(source: DataSet, kind: type[R]) -> Iterator[R]:
    """Yield the rows of a data set in the order of its files, one after the other.

    Reads Parquet, JSON Lines and JSON arrays. Raises `InputError` that names file, row and column
    for what is not of the form that `kind` says, and for files without rows.
    """
    for path in files(source):
        number = 0
        for number, row in enumerate(_read(path, list(kind.model_fields)), 1):
            yield _checked(path, number, row, kind)
        if not number:
            raise InputError(f"{path}: no row in it; delete it and fetch it again: {DOWNLOAD}")


def files(source: DataSet) -> list[Path]:
    """List the files of a data set, by name. Raises `InputError` when one is missing."""
    folder, name = _place(source, [source.files], "dataset"), source.called
    try:
        found = sorted(path for path in folder.glob(source.files) if path.is_file())
    except (ValueError, NotImplementedError) as error:
        raise InputError(
            f"data set {name}: files: {source.files!r} is no pattern inside it ({error})"
        ) from None
    if not found:
        raise InputError(
            f"data set {name}: no file {source.files} in {folder}; {DOWNLOAD}, or correct `files`"
        )
    parts: dict[tuple[str, int], set[int]] = {}
    for path in found:
        if shard := _SHARD.search(path.name):
            whole = (str(path.parent / path.name[: shard.start()]), int(shard[2]))
            parts.setdefault(whole, set()).add(int(shard[1]))
    for (first, count), numbers in parts.items():
        for lost in sorted(set(range(count)) - numbers)[:1]:
            raise InputError(
                f"data set {name}: no {first}-{lost:05d}-of-{count:05d}, a part of it; {DOWNLOAD}"
            )
    return found


def model_folder(model: Model | Package) -> Path:
    """Find the folder of a model's config, tokenizer and weights. Raises `InputError` for none.

    The first of its faults is raised; `model_faults` tells all.
    """
    folder = model_place(model)
    for fault in model_faults(model, folder):
        raise InputError(f"model {model.called}: {fault.what}; {fault.remedy}")
    return folder


def model_place(model: Model | Package) -> Path:
    """Find where a model lies, whatever is in there. Raises `InputError` where it is nowhere."""
    if isinstance(model, Model):
        return _place(model, MODEL_FILES, "model")
    place = wheels.model_place(model)
    if not place.is_dir():
        raise InputError(f"package {model.called}: not on this machine; {FETCH}")
    return place


def model_faults(model: Model | Package, folder: Path) -> Iterator[Fault]:
    """Tell what keeps a model from being used, each with a remedy that goes with its origin."""
    remedy = DOWNLOAD
    if isinstance(model, Model) and model.folder is not None:
        remedy = COPY
    elif isinstance(model, Package):
        remedy = f"delete {folder}: it is written out again"
    for fault in faults(folder):
        yield fault if fault.remedy else fault._replace(remedy=remedy)


COPY = "copy the whole model there, or correct `folder`"
FETCH = "start with a network: it is fetched with pip, once"


def tokenizer_folder(tokenizer: Tokenizer) -> Path:
    """Find the folder of a tokenizer. Raises `InputError` where it lacks."""
    folder = _place(tokenizer, TOKENIZER_FILES, "model")
    if not (folder / "tokenizer.json").is_file():
        remedy = DOWNLOAD if tokenizer.folder is None else COPY
        raise InputError(f"tokenizer {tokenizer.called}: no tokenizer.json in {folder}; {remedy}")
    return folder


Source = Model | Package | DataSet


def named_in(settings: Settings) -> list[Source]:
    """List every model and data set that a config names, however deep, each once."""
    found: list[Source] = []

    def look(value: Any) -> None:
        if isinstance(value, Source):
            if value not in found:
                found.append(value)
        elif isinstance(value, BaseModel):
            for name in type(value).model_fields:
                look(getattr(value, name))
        elif isinstance(value, dict):
            look(list(value.values()))
        elif isinstance(value, list | tuple):
            for one in value:
                look(one)

    look(settings)
    return found


def ask_for_place(sources: Iterable[Source]) -> None:
    """Raises `InputError` where models of the hub would go to a home that nobody chose.

    They are tens of gigabytes, more than most clusters grant a home, and all nodes read them.
    """
    models = [s for s in sources if isinstance(s, Model) and s.repo and s.folder is None]
    if models and not ("HF_HOME" in os.environ or "HF_HUB_CACHE" in os.environ):
        named = ", ".join(model.short for model in models)
        raise InputError(
            f"HF_HOME is not set, and {named} would go to ~/.cache/huggingface; export "
            "HF_HOME=<a folder on a large disk that all nodes see>, here and where Snakemake is "
            "started (HF_HOME=~/.cache/huggingface where home is that disk)"
        )


def download(sources: Iterable[Source]) -> Iterator[tuple[Source, Path]]:
    """Fetch models and data sets into the hub's cache, models of packages into ours, and say where.

    The only function here that uses the network. What has a `folder` is passed over. A gated
    repository needs HF_TOKEN in the environment. Raises `InputError` for what cannot be had.
    """
    import httpx
    from huggingface_hub import get_token, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    unreachable = (httpx.HTTPError, httpx.InvalidURL, RuntimeError)
    token = get_token()
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        # The HTTP library would quote it in its error.
        raise InputError(
            "HF_TOKEN holds no token: there are spaces, line breaks or letters beyond ASCII in it; "
            "put a token of the hub in it, or unset it"
        )
    for source in sources:
        if isinstance(source, Package):
            yield source, obtained(source)
            continue
        if source.folder is not None or source.repo is None:
            continue
        is_model = isinstance(source, Model)
        try:
            folder = snapshot_download(
                source.repo,
                repo_type="model" if is_model else "dataset",
                revision=source.revision,
                allow_patterns=_patterns(source),
            )
        # The hub's library passes on what its own libraries raise without a network.
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError, *unreachable) as error:
            if cause_of(error):
                raise
            reason = " ".join(str(error).split())
            reason = (reason.replace(token, "***") if token else reason)[:200]
            raise InputError(
                f"{'model' if is_model else 'data set'} {source.called}: cannot be "
                f"downloaded ({reason}); look at the network and the name, and for a gated "
                "repository accept its terms on the hub and set HF_TOKEN"
            ) from None
        yield source, Path(folder)


def obtained(package: Package) -> Path:
    """Give the folder of a package's model, fetched with pip and written out where it lacks.

    Raises `InputError` for what cannot be had, or is no model that can be used.
    """
    try:
        wheels.obtain(package)
    except InputError as error:
        raise InputError(f"package {package.called}: {error}") from None
    return model_folder(package)


def _patterns(source: Model | DataSet) -> list[str]:
    """List the patterns of the files of a repository that are needed."""
    if isinstance(source, DataSet):
        return [source.files]
    return TOKENIZER_FILES if isinstance(source, Tokenizer) else MODEL_FILES


def _place(source: Model | DataSet, patterns: list[str], kind: str) -> Path:
    name = f"{kind.replace('dataset', 'data set')} {source.called}"
    if source.folder is not None:
        if not Path(source.folder).is_dir():
            raise InputError(f"{name}: folder: {source.folder} is no folder; correct it")
        return Path(source.folder)
    if source.repo is None:
        raise InputError(f"{name}: neither repo nor folder; add one of them")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        found = snapshot_download(
            source.repo,
            repo_type=kind,
            revision=source.revision,
            allow_patterns=patterns,
            local_files_only=True,
        )
    except LocalEntryNotFoundError:
        raise InputError(f"{name}: not on this machine; {DOWNLOAD}") from None
    return Path(found)


def _read(path: Path, columns: list[str]) -> Iterator[Any]:
    """Yield the rows of a file as dictionaries of these columns (JSON: of all)."""
    try:
        if path.suffix == ".parquet":
            table = parquet.ParquetFile(path)
            there = [name for name in columns if name in table.schema_arrow.names]
            for batch in table.iter_batches(_BATCH, columns=there):
                yield from batch.to_pylist() if there else [{}]
        elif path.suffix == ".jsonl":
            with path.open(encoding="utf-8-sig") as lines:
                yield from (json.loads(line) for line in lines if line.strip())
        elif path.suffix == ".json":
            content = json.loads(path.read_text(encoding="utf-8-sig"))
            if not isinstance(content, list):
                raise InputError(f"{path}: not a JSON array of rows; correct `files`")
            yield from content
        else:
            raise InputError(f"{path}: neither .parquet nor .jsonl nor .json; correct `files`")
    except (arrow.ArrowException, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"{path}: damaged ({reason}); delete it and fetch it again: {DOWNLOAD}"
        ) from None


def _checked(path: Path, number: int, row: Any, kind: type[R]) -> R:
    try:
        return kind.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            raise InputError(f"{path}: row {number}: not a row of columns; look at it") from None
        column = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            columns = parquet.read_schema(path).names if path.suffix == ".parquet" else list(row)
            what = f"no column '{column}' (there are: {', '.join(sorted(columns)) or 'none'})"
        else:
            what = f"column '{column}': {first['msg']}, got {str(first['input'])[:60]!r}"
        raise InputError(
            f"{path}: row {number}: {what}; this is not the data set that the config names: "
            "correct `files` or `revision`"
        ) from None
