"""Lay the tokenizer of a model of the hub in the study's results, without its weights."""

import shutil
from pathlib import Path

from pydantic import Field, Json

from online_il.config.hub import Tokenizer
from online_il.hub import tokenizer_folder
from online_il.layout import step
from online_il.program.cli import ProgramOptions, main


class Options(ProgramOptions):
    settings: Json[Tokenizer] = Field(description="settings of the model, JSON")
    place: str | None = Field(None, description="its folder")
    content: str | None = Field(None, description="what is in its folder; a change reruns the rule")
    code: str | None = Field(None, description="hash of the code; a change of it reruns the rule")
    output: Path = Field(description="folder to write")


def run(options: Options) -> None:
    folder = options.place or options.settings.folder
    source = tokenizer_folder(options.settings.model_copy(update={"folder": folder}))
    files = sorted(source.glob("tokenizer*"))
    place = step(options.output)
    shutil.rmtree(options.output, ignore_errors=True)
    place.mkdir(parents=True)
    for path in files:
        shutil.copy2(path, place / path.name)


if __name__ == "__main__":
    main(run, Options, __doc__)
