"""Draw the prompts of a Countdown task and the table of facts."""

import json
from pathlib import Path

from pydantic import Field, Json

from online_il.config.miniature import MiniatureData
from online_il.files import write_table
from online_il.program.cli import ProgramOptions, main
from online_il.provenance import versions
from online_il.records import Prompts
from online_il.tasks import miniature
from online_il.tasks.countdown_prompts import compact_prompt
from online_il.tasks.miniature_splits import splits


class Options(ProgramOptions):
    task: str = Field(description="name of the task")
    settings: Json[MiniatureData] = Field(description="settings of the task, JSON")
    code: str = Field(description="hash of the code, for provenance")
    output: Path = Field(description="table to write")


def run(options: Options) -> None:
    task = options.settings
    origin = {"task": options.task, "source": "online_il.tasks.countdown.generate"}
    origin["revision"] = f"seed {task.data_seed}, code {options.code}"
    rows = [
        {
            "prompt_id": f"{split}-{index:05d}",
            "split": split,
            "text": compact_prompt(*instance),
            "answer": json.dumps({"numbers": instance.numbers, "target": instance.target}),
            **origin,
        }
        for split, instances in splits(task).items()
        for index, instance in enumerate(instances)
    ]
    table = miniature.facts(task.facts.count, task.data_seed, task.facts.choices)
    rows += [
        {
            "prompt_id": f"forgetting-{index:05d}",
            "split": "forgetting",
            "text": miniature.fact_prompt(fact),
            "answer": json.dumps(
                {"grader": "choice", "choices": fact.choices, "correct": fact.value}
            ),
            **origin,
        }
        for index, fact in enumerate(table)
    ]
    settings = task.model_dump_json()
    provenance = {"code_hash": options.code, "versions": versions(), "settings": settings}
    write_table(rows, Prompts, options.output, provenance)


if __name__ == "__main__":
    main(run, Options, __doc__)
