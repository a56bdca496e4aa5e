"""Turn a task's data sets from the hub into its table of prompts, all splits in it.

Training rows whose problem is also a test problem are dropped. What was dropped and checked stands
in the log and in the table's provenance.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

from pydantic import ValidationError

from online_il.config.data import Aime, CountdownHub, DeepScaler, Gsm8k
from online_il.errors import InputError, ParameterError
from online_il.files import write_table
from online_il.program.cli import log, main, parser
from online_il.provenance import versions
from online_il.records import Prompts
from online_il.tasks import countdown_hub, gsm8k, problems

KINDS = {
    "countdown": (CountdownHub, countdown_hub.prompts),
    "gsm8k": (Gsm8k, gsm8k.prompts),
    "deepscaler": (DeepScaler, problems.deepscaler),
    "aime": (Aime, problems.aime),
}


def run(options: argparse.Namespace) -> None:
    kind, convert = KINDS[options.kind]
    try:
        settings = kind.model_validate_json(options.settings)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise ParameterError(f"--settings: {place}: {first['msg']}; correct it") from None
    converted = convert(settings)
    numbers: Counter[str] = Counter()
    rows = []
    for split, text, answer, source, revision in converted.prompts:
        rows.append(
            {
                "prompt_id": f"{split}-{numbers[split]:05d}",
                "task": options.task,
                "split": split,
                "text": text,
                "answer": json.dumps(answer),
                "source": source,
                "revision": revision,
            }
        )
        numbers[split] += 1
    log("converted", **numbers, **converted.counts)
    if "train" in kind.model_fields and not numbers["train"]:
        raise InputError(f"task {options.task}: every training row is a test row; correct `train`")
    provenance = {
        "code_hash": options.code,
        "versions": versions(),
        "settings": options.settings,
        "counts": converted.counts,
    }
    write_table(rows, Prompts, options.output, provenance)


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--settings", required=True, help="settings of the data, JSON")
    arguments.add_argument("--kind", required=True, choices=list(KINDS), help="which data")
    arguments.add_argument("--task", required=True, help="name of the task")
    arguments.add_argument("--code", required=True, help="hash of the code, for provenance")
    arguments.add_argument("--output", type=Path, required=True, help="table to write")
    main(run, arguments)
