"""Fetch every model and data set that a config names into the caches, each at its revision.

Runs once, on a machine with a network. HF_HOME says where the hub's cache lies (for a study on GPUs
it is asked for), and HF_TOKEN, from the environment, opens gated repositories; ONLINE_IL_CACHE says
where models of packages lie.
"""

from pathlib import Path

from pydantic import Field

from online_il.config.study import load
from online_il.hub import ask_for_place, download, named_in
from online_il.program.cli import ProgramOptions, log, main


class Options(ProgramOptions):
    config: Path = Field(description="config of the study")


def run(options: Options) -> None:
    fetched, study = False, load(options.config)
    sources = named_in(study)
    if study.hardware == "gpu":
        ask_for_place(sources)
    for source, folder in download(sources):
        log(f"{source.called} is in {folder}")
        fetched = True
    if not fetched:
        log(f"{options.config}: no model and no data set of a hub or a package; nothing to fetch")


if __name__ == "__main__":
    main(run, Options, __doc__)
