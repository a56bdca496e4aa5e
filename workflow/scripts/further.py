"""Draw further test prompts of a Countdown task, none of which its table of prompts has.

Nothing is trained on them, so that a study that is finished is evaluated on them and not trained.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated

from pydantic import Field, Json

from online_il.config.data import CountdownHub
from online_il.config.further import Further
from online_il.config.miniature import EnglishData, MiniatureData
from online_il.files import write_table
from online_il.program.cli import ProgramOptions, log, main
from online_il.provenance import file_hash, versions
from online_il.records import Prompts, read_table
from online_il.tasks import beside_data, further

CountdownData = Annotated[MiniatureData | EnglishData | CountdownHub, Field(discriminator="kind")]


class Options(ProgramOptions):
    task: str = Field(description="name of the task")
    data: Json[CountdownData] = Field(description="settings of the task's data, JSON")
    settings: Json[Further] = Field(description="settings of the further prompts, JSON")
    prompts: Path = Field(description="the task's table of prompts")
    code: str = Field(description="hash of the code, for provenance")
    output: Path = Field(description="table to write")


def run(options: Options) -> None:
    known = further.instances_of(read_table(options.prompts, Prompts))
    drawn = further.prompts(options.data, options.settings, known)
    rows = beside_data.numbered(options.task, drawn)
    log("drawn", **Counter(row["split"] for row in rows), passed_over=len(known))
    provenance = {
        "code_hash": options.code,
        "versions": versions(),
        "settings": options.settings.model_dump_json(),
        "prompts_hash": file_hash(options.prompts),
    }
    write_table(rows, Prompts, options.output, provenance)


if __name__ == "__main__":
    main(run, Options, __doc__)
