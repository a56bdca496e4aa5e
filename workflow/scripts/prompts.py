"""Draw the prompts of a Countdown task and the table of facts.

Train, validation and id share one distribution: their instances are drawn together, all distinct
up to reordering of the numbers, shuffled, and then cut apart. So do pretraining and ood, each of
whose instances leaves the in-distribution ranges, by a number or by its target. The base is trained
on train and pretraining: like the paper's pretrained models it knows the numbers of the
out-of-distribution prompts, while no expert and no student is trained on them.
"""

import argparse
import json
import random
from pathlib import Path

from online_il.config.miniature import Instances, MiniatureData
from online_il.errors import InputError
from online_il.files import write_table
from online_il.program.cli import main, parser
from online_il.provenance import versions
from online_il.records import Prompts
from online_il.tasks import miniature
from online_il.tasks.countdown import Instance, compact_prompt, generate


def draw(
    task: MiniatureData, instances: Instances, count: int, seed: int, **options
) -> list[Instance]:
    try:
        return generate(
            count,
            operands=instances.operands,
            number_range=instances.numbers,
            target_range=instances.answers,
            operators=task.operators,
            seed=seed,
            value_range=task.value_range,
            **options,
        )
    except ValueError as error:
        raise InputError(f"the miniature's data: {error}") from None


def splits(task: MiniatureData) -> dict[str, list[Instance]]:
    """Instances by split. Raises `InputError` when the ranges hold too few."""
    inside, outside, seed = task.in_distribution, task.out_of_distribution, task.data_seed

    def leaves(instance: Instance) -> bool:
        return (
            len(instance.numbers) not in inside.operands
            or not inside.answers[0] <= instance.target <= inside.answers[1]
            or any(not inside.numbers[0] <= n <= inside.numbers[1] for n in instance.numbers)
        )

    common = draw(task, inside, task.train + task.validation + task.id, seed)
    beyond = draw(task, outside, task.pretraining + task.ood, seed + 1, accept=leaves)
    # Draws without repetition come ever more from the rare instances, so the order is undone.
    for instances in (common, beyond):
        random.Random(seed).shuffle(instances)
    return {
        "train": common[: task.train],
        "validation": common[task.train : task.train + task.validation],
        "id": common[task.train + task.validation :],
        "pretraining": beyond[: task.pretraining],
        "ood": beyond[task.pretraining :],
    }


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
