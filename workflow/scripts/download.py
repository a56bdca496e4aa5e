"""Fetch every model and data set that a config names into the hub's cache, each at its revision.

Runs once, on a machine with a network; no rule uses the network. HF_HOME says where the cache
lies, and HF_TOKEN, from the environment, opens gated repositories.
"""

from pathlib import Path

from pydantic import Field

from online_il.config.study import load
from online_il.hub import download, named_in
from online_il.program.cli import ProgramOptions, log, main


class Options(ProgramOptions):
    config: Path = Field(description="config of the study")


def run(options: Options) -> None:
    sources = [source for source in named_in(load(options.config)) if source.folder is None]
    if not sources:
        log(f"{options.config} needs no model and no data set of the hub; nothing to fetch")
    for source, folder in download(sources):
        log(f"{source.repo}@{source.revision} is in {folder}")


if __name__ == "__main__":
    main(run, Options, __doc__)
