"""Write how each learner's risk moves with Theorem 1's rate: fitted slopes, as Markdown."""

import math
from pathlib import Path

from pydantic import Field

from online_il.charts.theory import LEARNERS, SWEEPS, slopes
from online_il.files import write_text
from online_il.program.cli import ProgramOptions, main


class Options(ProgramOptions):
    table: Path = Field(description="table of Theorem 1")
    code: str | None = Field(None, description="hash of the code; a change of it reruns the rule")
    output: Path = Field(description="Markdown file to write")


def run(options: Options) -> None:
    lines = [
        "Slope of log risk (exact) over log rate, C log K / N, on Theorem 1's",
        "instance; ratio: risk",
        "over rate. A slope of 1 with a ratio that stays means that the rate is the learner's own.",
        "",
        "| learner | over | slope | points | ratio, smallest | largest |",
        "|---|---|---|---|---|---|",
    ]
    for row in slopes(options.table).itertuples():
        slope = "–" if math.isnan(row.slope) else f"{row.slope:.2f}"
        lines.append(
            f"| {LEARNERS[row.learner][0].replace('|', chr(92) + '|')} | {SWEEPS[row.sweep]} | "
            f"{slope} | {row.points} | {row.ratio_low:.3g} | {row.ratio_high:.3g} |"
        )
    write_text("\n".join(lines) + "\n", options.output)


if __name__ == "__main__":
    main(run, Options, __doc__)
