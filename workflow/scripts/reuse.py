"""Take from another study's results what this one would make just so: a base, an expert, samples.

Taken is what has the same settings, inputs and code, job by job, and is not there yet; on one disk
it takes no room. Everything else stays to be done, and the other study stays as it is.

  reuse.py results/mini --config config/my.yaml
"""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, Json

from online_il.config.study import load
from online_il.errors import InputError
from online_il.program.cli import POSITIONAL, ProgramOptions, main
from online_il.program.dag import graph_of_study
from online_il.reuse import give_back, records_of, take


class Options(ProgramOptions):
    other: Annotated[Path, POSITIONAL] = Field(description="results of the other study")
    config: Path = Field(description="config of this study")
    overrides: Json[dict[str, Any]] = Field({}, description="values over the config's, JSON")


def run(options: Options) -> None:
    own = Path("results", load(options.config, options.overrides).scale)
    if options.other.resolve() == own.resolve():
        raise InputError(f"{options.other}: these are the results of this very study; name others")
    records_of(options.other)
    taken = take(options.other, own, _outputs(options, pending=True))
    again = {*taken} - {*_outputs(options, pending=False)}
    give_back(own, again)
    kept = [name for name in taken if name not in again]
    for what, count in Counter(map(_what, kept)).items():
        print(f"taken: {what} ({count})")
    for what, count in Counter(map(_what, sorted(again))).items():
        print(f"not the same in this study: {what} ({count})")
    print(f"{len(kept)} of {len(taken)} outputs of {options.other} are taken to {own}")


def _outputs(options: Options, *, pending: bool) -> list[str]:
    """List the outputs of the study's jobs that are still to be done, or are done."""
    graph = graph_of_study(options.config, options.overrides)
    nodes = dict(graph.nodes(data=True)).values()
    return [name for node in nodes if node["pending"] == pending for name in node["outputs"]]


def _what(name: str) -> str:
    """Say what an output is: the part of the results, task and policy that it belongs to."""
    return "/".join(Path(name).parts[2:5])


if __name__ == "__main__":
    main(run, Options, __doc__)
