"""Write how each learner's risk moves with Theorem 1's rate: fitted slopes, as Markdown."""

import math
from pathlib import Path

from pydantic import Field

from online_il.charts.theory import LEARNERS, SWEEPS, slopes
from online_il.files import write_text
from online_il.markdown import markdown_table
from online_il.program.cli import ProgramOptions, main

COLUMNS = ["learner", "over", "slope", "points", "ratio, smallest", "largest"]


class Options(ProgramOptions):
    table: Path = Field(description="table of Theorem 1")
    code: str | None = Field(None, description="hash of the code; a change of it reruns the rule")
    output: Path = Field(description="Markdown file to write")


def run(options: Options) -> None:
    rows = [
        [
            LEARNERS[row.learner][0],
            SWEEPS[row.sweep],
            "–" if math.isnan(row.slope) else f"{row.slope:.2f}",
            str(row.points),
            f"{row.ratio_low:.3g}",
            f"{row.ratio_high:.3g}",
        ]
        for row in slopes(options.table).itertuples()
    ]
    lines = [
        "Slope of log risk (exact) over log rate, C log K / N, on Theorem 1's instance; ratio:",
        "risk over rate. A slope of 1 with a ratio that stays means that the rate is the learner's "
        "own.",
        "",
        *markdown_table(COLUMNS, rows),
    ]
    write_text("\n".join(lines) + "\n", options.output)


if __name__ == "__main__":
    main(run, Options, __doc__)
