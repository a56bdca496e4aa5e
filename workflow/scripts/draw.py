"""Draw one of the figures from what it shows: the study's database, or tables of the theory.

draw.py figure1 results/mini/aggregate/measurements.duckdb --output-stem figures/figure1
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, Json

from online_il.charts import cells, curves, discrepancy, gaussian, mixtures, theory
from online_il.charts.style import save
from online_il.program.cli import POSITIONAL, ProgramOptions, main

FIGURES = {
    "figure1": curves.figure1,
    "figure2": curves.figure2,
    "figure3": discrepancy.figure3,
    "figure4": gaussian.figure4,
    "figure5": mixtures.figure5,
    "figure6": mixtures.figure6,
    "figure7": cells.figure7,
    "theorem1": theory.theorem1,
    "theorem2": theory.theorem2,
    "theorem5": theory.theorem5,
    "horizon": theory.horizon,
}


class Options(ProgramOptions):
    figure: Annotated[str, POSITIONAL] = Field(description=f"which one: {', '.join(FIGURES)}")
    inputs: Annotated[list[Path], POSITIONAL] = Field(description="database, or a table a panel")
    settings: Json[dict[str, Any]] = Field({}, description="settings of the figure, JSON")
    code: str | None = Field(None, description="hash of the code, for provenance")
    output_stem: Path = Field(description="files to write, without .svg and so on")


def run(options: Options) -> None:
    chart = FIGURES[options.figure](*options.inputs, **options.settings)
    save(chart, options.output_stem, options.code)


if __name__ == "__main__":
    main(run, Options, __doc__)
