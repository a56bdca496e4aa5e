"""Write the final accuracies of a study, and what they took, as a plain-text table."""

import argparse
from pathlib import Path

from online_il.files import write_text
from online_il.program.cli import main, parser
from online_il.report.summary import summary


def run(options: argparse.Namespace) -> None:
    write_text(summary(options.database), options.output)


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--database", type=Path, required=True, help="database of the study")
    arguments.add_argument("--code", help="hash of the code; a change of it reruns the rule")
    arguments.add_argument("--output", type=Path, required=True, help="text file to write")
    main(run, arguments)
