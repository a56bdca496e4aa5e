"""Lay a model that is not trained here in the study's results: one of the hub, or a random one.

The hub's files are taken from the local cache at the pinned revision, never from the network
(`make download-paper` fills the cache); on the same disk they are linked, not copied. A chat
template of ours is put in where the model has none.
"""

import shutil
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, Json

from online_il.config.hub import Model
from online_il.config.random import RandomModel
from online_il.ends import end_ids
from online_il.errors import InputError
from online_il.hub import model_folder
from online_il.layout import step
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


class Options(ProgramOptions):
    settings: Json[Annotated[HubModel | RandomModel, Field(discriminator="kind")]] = Field(
        description="settings of the model, JSON"
    )
    code: str | None = Field(None, description="hash of the code; a change of it reruns the rule")
    output: Path = Field(description="folder to write")


def copy(source: Path, target: Path) -> None:
    """Copy the files of a model and its tokenizer, by links where the disk allows."""
    for pattern in KEPT:
        for path in sorted(source.glob(pattern)):
            # The hub's cache holds links to its blobs.
            link(str(path.resolve()), str(target / path.name))


def complete(folder: Path, name: str, chat_template: Path | None) -> None:
    """Check that a fetched model can be used, and give its tokenizer what it lacks."""
    if not any(folder.glob(PARTS)):
        raise InputError(f"{name}: no safetensors among its files; pickled weights are not read")
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
        name = settings.repo
        source = model_folder(settings)
        place.mkdir(parents=True)
        copy(source, place)
        complete(place, name, template)
    log("fetched", model=name, weights=weights_hash(place))


if __name__ == "__main__":
    main(run, Options, __doc__)
