"""Draw the prompts of a Countdown task and the table of facts."""

import argparse
import json
from pathlib import Path

from online_il.config.data import MiniatureData
from online_il.files import write_table
from online_il.program.cli import main, parser
from online_il.provenance import versions
from online_il.records import Prompts
from online_il.tasks import miniature
from online_il.tasks.countdown import compact_prompt
from online_il.tasks.miniature_splits import splits


def run(options: argparse.Namespace) -> None:
    task = MiniatureData.model_validate_json(options.settings)
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
    provenance = {"code_hash": options.code, "versions": versions(), "settings": options.settings}
    write_table(rows, Prompts, options.output, provenance)


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--task", required=True, help="name of the task")
    arguments.add_argument("--settings", required=True, help="settings of the task, JSON")
    arguments.add_argument("--code", required=True, help="hash of the code, for provenance")
    arguments.add_argument("--output", type=Path, required=True, help="table to write")
    main(run, arguments)
