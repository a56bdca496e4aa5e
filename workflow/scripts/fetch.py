"""Lay a model that is not trained here in the study's results: one of the hub, or a random one.

The hub's files are taken from the local cache at the pinned revision, never from the network
(`make download-paper` fills the cache); on the same disk they are linked, not copied. A chat
template of ours is put in where the model has none.
"""

import argparse
import json
import shutil
from pathlib import Path

from online_il.config.hub import Model
from online_il.config.random import RandomModel
from online_il.ends import end_ids
from online_il.errors import InputError
from online_il.hub import model_folder
from online_il.models import (
    PARTS,
    byte_tokenizer,
    link,
    load_tokenizer,
    new_model,
    save_policy,
    weights_hash,
)
from online_il.program.cli import log, main, parser

KEPT = ("*.json", "*.jinja", "*.txt", "*.model", PARTS)


def copy(source: Path, target: Path) -> None:
    """Copy the files of a model and its tokenizer, by links where the disk allows."""
    for pattern in KEPT:
        for path in sorted(source.glob(pattern)):
            # The hub's cache holds links to its blobs.
            link(str(path.resolve()), str(target / path.name))


def complete(folder: Path, settings: dict[str, object], chat_template: Path | None) -> None:
    """Check that a fetched model can be used, and give its tokenizer what it lacks."""
    if not any(folder.glob(PARTS)):
        raise InputError(
            f"{settings.get('repo')}: no safetensors among its files; pickled weights are not read"
        )
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


def run(options: argparse.Namespace) -> None:
    settings = json.loads(options.settings)
    template = Path(settings["chat_template"]) if settings.get("chat_template") else None
    place = options.output / "step0"
    shutil.rmtree(options.output, ignore_errors=True)
    if settings["kind"] == "random":
        known = {key: settings[key] for key in RandomModel.model_fields}
        random = RandomModel.model_validate(known)
        tokenizer = byte_tokenizer()
        if template is not None:
            tokenizer.chat_template = template.read_text(encoding="utf-8")
        model = new_model(random.architecture, tokenizer, random.max_length, random.seed)
        save_policy(model, tokenizer, place)
    else:
        model = Model.model_validate({key: settings[key] for key in Model.model_fields})
        source = model_folder(model)
        place.mkdir(parents=True)
        copy(source, place)
        complete(place, settings, template)
    log("fetched", model=settings.get("repo", "random"), weights=weights_hash(place))


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--settings", required=True, help="settings of the model, JSON")
    arguments.add_argument("--code", help="hash of the code; a change of it reruns the rule")
    arguments.add_argument("--output", type=Path, required=True, help="folder to write")
    main(run, arguments)
