"""Write the report of a study: one page that opens from disk, without a network."""

from pathlib import Path
from typing import Any

from pydantic import Field, Json

from online_il.config.study import load
from online_il.errors import ParameterError
from online_il.files import write_text
from online_il.program.cli import ProgramOptions, main
from online_il.report.page import page


class Options(ProgramOptions):
    results: Path = Field(description="results of the study")
    config: Path = Field(description="config of the study")
    overrides: Json[dict[str, Any]] = Field({}, description="what --config laid over it, JSON")
    deviations: Path = Field(description="docs/paper.md")
    chance: Json[dict[str, float]] = Field(
        {}, description="accuracy of guessing on forgetting by task, JSON"
    )
    code: str | None = Field(None, description="hash of the code, for provenance")
    output: Path = Field(description="page to write, .html")


def run(options: Options) -> None:
    if not options.results.is_dir():
        raise ParameterError(f"--results {options.results}: no such folder; run the study first")
    study = load(options.config, options.overrides)
    html = page(
        options.results, study, options.config, options.deviations, options.chance, options.code
    )
    write_text(html, options.output)


if __name__ == "__main__":
    main(run, Options, __doc__)
