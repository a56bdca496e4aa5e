"""Turn a task's data sets from the hub into its table of prompts, all splits in it.

A Countdown in English is drawn. Training rows whose problem is also a test problem are dropped.
What was dropped and checked stands in the log and in the table's provenance. Of a benchmark that
the settings limit, so many prompts are drawn, after that; each has its number among all.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated

from pydantic import Field, Json, model_validator

from online_il.config.data import Aime, CountdownHub, DeepScaler, EnglishData, Gsm8k
from online_il.errors import InputError
from online_il.files import write_table
from online_il.program.cli import ProgramOptions, log, main
from online_il.provenance import versions
from online_il.records import Prompts
from online_il.tasks import beside_data, countdown_hub, english_prompts, gsm8k, problems

KINDS = {
    "countdown": countdown_hub.prompts,
    "english": english_prompts.prompts,
    "gsm8k": gsm8k.prompts,
    "deepscaler": problems.deepscaler,
    "aime": problems.aime,
}
HubData = Annotated[
    CountdownHub | EnglishData | Gsm8k | DeepScaler | Aime, Field(discriminator="kind")
]


class Options(ProgramOptions):
    settings: Json[HubData] = Field(description="settings of the data, JSON")
    kind: str = Field(description="which data: the settings' kind")
    task: str = Field(description="name of the task")
    texts: str | None = Field(None, description="hash of the project's and a person's own files")
    code: str = Field(description="hash of the code, for provenance")
    output: Path = Field(description="table to write")

    @model_validator(mode="after")
    def _has_one_kind(self) -> "Options":
        if self.kind != self.settings.kind:
            raise ValueError(f"--kind {self.kind}: the settings are of kind {self.settings.kind}")
        return self


def run(options: Options) -> None:
    settings = options.settings
    converted = KINDS[settings.kind](settings)
    asked = beside_data.numbered(options.task, converted.prompts + beside_data.prompts(settings))
    rows = beside_data.limited(asked, settings)
    numbers = Counter(row["split"] for row in rows)
    log("converted", **numbers, **converted.counts)
    if "train" in type(settings).model_fields and not numbers["train"]:
        raise InputError(f"task {options.task}: every training row is a test row; correct `train`")
    provenance = {
        "code_hash": options.code,
        "versions": versions(),
        "settings": settings.model_dump_json(),
        "counts": converted.counts,
    }
    write_table(rows, Prompts, options.output, provenance)


if __name__ == "__main__":
    main(run, Options, __doc__)
