"""Take the first of an expert's demonstrations, for a run that learns from fewer than others."""

from pathlib import Path

from pydantic import Field

from online_il.errors import InputError
from online_il.files import write_table
from online_il.program.cli import ProgramOptions, main
from online_il.provenance import versions
from online_il.records import Samples, provenance, read_table


class Options(ProgramOptions):
    samples: Path = Field(description="the demonstrations")
    count: int = Field(gt=0, description="how many of them")
    code: str = Field(description="hash of the code, for provenance")
    output: Path = Field(description="table to write")


def run(options: Options) -> None:
    rows = read_table(options.samples, Samples)
    if len(rows) < options.count:
        raise InputError(
            f"{options.samples}: {options.count} demonstrations are asked for, and it has "
            f"{len(rows)}; lower `demonstrations` of the run"
        )
    origin = provenance(options.samples) | {"first": options.count, "code_hash": options.code}
    first = rows.head(options.count).to_dict("records")
    write_table(first, Samples, options.output, origin | {"versions": versions()})


if __name__ == "__main__":
    main(run, Options, __doc__)
