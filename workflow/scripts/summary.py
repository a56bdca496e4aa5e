"""Write the final accuracies of a study, and what they took, as a plain-text table."""

from pathlib import Path

from pydantic import Field

from online_il.files import write_text
from online_il.program.cli import ProgramOptions, main
from online_il.report.summary import summary


class Options(ProgramOptions):
    database: Path = Field(description="database of the study")
    code: str | None = Field(None, description="hash of the code; a change of it reruns the rule")
    output: Path = Field(description="text file to write")


def run(options: Options) -> None:
    write_text(summary(options.database), options.output)


if __name__ == "__main__":
    main(run, Options, __doc__)
